//! What can go wrong between a text and its vector.

use std::path::PathBuf;

use crate::data::DataError;
use crate::jobs::Cancelled;
use crate::model::ModelError;

/// Embedding failed. Every variant names the file or set and the way out.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A model or vector file cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
    /// A file of a model folder is not there.
    #[error(transparent)]
    Model(ModelError),
    #[error("{set}: {reason}")]
    Set { set: String, reason: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
