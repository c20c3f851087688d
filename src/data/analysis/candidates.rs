//! From equal keys to verified pairs: which rows are compared, and the comparison itself.
//!
//! Constraints: in a bucket of up to [`ALL_PAIRS`] rows each is compared with each, in a larger one with its
//! neighbours and the first rows, so the work grows with the number of rows and not with its square; a pair is looked
//! at in the first band where it meets, and not at all once both rows are in one group. Pairs are verified in batches
//! of bounded size, so the result does not depend on the number of threads.

use rayon::prelude::*;

use super::groups::UnionFind;
use super::sketch::{BANDS, Sketches};
use super::{AnalysisSettings, shingles};
use crate::data::{DataError, Dataset};
use crate::jobs::Progress;

/// Buckets up to this size are compared row by row.
const ALL_PAIRS: usize = 48;
/// In larger buckets: how many neighbours and how many of the first rows each row is compared with.
const NEAR: usize = 4;
/// Pairs that are verified at a time.
const BATCH: usize = 1 << 18;

/// Joins every two rows whose texts are similar enough.
pub(super) fn join_similar(
    dataset: &Dataset,
    sketches: &Sketches,
    settings: &AnalysisSettings,
    groups: &mut UnionFind,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    let stage = format!("finding near-duplicates in {}", dataset.name());
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for band in 0..BANDS {
        progress.check()?;
        progress.tick(&stage, band as u64, Some(BANDS as u64));
        let order = sketches.bucket_order(band);
        for bucket in order.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
            let mut add = |first: u32, second: u32| {
                let met = sketches.keys(first).iter().zip(sketches.keys(second)).take(band).any(|(a, b)| a == b);
                if !met && groups.root(first) != groups.root(second) {
                    pairs.push((first.min(second), first.max(second)));
                }
            };
            for (place, (_, row)) in bucket.iter().enumerate() {
                let before = bucket.get(..place).unwrap_or_default();
                let all = bucket.len() <= ALL_PAIRS;
                let near = if all { before } else { before.get(place.saturating_sub(NEAR)..).unwrap_or_default() };
                near.iter().for_each(|(_, other)| add(*other, *row));
                let first = if all { 0 } else { NEAR.min(place.saturating_sub(NEAR)) };
                before.iter().take(first).for_each(|(_, other)| add(*other, *row));
            }
            if pairs.len() >= BATCH {
                join_verified(dataset, settings, &mut pairs, groups, progress)?;
            }
        }
        join_verified(dataset, settings, &mut pairs, groups, progress)?;
    }
    progress.tick(&stage, BANDS as u64, Some(BANDS as u64));
    Ok(())
}

fn join_verified(
    dataset: &Dataset,
    settings: &AnalysisSettings,
    pairs: &mut Vec<(u32, u32)>,
    groups: &mut UnionFind,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    pairs.par_sort_unstable();
    pairs.dedup();
    for (first, second, similarity) in similar(dataset, dataset, pairs, settings, progress)? {
        groups.join(first, second, similarity);
    }
    pairs.clear();
    Ok(())
}

/// The pairs (row of `left`, row of `right`, Jaccard similarity) that are similar enough, in the order of `pairs`,
/// which is sorted so that a row of `left` is read once for all its partners.
pub(super) fn similar(
    left: &Dataset,
    right: &Dataset,
    pairs: &[(u32, u32)],
    settings: &AnalysisSettings,
    progress: &dyn Progress,
) -> Result<Vec<(u32, u32, f32)>, DataError> {
    let shingles_of = |dataset: &Dataset, row: u32| {
        Ok::<_, DataError>(shingles::of_row(&dataset.row(row as usize)?, settings.shingle_words()))
    };
    let runs: Vec<&[(u32, u32)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    let found: Vec<Vec<(u32, u32, f32)>> = runs
        .into_par_iter()
        .map(|run| {
            let Some((first, _)) = run.first() else { return Ok(Vec::new()) };
            let own = shingles_of(left, *first)?;
            let mut found = Vec::new();
            for (_, second) in run {
                progress.check()?;
                let similarity = shingles::jaccard(&own, &shingles_of(right, *second)?);
                if similarity >= settings.similarity() {
                    found.push((*first, *second, similarity as f32));
                }
            }
            Ok(found)
        })
        .collect::<Result<_, DataError>>()?;
    Ok(found.concat())
}
