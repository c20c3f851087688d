//! Checks an export against its manifest.

use std::path::Path;

use super::ProjectError;
use crate::jobs::Progress;

/// What was checked and what does not hold.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct VerifyReport {
    pub files: Vec<String>,
    /// One sentence each: file, what the manifest says, what is there.
    pub mismatches: Vec<String>,
}

/// Re-hashes every file of an export and re-counts its rows.
pub fn verify(folder: &Path, progress: &dyn Progress) -> Result<VerifyReport, ProjectError> {
    todo!()
}
