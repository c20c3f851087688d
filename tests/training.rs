//! The trainer, and `dipole tune` as a user runs it.

#[path = "training/common.rs"]
mod common;
#[path = "training/comparison.rs"]
mod comparison;
#[path = "training/resume.rs"]
mod resume;
#[path = "training/seal.rs"]
mod seal;
#[path = "training/trainer.rs"]
mod trainer;
