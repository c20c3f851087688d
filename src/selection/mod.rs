//! From weights to a cut: top-K, manual decisions, loss weights, and figures against labels.
//!
//! Constraint: pure functions of an [`Outcome`] and the reviewer's decisions; fast enough to run on every change
//! (one million rows in well under a second).

mod decisions;
mod evaluate;
mod select;
mod settings;

pub use decisions::{Decision, Decisions, Verdict};
pub use evaluate::{Evaluation, evaluate};
pub use select::{RowState, Selection};
pub use settings::{Keep, RankBy, SelectionError, SelectionSettings, WeightMode};

#[expect(unused_imports)]
use crate::transport::Outcome;
