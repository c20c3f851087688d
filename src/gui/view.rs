//! Which rows the table shows, and in which order.
//!
//! Constraint: computed in the background over up to millions of rows; the table reads the finished list.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::backend::Handle;
use super::solved::Solved;
use crate::jobs::Progress;
use crate::selection::{Decision, Verdict};

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    Row,
    Text,
    Score,
    Weight,
    Pull,
    Push,
    Decision,
}

/// The order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub column: Column,
    pub descending: bool,
}

/// Which decisions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    All,
    Kept,
    Dropped,
    ByHand,
}

/// What narrows the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub shown: Shown,
    /// Rows whose text contains this, in any case; empty shows all.
    pub text: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self { shown: Shown::All, text: String::new() }
    }
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The decisions in force, by row index.
pub type Verdicts = Arc<HashMap<u32, Decision>>;

/// What a view is computed from.
#[derive(Clone)]
pub struct ViewInput {
    pub source: Handle,
    pub rows: usize,
    pub solved: Option<Arc<Solved>>,
    /// Rows that the machine keeps.
    pub kept: usize,
    pub verdicts: Verdicts,
    pub filter: Filter,
    pub sort: Sort,
}

/// The rows of the table, in order.
#[derive(Debug, Clone)]
pub enum ViewRows {
    /// Every row in file order.
    All(usize),
    List(Arc<[u32]>),
}

impl ViewRows {
    pub fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::List(rows) => rows.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, place: usize) -> Option<u32> {
        match self {
            Self::All(rows) => (place < *rows).then_some(place as u32),
            Self::List(rows) => rows.get(place).copied(),
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::All(rows) => Box::new(0..*rows as u32),
            Self::List(rows) => Box::new(rows.iter().copied()),
        }
    }

    /// The place of a row, looked for near `hint` first.
    pub fn place_of(&self, row: u32, hint: usize) -> Option<usize> {
        match self {
            Self::All(rows) => ((row as usize) < *rows).then_some(row as usize),
            Self::List(rows) if rows.get(hint) == Some(&row) => Some(hint),
            Self::List(rows) => rows.iter().position(|other| *other == row),
        }
    }
}

/// Computes a view.
///
/// # Errors
/// A row cannot be read for the text search, or the user cancelled.
pub fn compute(input: &ViewInput, progress: &dyn Progress) -> Result<ViewRows, String> {
    let plain = Sort { column: Column::Row, descending: false };
    if input.filter.is_empty() && input.sort == plain {
        return Ok(ViewRows::All(input.rows));
    }
    let mut rows: Vec<u32> = match &input.solved {
        // The usual order is at hand.
        Some(solved) if input.sort.column == Column::Score && solved.ranking.len() == input.rows => {
            sorted_by_score(solved, input.sort.descending)
        }
        _ => (0..input.rows as u32).collect(),
    };
    rows.retain(|row| is_shown(input, *row));
    if !input.filter.text.is_empty() {
        rows = search(input, &rows, progress)?;
    }
    if input.sort.column != Column::Score {
        sort(input, &mut rows);
    }
    progress.check().map_err(|cancelled| cancelled.to_string())?;
    Ok(ViewRows::List(rows.into()))
}

fn sorted_by_score(solved: &Solved, descending: bool) -> Vec<u32> {
    let score = &solved.purified.outcome.score;
    let key = |row: &u32| score.get(*row as usize).copied().unwrap_or(0.0);
    let mut rows: Vec<u32> = (0..score.len() as u32).collect();
    if descending {
        rows.par_sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.cmp(b)));
    } else {
        rows.par_sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
    }
    rows
}

fn is_kept(input: &ViewInput, row: u32) -> bool {
    match input.verdicts.get(&row) {
        Some(decision) => decision.verdict == Verdict::Keep,
        None => input.solved.as_ref().is_none_or(|solved| solved.ranking.machine_keeps(row, input.kept)),
    }
}

fn is_shown(input: &ViewInput, row: u32) -> bool {
    match input.filter.shown {
        Shown::All => true,
        Shown::Kept => is_kept(input, row),
        Shown::Dropped => !is_kept(input, row),
        Shown::ByHand => input.verdicts.contains_key(&row),
    }
}

fn search(input: &ViewInput, rows: &[u32], progress: &dyn Progress) -> Result<Vec<u32>, String> {
    let needle = input.filter.text.to_lowercase();
    let mut found = Vec::new();
    for (chunk_number, chunk) in rows.chunks(4096).enumerate() {
        progress.check().map_err(|cancelled| cancelled.to_string())?;
        progress.tick("searching", (chunk_number * 4096) as u64, Some(rows.len() as u64));
        let hits: Result<Vec<Option<u32>>, String> = chunk
            .par_iter()
            .map(|row| {
                let text = input.source.row(*row as usize)?.text();
                Ok(text.to_lowercase().contains(&needle).then_some(*row))
            })
            .collect();
        found.extend(hits?.into_iter().flatten());
    }
    Ok(found)
}

fn sort(input: &ViewInput, rows: &mut [u32]) {
    let figure = |row: u32| -> f64 {
        let Some(figures) = input.solved.as_ref().and_then(|solved| solved.figures(row)) else { return 0.0 };
        match input.sort.column {
            Column::Weight => figures.weight,
            Column::Pull => figures.pull,
            Column::Push => figures.push,
            Column::Decision => {
                f64::from(u8::from(is_kept(input, row)) * 2 + u8::from(input.verdicts.contains_key(&row)))
            }
            Column::Row | Column::Text | Column::Score => f64::from(row),
        }
    };
    let key = |row: u32| match input.sort.column {
        Column::Row | Column::Text => f64::from(row),
        _ => figure(row),
    };
    if input.sort.descending {
        rows.par_sort_by(|a, b| key(*b).total_cmp(&key(*a)).then(a.cmp(b)));
    } else {
        rows.par_sort_by(|a, b| key(*a).total_cmp(&key(*b)).then(a.cmp(b)));
    }
}
