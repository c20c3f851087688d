//! Language models against transformers and peft, on tiny random networks of every family.

#[path = "model/chat.rs"]
mod chat;
#[path = "model/config.rs"]
mod config;
#[path = "model/decoder.rs"]
mod decoder;
#[path = "model/expected.rs"]
mod expected;
#[path = "model/gguf.rs"]
mod gguf;
#[path = "model/peft.rs"]
mod peft;
