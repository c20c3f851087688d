//! Words that distinguish a group, and words that two texts share.
//!
//! Source: class-based TF-IDF of Grootendorst 2022, arXiv 2203.05794, Sec. 3.3: W_{t,c} = tf_{t,c} · ln(1 + A/tf_t), A the
//! mean number of words of a class. Constraint: it holds in any language, so that words that stand in a quarter of the
//! texts outside a group do not distinguish it; in English, where small sets leave function words in, these name none.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::embedding::{Texts, View};
use crate::jobs::Progress;
use crate::selection::SelectionError;

/// Terms of a group's name.
const TERMS: usize = 3;
const SHORTEST: usize = 3;
const LONGEST: usize = 40;
const TOO_COMMON: f64 = 0.25;
/// A word that names a group stands in so many times the share of its texts that it has elsewhere.
const DISTINCT: f64 = 2.0;
/// A word that stands in fewer texts of a group is one text's own.
const FEWEST_TEXTS: u32 = 2;

/// English words that bind others and say nothing of a subject, of three letters and more.
const FUNCTION_WORDS: &str = "about after again all also and any are because been before being both but can cannot could did does \
    doing done down each even every few for from get gets got had has have having her here hers him his how into its just like may \
    might more most much must never nor not off once one only onto other our ours out over own same shall she should some such than \
    that the their theirs them then there these they this those through too under until upon very want wants was were what when \
    where which while who whom whose why will with within without would you your yours yourself";

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
    let function_words: HashSet<&str> = FUNCTION_WORDS.split_whitespace().collect();
    let mean_words = all_words / groups.max(1) as f64;
    let strongest = |(group, counts): (usize, &BTreeMap<String, (f64, u32)>)| {
        let inside = of.iter().filter(|of| **of == group).count();
        let outside = of.len() - inside;
        let is_common = |word: &String, texts_inside: u32| {
            let all = texts_with.get(word).copied().unwrap_or(0);
            // A group without any other is named by what not all of its texts say.
            let (with, of) = if outside == 0 { (all, inside) } else { (all - texts_inside.min(all), outside) };
            let (elsewhere, here) = (f64::from(with) / of as f64, f64::from(texts_inside) / inside.max(1) as f64);
            elsewhere >= TOO_COMMON || (outside > 0 && here < DISTINCT * elsewhere)
        };
        let mut weighed: Vec<(f64, &String)> = counts
            .iter()
            .filter(|(word, (_, texts))| *texts >= FEWEST_TEXTS && !is_common(word, *texts))
            .filter(|(word, _)| !function_words.contains(word.as_str()))
            .map(|(word, (count, _))| (count * (mean_words / total.get(word).copied().unwrap_or(1.0)).ln_1p(), word))
            .collect();
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        weighed.into_iter().take(TERMS).map(|(_, word)| word.clone()).collect()
    };
    Ok(counts.iter().enumerate().map(strongest).collect())
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

/// What [`Vocabulary::shared`] answers, for many rows against the texts of one reference: those are read once.
///
/// A word's number is its place among the words that are not common, the rarest first, so that the first numbers that
/// two lists share are the rarest words.
#[derive(Debug, Clone, Default)]
pub struct ReferenceWords {
    numbers: HashMap<String, u32>,
    words: Vec<String>,
    /// The numbers of every text, ascending.
    of: Vec<Vec<u32>>,
}

impl ReferenceWords {
    /// Reads every text of the reference.
    ///
    /// # Errors
    /// A text cannot be read, or the user cancelled.
    pub fn new(texts: &dyn Texts, progress: &dyn Progress) -> Result<Self, SelectionError> {
        let mut met: HashMap<String, u32> = HashMap::new();
        let mut texts_with: Vec<u32> = Vec::new();
        let mut of: Vec<Vec<u32>> = Vec::with_capacity(texts.len());
        for row in 0..texts.len() {
            progress.check()?;
            let text = texts.text(row, View::Row).map_err(|error| SelectionError::Outcome(error.to_string()))?;
            let distinct: HashSet<String> = words(&text).into_iter().collect();
            let mut of_text = Vec::with_capacity(distinct.len());
            for word in distinct {
                let number = match met.entry(word) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) => {
                        texts_with.push(0);
                        *entry.insert(texts_with.len() as u32 - 1)
                    }
                };
                if let Some(count) = texts_with.get_mut(number as usize) {
                    *count += 1;
                }
                of_text.push(number);
            }
            of.push(of_text);
        }
        let count = |number: u32| texts_with.get(number as usize).copied().unwrap_or(0);
        let most = TOO_COMMON * of.len() as f64;
        let mut rare: Vec<(u32, String, u32)> = met
            .into_iter()
            .filter(|(_, number)| f64::from(count(*number)) < most)
            .map(|(word, number)| (count(number), word, number))
            .collect();
        rare.sort_unstable();
        let mut places = vec![None; texts_with.len()];
        for (place, (_, _, number)) in rare.iter().enumerate() {
            if let Some(slot) = places.get_mut(*number as usize) {
                *slot = Some(place as u32);
            }
        }
        for of_text in &mut of {
            *of_text = of_text.iter().filter_map(|number| *places.get(*number as usize)?).collect();
            of_text.sort_unstable();
        }
        let words: Vec<String> = rare.into_iter().map(|(_, word, _)| word).collect();
        let numbers = words.iter().cloned().zip(0..).collect();
        Ok(Self { numbers, words, of })
    }

    /// The words of any text that this reference knows and that are not common in it, ascending numbers.
    pub fn numbers(&self, words: &HashSet<String>) -> Vec<u32> {
        let mut numbers: Vec<u32> = words.iter().filter_map(|word| self.numbers.get(word).copied()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Words that a text of these numbers and reference row `row` both hold, the rarest in the reference first, at most
    /// `count`.
    pub fn shared(&self, numbers: &[u32], row: usize, count: usize) -> Vec<&str> {
        let of_row = self.of.get(row).map(Vec::as_slice).unwrap_or_default();
        let both = numbers.iter().filter(|number| of_row.binary_search(number).is_ok());
        both.filter_map(|number| self.words.get(*number as usize)).map(String::as_str).take(count).collect()
    }

    /// The distinct words of a text, as [`ReferenceWords::numbers`] takes them.
    pub fn words_of(text: &str) -> HashSet<String> {
        words(text).into_iter().collect()
    }
}
