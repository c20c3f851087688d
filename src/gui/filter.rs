//! What narrows the table.

use std::sync::Arc;

/// Which decisions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    All,
    Kept,
    Dropped,
    ByHand,
}

/// Rows that were found by something else than a filter's own choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What they have in common, in a few words.
    pub name: &'static str,
    /// Ascending.
    pub rows: Arc<[u32]>,
}

/// What narrows the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub shown: Shown,
    /// Only these rows.
    pub only: Option<Listed>,
    /// Rows whose text contains this, in any case; empty shows all.
    pub text: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self { shown: Shown::All, only: None, text: String::new() }
    }
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
