//! Figures against labels. Labels measure; nothing else reads them.
//!
//! Constraint: a malformed line is an error that names file, line and column, never a skipped row.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use super::{RowState, SelectionError, auroc, average_precision};

/// How well a ranking and a cut separate harmful rows; harmful is the positive class.
///
/// Every count and figure but `unlabelled` and `unmatched` is over the labelled rows of the weights file. A figure
/// without a value has nothing to be computed from (no harmful row, no other row, or none kept).
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Evaluation {
    pub rows: usize,
    pub harmful: usize,
    /// Rows of the weights file without a label, which no figure counts.
    pub unlabelled: usize,
    /// Labels for rows that the weights file does not list (quarantined rows, or another file's labels).
    pub unmatched: usize,
    /// Area under the ROC curve of the score; ties count half.
    pub auroc_score: Option<f64>,
    /// The same of the weight, a low weight being suspicious.
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

/// Reads `weights.csv` of an export (columns `row,score,weight,decision` among others) and a label file (columns
/// `index,_label` among others; `index` is the 0-based source row = `row`; `harmful` is positive, every other label
/// is not).
///
/// # Errors
/// A file cannot be read, lacks a column, holds a malformed or repeated row number, a value that is no number, an
/// empty label or an unknown decision, or the two files have no row in common.
pub fn evaluate(weights: &Path, labels: &Path) -> Result<Evaluation, SelectionError> {
    let mut harmful_by_row = read_labels(labels)?;
    let mut rows = Vec::new();
    let mut unlabelled = 0;
    read_weights(weights, |row, weighed| match harmful_by_row.get_mut(&row) {
        Some(label) => {
            label.matched = true;
            rows.push((weighed, label.harmful));
        }
        None => unlabelled += 1,
    })?;
    if rows.is_empty() {
        return Err(SelectionError::Labels(format!(
            "{} and {} have no row in common; the labels' index must be the 0-based row of the custom file",
            weights.display(),
            labels.display()
        )));
    }
    let by = |suspicion: fn(&Weighed) -> f64| -> Vec<(f64, bool)> {
        rows.iter().map(|(weighed, harmful)| (suspicion(weighed), *harmful)).collect()
    };
    let by_score = by(|weighed| weighed.score);
    let by_weight = by(|weighed| -weighed.weight);
    let count = |kept: bool, positive: bool| {
        rows.iter().filter(|(weighed, harmful)| weighed.kept == kept && *harmful == positive).count()
    };
    let (harmful_kept, harmful_dropped) = (count(true, true), count(false, true));
    let (benign_kept, benign_dropped) = (count(true, false), count(false, false));
    Ok(Evaluation {
        rows: rows.len(),
        harmful: harmful_kept + harmful_dropped,
        unlabelled,
        unmatched: harmful_by_row.values().filter(|label| !label.matched).count(),
        auroc_score: auroc(&by_score),
        auroc_weight: auroc(&by_weight),
        average_precision_score: average_precision(&by_score),
        average_precision_weight: average_precision(&by_weight),
        kept: harmful_kept + benign_kept,
        harmful_recall: share(harmful_dropped, harmful_kept),
        residual_contamination: share(harmful_kept, benign_kept),
        benign_retention: share(benign_kept, benign_dropped),
    })
}

fn share(part: usize, rest: usize) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

/// The labels of the rows with these record numbers: whether each is harmful, `None` without a label. The file is as
/// for [`evaluate`].
///
/// # Errors
/// The file is malformed, or none of the rows has a label in it.
pub fn labels_of(path: &Path, numbers: &[u64]) -> Result<Vec<Option<bool>>, SelectionError> {
    let labels = read_labels(path)?;
    let found: Vec<Option<bool>> = numbers.iter().map(|row| labels.get(row).map(|label| label.harmful)).collect();
    if found.iter().all(Option::is_none) {
        return Err(SelectionError::Labels(format!(
            "{} has a label for none of the rows; its index must be the 0-based row of the custom file",
            path.display()
        )));
    }
    Ok(found)
}

struct Label {
    harmful: bool,
    matched: bool,
}

struct Weighed {
    score: f64,
    weight: f64,
    kept: bool,
}

fn read_labels(path: &Path) -> Result<HashMap<u64, Label>, SelectionError> {
    let mut table = Table::open(path)?;
    let [index, label] = table.columns(["index", "_label"])?;
    let mut labels = HashMap::new();
    while table.next()? {
        let row = table.number(index, "index")?;
        let word = table.text(label, "_label")?;
        if word.is_empty() {
            return Err(table.error("_label", "the label is empty"));
        }
        if labels.insert(row, Label { harmful: word == "harmful", matched: false }).is_some() {
            return Err(table.error("index", format!("row {row} has a label already")));
        }
    }
    Ok(labels)
}

fn read_weights(path: &Path, mut each: impl FnMut(u64, Weighed)) -> Result<(), SelectionError> {
    let mut table = Table::open(path)?;
    let [row, score, weight, decision] = table.columns(["row", "score", "weight", "decision"])?;
    let mut previous = None;
    while table.next()? {
        let number = table.number(row, "row")?;
        if previous.is_some_and(|previous| previous >= number) {
            return Err(table.error("row", format!("row {number} does not ascend")));
        }
        previous = Some(number);
        let state = RowState::from_word(table.text(decision, "decision")?)
            .ok_or_else(|| table.error("decision", "must be kept, dropped, kept-by-hand or dropped-by-hand"))?;
        let weighed = Weighed {
            score: table.float(score, "score")?,
            weight: table.float(weight, "weight")?,
            kept: state.is_kept(),
        };
        each(number, weighed);
    }
    Ok(())
}

/// A CSV file with a header, read one record at a time.
struct Table<'a> {
    path: &'a Path,
    reader: csv::Reader<File>,
    record: csv::StringRecord,
}

