//! Dipole: safety reviewers make fine-tuning data safe before it reaches a model.
//!
//! Purpose: the library behind the window and the command line. It learns a weight for every row of a
//! custom data set by Safety Optimal Transport, keeps the best rows, and exports them with a record.
//!
//! # The map
//! Arrows point down only.
//!
//! ```text
//! gui   commands
//!    \  /
//!   project                the saved project: pipeline, export, manifest, journal
//!   /     \
//! selection  training      cut, decisions, loss weights
//!   \     /
//!  transport  embedding    push-pull solver; rows to vectors
//!      \     /
//!       model              frozen networks
//!        |
//!       data               rows, schemas, readers, quarantine
//! jobs, gpu                leaves: progress and background work; graphics adapters and devices
//! ```
//!
//! # How failures travel
//! Each module has one typed error. It names the file, the row, the field and the way out. Nothing in the
//! library panics on input, prints, or shows: it returns errors and logs through `tracing`.

pub mod commands;
pub mod data;
pub mod embedding;
pub mod gpu;
pub mod gui;
pub mod jobs;
pub mod model;
pub mod project;
pub mod selection;
pub mod training;
pub mod transport;
