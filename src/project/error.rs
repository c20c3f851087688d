//! What can go wrong in the main job.

use std::path::{Path, PathBuf};

use crate::data::DataError;
use crate::embedding::EmbeddingError;
use crate::jobs::Cancelled;
use crate::selection::SelectionError;
use crate::training::TrainError;
use crate::transport::TransportError;

/// The main job, an export or the project's own files failed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Training(TrainError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A file of the project, an export or a decision list is malformed; `reason` names row and field.
    #[error("{path}: {reason}", path = path.display())]
    Malformed { path: PathBuf, reason: String },
    /// A row has no usable vector; the reason says what to do.
    #[error("{path}: row {row} (line {line}): {reason}", path = path.display())]
    Vector { path: PathBuf, row: u64, line: u64, reason: String },
    /// Another process works on this file or folder.
    #[error("{path}: is open in another Dipole; close it there first", path = path.display())]
    Busy { path: PathBuf },
    /// The folder cannot take an export; nothing was written.
    #[error("{path}: {reason}", path = path.display())]
    Refused { path: PathBuf, reason: String },
    /// The parts of a run do not belong together; nothing was written.
    #[error("{0}")]
    Inconsistent(String),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<TrainError> for ProjectError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Training(other),
        }
    }
}

impl ProjectError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn refused(path: &Path, reason: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), reason: reason.into() }
    }
}
