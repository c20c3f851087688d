//! Where projects live on disk: a folder each, with `project.json` (the plan) and `journal.jsonl`.

use std::path::{Path, PathBuf};

use super::{Journal, Plan, ProjectError};

/// A project folder in use.
pub struct Project {
    pub folder: PathBuf,
    pub plan: Option<Plan>,
    pub journal: Journal,
}

impl Project {
    /// Opens or creates a project folder.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        todo!()
    }

    /// Saves the plan atomically.
    pub fn save_plan(&mut self, plan: &Plan) -> Result<(), ProjectError> {
        todo!()
    }
}

/// The folder that holds all projects of this user.
pub struct ProjectStore {
    pub root: PathBuf,
}

impl ProjectStore {
    /// The project for a custom file: found again by the file's content hash, else created.
    pub fn for_custom(&self, file_hash: &[u8; 32], name: &str) -> Result<Project, ProjectError> {
        todo!()
    }

    /// The project used last, if any.
    pub fn last(&self) -> Result<Option<Project>, ProjectError> {
        todo!()
    }
}
