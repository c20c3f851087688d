//! Why a run cannot begin or go on.

use std::path::PathBuf;

use crate::data::DataError;
use crate::jobs::Cancelled;
use crate::model::ModelError;

/// Names the file, the row or the setting, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(ModelError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A setting is out of range.
    #[error("{name} is {value}: {reason}")]
    Setting { name: &'static str, value: String, reason: &'static str },
    /// The rows cannot be trained on.
    #[error("{0}")]
    Rows(String),
    /// What lies in the output folder is of another run.
    #[error("{path}: {reason}", path = path.display())]
    Resume { path: PathBuf, reason: String },
    /// Loss or gradient are no longer numbers.
    #[error("step {step}: {reason}")]
    Diverged { step: u64, reason: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<ModelError> for TrainError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Model(other),
        }
    }
}
