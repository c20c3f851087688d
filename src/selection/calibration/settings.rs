//! The knobs of a calibration, raw and checked.

use crate::selection::SelectionError;

const MOST_PAIRS: usize = 400;

/// Grid, canaries and what is asked of the cut.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationSettings {
    /// λ of the grid, each in [0, 1].
    pub lambdas: Vec<f64>,
    /// ρ of the grid (ε as a multiple of each reference's median cost), each in [0.005, 10].
    pub epsilons: Vec<f64>,
    /// Share of the harmful reference that is planted, in (0, 0.5] (0.2). With several harmful files one whole file is
    /// planted at a time instead.
    pub canary_share: f64,
    /// Pairs whose scores are averaged where several harmful files choose them (5).
    pub best: usize,
    /// The pairs (λ, ρ) whose scores are averaged where one harmful file alone cannot choose: canaries of the
    /// references' own source prefer settings that miss other kinds. Empty lets it choose even so.
    pub single_source: Vec<(f64, f64)>,
    /// Share of the canaries that the suggested cut must drop, in (0, 1) (0.9).
    pub recall: f64,
    /// Confidence of the interval of the recall, in (0, 1) (0.95).
    pub confidence: f64,
}

impl Default for CalibrationSettings {
    fn default() -> Self {
        Self {
            lambdas: vec![0.3, 0.5, 0.7, 0.9],
            epsilons: vec![0.03, 0.05, 0.1, 0.2, 0.4],
            canary_share: 0.2,
            best: 5,
            single_source: vec![(0.5, 0.1), (0.5, 0.2), (0.5, 0.4)],
            recall: 0.9,
            confidence: 0.95,
        }
    }
}

impl CalibrationSettings {
    /// The settings themselves when every field is in range.
    ///
    /// # Errors
    /// A field is out of range; the error names it.
    pub fn checked(self) -> Result<Self, SelectionError> {
        let fail = |setting, allowed, found: String| Err(SelectionError::Setting { setting, allowed, found });
        let pairs = self.lambdas.len().saturating_mul(self.epsilons.len());
        if pairs == 0 || pairs > MOST_PAIRS {
            return fail("calibration grid", "from 1 to 400 pairs of lambda and epsilon", pairs.to_string());
        }
        if let Some(lambda) = self.lambdas.iter().find(|lambda| !(0.0..=1.0).contains(*lambda)) {
            return fail("lambda of the grid", "from 0 to 1", lambda.to_string());
        }
        if let Some(epsilon) = self.epsilons.iter().find(|epsilon| !(0.005..=10.0).contains(*epsilon)) {
            return fail("epsilon of the grid", "from 0.005 to 10", epsilon.to_string());
        }
        if !(self.canary_share > 0.0 && self.canary_share <= 0.5) {
            return fail("canary share", "above 0 and at most 0.5", self.canary_share.to_string());
        }
        if self.best == 0 || self.best > pairs {
            return fail("best pairs", "from 1 to the number of pairs of the grid", self.best.to_string());
        }
        if let Some(pair) = self
            .single_source
            .iter()
            .find(|(lambda, epsilon)| !self.lambdas.contains(lambda) || !self.epsilons.contains(epsilon))
        {
            return fail("single-source pairs", "pairs of the calibration grid", format!("{pair:?}"));
        }
        for (setting, value) in [("canary recall", self.recall), ("confidence", self.confidence)] {
            if !(value > 0.0 && value < 1.0) {
                return fail(setting, "above 0 and below 1", value.to_string());
            }
        }
        Ok(self)
    }
}
