//! Cosine costs of the custom rows to the reference rows, strip by strip.
//!
//! Purpose: C_ij = 1 - cos(x_i, y_j) by matrix products of a strip of custom rows with all reference rows, and the
//! median of each reference's costs. Constraints: never holds more than one strip, except for a median of at most
//! 10⁷ costs; the reference rows lie together, each reference padded to whole groups of 32 columns.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::entries::LANES;
use super::products::{self, Float, Integer, Packed, Survey};
use super::{Points, TransportError};
use crate::jobs::Progress;

/// Up to this many costs the median is exact.
const EXACT_MEDIAN: usize = 10_000_000;
/// Above: this many costs, of sampled rows to all reference rows, or to this many sampled ones.
const MEDIAN_SAMPLE: usize = 4_000_000;
const MEDIAN_COLUMNS: usize = 2048;
/// A strip is worked on between two looks at the cancel flag: 1 GFLOP is about 10 ms of one core.
const STRIP_FLOPS: usize = 1 << 30;
/// A strip of `faer`'s products, whose operands it rearranges for every call, and one of micro-kernels, which stays in
/// the second-level cache for the passes that follow.
const STRIP_BYTES: usize = 4 << 20;
const SMALL_STRIP_BYTES: usize = 512 << 10;
/// ‖row‖² below this is a zero vector.
const TINY_SQUARE: f64 = 1e-12;
const UNIT_TOLERANCE: f64 = 2e-6;
const SURVEY_ROWS: usize = 256;

/// The columns of one reference within the padded layout, in groups.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// `safe` or `harmful`, for messages.
    pub name: &'static str,
    pub rows: usize,
    pub start: usize,
    pub groups: usize,
}

/// The custom rows and all references, checked.
pub(crate) struct Clouds<'a> {
    /// Custom rows.
    pub rows: usize,
    pub dim: usize,
    pub blocks: Vec<Block>,
    /// Groups of 32 columns over all blocks.
    pub groups: usize,
    /// Unit custom rows: the caller's, or a scaled copy where they are not of unit length.
    x: Cow<'a, [f32]>,
    /// Unit reference rows, zero rows as padding.
    y: Vec<f32>,
    /// For products by micro-kernels, where the processor has the instructions.
    packed: Option<Packed<Float>>,
    integer: Option<Packed<Integer>>,
}

