//! Why a cut cannot be made or figures cannot be told.

use std::path::{Path, PathBuf};

use crate::jobs::Cancelled;
use crate::transport::TransportError;

/// A selection setting, an outcome or a label file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SelectionError {
    #[error("{setting} must be {allowed}, not {found}")]
    Setting { setting: &'static str, allowed: &'static str, found: String },
    /// The outcome does not fit the rows, or holds a value that is no number.
    #[error("{0}")]
    Outcome(String),
    /// A weights or label file is malformed; `place` names line and column.
    #[error("{path}: {place}: {reason}", path = path.display())]
    File { path: PathBuf, place: String, reason: String },
    /// A weights or label file cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Io { path: PathBuf, reason: String },
    /// The files are well-formed, but nothing can be told from them together.
    #[error("{0}")]
    Labels(String),
    #[error(transparent)]
    Transport(TransportError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl SelectionError {
    pub(super) fn at(path: &Path, line: u64, column: &str, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), place: format!("line {line}, column {column}"), reason: reason.into() }
    }
}

impl From<TransportError> for SelectionError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Transport(other),
        }
    }
}
