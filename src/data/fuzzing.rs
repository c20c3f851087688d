//! Bytes read as a file is, for the fuzz targets.
//!
//! Constraint: the same code as [`Dataset::open`], but cheap enough for thousands of inputs a second: no name in the
//! file system, no thread of its own. `tests/data.rs` compares the two on every file it makes.

use std::io::Write;
use std::path::Path;

use super::{DataError, Dataset, OpenOptions};
use crate::jobs::Silent;

/// What messages call the bytes.
pub const NAME: &str = "input";

/// The data set in `content`, as far as it could be opened, and how its indexing ended.
///
/// # Errors
/// As [`Dataset::begin`] and [`Dataset::index`]; besides, the temporary file cannot be written.
pub fn read(content: &[u8], options: &OpenOptions) -> (Option<Dataset>, Result<(), DataError>) {
    let path = Path::new(NAME);
    let folder = options.spool_dir.clone().unwrap_or_else(std::env::temp_dir);
    let file = tempfile::tempfile_in(folder).and_then(|mut file| file.write_all(content).map(|()| file));
    let begun = file
        .map_err(|source| DataError::Io { path: path.to_owned(), source })
        .and_then(|file| Dataset::begin_with(path, file, options, &Silent));
    match begun {
        Ok(dataset) => {
            let result = dataset.index_here();
            (Some(dataset), result)
        }
        Err(error) => (None, Err(error)),
    }
}
