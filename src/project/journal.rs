//! The reviewer's decisions on disk: an append-only file, one JSON line an event, flushed before the call returns.

use std::path::Path;

use super::ProjectError;
use crate::data::RowId;
use crate::selection::{Decisions, Verdict};

/// An open journal and the decisions it amounts to, with undo and redo.
pub struct Journal {}

impl Journal {
    /// Opens or creates the journal and replays it. A torn last line (power cut) is set aside, never lost silently.
    pub fn open(path: &Path) -> Result<Self, ProjectError> {
        todo!()
    }

    /// The decisions in force.
    pub fn decisions(&self) -> &Decisions {
        todo!()
    }

    /// Records one user action on one or many rows; `None` takes decisions back. One call is one undo step. On
    /// disk (fsync) when it returns.
    pub fn decide(
        &mut self,
        rows: &[(u64, RowId)],
        verdict: Option<Verdict>,
        note: Option<&str>,
    ) -> Result<(), ProjectError> {
        todo!()
    }

    /// Takes the last action back; false when there is none. Journalled too.
    pub fn undo(&mut self) -> Result<bool, ProjectError> {
        todo!()
    }

    /// Repeats the last action taken back; false when there is none. Journalled too.
    pub fn redo(&mut self) -> Result<bool, ProjectError> {
        todo!()
    }

    pub fn can_undo(&self) -> bool {
        todo!()
    }

    pub fn can_redo(&self) -> bool {
        todo!()
    }
}
