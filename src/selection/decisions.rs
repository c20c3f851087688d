//! The reviewer's word, which overrules the machine.
//!
//! Constraint: a decision holds for one row of one file. It is applied only where record number and id agree, so
//! that an edited file never inherits decisions made about other words.

use std::collections::BTreeMap;

use crate::data::{Dataset, RowId};

/// What the reviewer decided for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Keep,
    Drop,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// 0-based record number in the file.
    pub row: u64,
    /// Identity of the row: a decision is applied only where number and id agree. Empty in a hand-written list
    /// that names rows by number alone; [`Decisions::matched`] fills it in.
    pub id: RowId,
    #[serde(rename = "decision", alias = "verdict")]
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made, RFC 3339 in UTC; empty where the list did not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
}

/// The decisions in force, by record number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions(pub BTreeMap<u64, Decision>);

/// Decisions sorted by whether the data set still has the row they were made for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// Number and id agree; every id is filled in.
    pub in_force: Decisions,
    /// The row is gone, quarantined or has other words now. Nothing applies these; show them.
    pub stale: Vec<Decision>,
}

/// The identity of each row, by row index. A [`Dataset`] is one, and so is a list of ids.
pub trait RowIds {
    /// `None` when there is no such row.
    fn row_id(&self, index: usize) -> Option<RowId>;
}

impl RowIds for Dataset {
    fn row_id(&self, index: usize) -> Option<RowId> {
        self.id(index)
    }
}

impl RowIds for [RowId] {
    fn row_id(&self, index: usize) -> Option<RowId> {
        self.get(index).cloned()
    }
}

impl RowIds for Vec<RowId> {
    fn row_id(&self, index: usize) -> Option<RowId> {
        self.as_slice().row_id(index)
    }
}

impl Decisions {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, row: u64) -> Option<&Decision> {
        self.0.get(&row)
    }

    /// Keeps apart what applies to these rows and what does not (`numbers[i]` is the record number of row index i,
    /// ascending).
    pub fn matched(&self, numbers: &[u64], ids: &(impl RowIds + ?Sized)) -> Matched {
        let mut matched = Matched::default();
        for decision in self.0.values() {
            let found = numbers.binary_search(&decision.row).ok().and_then(|index| ids.row_id(index));
            match found {
                Some(id) if decision.id.0.is_empty() || decision.id == id => {
                    matched.in_force.0.insert(decision.row, Decision { id, ..decision.clone() });
                }
                _ => matched.stale.push(decision.clone()),
            }
        }
        matched
    }
}
