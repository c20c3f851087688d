//! The saved project and the main job: open sets, embed, solve, select, export, verify.
//!
//! Purpose: one pipeline that the window, the command line, tests and benches call alike.
//! Constraints: an export is written atomically; a decision is on disk before the call that made it returns;
//! equal input, settings and engine give equal bytes, but for the manifest's `run` object.

mod atomic;
mod card;
mod comparison;
mod croissant;
mod decision_file;
mod demo;
mod digest;
mod error;
mod explaining;
mod explanations_csv;
mod export;
mod folders;
mod health;
mod history;
mod journal;
mod leakage;
mod manifest;
mod pipeline;
mod plan;
mod seal;
mod staging;
mod starter;
mod store;
pub mod study;
pub mod tuning;
mod verify;
mod weights_csv;

pub use atomic::write as write_file;
pub use comparison::{Beside, Compared, compare, compare_beside};
pub use demo::Demo;
pub use error::ProjectError;
pub use explaining::{Explaining, GroupShare, NearReference, RowReasons, SideReasons};
pub use export::{Export, ExportReport, check_folder, export};
pub use folders::Folders;
pub use health::{HealthFinding, HealthKind, HealthReport, NamedRow, health};
pub use journal::{Journal, Past, PastHow};
pub use pipeline::{Prepared, Purified, Sets, Timing, prepare, purify, solve};
pub use plan::{ExportContext, Plan};
pub use seal::seal;
pub use starter::{STARTER, model_folder, unpack_starter};
pub use store::{Project, ProjectStore};
pub use verify::{VerifyReport, verify};
