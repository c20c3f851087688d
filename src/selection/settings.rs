//! How the cut is made and how kept rows are weighted.
//!
//! Constraint: each setting has one written form, and reading that form back gives the same setting.

use std::fmt;
use std::str::FromStr;

use super::SelectionError;

/// How many rows the machine keeps.
///
/// Written `0.8` or `80%` for a share and `4000` for a count. A number without a point, an exponent or a percent
/// sign is a count: `1` keeps one row, while `1.0` and `100%` keep all of them.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Share of the readable rows in (0, 1]; K = ⌊share·n + ½⌋, at least 1.
    Share(f64),
    /// A number of rows, at least 1; more than n keeps all.
    Count(usize),
}

const KEEP_ALLOWED: &str = "a share such as 0.8 or 80% (above 0, at most 1.0 or 100%) or a count such as 4000";

impl Keep {
    /// The number of rows kept of `rows`, in 1..=rows (0 only when there are none).
    ///
    /// # Errors
    /// The share is not in (0, 1] or the count is 0.
    pub fn of(self, rows: usize) -> Result<usize, SelectionError> {
        let count = match self.checked()? {
            // n < 2^53, so the product is exact to half a row and the cast cannot overflow.
            Self::Share(share) => (share * rows as f64 + 0.5).floor() as usize,
            Self::Count(count) => count,
        };
        Ok(count.max(1).min(rows))
    }

    /// The setting itself when it is in range.
    ///
    /// # Errors
    /// The share is not in (0, 1] or the count is 0.
    pub fn checked(self) -> Result<Self, SelectionError> {
        let in_range = match self {
            Self::Share(share) => share > 0.0 && share <= 1.0,
            Self::Count(count) => count > 0,
        };
        if in_range { Ok(self) } else { Err(keep_error(&self.to_string())) }
    }
}

fn keep_error(found: &str) -> SelectionError {
    SelectionError::Setting { setting: "keep", allowed: KEEP_ALLOWED, found: quoted(found) }
}

impl FromStr for Keep {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let trimmed = text.trim();
        let keep = if let Some(percent) = trimmed.strip_suffix('%') {
            percent.trim_end().parse::<f64>().ok().map(|percent| Self::Share(percent / 100.0))
        } else if trimmed.contains(['.', 'e', 'E']) {
            trimmed.parse::<f64>().ok().map(Self::Share)
        } else {
            trimmed.parse::<usize>().ok().map(Self::Count)
        };
        keep.and_then(|keep| keep.checked().ok()).ok_or_else(|| keep_error(text))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Debug always writes a point or an exponent, so a share never reads as a count.
            Self::Share(share) => write!(f, "{share:?}"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// What the cut is made by. Written `score` or `weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankBy {
    /// Lowest suspicion score is kept first (default).
    Score,
    /// Highest weight is kept first (the paper).
    Weight,
}

impl FromStr for RankBy {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        match text.trim() {
            "score" => Ok(Self::Score),
            "weight" => Ok(Self::Weight),
            _ => Err(SelectionError::Setting { setting: "rank", allowed: "score or weight", found: quoted(text) }),
        }
    }
}

impl fmt::Display for RankBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Score => "score",
            Self::Weight => "weight",
        })
    }
}

/// How the learned weights scale the loss of the kept rows. Every mode has mean 1 over the kept rows.
///
/// Written `uniform`, `paper`, `proportional` or `tempered:T`, as in `tempered:2`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightMode {
    Uniform,
    /// exp(w_i) renormalised over the kept rows (paper, Eq. 7); nearly uniform.
    Paper,
    /// K·w_i/Σw over the kept rows (default).
    Proportional,
    /// K·softmax(log w / T); T = 1 is `Proportional`, a larger T is nearer to uniform.
    Tempered {
        temperature: f64,
    },
}

impl WeightMode {
    /// The setting itself when it is in range.
    ///
    /// # Errors
    /// The temperature is not a number above 0.
    pub fn checked(self) -> Result<Self, SelectionError> {
        match self {
            Self::Tempered { temperature } if !(temperature.is_finite() && temperature > 0.0) => {
                Err(SelectionError::Setting {
                    setting: "temperature",
                    allowed: "a number above 0, as in tempered:2",
                    found: format!("{temperature:?}"),
                })
            }
            mode => Ok(mode),
        }
    }
}

impl FromStr for WeightMode {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let error = || SelectionError::Setting {
            setting: "weights",
            allowed: "uniform, paper, proportional, or tempered with a temperature as in tempered:2",
            found: quoted(text),
        };
        match text.trim() {
            "uniform" => Ok(Self::Uniform),
            "paper" => Ok(Self::Paper),
            "proportional" => Ok(Self::Proportional),
            other => {
                let temperature = other.strip_prefix("tempered:").and_then(|number| number.trim().parse().ok());
                Self::Tempered { temperature: temperature.ok_or_else(error)? }.checked().map_err(|_| error())
            }
        }
    }
}

impl fmt::Display for WeightMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Paper => f.write_str("paper"),
            Self::Proportional => f.write_str("proportional"),
            Self::Tempered { temperature } => write!(f, "tempered:{temperature}"),
        }
    }
}

/// Settings of a selection.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectionSettings {
    pub keep: Keep,
    pub rank_by: RankBy,
    pub weights: WeightMode,
}

impl SelectionSettings {
    /// The settings themselves when every field is in range.
    ///
    /// # Errors
    /// A share, count or temperature is out of range; the error names it.
    pub fn checked(self) -> Result<Self, SelectionError> {
        Ok(Self { keep: self.keep.checked()?, rank_by: self.rank_by, weights: self.weights.checked()? })
    }
}

impl Default for SelectionSettings {
    fn default() -> Self {
        Self { keep: Keep::Share(0.8), rank_by: RankBy::Score, weights: WeightMode::Proportional }
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", text.trim())
}
