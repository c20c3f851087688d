//! How the cut is made and how kept rows are weighted.

/// How many rows the machine keeps.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Share of the readable rows in (0, 1]; K = ⌊share·n + ½⌋, at least 1.
    Share(f64),
    /// A number of rows, at least 1; more than n keeps all.
    Count(usize),
}

/// What the cut is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankBy {
    /// Lowest suspicion score is kept first (default).
    Score,
    /// Highest weight is kept first (the paper).
    Weight,
}

/// How the learned weights scale the loss of the kept rows. Every mode has mean 1 over the kept rows.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightMode {
    Uniform,
    /// exp(w_i) renormalised over the kept rows (paper, Eq. 7); nearly uniform.
    Paper,
    /// K·w_i/Σw over the kept rows (default).
    Proportional,
    /// K·softmax(log w / T).
    Tempered {
        temperature: f64,
    },
}

/// Settings of a selection.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectionSettings {
    pub keep: Keep,
    pub rank_by: RankBy,
    pub weights: WeightMode,
}

impl Default for SelectionSettings {
    fn default() -> Self {
        Self { keep: Keep::Share(0.8), rank_by: RankBy::Score, weights: WeightMode::Proportional }
    }
}

/// A selection setting or label file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SelectionError {
    #[error("{setting} must be {allowed}, not {found}")]
    Setting { setting: &'static str, allowed: &'static str, found: String },
    #[error("{0}")]
    Labels(String),
}
