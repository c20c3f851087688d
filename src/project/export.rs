//! The export folder: purified data in the input's own schema, what was removed, and the record of it.

use std::path::{Path, PathBuf};

use super::{ExportContext, Plan, ProjectError, Purified, Sets};
use crate::jobs::Progress;
use crate::selection::{Decisions, Selection};

/// What is exported.
pub struct Export<'a> {
    pub sets: &'a Sets,
    pub plan: &'a Plan,
    pub purified: &'a Purified,
    pub selection: &'a Selection,
    pub decisions: &'a Decisions,
    pub context: &'a ExportContext,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ExportReport {
    pub folder: PathBuf,
    /// `purified.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet`.
    pub purified_file: String,
    pub kept: u64,
    pub removed: u64,
    pub quarantined: u64,
    pub bytes: u64,
}

/// Writes the export folder atomically: a crash leaves the old folder or the new one. An existing folder is
/// replaced only if it is empty or a Dipole export.
pub fn export(folder: &Path, what: &Export<'_>, progress: &dyn Progress) -> Result<ExportReport, ProjectError> {
    todo!()
}
