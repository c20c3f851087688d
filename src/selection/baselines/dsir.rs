//! DSIR: importance of hashed n-grams.
//!
//! Source: Xie et al. 2023, "Data Selection for Language Models via Importance Resampling", arXiv 2302.03169, Sec. 3 and 4:
//! lower-cased words and punctuation, uni- and bigrams hashed into 10,000 buckets, log importance
//! Σ_b c_b [ln(p_target(b) + δ) - ln(p_raw(b) + δ)], δ = 1e-8, target = safe reference, raw = custom rows. Top-k without
//! Gumbel noise. Constraint: a target of fewer than ten n-grams a bucket leaves most buckets empty, where δ = 1e-8 would
//! decide everything; there both distributions get Laplace smoothing of one count instead.

use rayon::prelude::*;

use crate::embedding::{Texts, View};
use crate::jobs::Progress;
use crate::selection::SelectionError;

const BUCKETS: usize = 10_000;
const SMOOTHING: f64 = 1e-8;
const SMALL: u64 = 10 * BUCKETS as u64;
/// Texts that are read before the user is heard.
const WINDOW: usize = 512;

/// -(log importance): rows unlike the safe reference are suspicious.
pub(super) fn score(custom: &dyn Texts, safe: &dyn Texts, progress: &dyn Progress) -> Result<Vec<f64>, SelectionError> {
    let mut raw = vec![0u64; BUCKETS];
    let mut target = vec![0u64; BUCKETS];
    let rows = counts(custom, progress)?;
    for (counts, all) in [(&rows, &mut raw), (&counts(safe, progress)?, &mut target)] {
        for (bucket, count) in counts.iter().flatten() {
            if let Some(sum) = all.get_mut(usize::from(*bucket)) {
                *sum += u64::from(*count);
            }
        }
    }
    let laplace = target.iter().sum::<u64>() < SMALL;
    let log = |counts: &[u64]| -> Vec<f64> {
        let total = counts.iter().sum::<u64>() as f64;
        let chance = |count: &u64| match laplace {
            true => (*count as f64 + 1.0) / (total + BUCKETS as f64),
            false => *count as f64 / total.max(1.0) + SMOOTHING,
        };
        counts.iter().map(|count| chance(count).ln()).collect()
    };
    let ratio: Vec<f64> = log(&raw).iter().zip(log(&target)).map(|(raw, target)| raw - target).collect();
    let of_row = |counts: &Vec<(u16, u32)>| {
        let part = |(bucket, count): &(u16, u32)| f64::from(*count) * ratio.get(usize::from(*bucket)).unwrap_or(&0.0);
        counts.iter().map(part).sum()
    };
    Ok(rows.par_iter().map(of_row).collect())
}

/// Buckets and counts of every text, by rising bucket.
fn counts(texts: &dyn Texts, progress: &dyn Progress) -> Result<Vec<Vec<(u16, u32)>>, SelectionError> {
    let mut all = Vec::with_capacity(texts.len());
    for start in (0..texts.len()).step_by(WINDOW) {
        progress.check()?;
        let read = |index| texts.text(index, View::Row).map_err(|error| SelectionError::Outcome(error.to_string()));
        let window: Vec<String> =
            (start..(start + WINDOW).min(texts.len())).map(read).collect::<Result<_, SelectionError>>()?;
        all.par_extend(window.par_iter().map(|text| buckets(text)));
    }
    Ok(all)
}

fn buckets(text: &str) -> Vec<(u16, u32)> {
    let text = text.to_lowercase();
    let mut found: Vec<u16> = Vec::new();
    let mut previous: Option<&str> = None;
    for token in tokens(&text) {
        found.push(bucket(&[token]));
        if let Some(previous) = previous {
            found.push(bucket(&[previous, token]));
        }
        previous = Some(token);
    }
    found.sort_unstable();
    found.chunk_by(|a, b| a == b).filter_map(|run| run.first().map(|bucket| (*bucket, run.len() as u32))).collect()
}

/// Runs of word characters, and runs of other visible characters.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| {
        if c.is_whitespace() {
            0
        } else if c.is_alphanumeric() || c == '_' {
            1
        } else {
            2
        }
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = kind(rest.chars().next()?);
        let end = rest.find(|c| kind(c) != first).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

/// FNV-1a over the tokens, a zero byte between them, modulo the buckets.
fn bucket(gram: &[&str]) -> u16 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (at, token) in gram.iter().enumerate() {
        for byte in (at > 0).then_some(0).into_iter().chain(token.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // The low bits of FNV follow the last byte closely; the fold mixes the high ones in.
    ((hash ^ (hash >> 32)) % BUCKETS as u64) as u16
}
