//! From a data set to rows of tokens with weights.

use crate::data::{DataError, Dataset};
use crate::jobs::Progress;
use crate::model::{ChatTokenizer, ChatTokens};

use super::{TrainError, TrainSettings};

/// Rows that cannot be trained on and are listed by number.
const LISTED: usize = 20;

/// One row, ready to be trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainRow {
    /// Index in the data set.
    pub index: usize,
    pub tokens: Vec<u32>,
    pub supervised: Vec<bool>,
    /// v: the rows of a run have mean 1.
    pub weight: f64,
}

/// A row that is left out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// 0-based record number in the file.
    pub row: u64,
    pub reason: String,
}

/// All rows of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    pub rows: Vec<TrainRow>,
    /// Rows whose end was cut off.
    pub truncated: u64,
    /// Rows that are left out, and the first of them.
    pub refused: u64,
    pub refusals: Vec<Refusal>,
    /// Rows of weight 0, which teach nothing and are left out.
    pub weightless: u64,
}

impl Prepared {
    pub fn tokens(&self) -> u64 {
        self.rows.iter().map(|row| row.tokens.len() as u64).sum()
    }
}

/// Tokenises a data set. The weight of a row is its root-level number `weight`, 1 where there is none.
///
/// # Errors
/// A row cannot be read, a weight is negative or no number (the row is named), no row is left, or the user cancelled.
pub fn prepare(
    data: &Dataset,
    tokenizer: &ChatTokenizer,
    settings: &TrainSettings,
    progress: &dyn Progress,
) -> Result<Prepared, TrainError> {
    prepare_first(data, tokenizer, settings, usize::MAX, progress)
}

/// As [`prepare`], until `most` rows are ready.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_first(
    data: &Dataset,
    tokenizer: &ChatTokenizer,
    settings: &TrainSettings,
    most: usize,
    progress: &dyn Progress,
) -> Result<Prepared, TrainError> {
    let mut prepared = Prepared::default();
    let total = data.len();
    for index in 0..total {
        if prepared.rows.len() >= most {
            break;
        }
        if index % 64 == 0 {
            progress.check()?;
            progress.tick("tokenising", index as u64, Some(total as u64));
        }
        let row = data.row(index)?;
        let weight = if settings.use_weights { weight(data, index)? } else { 1.0 };
        if weight == 0.0 {
            prepared.weightless += 1;
            continue;
        }
        match tokenizer.row(&row, settings.max_tokens) {
            Ok(ChatTokens { tokens, supervised, cut }) => {
                prepared.truncated += u64::from(cut > 0);
                prepared.rows.push(TrainRow { index, tokens, supervised, weight });
            }
            Err(fault) => {
                prepared.refused += 1;
                if prepared.refusals.len() < LISTED {
                    prepared.refusals.push(Refusal { row: row.number, reason: fault.to_string() });
                }
            }
        }
    }
    progress.tick("tokenising", total as u64, Some(total as u64));
    if prepared.rows.is_empty() {
        let first = prepared.refusals.first().map(|refusal| format!(" (row {}: {})", refusal.row, refusal.reason));
        let path = data.path().display();
        return Err(TrainError::Rows(format!(
            "{path}: none of {total} rows can be trained on{}; give rows in which an assistant answers",
            first.unwrap_or_default()
        )));
    }
    Ok(prepared)
}

fn weight(data: &Dataset, index: usize) -> Result<f64, TrainError> {
    #[derive(serde::Deserialize)]
    struct Weighted {
        weight: Option<serde_json::Value>,
    }
    let record = data.record_json(index)?;
    // A row that is not an object of its own, such as a list of messages, has no weight.
    let Ok(Weighted { weight: Some(value) }) = serde_json::from_slice(&record) else { return Ok(1.0) };
    let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    match number.filter(|number| *number >= 0.0 && number.is_finite()) {
        Some(number) => Ok(number),
        None if value.is_null() => Ok(1.0),
        None => Err(DataError::Row {
            path: data.path().to_owned(),
            row: data.number(index).unwrap_or(index as u64),
            reason: format!("its weight is {value}, not a number of 0 or more"),
        }
        .into()),
    }
}
