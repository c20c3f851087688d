//! Writes rows of a data set back in its own container and schema.

use std::path::Path;

use super::{Container, DataError, Dataset};
use crate::jobs::Progress;

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
pub fn write_rows(
    dataset: &Dataset,
    rows: &[WeightedRow],
    container: Container,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    todo!()
}
