//! The cut.

use super::{Decisions, SelectionError, SelectionSettings};
use crate::transport::Outcome;

/// What became of a row and who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowState {
    Kept,
    Dropped,
    KeptByHand,
    DroppedByHand,
}

impl RowState {
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Kept | Self::KeptByHand)
    }
}

/// The cut over n rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    pub states: Vec<RowState>,
    /// 1 = most suspicious, by the ranking that made the cut; ties go by row index.
    pub ranks: Vec<u32>,
    /// Row indices from most to least suspicious.
    pub order: Vec<u32>,
    /// Loss weight of every row: mean 1 over the kept rows, 0 where dropped.
    pub loss_weights: Vec<f64>,
    /// Rows the machine keeps, before decisions.
    pub machine_keep: usize,
    /// The score (or weight) of the last row the machine keeps.
    pub cut: f64,
    pub kept: usize,
    pub kept_by_hand: usize,
    pub dropped_by_hand: usize,
}

impl Selection {
    /// Cuts by the ranking, then applies the decisions (`numbers[i]` is the record number of row index i).
    pub fn from(
        outcome: &Outcome,
        settings: &SelectionSettings,
        numbers: &[u64],
        decisions: &Decisions,
    ) -> Result<Self, SelectionError> {
        todo!()
    }
}
