//! The k nearest neighbours of every row.
//!
//! Blocks of dot products within and between near cells ([`super::cells`]), then two passes over the neighbours of
//! neighbours: Dong, Moses and Li, "Efficient k-nearest neighbor graph construction for generic similarity measures"
//! (2011). Ties go to the lower place, so the graph is the same for any number of threads.

use rayon::prelude::*;

use super::cells::{Cells, EXACT};
use super::{pool, products};
use crate::embedding::{EmbeddingError, Embeddings};
use crate::jobs::Progress;

const STAGE: &str = "finding neighbours";
/// Rows and columns of one block of dot products.
const QUERIES: usize = 128;
const TARGETS: usize = 1024;
/// Passes over the neighbours of neighbours.
const PASSES: usize = 2;
/// Rows that name this one as their neighbour and are looked at in a pass.
const REVERSE: usize = 15;

/// A directed graph: `k` neighbours of each row, nearest first, itself left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    pub k: usize,
    /// n × k rows over all sets.
    pub rows: Vec<u32>,
    /// n × k Euclidean distances of the unit vectors, ascending.
    pub distances: Vec<f32>,
}

/// The graph of all sets together; exact up to 12,000 rows, above that nearly so.
///
/// # Errors
/// Sets differ in width, threads cannot be started, or the user cancelled.
pub fn nearest_neighbours(
    sets: &[&Embeddings],
    k: usize,
    seed: u64,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Neighbours, EmbeddingError> {
    pool(threads)?.install(|| find(sets, k, seed, progress))
}

/// The same by looking at every pair.
///
/// # Errors
/// As [`nearest_neighbours`].
pub fn exact_neighbours(
    sets: &[&Embeddings],
    k: usize,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Neighbours, EmbeddingError> {
    pool(threads)?.install(|| search(&Cells::new(sets, usize::MAX, 0, progress)?, k, progress))
}

pub(super) fn find(
    sets: &[&Embeddings],
    k: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Neighbours, EmbeddingError> {
    search(&Cells::new(sets, EXACT, seed, progress)?, k, progress)
}

/// The best `k` so far of one row, nearest first.
struct Best<'a> {
    /// Largest dot product first; equal ones by place.
    near: &'a mut [(f32, u32)],
}

impl Best<'_> {
    fn worst(&self) -> f32 {
        self.near.last().map_or(f32::INFINITY, |(dot, _)| *dot)
    }

    /// A NaN is never nearer than anything.
    fn offer(&mut self, dot: f32, place: u32) {
        let Some(last) = self.near.last() else { return };
        if !before((dot, place), *last) || self.near.iter().any(|(_, there)| *there == place) {
            return;
        }
        let mut at = self.near.len() - 1;
        while at > 0 && before((dot, place), self.near[at - 1]) {
            self.near[at] = self.near[at - 1];
            at -= 1;
        }
        self.near[at] = (dot, place);
    }
}

fn before(a: (f32, u32), b: (f32, u32)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1 < b.1)
}

const NOBODY: (f32, u32) = (f32::NEG_INFINITY, u32::MAX);

fn search(cells: &Cells, k: usize, progress: &dyn Progress) -> Result<Neighbours, EmbeddingError> {
    let count = cells.rows.len();
    let k = k.min(count.saturating_sub(1));
    if k == 0 || cells.dim == 0 {
        return Ok(Neighbours { k: 0, rows: Vec::new(), distances: Vec::new() });
    }
    let exact = cells.probes.len() == 1;
    let passes = if exact { 0 } else { PASSES };
    let total = (count * (1 + passes)) as u64;
    let done = std::sync::atomic::AtomicU64::new(0);
    let advance = |rows: usize| {
        let done = done.fetch_add(rows as u64, std::sync::atomic::Ordering::Relaxed) + rows as u64;
        progress.tick(STAGE, done, Some(total));
    };

    let mut near = vec![NOBODY; count * k];
    // The places of a cell follow each other, so its results are one slice; large cells are cut.
    let mut pieces = Vec::new();
    let mut rest = near.as_mut_slice();
    for (cell, bounds) in cells.starts.windows(2).enumerate() {
        for first in (bounds[0]..bounds[1]).step_by(QUERIES) {
            let places = first..(first + QUERIES).min(bounds[1]);
            let (piece, after) = rest.split_at_mut(places.len() * k);
            rest = after;
            pieces.push((cell, places, piece));
        }
    }
    pieces.into_par_iter().try_for_each(|(cell, places, near)| {
        progress.check()?;
        let rows = places.len();
        look_around(cells, cell, places, near, k);
        advance(rows);
        Ok::<_, EmbeddingError>(())
    })?;
    for _ in 0..passes {
        near = descend(cells, &near, k, progress, &advance)?;
    }
    Ok(named(cells, &near, k))
}

