//! CSV and TSV with a weight column at the end.

use std::path::Path;

use super::{Output, WEIGHT, WeightedRow, renamed, splice, tick};
use crate::data::{DataError, Dataset};
use crate::jobs::Progress;

pub(super) fn write(
    dataset: &Dataset,
    rows: &[WeightedRow],
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    let header = dataset.header().unwrap_or_default();
    let failed = |error: csv::Error| DataError::Io { path: path.to_owned(), source: error.into() };
    let mut output = Output::create(path)?;
    let mut writer =
        csv::WriterBuilder::new().delimiter(dataset.delimiter().unwrap_or(b',')).from_writer(&mut output.file);
    let spelled = dataset.spelled_header();
    let new_name = renamed(header.iter().map(String::as_str));
    let names = header.iter().zip(&spelled);
    let names = names.map(|(name, spelled)| if name == WEIGHT { new_name.as_str() } else { spelled.as_str() });
    writer.write_record(names.chain([WEIGHT])).map_err(failed)?;
    for (done, row) in rows.iter().enumerate() {
        tick(progress, done, rows.len())?;
        let cells = dataset.record_cells(row.index)?;
        let weight = splice::number(row.weight);
        writer.write_record(cells.iter().map(String::as_str).chain([weight.as_str()])).map_err(failed)?;
    }
    writer.flush().map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    drop(writer);
    output.finish()
}
