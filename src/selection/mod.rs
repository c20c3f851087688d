//! From weights to a cut: top-K, manual decisions, loss weights, and figures against labels.
//!
//! Constraint: pure functions of an [`Outcome`](crate::transport::Outcome) and the reviewer's decisions; fast
//! enough to run on every change (one million rows in well under a second). Labels measure and nothing else.

pub mod baselines;
pub mod calibration;
pub mod comparison;
mod decisions;
mod error;
mod evaluate;
pub mod explanation;
mod figures;
pub mod health;
mod select;
mod settings;

pub use decisions::{Decision, Decisions, Matched, RowIds, Verdict};
pub use error::SelectionError;
pub use evaluate::{Evaluation, evaluate, labels_of};
pub use figures::{auroc, average_precision};
pub use select::{RowState, Selection};
pub use settings::{Keep, RankBy, SelectionSettings, WeightMode};
