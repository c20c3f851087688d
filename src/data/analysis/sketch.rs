//! MinHash sketches: a few numbers a row that are equal where rows are alike.
//!
//! The probability that two sets have the same minimum under a random permutation is their Jaccard similarity (Broder
//! 1997). [`BANDS`] bands of a few minima each are folded into one key; two rows are compared where a key is equal
//! (locality-sensitive hashing, Indyk and Motwani 1998). The number of minima in a band is chosen so that two rows just
//! similar enough meet in a band with probability of about a third, and in none of all bands with less than 1 in 1,000.
//! Constraint: 81 bytes a row plus 8 where prompts are asked for; integer arithmetic only, so every machine computes
//! the same keys.

use std::sync::atomic::{AtomicU64, Ordering};

use pulp::Arch;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::language::Language;
use super::{AnalysisSettings, shingles};
use crate::data::{DataError, Dataset};
use crate::jobs::Progress;

pub(super) const BANDS: usize = 20;
const MOST_MINIMA: usize = 10;

/// Rows that one task reads.
const CHUNK: usize = 256;

/// The sketches of one set, by row index.
pub(super) struct Sketches {
    /// [`BANDS`] keys a row.
    keys: Vec<u32>,
    /// Rows that have keys.
    pub has_words: Vec<bool>,
    pub language: Vec<Language>,
    /// A hash of the prompt's words by row, 0 where there are none; empty unless asked for.
    pub prompts: Vec<u64>,
}

/// Random permutations of 32-bit numbers: xor, odd multiplication, shift and odd multiplication are bijections each.
struct Permutations {
    minima: usize,
    xor: Vec<u32>,
    first: Vec<u32>,
    second: Vec<u32>,
}

impl Permutations {
    fn new(settings: &AnalysisSettings) -> Self {
        let minima = minima_for(settings.similarity());
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(settings.seed);
        let mut draw = || (0..BANDS * minima).map(|_| random.next_u32()).collect::<Vec<u32>>();
        let odd = |numbers: Vec<u32>| numbers.into_iter().map(|number| number | 1).collect();
        Self { minima, xor: draw(), first: odd(draw()), second: odd(draw()) }
    }

    /// The keys of a set that is not empty.
    fn keys(&self, shingles: &[u64], minima: &mut Vec<u32>, keys: &mut [u32]) {
        minima.clear();
        minima.resize(self.xor.len(), u32::MAX);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for shingle in shingles {
                    let number = (shingle >> 32) as u32;
                    for (((least, xor), first), second) in
                        minima.iter_mut().zip(&self.xor).zip(&self.first).zip(&self.second)
                    {
                        let mixed = (number ^ xor).wrapping_mul(*first);
                        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(*second);
                        *least = (*least).min(mixed);
                    }
                }
            },
        );
        for (key, band) in keys.iter_mut().zip(minima.chunks(self.minima)) {
            *key = (band.iter().fold(0, |state, least| shingles::mix(state, u64::from(*least))) >> 32) as u32;
        }
    }
}

/// Minima a band.
fn minima_for(similarity: f64) -> usize {
    let third = (1.0_f64 / 3.0).ln() / similarity.ln();
    if third.is_finite() && third > 0.0 { (third.round() as usize).clamp(1, MOST_MINIMA) } else { MOST_MINIMA }
}

impl Sketches {
    /// Reads every text once. With `first_of`, rows that repeat an earlier one are passed over and have no words.
    pub fn read(
        dataset: &Dataset,
        first_of: Option<&[u32]>,
        settings: &AnalysisSettings,
        progress: &dyn Progress,
    ) -> Result<Self, DataError> {
        Self::fill(dataset, first_of, false, settings, progress)
    }

    /// [`Sketches::read`] of every row, with prompts.
    pub fn with_prompts(
        dataset: &Dataset,
        settings: &AnalysisSettings,
        progress: &dyn Progress,
    ) -> Result<Self, DataError> {
        Self::fill(dataset, None, true, settings, progress)
    }

