//! Verbs around language models as a user runs them: embed, chat, compare, and Ctrl-C.

#[path = "speaking/answers.rs"]
mod answers;
#[path = "speaking/common.rs"]
mod common;
#[path = "speaking/interrupts.rs"]
mod interrupts;
#[path = "speaking/vectors.rs"]
mod vectors;
