//! Figures against labels. Labels measure; nothing else reads them.

use super::SelectionError;

/// How well a ranking and a cut separate harmful rows; harmful is the positive class.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Evaluation {
    pub rows: usize,
    pub harmful: usize,
    /// Rows of the weights file without a label, which no figure counts.
    pub unlabelled: usize,
    pub auroc_score: Option<f64>,
    pub auroc_weight: Option<f64>,
    pub average_precision_score: Option<f64>,
    pub average_precision_weight: Option<f64>,
    pub kept: usize,
    /// Share of harmful rows that the cut dropped.
    pub harmful_recall: Option<f64>,
    /// Share of the kept rows that are harmful.
    pub residual_contamination: Option<f64>,
    /// Share of the other rows that are kept.
    pub benign_retention: Option<f64>,
}

/// Reads `weights.csv` of an export and a label file (columns `index,_label`; `index` is the 0-based row).
pub fn evaluate(weights: &std::path::Path, labels: &std::path::Path) -> Result<Evaluation, SelectionError> {
    todo!()
}
