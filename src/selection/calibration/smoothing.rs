//! A row is judged together with its nearest rows of the custom set.
//!
//! Purpose: rows that say much the same should be ranked much the same; half of the score is the mean of the ten nearest
//! custom rows. Measured: it lifts attacks of kinds that no reference shows, since they lie together. Constraints:
//! neighbours are custom rows only, never canaries, and of large sets a seeded sample of [`POOL`] rows; strips of fixed
//! size, so that the answer does not hang on the number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::standardised;
use crate::jobs::{Cancelled, Progress};
use crate::transport::Points;

/// Custom rows among which neighbours are looked for.
pub const POOL: usize = 10_000;
/// Neighbours of a row.
pub const NEIGHBOURS: usize = 10;
const STRIP: usize = 64;

/// The nearest custom rows of every row of a set.
#[derive(Debug, Clone, Default)]
pub(super) struct Neighbourhoods {
    of: Vec<Vec<u32>>,
}

impl Neighbourhoods {
    /// Of the rows of `queries`; row i of it is the custom row i where `are_custom`, and then not its own neighbour.
    pub fn new(
        custom: Points<'_>,
        queries: Points<'_>,
        are_custom: bool,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self, Cancelled> {
        let mut pool: Vec<usize> = (0..custom.rows).collect();
        if custom.rows > POOL {
            pool = rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(seed), custom.rows, POOL).into_vec();
            pool.sort_unstable();
        }
        let dim = custom.dim;
        let vectors: Vec<f32> =
            pool.iter().filter_map(|row| custom.data.get(row * dim..(row + 1) * dim)).flatten().copied().collect();
        let strips: Vec<Vec<Vec<u32>>> = queries
            .data
            .par_chunks(STRIP * dim.max(1))
            .enumerate()
            .map(|(strip, rows)| {
                progress.check()?;
                let count = rows.len() / dim.max(1);
                let mut cosines = vec![0.0f32; count * pool.len()];
                matmul(
                    MatMut::from_row_major_slice_mut(&mut cosines, count, pool.len()),
                    Accum::Replace,
                    MatRef::from_row_major_slice(rows, count, dim),
                    MatRef::from_row_major_slice(&vectors, pool.len(), dim).transpose(),
                    1.0,
                    Par::Seq,
                );
                let of_row = |(at, cosines): (usize, &[f32])| {
                    let own = if are_custom { strip * STRIP + at } else { usize::MAX };
                    nearest(cosines, &pool, own)
                };
                Ok(cosines.chunks_exact(pool.len().max(1)).enumerate().map(of_row).collect())
            })
            .collect::<Result<_, Cancelled>>()?;
        Ok(Self { of: strips.concat() })
    }

    /// These rows and behind them others.
    pub fn and(&self, others: Self) -> Self {
        Self { of: self.of.iter().cloned().chain(others.of).collect() }
    }

    /// Half the score and half the mean score of the neighbours, each in standard deviations of the first `of` rows; a
    /// row without neighbours keeps its own.
    pub fn smooth(&self, score: Vec<f64>, of: usize) -> Vec<f64> {
        let own = standardised(score, of);
        let mean = |(row, score): (usize, &f64)| {
            let around = self.of.get(row).map(Vec::as_slice).unwrap_or_default();
            let known: Vec<f64> = around.iter().filter_map(|at| own.get(*at as usize)).copied().collect();
            if known.is_empty() { *score } else { known.iter().sum::<f64>() / known.len() as f64 }
        };
        let around = standardised(own.iter().enumerate().map(mean).collect(), of);
        own.iter().zip(&around).map(|(own, around)| 0.5 * (own + around)).collect()
    }
}

/// The rows of the pool with the largest cosines, the first of a tie, without the row itself.
fn nearest(cosines: &[f32], pool: &[usize], own: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(NEIGHBOURS + 1);
    let mut least = f32::NEG_INFINITY;
    for (cosine, row) in cosines.iter().zip(pool) {
        if *cosine > least && *row != own {
            let place = best.partition_point(|(other, _)| other >= cosine);
            best.insert(place, (*cosine, *row as u32));
            best.truncate(NEIGHBOURS);
            if best.len() == NEIGHBOURS {
                least = best.last().map_or(least, |(cosine, _)| *cosine);
            }
        }
    }
    best.into_iter().map(|(_, row)| row).collect()
}
