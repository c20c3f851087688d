//! The vectors sorted into cells of near rows, so that a search looks into few of them.
//!
//! Spherical k-means on a seeded sample (the coarse half of an inverted file: Jégou, Douze and Schmid, "Product
//! quantization for nearest neighbor search", 2011). Up to [`EXACT`] rows there is one cell and the search is exact.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{products, shape};
use crate::embedding::{EmbeddingError, Embeddings};
use crate::jobs::Progress;

/// Up to so many rows every pair is compared.
pub(super) const EXACT: usize = 12_000;
/// Rows of a cell on average.
const CELL_ROWS: usize = 300;
/// Cells that a row is looked for in, its own included.
const PROBES: usize = 24;
/// Sample rows a centroid.
const SAMPLE: usize = 48;
const ROUNDS: usize = 6;
const BLOCK: usize = 1024;

/// A copy of the vectors, cell by cell.
pub(super) struct Cells {
    pub dim: usize,
    /// Row (over all sets) at each place of the copy.
    pub rows: Vec<u32>,
    pub data: Vec<f32>,
    /// Cell c holds the places `starts[c]..starts[c + 1]`.
    pub starts: Vec<usize>,
    /// The cells to look into for the rows of each cell.
    pub probes: Vec<Vec<u32>>,
}

impl Cells {
    pub fn new(
        sets: &[&Embeddings],
        exact_up_to: usize,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddingError> {
        let (count, dim) = shape(sets)?;
        let all: Vec<&[f32]> = sets.iter().flat_map(|set| set.data().chunks_exact(dim.max(1))).collect();
        if count <= exact_up_to {
            return Ok(Self {
                dim,
                rows: (0..count as u32).collect(),
                data: all.concat(),
                starts: vec![0, count],
                probes: vec![vec![0]],
            });
        }
        let centroids = centroids(&all, dim, (count / CELL_ROWS).max(2), seed, progress)?;
        let cells = centroids.len() / dim;
        let homes = assign(&all, &centroids, dim, progress)?;

        let mut starts = vec![0_usize; cells + 1];
        homes.iter().for_each(|home| starts[*home as usize + 1] += 1);
        for cell in 0..cells {
            starts[cell + 1] += starts[cell];
        }
        let mut next = starts.clone();
        let mut rows = vec![0_u32; count];
        for (row, home) in homes.iter().enumerate() {
            let place = &mut next[*home as usize];
            rows[*place] = row as u32;
            *place += 1;
        }
        let data = rows.iter().flat_map(|row| all[*row as usize].iter().copied()).collect();
        let probes = (0..cells)
            .into_par_iter()
            .map(|cell| {
                let mut near = vec![0.0; cells];
                products(&centroids[cell * dim..(cell + 1) * dim], &centroids, dim, &mut near);
                let mut order: Vec<u32> = (0..cells as u32).collect();
                let far = |cell: &u32| std::cmp::Reverse(ordered(near[*cell as usize]));
                order.sort_by_key(|other| (*other as usize != cell, far(other), *other));
                order.truncate(PROBES);
                order
            })
            .collect();
        Ok(Self { dim, rows, data, starts, probes })
    }
}

/// A float as an integer of the same order; NaN is below all.
fn ordered(value: f32) -> i32 {
    if value.is_nan() {
        return i32::MIN;
    }
    let bits = value.to_bits() as i32;
    if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
}

fn centroids(
    all: &[&[f32]],
    dim: usize,
    cells: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<f32>, EmbeddingError> {
    let stage = "sorting rows into cells";
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<u32> = (0..all.len() as u32).collect();
    let sampled = (cells * SAMPLE).min(order.len());
    for place in 0..sampled {
        let other = random.random_range(place..order.len());
        order.swap(place, other);
    }
    order.truncate(sampled);
    let sample: Vec<&[f32]> = order.iter().map(|row| all[*row as usize]).collect();
    let mut centroids = sample.iter().take(cells).flat_map(|row| row.iter().copied()).collect::<Vec<f32>>();
    for round in 0..ROUNDS {
        progress.tick(stage, round as u64, Some(ROUNDS as u64));
        let homes = assign(&sample, &centroids, dim, progress)?;
        let mut sums = vec![0.0_f64; cells * dim];
        for (row, home) in sample.iter().zip(&homes) {
            let sum = &mut sums[*home as usize * dim..(*home as usize + 1) * dim];
            sum.iter_mut().zip(*row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        for (centroid, sum) in centroids.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)) {
            let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            // A cell that lost all its rows keeps its place.
            if norm > 0.0 {
                centroid.iter_mut().zip(sum).for_each(|(centroid, sum)| *centroid = (sum / norm) as f32);
            }
        }
    }
    Ok(centroids)
}

/// The nearest centroid of each row; the first of equals.
fn assign(rows: &[&[f32]], centroids: &[f32], dim: usize, progress: &dyn Progress) -> Result<Vec<u32>, EmbeddingError> {
    let cells = centroids.len() / dim;
    let parts: Vec<Vec<u32>> = rows
        .par_chunks(BLOCK)
        .map(|rows| {
            progress.check()?;
            let block = rows.concat();
            let mut near = vec![0.0; rows.len() * cells];
            products(&block, centroids, dim, &mut near);
            let nearest = |near: &[f32]| {
                let mut best = (f32::NEG_INFINITY, 0);
                for (cell, &value) in near.iter().enumerate() {
                    if value > best.0 {
                        best = (value, cell as u32);
                    }
                }
                best.1
            };
            Ok(near.chunks_exact(cells).map(nearest).collect())
        })
        .collect::<Result<_, EmbeddingError>>()?;
    Ok(parts.concat())
}
