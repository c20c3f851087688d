//! Words that distinguish a group, and words that two texts share.
//!
//! Source: class-based TF-IDF of Grootendorst 2022, arXiv 2203.05794, Sec. 3.3: W_{t,c} = tf_{t,c} · ln(1 + A/tf_t), A the
//! mean number of words of a class. Constraint: no list of stop words, so that it holds in any language; words
//! that stand in a quarter of all texts or more distinguish nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::embedding::{Texts, View};
use crate::jobs::Progress;
use crate::selection::SelectionError;

/// Terms of a group's name.
const TERMS: usize = 3;
const SHORTEST: usize = 3;
const LONGEST: usize = 40;
const TOO_COMMON: f64 = 0.25;
/// A word that stands in fewer texts of a group is one text's own.
const FEWEST_TEXTS: u32 = 2;

/// The words of a text in lower case: runs of letters of 3 to 40 characters.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| (SHORTEST..=LONGEST).contains(&word.chars().count()))
        .map(str::to_lowercase)
        .collect()
}

/// The strongest terms of every group, at most three each.
pub(super) fn distinguishing(
    texts: &dyn Texts,
    of: &[usize],
    groups: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<String>>, SelectionError> {
    let mut counts: Vec<BTreeMap<String, (f64, u32)>> = vec![BTreeMap::new(); groups];
    let mut texts_with: HashMap<String, u32> = HashMap::new();
    let mut total: HashMap<String, f64> = HashMap::new();
    let mut all_words = 0.0;
    for (row, group) in of.iter().enumerate() {
        progress.check()?;
        let text = texts.text(row, View::Row).map_err(|error| SelectionError::Outcome(error.to_string()))?;
        let mut seen = HashSet::new();
        for word in words(&text) {
            all_words += 1.0;
            *total.entry(word.clone()).or_default() += 1.0;
            let first = seen.insert(word.clone());
            if first {
                *texts_with.entry(word.clone()).or_default() += 1;
            }
            if let Some(counts) = counts.get_mut(*group) {
                let count = counts.entry(word).or_default();
                count.0 += 1.0;
                count.1 += u32::from(first);
            }
        }
    }
    let mean_words = all_words / groups.max(1) as f64;
    let common = TOO_COMMON * of.len() as f64;
    let strongest = |counts: &BTreeMap<String, (f64, u32)>| {
        let mut weighed: Vec<(f64, &String)> = counts
            .iter()
            .filter(|(word, (_, texts))| {
                *texts >= FEWEST_TEXTS && f64::from(texts_with.get(*word).copied().unwrap_or(0)) < common
            })
            .map(|(word, (count, _))| (count * (mean_words / total.get(word).copied().unwrap_or(1.0)).ln_1p(), word))
            .collect();
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        weighed.into_iter().take(TERMS).map(|(_, word)| word.clone()).collect()
    };
    Ok(counts.iter().map(strongest).collect())
}

/// How many texts of a reference hold each word.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    texts_with: HashMap<String, u32>,
    texts: u32,
}

impl Vocabulary {
    /// Counts the words of every text.
    ///
    /// # Errors
    /// A text cannot be read, or the user cancelled.
    pub fn new(texts: &dyn Texts, progress: &dyn Progress) -> Result<Self, SelectionError> {
        let mut counted = Self::default();
        for row in 0..texts.len() {
            progress.check()?;
            let text = texts.text(row, View::Row).map_err(|error| SelectionError::Outcome(error.to_string()))?;
            let distinct: HashSet<String> = words(&text).into_iter().collect();
            for word in distinct {
                *counted.texts_with.entry(word).or_default() += 1;
            }
            counted.texts += 1;
        }
        Ok(counted)
    }

    /// Words that both texts hold, the rarest in the reference first, at most `count`; common words are left out.
    pub fn shared(&self, a: &str, b: &str, count: usize) -> Vec<String> {
        let a: HashSet<String> = words(a).into_iter().collect();
        let mut both: Vec<(u32, String)> = words(b)
            .into_iter()
            .collect::<HashSet<String>>()
            .into_iter()
            .filter(|word| a.contains(word))
            .map(|word| (self.texts_with.get(&word).copied().unwrap_or(0), word))
            .filter(|(texts, _)| f64::from(*texts) < TOO_COMMON * f64::from(self.texts))
            .collect();
        both.sort_unstable();
        both.into_iter().take(count).map(|(_, word)| word).collect()
    }
}
