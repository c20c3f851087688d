//! What speaks against a pair of references, read off the vectors of the three sets.
//!
//! Purpose: a ranking is worth what its references are worth. Five looks, none of which reads a label:
//! - *likeness*: does the safe reference look like the custom rows? Of a seeded sample of each, the share of the
//!   [`LIKENESS_NEIGHBOURS`] nearest rows of a safe row that are safe rows too (Schilling 1986, the nearest-neighbour test
//!   of two samples): one half where both are alike, one where nothing is. A general safe reference did worse than no
//!   filtering in the paper (HmS 0.543 against 0.426).
//! - *mixing*: the share of each reference's rows whose [`NEIGHBOURS`] nearest rows of the other reference are nearer than
//!   those of its own, itself left out; and twins, rows that stand in both.
//! - *suspects*: rows among these that stand out from their own reference, by more than [`OUTLYING`] robust standard
//!   deviations (1.4826 MAD) above the median of that difference: likely filed on the wrong side.
//! - *repeats*: the share of a reference that has a near twin in it.
//! - *coverage*: custom rows to which no reference is as near as references are to each other (the first percentile of
//!   each one's nearest other). Pull and push say little there.
//!
//! Constraints: of large sets a seeded sample of [`SAMPLE`] rows of each reference is looked at; every custom row is, for
//! coverage; strips of fixed size, so that the answer does not hang on the number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::SelectionError;
use crate::jobs::{Cancelled, Progress};
use crate::transport::{Points, Problem, Side};

/// Rows of each reference that are looked at.
pub const SAMPLE: usize = 2000;
/// Nearest rows that are compared.
pub const NEIGHBOURS: usize = 10;
/// Rows of the custom set and of the safe reference in the test of likeness.
pub const LIKENESS_SAMPLE: usize = 1000;
/// Nearest rows in that test.
pub const LIKENESS_NEIGHBOURS: usize = 5;
/// Fewer rows tell nothing of likeness.
const LIKENESS_FEWEST: usize = 20;
/// Rows are twins from this cosine on.
pub const TWIN: f64 = 0.99;
/// Robust standard deviations from which a row stands out.
pub const OUTLYING: f64 = 3.0;
/// Share of references that may be farther from their nearest than the threshold of coverage.
const COVERAGE_TAIL: f64 = 0.01;
/// Suspects and twins that are told.
const TOLD: usize = 50;
const STRIP: usize = 64;
/// References that are compared at once for coverage.
const BLOCK: usize = 256;

/// A reference row that looks like the other reference.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Suspect {
    pub side: Side,
    /// Its row in that reference.
    pub row: usize,
    /// Mean cosine to its nearest rows of its own reference, itself left out.
    pub own: f64,
    /// Mean cosine to the nearest rows of the other.
    pub other: f64,
    /// How many robust standard deviations the difference stands out.
    pub outlying: f64,
}

/// A safe and a harmful row that are nearly the same.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Twins {
    pub safe: usize,
    pub harmful: usize,
    pub cosine: f64,
}

/// What was found of one reference.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct OfReference {
    pub rows: usize,
    /// Rows that were looked at.
    pub sampled: usize,
    /// Share of these that are nearer to the other reference; `None` where there are too few rows.
    pub misplaced: Option<f64>,
    /// Share of these that have a near twin in their own reference.
    pub repeated: f64,
}

/// Custom rows without a reference near them.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Coverage {
    /// Cosine that the nearest reference must reach.
    pub threshold: f64,
    /// Indices of the rows for which none does, ascending.
    pub uncovered: Vec<u32>,
    pub rows: usize,
}

impl Coverage {
    /// Share of the custom rows that are not covered.
    pub fn share(&self) -> f64 {
        self.uncovered.len() as f64 / self.rows.max(1) as f64
    }
}