    fn fill(
        dataset: &Dataset,
        first_of: Option<&[u32]>,
        prompts: bool,
        settings: &AnalysisSettings,
        progress: &dyn Progress,
    ) -> Result<Self, DataError> {
        let rows = dataset.len();
        let permutations = Permutations::new(settings);
        let stage = format!("comparing rows of {}", dataset.name());
        let done = AtomicU64::new(0);
        let mut sketches = Self {
            keys: vec![0; rows * BANDS],
            has_words: vec![false; rows],
            language: vec![Language::UNKNOWN; rows],
            prompts: vec![0; if prompts { rows } else { 0 }],
        };
        // Without prompts there is nothing to fill, but as many chunks.
        let mut no_prompts: Vec<&mut [u64]> = Vec::new();
        let prompt_chunks: Vec<&mut [u64]> = if prompts {
            sketches.prompts.chunks_mut(CHUNK).collect()
        } else {
            no_prompts.resize_with(rows.div_ceil(CHUNK), Default::default);
            no_prompts
        };
        sketches
            .keys
            .par_chunks_mut(CHUNK * BANDS)
            .zip(sketches.has_words.par_chunks_mut(CHUNK))
            .zip(sketches.language.par_chunks_mut(CHUNK))
            .zip(prompt_chunks)
            .enumerate()
            .try_for_each(|(chunk, (((keys, has_words), language), prompts))| {
                let mut minima = Vec::new();
                let own = keys.chunks_mut(BANDS).zip(has_words.iter_mut()).zip(language.iter_mut());
                for (place, ((keys, has_words), language)) in own.enumerate() {
                    progress.check()?;
                    let row = chunk * CHUNK + place;
                    if first_of.and_then(|first_of| first_of.get(row)).is_some_and(|first| (*first as usize) < row) {
                        continue;
                    }
                    let content = dataset.row(row)?;
                    *language = Language::of_row(&content);
                    if let Some(prompt) = prompts.get_mut(place) {
                        *prompt = shingles::of_prompt(&content).unwrap_or(0);
                    }
                    let shingles = shingles::of_row(&content, settings.shingle_words());
                    if !shingles.is_empty() {
                        *has_words = true;
                        permutations.keys(&shingles, &mut minima, keys);
                    }
                }
                let read = has_words.len() as u64;
                progress.tick(&stage, done.fetch_add(read, Ordering::Relaxed) + read, Some(rows as u64));
                Ok::<(), DataError>(())
            })?;
        Ok(sketches)
    }

    /// The keys of a row by band.
    pub fn keys(&self, row: u32) -> &[u32] {
        let start = row as usize * BANDS;
        self.keys.get(start..start + BANDS).unwrap_or_default()
    }

    /// (key, row) of every row that has words, in one band, sorted.
    pub fn bucket_order(&self, band: usize) -> Vec<(u32, u32)> {
        let with_words = self.has_words.iter().zip(0_u32..).filter(|(has_words, _)| **has_words);
        let mut order: Vec<(u32, u32)> =
            with_words.filter_map(|(_, row)| Some((*self.keys(row).get(band)?, row))).collect();
        order.par_sort_unstable();
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_share_a_minimum_as_often_as_they_are_similar() {
        let settings = AnalysisSettings { similarity: 0.5, ..AnalysisSettings::default() };
        let mut permutations = Permutations::new(&settings);
        permutations.minima = 1;
        // 600 of 1,000 shingles in common.
        let number = |n: u64| shingles::mix(n, 7);
        let (a, b): (Vec<u64>, Vec<u64>) = ((0..800).map(number).collect(), (200..1000).map(number).collect());
        let (mut same, mut all) = (0, 0);
        for seed in 0..100 {
            let permutations =
                Permutations { minima: 1, ..Permutations::new(&AnalysisSettings { seed, ..settings.clone() }) };
            let (mut left, mut right) = ([0; BANDS], [0; BANDS]);
            permutations.keys(&a, &mut Vec::new(), &mut left);
            permutations.keys(&b, &mut Vec::new(), &mut right);
            same += left.iter().zip(&right).filter(|(x, y)| x == y).count();
            all += BANDS;
        }
        // 2,000 trials at 0.6: a standard deviation is 0.011.
        let share = same as f64 / all as f64;
        assert!((share - 0.6).abs() < 0.044, "{share}");
    }

    #[test]
    fn more_similar_rows_need_more_minima() {
        assert_eq!([0.5, 0.7, 0.8, 0.9, 1.0].map(minima_for), [2, 3, 5, 10, 10]);
    }
}
