//! Why a model folder cannot be used.

use std::path::PathBuf;

use crate::jobs::Cancelled;

/// Names the file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: {reason}", path = path.display())]
    Malformed { path: PathBuf, reason: String },
    /// The folder holds a network that Dipole does not know.
    #[error("{path}: {reason}", path = path.display())]
    Unsupported { path: PathBuf, reason: String },
    /// A file that every model folder must have.
    #[error("{path} is missing; {way_out}", path = path.display())]
    Missing { path: PathBuf, way_out: String },
    /// Numbers do not fit each other, or the device failed.
    #[error("{path}: {reason}", path = path.display())]
    Compute { path: PathBuf, reason: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
