//! What can go wrong with a whole file. What goes wrong with one row is a finding, not an error.

use std::path::PathBuf;

use crate::jobs::Cancelled;

/// A data set cannot be used. Every variant names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Nothing in the file is a usable row.
    #[error("{path}: {reason}", path = path.display())]
    Unusable { path: PathBuf, reason: String },
    /// The file on disk is not the one that was indexed.
    #[error("{path}: changed on disk since it was read; open it again", path = path.display())]
    Changed { path: PathBuf },
    #[error("{path}: row {row}: {reason}", path = path.display())]
    Row { path: PathBuf, row: u64, reason: String },
    #[error("{path}: {reason}", path = path.display())]
    Mapping { path: PathBuf, reason: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
