//! What only a look at every text shows: repeated and nearly repeated rows, languages, overlap between two sets.
//!
//! Purpose: [`analyse`] for one set, [`leakage`] and [`exact_leakage`] for a custom set and a reference.
//! Constraints: texts are read again by position and never all held; a row takes about 100 bytes here while the call
//! runs and 5 afterwards; every claimed similarity was computed from the texts, not estimated; the result does not
//! depend on the number of threads.

mod candidates;
mod groups;
mod language;
mod leakage;
mod lengths;
mod shingles;
mod sketch;

use std::fmt::Write;

use groups::UnionFind;
use sketch::Sketches;

pub use groups::{Group, Groups, NO_GROUP};
pub use language::{Language, LanguageCount};
pub use leakage::{Leakage, Overlap, RowPair, exact_leakage, leakage};
pub use lengths::{Lengths, Spread};

use super::{DataError, Dataset};
use crate::jobs::Progress;

/// How rows are compared. Values out of range are moved to the nearest end.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AnalysisSettings {
    /// Rows are near-duplicates from this Jaccard similarity of their shingles on (0.5 to 1).
    pub similarity: f64,
    /// Words in a shingle (1 to 8).
    pub shingle_words: usize,
    /// Groups that are listed with their rows; all are counted (at most 10,000).
    pub listed: usize,
    /// Draws the permutations of MinHash.
    pub seed: u64,
}

impl Default for AnalysisSettings {
    fn default() -> Self {
        Self { similarity: 0.8, shingle_words: 2, listed: 100, seed: 0 }
    }
}

impl AnalysisSettings {
    fn similarity(&self) -> f64 {
        if self.similarity.is_nan() { Self::default().similarity } else { self.similarity.clamp(0.5, 1.0) }
    }

    fn shingle_words(&self) -> usize {
        self.shingle_words.clamp(1, 8)
    }

    fn listed(&self) -> usize {
        self.listed.min(10_000)
    }
}

/// What the texts of one set show.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Analysis {
    /// Rows with the same content hash.
    pub exact: Groups,
    /// Rows that are equal or similar, directly or through others (connected components).
    pub near: Groups,
    /// Rows by language, the most frequent first.
    pub languages: Vec<LanguageCount>,
    pub lengths: Lengths,
    /// Row index → number of its near-duplicate group, [`NO_GROUP`] where it is in none. Groups are numbered by their
    /// first row.
    #[serde(skip)]
    pub near_group: Vec<u32>,
    /// Row index → language of its text.
    #[serde(skip)]
    pub language: Vec<Language>,
}

/// Reads every text of a completely indexed set twice at most.
///
/// # Errors
/// A text cannot be read again, the file changed, or the user cancelled.
pub fn analyse(dataset: &Dataset, settings: &AnalysisSettings, progress: &dyn Progress) -> Result<Analysis, DataError> {
    let rows = dataset.len();
    let repeats = groups::repeats(dataset);
    let sketches = Sketches::read(dataset, Some(&repeats.first_of), settings, progress)?;

    let mut exact = UnionFind::new(rows);
    for (row, first) in repeats.first_of.iter().enumerate() {
        exact.join(*first, row as u32, 1.0);
    }
    let mut near = exact.clone();
    candidates::join_similar(dataset, &sketches, settings, &mut near, progress)?;

    let (exact, _) = exact.into_groups(dataset, settings.listed());
    let (near, near_group) = near.into_groups(dataset, settings.listed());
    let mut language = sketches.language;
    for (row, first) in repeats.first_of.iter().enumerate() {
        if let (Some(known), Some(own)) = (language.get(*first as usize).copied(), language.get_mut(row)) {
            *own = known;
        }
    }
    Ok(Analysis {
        exact,
        near,
        languages: language::count(&language),
        lengths: Lengths::of(dataset),
        near_group,
        language,
    })
}

impl Analysis {
    /// A few lines for the terminal.
    ///
    /// # Errors
    /// As `text` has them.
    pub fn summarise(&self, text: &mut String) -> std::fmt::Result {
        let Spread { smallest, median, ninety_fifth, largest, .. } = self.lengths.tokens;
        writeln!(text, "  tokens a row: {smallest} to {largest}, median {median}, 95 of 100 up to {ninety_fifth}")?;
        for (name, groups) in [("exact", &self.exact), ("near", &self.near)] {
            if groups.groups == 0 {
                writeln!(text, "  no {name}-duplicate groups")?;
                continue;
            }
            writeln!(
                text,
                "  {} {name}-duplicate groups with {} rows; keeping one of each leaves out {}",
                groups.groups, groups.rows, groups.surplus
            )?;
            for group in groups.listed.iter().take(3) {
                let mut rows: Vec<String> = group.rows.iter().take(8).map(u64::to_string).collect();
                if group.size > rows.len() as u64 {
                    rows.push("…".to_owned());
                }
                let similarity = (group.similarity * 100.0).floor();
                writeln!(text, "    {} rows, {similarity} % alike: rows {}", group.size, rows.join(", "))?;
            }
        }
        let languages: Vec<String> =
            self.languages.iter().take(8).map(|count| format!("{} {}", count.language.name(), count.rows)).collect();
        writeln!(text, "  languages (guessed): {}", languages.join(", "))
    }
}