/// The figures of all looks.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Health {
    /// Share of a safe row's nearest rows that are safe, against as many custom rows; `None` with too few rows.
    pub likeness: Option<f64>,
    pub safe: OfReference,
    pub harmful: OfReference,
    /// The most alike first, at most 50; `twins_in_all` counts the rows of the safe reference that have one.
    pub twins: Vec<Twins>,
    pub twins_in_all: usize,
    /// The most outlying first, at most 50.
    pub suspects: Vec<Suspect>,
    pub suspects_in_all: usize,
    pub coverage: Coverage,
}

/// Looks at the vectors of a problem.
///
/// # Errors
/// A set has no rows or other dimensions than the rest, or the user cancelled.
pub fn check(problem: &Problem<'_>, seed: u64, progress: &dyn Progress) -> Result<Health, SelectionError> {
    let sets = [problem.custom, problem.safe, problem.harmful];
    if sets.iter().any(|set| set.rows == 0 || set.dim == 0 || set.dim != problem.custom.dim) {
        return Err(SelectionError::Outcome(
            "a set has no vectors, or vectors of another encoder; embed the sets again".to_owned(),
        ));
    }
    progress.tick("checking the references", 0, Some(3));
    let safe = Sample::new(problem.safe, SAMPLE, seed);
    let harmful = Sample::new(problem.harmful, SAMPLE, seed);
    let of_safe = neighbours(&safe, &harmful, progress)?;
    let of_harmful = neighbours(&harmful, &safe, progress)?;
    progress.tick("checking the references", 1, Some(3));
    let likeness = likeness(problem, seed, progress)?;
    progress.tick("checking the references", 2, Some(3));
    let coverage = coverage(problem.custom, [(&safe, &of_safe), (&harmful, &of_harmful)], progress)?;

    let mut suspects = suspects(Side::Safe, &safe, &of_safe);
    suspects.extend(self::suspects(Side::Harmful, &harmful, &of_harmful));
    suspects.sort_by(|a, b| b.outlying.total_cmp(&a.outlying).then(a.row.cmp(&b.row)));
    let mut twins: Vec<Twins> = of_safe
        .iter()
        .zip(&safe.rows)
        .filter(|(near, _)| near.best_other.0 >= TWIN)
        .filter_map(|(near, row)| {
            Some(Twins { safe: *row, harmful: *harmful.rows.get(near.best_other.1)?, cosine: near.best_other.0 })
        })
        .collect();
    twins.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.safe.cmp(&b.safe)));
    let (suspects_in_all, twins_in_all) = (suspects.len(), twins.len());
    suspects.truncate(TOLD);
    twins.truncate(TOLD);
    Ok(Health {
        likeness,
        safe: of_reference(problem.safe.rows, &of_safe),
        harmful: of_reference(problem.harmful.rows, &of_harmful),
        twins,
        twins_in_all,
        suspects,
        suspects_in_all,
        coverage,
    })
}

/// Some rows of a set, in their order, and their vectors.
struct Sample {
    rows: Vec<usize>,
    data: Vec<f32>,
    dim: usize,
}

impl Sample {
    fn new(points: Points<'_>, most: usize, seed: u64) -> Self {
        let mut rows: Vec<usize> = (0..points.rows).collect();
        if points.rows > most {
            rows = rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(seed), points.rows, most).into_vec();
            rows.sort_unstable();
        }
        let dim = points.dim;
        let data = rows.iter().filter_map(|row| points.data.get(row * dim..(row + 1) * dim)).flatten().copied();
        Self { data: data.collect(), rows, dim }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }
}

/// How near a reference row is to others.
#[derive(Debug, Clone, Copy)]
struct Near {
    /// Mean cosine to the nearest of its own reference, and the largest; itself left out.
    own: f64,
    best_own: f64,
    other: f64,
    /// The largest cosine to the other reference, and where.
    best_other: (f64, usize),
}

