//! The decisions that a sequence of events amounts to, with undo and redo.
//!
//! Constraint: pure. Live use and replay run the same code, so a journal read again gives the state it was
//! written from.

use crate::data::RowId;
use crate::selection::{Decision, Decisions, Verdict};

/// What happened, in the order it happened.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    /// One user action on one or many rows; no verdict takes decisions back.
    Decide {
        #[serde(rename = "decision")]
        verdict: Option<Verdict>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        rows: Vec<(u64, RowId)>,
    },
    Undo,
    Redo,
}

#[derive(Debug)]
struct Change {
    row: u64,
    before: Option<Decision>,
    after: Option<Decision>,
}

/// Decisions in force and the steps that can be taken back or repeated.
#[derive(Debug, Default)]
pub(super) struct History {
    decisions: Decisions,
    done: Vec<Vec<Change>>,
    undone: Vec<Vec<Change>>,
}

impl History {
    pub(super) fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    pub(super) fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    pub(super) fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    /// True when deciding so would leave every row as it is.
    pub(super) fn is_idle(&self, rows: &[(u64, RowId)], verdict: Option<Verdict>, note: Option<&str>) -> bool {
        rows.iter().all(|(row, id)| match (self.decisions.get(*row), verdict) {
            (None, None) => true,
            (Some(old), Some(verdict)) => old.verdict == verdict && old.id == *id && old.note.as_deref() == note,
            _ => false,
        })
    }

    /// Applies an event that happened `at`.
    ///
    /// # Errors
    /// There is nothing to undo or redo; the state is unchanged.
    pub(super) fn apply(&mut self, event: Event, at: &str) -> Result<(), &'static str> {
        match event {
            Event::Decide { verdict, note, rows } => {
                let step = rows.into_iter().map(|(row, id)| {
                    let after =
                        verdict.map(|verdict| Decision { row, id, verdict, note: note.clone(), at: at.to_owned() });
                    let before = replace(&mut self.decisions, row, after.clone());
                    Change { row, before, after }
                });
                self.done.push(step.collect());
                self.undone.clear();
            }
            Event::Undo => {
                let step = self.done.pop().ok_or("there is nothing to undo")?;
                for change in step.iter().rev() {
                    replace(&mut self.decisions, change.row, change.before.clone());
                }
                self.undone.push(step);
            }
            Event::Redo => {
                let step = self.undone.pop().ok_or("there is nothing to redo")?;
                for change in &step {
                    replace(&mut self.decisions, change.row, change.after.clone());
                }
                self.done.push(step);
            }
        }
        Ok(())
    }
}

fn replace(decisions: &mut Decisions, row: u64, decision: Option<Decision>) -> Option<Decision> {
    match decision {
        Some(decision) => decisions.0.insert(row, decision),
        None => decisions.0.remove(&row),
    }
}