/// Compares the rows at `places` with all rows of the cells near theirs.
fn look_around(cells: &Cells, cell: usize, places: std::ops::Range<usize>, near: &mut [(f32, u32)], k: usize) {
    let dim = cells.dim;
    let queries = &cells.data[places.start * dim..places.end * dim];
    let mut dots = vec![0.0; places.len() * TARGETS];
    for &probe in &cells.probes[cell] {
        let bounds = cells.starts[probe as usize]..cells.starts[probe as usize + 1];
        for first in bounds.clone().step_by(TARGETS) {
            let last = (first + TARGETS).min(bounds.end);
            let targets = &cells.data[first * dim..last * dim];
            let dots = &mut dots[..places.len() * (last - first)];
            products(queries, targets, dim, dots);
            let rows = dots.chunks_exact(last - first).zip(near.chunks_exact_mut(k)).zip(places.clone());
            for ((dots, near), own) in rows {
                let mut best = Best { near };
                let mut worst = best.worst();
                for (&dot, place) in dots.iter().zip(first..) {
                    if dot >= worst && place != own {
                        best.offer(dot, place as u32);
                        worst = best.worst();
                    }
                }
            }
        }
    }
}

/// One pass over the neighbours of neighbours, both ways.
fn descend(
    cells: &Cells,
    near: &[(f32, u32)],
    k: usize,
    progress: &dyn Progress,
    advance: &(dyn Fn(usize) + Sync),
) -> Result<Vec<(f32, u32)>, EmbeddingError> {
    let count = cells.rows.len();
    let mut reverse: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (place, near) in near.chunks_exact(k).enumerate() {
        for (_, other) in near {
            if let Some(list) = reverse.get_mut(*other as usize).filter(|list| list.len() < REVERSE) {
                list.push(place as u32);
            }
        }
    }
    let mut out = near.to_vec();
    out.par_chunks_mut(k * QUERIES).enumerate().try_for_each(|(block, out)| {
        progress.check()?;
        let rows = out.len() / k;
        let mut candidates = Vec::new();
        for (at, best) in out.chunks_exact_mut(k).enumerate() {
            let own = block * QUERIES + at;
            let friends =
                near[own * k..(own + 1) * k].iter().map(|(_, place)| *place).chain(reverse[own].iter().copied());
            candidates.clear();
            for friend in friends.filter(|friend| (*friend as usize) < count) {
                let theirs = &near[friend as usize * k..(friend as usize + 1) * k];
                candidates.push(friend);
                candidates.extend(theirs.iter().map(|(_, place)| *place));
            }
            candidates.sort_unstable();
            candidates.dedup();
            let mut best = Best { near: best };
            for &place in &candidates {
                if place as usize != own && (place as usize) < count {
                    best.offer(dot(cells, own, place as usize), place);
                }
            }
        }
        advance(rows);
        Ok::<_, EmbeddingError>(())
    })?;
    Ok(out)
}

/// Sixteen sums side by side, which compilers turn into vector instructions.
fn dot(cells: &Cells, a: usize, b: usize) -> f32 {
    let dim = cells.dim;
    let (a, b) = (&cells.data[a * dim..(a + 1) * dim], &cells.data[b * dim..(b + 1) * dim]);
    let mut sums = [0.0_f32; 16];
    let (wide_a, wide_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = wide_a.remainder().iter().zip(wide_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in wide_a.zip(wide_b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// From places in the cells to rows, and from dot products to distances.
fn named(cells: &Cells, near: &[(f32, u32)], k: usize) -> Neighbours {
    let count = cells.rows.len();
    let mut rows = vec![0; count * k];
    let mut distances = vec![0.0; count * k];
    for (place, near) in near.chunks_exact(k).enumerate() {
        let row = cells.rows[place] as usize;
        for (at, (dot, other)) in near.iter().enumerate() {
            // Nobody was comparable (a vector that is not finite): the row itself, which pulls nowhere.
            rows[row * k + at] = cells.rows.get(*other as usize).copied().unwrap_or(row as u32);
            distances[row * k + at] = (2.0 - 2.0 * dot).clamp(0.0, 4.0).sqrt();
        }
    }
    Neighbours { k, rows, distances }
}