/// Cosines of the rows of `queries` with every row of `pool`, a strip at a time, told to `of_row` with the row's place.
fn by_strips<T: Send>(
    queries: &[f32],
    pool: &[f32],
    dim: usize,
    progress: &dyn Progress,
    of_row: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Result<Vec<T>, Cancelled> {
    let count = pool.len() / dim.max(1);
    let strips: Vec<Vec<T>> = queries
        .par_chunks(STRIP * dim.max(1))
        .enumerate()
        .map(|(strip, rows)| {
            progress.check()?;
            let height = rows.len() / dim.max(1);
            let mut cosines = vec![0.0f32; height * count];
            matmul(
                MatMut::from_row_major_slice_mut(&mut cosines, height, count),
                Accum::Replace,
                MatRef::from_row_major_slice(rows, height, dim),
                MatRef::from_row_major_slice(pool, count, dim).transpose(),
                1.0,
                Par::Seq,
            );
            let rows = cosines.chunks_exact_mut(count.max(1)).enumerate();
            Ok(rows.map(|(at, cosines)| of_row(strip * STRIP + at, cosines)).collect())
        })
        .collect::<Result<_, Cancelled>>()?;
    Ok(strips.into_iter().flatten().collect())
}

/// The largest value and its first place.
fn largest(values: &[f32]) -> (f64, usize) {
    let first = |best: (f64, usize), (at, value): (usize, &f32)| {
        if f64::from(*value) > best.0 { (f64::from(*value), at) } else { best }
    };
    values.iter().enumerate().fold((f64::NEG_INFINITY, 0), first)
}

/// Mean of the `count` largest values; the order of `values` is lost.
fn mean_of_largest(values: &mut [f32], count: usize) -> f64 {
    let count = count.clamp(1, values.len().max(1));
    if count < values.len() {
        values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    }
    let mut largest: Vec<f32> = values.iter().take(count).copied().collect();
    largest.sort_unstable_by(|a, b| b.total_cmp(a));
    largest.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64
}

fn neighbours(own: &Sample, other: &Sample, progress: &dyn Progress) -> Result<Vec<Near>, Cancelled> {
    // As many on both sides, so that a small reference is not judged by farther rows.
    let count = NEIGHBOURS.min(own.len().saturating_sub(1)).min(other.len()).max(1);
    let to_own = by_strips(&own.data, &own.data, own.dim, progress, |row, cosines| {
        if let Some(itself) = cosines.get_mut(row) {
            *itself = f32::NEG_INFINITY;
        }
        (largest(cosines).0, mean_of_largest(cosines, count))
    })?;
    let to_other = by_strips(&own.data, &other.data, own.dim, progress, |_, cosines| {
        (largest(cosines), mean_of_largest(cosines, count))
    })?;
    let pairs = to_own.into_iter().zip(to_other);
    Ok(pairs.map(|((best_own, own), (best_other, other))| Near { own, best_own, other, best_other }).collect())
}

fn of_reference(rows: usize, near: &[Near]) -> OfReference {
    let share = |is: fn(&Near) -> bool| near.iter().filter(|near| is(near)).count() as f64 / near.len().max(1) as f64;
    OfReference {
        rows,
        sampled: near.len(),
        misplaced: (near.len() > 1).then(|| share(|near| near.other > near.own)),
        repeated: share(|near| near.best_own >= TWIN),
    }
}

fn suspects(side: Side, sample: &Sample, near: &[Near]) -> Vec<Suspect> {
    let difference: Vec<f64> = near.iter().map(|near| near.other - near.own).collect();
    let middle = median(difference.clone());
    let spread = 1.4826 * median(difference.iter().map(|value| (value - middle).abs()).collect());
    if near.len() < 3 || spread.is_nan() || spread <= 0.0 {
        return Vec::new();
    }
    near.iter()
        .zip(&difference)
        .zip(&sample.rows)
        .map(|((near, difference), row)| Suspect {
            side,
            row: *row,
            own: near.own,
            other: near.other,
            outlying: (difference - middle) / spread,
        })
        .filter(|suspect| suspect.other > suspect.own && suspect.outlying > OUTLYING)
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 {
        at(values.len() / 2)
    } else {
        (at(values.len() / 2) + at((values.len() / 2).wrapping_sub(1))) / 2.0
    }
}

/// The share of safe rows among the nearest of a safe row, in equal samples of safe and custom rows.
fn likeness(problem: &Problem<'_>, seed: u64, progress: &dyn Progress) -> Result<Option<f64>, Cancelled> {
    let size = problem.safe.rows.min(problem.custom.rows).min(LIKENESS_SAMPLE);
    if size < LIKENESS_FEWEST {
        return Ok(None);
    }
    let (safe, custom) = (Sample::new(problem.safe, size, seed), Sample::new(problem.custom, size, seed));
    let pool: Vec<f32> = safe.data.iter().chain(&custom.data).copied().collect();
    let of_row = |row: usize, cosines: &mut [f32]| {
        if let Some(itself) = cosines.get_mut(row) {
            *itself = f32::NEG_INFINITY;
        }
        let mut order: Vec<(f32, usize)> = cosines.iter().copied().zip(0..).collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        order.iter().take(LIKENESS_NEIGHBOURS).filter(|(_, at)| *at < size).count()
    };
    let safe_near: Vec<usize> = by_strips(&safe.data, &pool, safe.dim, progress, of_row)?;
    Ok(Some(safe_near.iter().sum::<usize>() as f64 / (size * LIKENESS_NEIGHBOURS) as f64))
}

fn coverage(
    custom: Points<'_>,
    references: [(&Sample, &Vec<Near>); 2],
    progress: &dyn Progress,
) -> Result<Coverage, Cancelled> {
    let mut nearest: Vec<f64> =
        references.iter().flat_map(|(_, near)| near.iter().map(|near| near.best_own.max(near.best_other.0))).collect();
    nearest.sort_unstable_by(f64::total_cmp);
    let place = (COVERAGE_TAIL * nearest.len() as f64) as usize;
    let threshold = nearest.get(place).copied().unwrap_or(-1.0);
    let pool: Vec<f32> = references.iter().flat_map(|(sample, _)| sample.data.iter().copied()).collect();
    let strips: Vec<Vec<u32>> = custom
        .data
        .par_chunks(STRIP * custom.dim)
        .enumerate()
        .map(|(strip, rows)| far_from(rows, (strip * STRIP) as u32, &pool, custom.dim, threshold, progress))
        .collect::<Result<_, Cancelled>>()?;
    Ok(Coverage { threshold, uncovered: strips.concat(), rows: custom.rows })
}

/// The rows of a strip that no reference of the pool is as near as the threshold. Most rows have such a reference among
/// the first few, so the references are taken block by block, and a row that has one is not looked at again.
fn far_from(
    rows: &[f32],
    first: u32,
    pool: &[f32],
    dim: usize,
    threshold: f64,
    progress: &dyn Progress,
) -> Result<Vec<u32>, Cancelled> {
    progress.check()?;
    let mut left: Vec<u32> = (first..).take(rows.len() / dim).collect();
    let mut vectors = rows.to_vec();
    for block in pool.chunks(BLOCK * dim) {
        let (height, count) = (left.len(), block.len() / dim);
        let mut cosines = vec![0.0f32; height * count];
        matmul(
            MatMut::from_row_major_slice_mut(&mut cosines, height, count),
            Accum::Replace,
            MatRef::from_row_major_slice(&vectors, height, dim),
            MatRef::from_row_major_slice(block, count, dim).transpose(),
            1.0,
            Par::Seq,
        );
        let far: Vec<bool> = cosines.chunks_exact(count).map(|cosines| largest(cosines).0 < threshold).collect();
        let kept = vectors.chunks_exact(dim).zip(&far).filter(|(_, far)| **far);
        vectors = kept.flat_map(|(vector, _)| vector.iter().copied()).collect();
        left = left.into_iter().zip(far).filter(|(_, far)| *far).map(|(row, _)| row).collect();
        if left.is_empty() {
            break;
        }
    }
    Ok(left)
}
