//! Writes rows of a data set back in its own container and schema.
//!
//! Constraints: every value is kept as the input spells it; rows stream, so memory is bounded by one row or one small batch;
//! the same rows give the same bytes. The file is synced to disk before the call returns; putting it in place atomically is
//! the caller's.

mod parquet;
mod quarantine;
mod splice;
mod table;

pub use quarantine::write_quarantine;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::{Container, DataError, Dataset};
use crate::jobs::Progress;

/// Name of the added key or column.
const WEIGHT: &str = "weight";
const STAGE: &str = "writing rows";

/// What to write of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedRow {
    /// Readable-row index in the data set.
    pub index: usize,
    /// Root-level float `weight` to add; an existing `weight` key or column is kept as `weight_original`.
    pub weight: f64,
}

/// Writes `rows` (ascending index) to `path` in container `container`: the data set's own, or
/// [`Container::Jsonl`]. Values, key order, number spelling (JSON) and column types (Parquet) are kept.
///
/// # Errors
/// The file cannot be written, a row cannot be read again, the data set is not in `container`, or the user cancelled. What was
/// written until then stays at `path`.
pub fn write_rows(
    dataset: &Dataset,
    rows: &[WeightedRow],
    container: Container,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    let own = dataset.format().container;
    if container != Container::Jsonl && container != own {
        return Err(DataError::Unusable {
            path: dataset.path().to_owned(),
            reason: format!("cannot be written as {container}; its rows go to its own format or to JSON lines"),
        });
    }
    match container {
        Container::Jsonl => write_json(dataset, rows, path, progress, ["", "\n", "\n"]),
        Container::Json => write_json(dataset, rows, path, progress, ["[\n", ",\n", "\n]\n"]),
        Container::Csv | Container::Tsv => table::write(dataset, rows, path, progress),
        Container::Parquet => parquet::write(dataset, rows, path, progress),
    }
}

/// `[open, between, close]` stand around the records.
fn write_json(
    dataset: &Dataset,
    rows: &[WeightedRow],
    path: &Path,
    progress: &dyn Progress,
    [open, between, close]: [&str; 3],
) -> Result<(), DataError> {
    let mut output = Output::create(path)?;
    let is_list = !open.is_empty();
    output.write(open.as_bytes())?;
    for (done, row) in rows.iter().enumerate() {
        tick(progress, done, rows.len())?;
        if done > 0 {
            output.write(between.as_bytes())?;
        }
        let record = dataset.record_json(row.index)?;
        let weighted = splice::add_weight(&record, row.weight).map_err(|reason| DataError::Row {
            path: dataset.path().to_owned(),
            row: dataset.number(row.index).unwrap_or(row.index as u64),
            reason,
        })?;
        output.write(&weighted)?;
    }
    if is_list || !rows.is_empty() {
        output.write(close.as_bytes())?;
    }
    output.finish()
}

/// Reports and checks for cancellation every 256 rows.
fn tick(progress: &dyn Progress, done: usize, total: usize) -> Result<(), DataError> {
    if done.is_multiple_of(256) {
        progress.check()?;
        progress.tick(STAGE, done as u64, Some(total as u64));
    }
    Ok(())
}

/// A name for the added key that hides none of the present ones: what an old `weight` is renamed to.
fn renamed<'a>(present: impl Iterator<Item = &'a str> + Clone) -> String {
    let taken = |name: &str| present.clone().any(|found| found == name);
    let first = format!("{WEIGHT}_original");
    if !taken(&first) {
        return first;
    }
    (2_u64..).map(|number| format!("{first}_{number}")).find(|name| !taken(name)).unwrap_or(first)
}

/// A buffered file that reports errors with its path and is synced at the end.
struct Output<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Output<'a> {
    fn create(path: &'a Path) -> Result<Self, DataError> {
        let file = File::create(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
        Ok(Self { path, file: BufWriter::with_capacity(1 << 18, file) })
    }

    fn failed(&self, source: std::io::Error) -> DataError {
        DataError::Io { path: self.path.to_owned(), source }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.file.write_all(bytes).map_err(|source| DataError::Io { path: self.path.to_owned(), source })
    }

    fn finish(mut self) -> Result<(), DataError> {
        self.file.flush().map_err(|source| self.failed(source))?;
        self.file.get_ref().sync_all().map_err(|source| self.failed(source))
    }
}