impl<'a> Table<'a> {
    fn open(path: &'a Path) -> Result<Self, SelectionError> {
        let file = File::open(path)
            .map_err(|error| SelectionError::Io { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { path, reader: csv::Reader::from_reader(file), record: csv::StringRecord::new() })
    }

    fn columns<const N: usize>(&mut self, names: [&'static str; N]) -> Result<[usize; N], SelectionError> {
        let path = self.path;
        let header = self.reader.headers().map_err(|error| csv_error(path, &error))?;
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = header
                .iter()
                .position(|column| column.trim_start_matches('\u{feff}').trim() == name)
                .ok_or_else(|| SelectionError::at(path, 1, name, "this column is missing from the header"))?;
        }
        Ok(places)
    }

    fn next(&mut self) -> Result<bool, SelectionError> {
        self.reader.read_record(&mut self.record).map_err(|error| csv_error(self.path, &error))
    }

    fn text(&self, column: usize, name: &str) -> Result<&str, SelectionError> {
        self.record.get(column).map(str::trim).ok_or_else(|| self.error(name, "the field is missing"))
    }

    fn number(&self, column: usize, name: &str) -> Result<u64, SelectionError> {
        let text = self.text(column, name)?;
        text.parse()
            .map_err(|_| self.error(name, format!("must be a whole number of at least 0, not `{}`", short(text))))
    }

    fn float(&self, column: usize, name: &str) -> Result<f64, SelectionError> {
        let text = self.text(column, name)?;
        let value = text.parse().ok().filter(|value: &f64| value.is_finite());
        value.ok_or_else(|| self.error(name, format!("must be a number, not `{}`", short(text))))
    }

    fn error(&self, column: &str, reason: impl Into<String>) -> SelectionError {
        let line = self.record.position().map_or(0, csv::Position::line);
        SelectionError::at(self.path, line, column, reason)
    }
}

fn csv_error(path: &Path, error: &csv::Error) -> SelectionError {
    let place = error.position().map_or_else(|| "the header".to_owned(), |place| format!("line {}", place.line()));
    let reason = match error.kind() {
        csv::ErrorKind::Io(error) => {
            return SelectionError::Io { path: path.to_owned(), reason: error.to_string() };
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8; save the file as UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields where the header has {expected_len}")
        }
        _ => error.to_string(),
    };
    SelectionError::File { path: path.to_owned(), place, reason }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
