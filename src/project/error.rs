//! What can go wrong in the main job.

use std::path::PathBuf;

use crate::data::DataError;
use crate::embedding::EmbeddingError;
use crate::jobs::Cancelled;
use crate::selection::SelectionError;
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
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A file of the project, an export or a decision list is malformed; `reason` names row and field.
    #[error("{path}: {reason}", path = path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
