//! A compressed sparse matrix of counts, and its product with a dense matrix.
//!
//! Constraints: 4 bytes an entry; products are bit-equal for any thread count, because every output row is
//! summed by one thread in the order of the entries.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::features::{Entry, MAX_COUNT};
use crate::jobs::{Cancelled, Progress};

/// Rows that a thread takes at once.
const ROWS_A_TASK: usize = 64;

/// Entries by row. The value of an entry is `tf(count)`; rows and columns are scaled by the caller.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse {
    starts: Vec<usize>,
    entries: Vec<Entry>,
}

impl Sparse {
    pub(super) fn from_rows(rows: &[Vec<Entry>]) -> Self {
        let mut starts = Vec::with_capacity(rows.len() + 1);
        let mut entries = Vec::with_capacity(rows.iter().map(Vec::len).sum());
        starts.push(0);
        for row in rows {
            entries.extend_from_slice(row);
            starts.push(entries.len());
        }
        Self { starts, entries }
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn row(&self, index: usize) -> &[Entry] {
        match (self.starts.get(index), self.starts.get(index + 1)) {
            (Some(&start), Some(&end)) => self.entries.get(start..end).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// The same matrix by column, `columns` wide.
    pub(super) fn transposed(&self, columns: usize) -> Self {
        let mut starts = vec![0usize; columns + 1];
        for entry in &self.entries {
            if let Some(start) = starts.get_mut(entry.index() + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut entries = vec![Entry::new(0, 0); sum];
        for row in 0..self.rows() {
            for entry in self.row(row) {
                let Some(slot) = next.get_mut(entry.index()) else { continue };
                if let Some(target) = entries.get_mut(*slot) {
                    *target = Entry::new(row as u32, entry.count());
                }
                *slot += 1;
            }
        }
        Self { starts, entries }
    }

    /// `out = diag(scale) · self · dense`, all row-major and `width` wide. `dense` carries the column scales.
    pub(super) fn multiply(
        &self,
        scale: &[f32],
        dense: &[f32],
        out: &mut [f32],
        width: usize,
        progress: &dyn Progress,
    ) -> Result<(), Cancelled> {
        let tf = Tf::new();
        let arch = Arch::new();
        out.par_chunks_mut((ROWS_A_TASK * width).max(1)).enumerate().try_for_each(|(task, out)| {
            progress.check()?;
            for (i, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
                let row = task * ROWS_A_TASK + i;
                let scale = scale.get(row).copied().unwrap_or(0.0);
                sum_row(arch, &tf, self.row(row), scale, dense, out);
            }
            Ok(())
        })
    }
}

/// `out = scale · Σ tf(count) · dense[index]`.
pub(super) fn sum_row(arch: Arch, tf: &Tf, entries: &[Entry], scale: f32, dense: &[f32], out: &mut [f32]) {
    arch.dispatch(SumRow { tf, entries, scale, dense, out });
}

/// A struct and no closure: the call of a closure may stay out of line, and is then compiled without the
/// instructions that were dispatched to.
struct SumRow<'a> {
    tf: &'a Tf,
    entries: &'a [Entry],
    scale: f32,
    dense: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for SumRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { tf, entries, scale, dense, out } = self;
        let width = out.len();
        let (wide, rest) = out.as_chunks_mut::<WIDE>();
        for (k, out) in wide.iter_mut().enumerate() {
            *out = sum_lanes(tf, entries, scale, dense, width, k * WIDE);
        }
        let done = wide.len() * WIDE;
        let (narrow, rest) = rest.as_chunks_mut::<NARROW>();
        for (k, out) in narrow.iter_mut().enumerate() {
            *out = sum_lanes(tf, entries, scale, dense, width, done + k * NARROW);
        }
        let done = done + narrow.len() * NARROW;
        for (k, out) in rest.iter_mut().enumerate() {
            [*out] = sum_lanes(tf, entries, scale, dense, width, done + k);
        }
    }
}

/// Lanes that are summed at once: few enough to stay in registers, so that many rows of `dense` are on their way
/// from memory at the same time.
const WIDE: usize = 128;
const NARROW: usize = 16;

#[inline(always)]
fn sum_lanes<const N: usize>(
    tf: &Tf,
    entries: &[Entry],
    scale: f32,
    dense: &[f32],
    width: usize,
    from: usize,
) -> [f32; N] {
    let mut sums = [0.0; N];
    for entry in entries {
        let start = entry.index() * width + from;
        let Some(source) = dense.get(start..).and_then(|rest| rest.first_chunk::<N>()) else { continue };
        let factor = tf.of(entry.count());
        for k in 0..N {
            sums[k] += factor * source[k];
        }
    }
    for sum in &mut sums {
        *sum *= scale;
    }
    sums
}

/// Sublinear term frequency, 1 + ln(count), by table.
#[derive(Debug, Clone)]
pub(super) struct Tf(Vec<f32>);

impl Tf {
    pub(super) fn new() -> Self {
        Self((0..=MAX_COUNT).map(|n| if n == 0 { 0.0 } else { (1.0 + f64::from(n).ln()) as f32 }).collect())
    }

    pub(super) fn of(&self, count: u32) -> f32 {
        self.0.get(count as usize).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_any_width_equals_a_plain_sum() {
        let (arch, tf) = (Arch::new(), Tf::new());
        let entries: Vec<Entry> = [(0, 1), (2, 5), (3, 2)].map(|(index, count)| Entry::new(index, count)).into();
        for width in [1, 15, 16, 17, 128, 272, 301] {
            let dense: Vec<f32> = (0..4 * width).map(|k| ((k * 37) % 101) as f32 / 101.0).collect();
            let mut out = vec![f32::NAN; width];
            sum_row(arch, &tf, &entries, 0.5, &dense, &mut out);
            for (k, out) in out.iter().enumerate() {
                let exact: f64 = entries
                    .iter()
                    .map(|e| (1.0 + f64::from(e.count()).ln()) * f64::from(dense[e.index() * width + k]))
                    .sum();
                assert!((f64::from(*out) - 0.5 * exact).abs() < 1e-6, "width {width}, column {k}");
            }
        }
    }
}
