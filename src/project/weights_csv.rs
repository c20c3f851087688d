//! `weights.csv`: what the machine and the reviewer said about every readable row.
//!
//! Constraints: rows ascend; numbers are written with the fewest digits that read back as the same float64.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::manifest::Counts;
use super::{Export, ProjectError};
use crate::jobs::Progress;
use crate::selection::RowState;

/// The file's name in an export folder.
pub(super) const WEIGHTS: &str = "weights.csv";
/// Its columns in order.
pub(super) const COLUMNS: [&str; 9] =
    ["row", "id", "score", "pull", "push", "weight", "loss_weight", "rank", "decision"];

/// Writes one line for every readable row.
pub(super) fn write(path: &Path, what: &Export<'_>, progress: &dyn Progress) -> Result<(), ProjectError> {
    let file = File::create(path).map_err(ProjectError::io(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    writeln!(out, "{}", COLUMNS.join(",")).map_err(ProjectError::io(path))?;
    let outcome = &what.purified.outcome;
    let rows = outcome.weights.len();
    let learned = outcome.score.iter().zip(&outcome.pull).zip(&outcome.push).zip(&outcome.weights);
    let cut = what.selection.loss_weights.iter().zip(&what.selection.ranks).zip(&what.selection.states);
    for (index, ((((score, pull), push), weight), ((loss_weight, rank), state))) in learned.zip(cut).enumerate() {
        if index % 4096 == 0 {
            progress.check()?;
            progress.tick("writing weights.csv", index as u64, Some(rows as u64));
        }
        let custom = &what.sets.custom;
        let (Some(number), Some(id)) = (custom.number(index), custom.id(index)) else {
            return Err(ProjectError::Inconsistent(format!("row index {index} has no record; open the files again")));
        };
        let weight = weight * rows as f64;
        let decision = state.as_str();
        // Debug gives the shortest digits that read back, with an exponent where that is shorter.
        writeln!(out, "{number},{},{score:?},{pull:?},{push:?},{weight:?},{loss_weight:?},{rank},{decision}", id.0)
            .map_err(ProjectError::io(path))?;
    }
    out.into_inner().map(drop).map_err(|error| ProjectError::Io { path: path.to_owned(), source: error.into_error() })
}

/// Checks that the file is well-formed and agrees with the counts; one sentence for each statement that does not
/// hold.
pub(super) fn check(path: &Path, counts: &Counts, progress: &dyn Progress) -> Result<Vec<String>, ProjectError> {
    let file = File::open(path).map_err(ProjectError::io(path))?;
    let mut reader = csv::Reader::from_reader(file);
    let failed = |error: csv::Error| ProjectError::malformed(path, error.to_string());
    if reader.headers().map_err(failed)?.iter().ne(COLUMNS) {
        return Ok(vec![format!("{WEIGHTS}: the columns are not {}", COLUMNS.join(","))]);
    }
    let mut wrong = Vec::new();
    let (mut rows, mut kept, mut kept_by_hand, mut dropped_by_hand, mut sum) = (0_u64, 0_u64, 0_u64, 0_u64, 0.0);
    let mut previous: Option<u64> = None;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        if rows.is_multiple_of(65_536) {
            progress.check()?;
        }
        rows += 1;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |name: &str| COLUMNS.iter().position(|column| *column == name).and_then(|at| record.get(at));
        let number = field("row").and_then(|text| text.parse::<u64>().ok());
        let loss_weight = field("loss_weight").and_then(|text| text.parse::<f64>().ok());
        let state = field("decision").and_then(RowState::from_word);
        let (Some(number), Some(loss_weight), Some(state)) = (number, loss_weight, state) else {
            wrong.push(format!("{WEIGHTS}: line {line}: row, loss_weight or decision cannot be read"));
            continue;
        };
        if previous.is_some_and(|previous| previous >= number) || number >= counts.records {
            wrong.push(format!("{WEIGHTS}: line {line}: row {number} does not ascend or is not in the file"));
        }
        previous = Some(number);
        if !state.is_kept() && loss_weight != 0.0 {
            wrong.push(format!("{WEIGHTS}: line {line}: row {number} is dropped but has loss weight {loss_weight:?}"));
        }
        kept += u64::from(state.is_kept());
        kept_by_hand += u64::from(state == RowState::KeptByHand);
        dropped_by_hand += u64::from(state == RowState::DroppedByHand);
        sum += loss_weight;
        if wrong.len() > 20 {
            wrong.push(format!("{WEIGHTS}: more lines than these do not hold"));
            return Ok(wrong);
        }
    }
    for (what, said, found) in [
        ("readable rows", counts.readable, rows),
        ("kept rows", counts.kept, kept),
        ("removed rows", counts.removed, rows - kept),
        ("rows kept by hand", counts.kept_by_hand, kept_by_hand),
        ("rows dropped by hand", counts.dropped_by_hand, dropped_by_hand),
    ] {
        if said != found {
            wrong.push(format!("{WEIGHTS}: the manifest says {said} {what}, there are {found}"));
        }
    }
    let mean = sum / kept.max(1) as f64;
    if (mean - 1.0).abs() > 1e-6 {
        wrong.push(format!("{WEIGHTS}: the mean loss weight of the kept rows is {mean:?} and should be 1"));
    }
    Ok(wrong)
}