/// Σ v².
fn square(values: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (whole, rest) = values.as_chunks::<8>();
    for values in whole {
        for k in 0..8 {
            lanes[k] += f64::from(values[k]) * f64::from(values[k]);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>()
}

/// ‖row‖ of every row; an error for rows without a direction.
fn norms(set: &'static str, points: Points<'_>) -> Result<Vec<f64>, TransportError> {
    if points.rows == 0 {
        return Err(TransportError::Empty { set });
    }
    if points.dim == 0 {
        return Err(TransportError::ZeroVector { set, row: 0 });
    }
    points
        .data
        .par_chunks_exact(points.dim)
        .enumerate()
        .with_min_len(1024)
        .map(|(row, values)| {
            let square = square(values);
            if !square.is_finite() {
                return Err(TransportError::NotFinite { set, row });
            }
            if square < TINY_SQUARE {
                return Err(TransportError::ZeroVector { set, row });
            }
            Ok(square.sqrt())
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

/// The rows at unit length: as they are where they have it.
fn unit<'a>(set: &'static str, points: Points<'a>) -> Result<Cow<'a, [f32]>, TransportError> {
    let norms = norms(set, points)?;
    if norms.iter().all(|norm| (norm - 1.0).abs() <= UNIT_TOLERANCE) {
        return Ok(Cow::Borrowed(points.data));
    }
    let rows = points.data.chunks_exact(points.dim).zip(norms);
    Ok(rows.flat_map(|(row, norm)| row.iter().map(move |value| (f64::from(*value) / norm) as f32)).collect())
}

impl<'a> Clouds<'a> {
    /// Checks every set and lays the references side by side.
    pub(crate) fn new(custom: Points<'a>, references: &[(&'static str, Points<'_>)]) -> Result<Self, TransportError> {
        let x = unit("custom", custom)?;
        let dim = custom.dim;
        let mut blocks = Vec::with_capacity(references.len());
        let mut groups = 0;
        for (name, points) in references {
            if points.rows > 0 && points.dim != dim {
                return Err(TransportError::Dimensions { set: name, expected: dim, found: points.dim });
            }
            let wide = points.rows.div_ceil(LANES);
            blocks.push(Block { name, rows: points.rows, start: groups, groups: wide });
            groups += wide;
        }
        let mut y = vec![0.0; groups * LANES * dim];
        for ((name, points), block) in references.iter().zip(&blocks) {
            let rows = unit(name, *points)?;
            y[block.start * LANES * dim..][..rows.len()].copy_from_slice(&rows);
        }
        Ok(Self { rows: custom.rows, dim, blocks, groups, x, y, packed: None, integer: None })
    }

    /// Makes ready for many products on this processor.
    pub(crate) fn packed(mut self) -> Self {
        let (float, integer) = products::detected();
        if integer {
            let survey = |rows: &[f32]| {
                let parts = rows.par_chunks(SURVEY_ROWS * self.dim).map(|part| Survey::of(part, self.dim));
                parts.reduce(Survey::default, Survey::join)
            };
            let integer = Integer::new(&survey(&self.x), &survey(&self.y));
            self.integer = Some(Packed::new(&self.y, self.dim, integer));
        }
        if float {
            self.packed = Some(Packed::new(&self.y, self.dim, Float));
        }
        self
    }

    /// Rows of a strip: small enough to stay in the cache and to hear a cancel.
    pub(crate) fn strip_rows(&self) -> usize {
        let columns = self.groups * LANES;
        let by_flops = STRIP_FLOPS / (2 * columns * self.dim);
        if self.packed.is_some() {
            let rows = (SMALL_STRIP_BYTES / (4 * columns)).clamp(products::STRIP, 504).min(by_flops);
            return (rows / products::TALL * products::TALL).max(products::TALL);
        }
        ((STRIP_BYTES / (4 * columns)).min(by_flops) / 8 * 8).clamp(8, 512)
    }

    /// Unit custom rows, n×d.
    pub(crate) fn custom(&self) -> &[f32] {
        &self.x
    }

    /// Unit reference rows of all blocks, 32 a group, zero rows as padding.
    pub(crate) fn references(&self) -> &[f32] {
        &self.y
    }

    /// Cosines of the custom rows `first..first + rows` with all columns into the front of `out`; padding gets 0.
    pub(crate) fn cosines(&self, first: usize, rows: usize, out: &mut [[f32; LANES]]) {
        self.exact(self.rows(first, rows), out);
    }

    /// As [`Clouds::cosines`], to 10⁻⁵ and at twice the rate where the processor can.
    pub(crate) fn fast_cosines(&self, first: usize, rows: usize, out: &mut [[f32; LANES]]) {
        self.fast(self.rows(first, rows), out);
    }

    /// [`Clouds::fast_cosines`] of any rows.
    pub(crate) fn fast_cosines_of(&self, rows: &[usize], out: &mut [[f32; LANES]]) {
        self.fast(&self.chosen(rows), out);
    }

    /// [`Clouds::cosines`] and [`Clouds::fast_cosines`] of any rows.
    pub(crate) fn both_cosines(&self, rows: &[usize], exact: &mut [[f32; LANES]], fast: &mut [[f32; LANES]]) {
        let x = self.chosen(rows);
        self.exact(&x, exact);
        self.fast(&x, fast);
    }

    fn chosen(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|row| self.rows(*row, 1)).copied().collect()
    }

    fn rows(&self, first: usize, rows: usize) -> &[f32] {
        &self.x[first * self.dim..(first + rows) * self.dim]
    }

    fn fast(&self, x: &[f32], out: &mut [[f32; LANES]]) {
        match &self.integer {
            Some(integer) => integer.product(x, self.dim, out),
            None => self.exact(x, out),
        }
    }

    fn exact(&self, x: &[f32], out: &mut [[f32; LANES]]) {
        match &self.packed {
            Some(packed) => packed.product(x, self.dim, out),
            None => self.product(x, &self.y, self.groups * LANES, out),
        }
    }

    fn product(&self, x: &[f32], y: &[f32], columns: usize, out: &mut [[f32; LANES]]) {
        let (rows, dim) = (x.len() / self.dim, self.dim);
        let out = &mut out.as_flattened_mut()[..rows * columns];
        matmul(
            MatMut::from_row_major_slice_mut(out, rows, columns),
            Accum::Replace,
            MatRef::from_row_major_slice(x, rows, dim),
            MatRef::from_row_major_slice(&y[..columns * dim], columns, dim).transpose(),
            1.0,
            Par::Seq,
        );
    }

    /// The median cost to one reference: exact up to 10⁷ costs, of a seeded sample of 4·10⁶ above.
    pub(crate) fn median_cost(&self, block: usize, seed: u64, progress: &dyn Progress) -> Result<f64, TransportError> {
        let Some(block) = self.blocks.get(block) else { return Ok(f64::NAN) };
        let from = block.start * LANES * self.dim;
        let y = &self.y[from..from + block.groups * LANES * self.dim];
        let n = self.rows;
        let (rows, reference): (Vec<usize>, Option<Vec<f32>>) = if n * block.rows <= EXACT_MEDIAN {
            ((0..n).collect(), None)
        } else {
            let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x6d65_6469_616e);
            let columns = block.rows.min(MEDIAN_COLUMNS);
            let rows = (0..MEDIAN_SAMPLE / columns).map(|_| random.random_range(0..n)).collect();
            let sample = (block.rows > columns).then(|| {
                let mut sample = Vec::with_capacity(columns.next_multiple_of(LANES) * self.dim);
                for _ in 0..columns {
                    let row = random.random_range(0..block.rows) * self.dim;
                    sample.extend_from_slice(&y[row..row + self.dim]);
                }
                sample.resize(columns.next_multiple_of(LANES) * self.dim, 0.0);
                sample
            });
            (rows, sample)
        };
        let columns = reference.as_ref().map_or(block.rows, |_| MEDIAN_COLUMNS);
        let y = reference.as_deref().unwrap_or(y);
        let padded = columns.next_multiple_of(LANES);
        let height = (STRIP_FLOPS / (2 * padded * self.dim)).min(STRIP_BYTES / (4 * padded)).clamp(8, 512);
        let strips: Vec<Vec<u32>> = rows
            .par_chunks(height)
            .map(|rows| {
                progress.check()?;
                let mut strip = vec![[0.0; LANES]; rows.len() * padded / LANES];
                let x: Vec<f32> = rows.iter().flat_map(|row| self.rows(*row, 1)).copied().collect();
                self.product(&x, y, padded, &mut strip);
                let mut costs = Vec::with_capacity(rows.len() * columns);
                for cosines in strip.as_flattened().chunks_exact(padded) {
                    // Non-negative floats order as their bits.
                    costs.extend(cosines[..columns].iter().map(|c| (1.0 - c).max(0.0).to_bits()));
                }
                Ok(costs)
            })
            .collect::<Result<_, TransportError>>()?;
        Ok(median(&strips))
    }
}

/// The middle value (the mean of the two middle ones for an even count) of float bits, by two counting passes.
fn median(strips: &[Vec<u32>]) -> f64 {
    let count: usize = strips.iter().map(Vec::len).sum();
    let high = counts(strips, |bits| Some(bits >> 16));
    let within = |high: u32| counts(strips, move |bits| (bits >> 16 == high).then_some(bits & 0xffff));
    let (upper, upper_below) = locate(&high, count / 2);
    let upper_counts = within(upper);
    let value = |high: u32, low: u32| f64::from(f32::from_bits(high << 16 | low));
    let (low, _) = locate(&upper_counts, count / 2 - upper_below);
    let middle = value(upper, low);
    if count % 2 == 1 {
        return middle;
    }
    let rank = (count / 2).saturating_sub(1);
    let (lower, below) = locate(&high, rank);
    let (low, _) =
        if lower == upper { locate(&upper_counts, rank - below) } else { locate(&within(lower), rank - below) };
    (value(lower, low) + middle) / 2.0
}

/// How often each 16-bit value stands for an entry.
fn counts(strips: &[Vec<u32>], of: impl Fn(u32) -> Option<u32> + Sync) -> Vec<usize> {
    let part = strips.len().div_ceil(rayon::current_num_threads()).max(1);
    let empty = || vec![0usize; 1 << 16];
    let parts = strips.par_chunks(part).map(|strips| {
        let mut counts = empty();
        for value in strips.iter().flatten().filter_map(|bits| of(*bits)) {
            counts[value as usize & 0xffff] += 1;
        }
        counts
    });
    parts.reduce(empty, |mut all, part| {
        all.iter_mut().zip(part).for_each(|(all, part)| *all += part);
        all
    })
}

/// The 16-bit value at `rank` in ascending order, and how many lie below it.
fn locate(counts: &[usize], rank: usize) -> (u32, usize) {
    let mut below = 0;
    for (value, count) in counts.iter().enumerate() {
        if rank < below + count {
            return (value as u32, below);
        }
        below += count;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_equals_that_of_a_sorted_list() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for count in [1, 2, 3, 10, 1001, 1002] {
            let values: Vec<f32> = (0..count).map(|_| random.random_range(0.0f32..2.0)).collect();
            let mut sorted = values.clone();
            sorted.sort_by(f32::total_cmp);
            let middle = |k: usize| f64::from(sorted[k]);
            let exact =
                if count % 2 == 1 { middle(count / 2) } else { (middle(count / 2 - 1) + middle(count / 2)) / 2.0 };
            let strips: Vec<Vec<u32>> =
                values.chunks(7).map(|part| part.iter().map(|v| v.to_bits()).collect()).collect();
            assert_eq!(median(&strips), exact);
        }
    }
}
