//! One read of a task's rows of the kernel: f, the new weights, and their share of the column sums.
//!
//! Purpose: row sums of a chunk give f and the new weights of its rows, and the same chunk, still in the cache, adds
//! its share to the column sums. Constraint: a task is the unit of parallel work and its cut depends on the problem
//! alone, so that sums have the same bits for any number of threads.

use super::TransportError;
use super::cost::Clouds;
use super::elementary;
use super::entries::{Group, Half, LANES, Single};
use super::kernel::{BLOCKS, PerBlock};
use super::simd::{self, Exponent, Level, Next};
use crate::jobs::Progress;

/// A chunk and the one fetched meanwhile stay in the second-level cache.
const CHUNK_BYTES: usize = 128 << 10;
/// Rows whose column sums are added in f32.
const SINGLE_ROWS: usize = 512;

/// How kernel entries are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelFormat {
    /// 4 bytes an entry.
    Single,
    /// 2 bytes an entry, an unsigned float of 6 + 10 bits.
    Half,
    /// 0 bytes an entry: cosines and exponentials again in every iteration.
    Recomputed,
}

pub(super) enum Tile {
    Single(Vec<Single>),
    Half(Vec<Half>),
    Recomputed,
}

impl Tile {
    /// Where its rows lie, for who reads them next.
    pub(super) fn next(&self, rows: usize) -> Next {
        match self {
            Self::Single(tile) => Next::of(tile, rows),
            Self::Half(tile) => Next::of(tile, rows),
            Self::Recomputed => Next::default(),
        }
    }
}

/// A fixed run of rows: the unit of parallel work.
pub(super) struct Task {
    pub first: usize,
    pub rows: usize,
    pub tile: Tile,
    /// Sums over the rows of this task, one per padded column.
    pub columns: Vec<[f64; LANES]>,
    /// Sum of the unnormalised weights w̃ of this task.
    pub mass: f64,
    /// Σ w̃ |row of the plan - 1|, and Σ w̃ f.
    pub deviation: PerBlock,
    pub value: PerBlock,
    /// Least and largest f - φ.
    pub reached: [(f64, f64); BLOCKS],
    /// A row sum left the range of f32.
    pub broken: bool,
    /// What is likely to be read after this task.
    pub following: Next,
}

/// Buffers of one worker.
#[derive(Default)]
pub(super) struct Scratch {
    pub strip: Vec<[f32; LANES]>,
    computed: Vec<Single>,
    sums: [Vec<f32>; BLOCKS],
    y: [Vec<f32>; BLOCKS],
    logs: Vec<f64>,
    ratios: [Vec<f64>; BLOCKS],
    columns: Vec<[f32; LANES]>,
}

/// Sums below this have lost entries that no longer are f32 numbers.
const SMALLEST_SUM: f64 = 1e-30;

/// Whether a sum over the kernel is exact to f32.
pub(super) fn is_sound(sum: f64) -> bool {
    sum >= SMALLEST_SUM && sum.is_finite()
}

/// log₂e/ε.
pub(super) fn rate(epsilon: f64) -> f32 {
    (std::f64::consts::LOG2_E / epsilon) as f32
}

/// Kernel entries of a strip of cosines.
pub(super) fn fill<G: Group>(
    clouds: &Clouds<'_>,
    level: Level,
    epsilon: PerBlock,
    lift: &[[f32; LANES]],
    offsets: &[&[f32]; BLOCKS],
    strip: &[[f32; LANES]],
    out: &mut [G],
) {
    let rows = out.chunks_exact_mut(clouds.groups).zip(strip.chunks_exact(clouds.groups));
    for (r, (out, cosines)) in rows.enumerate() {
        for (b, block) in clouds.blocks.iter().enumerate() {
            let part = block.start..block.start + block.groups;
            let exponent = Exponent { reach: 1.0 - offsets[b][r], rate: rate(epsilon[b]), lift: &lift[part.clone()] };
            simd::exponentials(level, &cosines[part.clone()], exponent, &mut out[part]);
        }
    }
}

/// The first row of a chunk, and the rows that are read after it.
struct Part {
    first: usize,
    next: Next,
}

/// What a chunk adds to its task.
struct Told {
    /// A row sum left the range of f32.
    broken: bool,
    deviation: PerBlock,
    value: PerBlock,
    reached: [(f64, f64); BLOCKS],
}

/// Reached by nothing.
pub(super) const NOWHERE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

/// The range that holds both ranges.
pub(super) fn wider(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

/// What every task of a sweep reads.
pub(super) struct Stage<'a> {
    pub clouds: &'a Clouds<'a>,
    pub level: Level,
    pub epsilon: PerBlock,
    pub row_offsets: &'a [Vec<f32>; BLOCKS],
    pub lift: &'a [[f32; LANES]],
    /// b_j v_j, and the same times [`Half::SCALE`] where there are such tiles.
    pub scaled: &'a [[f32; LANES]],
    pub raised: &'a [[f32; LANES]],
    pub strip_rows: usize,
    pub relaxation: PerBlock,
}

impl Stage<'_> {
    /// Writes f and the unnormalised weights of the task's rows, and the task's sums.
    pub(super) fn task(
        &self,
        task: &mut Task,
        buffers: &mut Scratch,
        potentials: &mut [PerBlock],
        weights: &mut [f64],
        weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync),
        progress: &dyn Progress,
    ) -> Result<(), TransportError> {
        let groups = self.clouds.groups;
        task.columns.as_flattened_mut().fill(0.0);
        (task.mass, task.broken) = (0.0, false);
        (task.deviation, task.value, task.reached) = ([0.0; BLOCKS], [0.0; BLOCKS], [NOWHERE; BLOCKS]);
        let height = match task.tile {
            Tile::Single(_) => CHUNK_BYTES / (groups * size_of::<Single>()),
            Tile::Half(_) => CHUNK_BYTES / (groups * size_of::<Half>()),
            Tile::Recomputed => self.strip_rows,
        };
        let height = (height / 8 * 8).clamp(8, SINGLE_ROWS);
        buffers.columns.clear();
        buffers.columns.resize(groups, [0.0; LANES]);
        let mut summed = 0;
        for from in (0..task.rows).step_by(height) {
            progress.check()?;
            let rows = height.min(task.rows - from);
            let first = task.first + from;
            let whole = from * groups..(from + rows) * groups;
            let potentials = &mut potentials[from..from + rows];
            let weights = &mut weights[from..from + rows];
            let left = height.min(task.rows - from - rows);
            let behind = |next| Part { first, next: if left > 0 { next } else { task.following } };
            let told = match &task.tile {
                Tile::Single(tile) => {
                    let part = behind(Next::of(&tile[whole.end..], left));
                    self.chunk(&tile[whole], part, buffers, potentials, weights, weigh)
                }
                Tile::Half(tile) => {
                    let part = behind(Next::of(&tile[whole.end..], left));
                    self.chunk(&tile[whole], part, buffers, potentials, weights, weigh)
                }
                Tile::Recomputed => {
                    let Scratch { strip, computed, .. } = buffers;
                    strip.resize(self.strip_rows * groups, [0.0; LANES]);
                    computed.resize(self.strip_rows * groups, Single::EMPTY);
                    self.clouds.cosines(first, rows, strip);
                    let offsets = self.row_offsets.each_ref().map(|o| o.get(first..first + rows).unwrap_or_default());
                    let out = &mut computed[..rows * groups];
                    fill(self.clouds, self.level, self.epsilon, self.lift, &offsets, strip, out);
                    let tile = std::mem::take(computed);
                    let part = Part { first, next: Next::default() };
                    let told = self.chunk(&tile[..rows * groups], part, buffers, potentials, weights, weigh);
                    buffers.computed = tile;
                    told
                }
            };
            task.broken |= told.broken;
            task.mass += weights.iter().sum::<f64>();
            for b in 0..BLOCKS {
                task.deviation[b] += told.deviation[b];
                task.value[b] += told.value[b];
                task.reached[b] = wider(task.reached[b], told.reached[b]);
            }
            summed += rows;
            if summed + height > SINGLE_ROWS || left == 0 {
                for (sum, part) in task.columns.as_flattened_mut().iter_mut().zip(buffers.columns.as_flattened_mut()) {
                    *sum += f64::from(*part);
                    *part = 0.0;
                }
                summed = 0;
            }
        }
        Ok(())
    }

    /// Row sums, potentials, weights, column sums of one chunk.
    fn chunk<G: Group>(
        &self,
        tile: &[G],
        Part { first, next }: Part,
        buffers: &mut Scratch,
        potentials: &mut [PerBlock],
        weights: &mut [f64],
        weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync),
    ) -> Told {
        let Scratch { sums, y, columns, logs, ratios, .. } = buffers;
        let (groups, rows) = (self.clouds.groups, potentials.len());
        let mut told =
            Told { broken: false, deviation: [0.0; BLOCKS], value: [0.0; BLOCKS], reached: [NOWHERE; BLOCKS] };
        for (b, block) in self.clouds.blocks.iter().enumerate() {
            sums[b].resize(rows, 0.0);
            y[b].resize(rows, 0.0);
            let scaled = if G::SCALE == Half::SCALE { self.raised } else { self.scaled };
            let scaled = &scaled[block.start..block.start + block.groups];
            simd::row_sums(self.level, tile, groups, block.start, scaled, &mut sums[b]);
            let (epsilon, relaxation) = (self.epsilon[b], self.relaxation[b]);
            logs.clear();
            logs.extend(sums[b].iter().map(|sum| f64::from(*sum)));
            told.broken |= !logs.iter().all(|sum| is_sound(*sum));
            elementary::ln(self.level, logs);
            let offsets = self.row_offsets[b].get(first..first + rows).unwrap_or_default();
            let ratios = &mut ratios[b];
            ratios.clear();
            for ((f, log), offset) in potentials.iter_mut().zip(logs.iter()).zip(offsets) {
                // f less its offset, and how far beyond the plain iteration's f it goes.
                let fresh = -epsilon * log;
                let before = f[b] - f64::from(*offset);
                let step = if relaxation == 1.0 { 0.0 } else { (relaxation - 1.0) * (fresh - before) };
                f[b] = f64::from(*offset) + fresh + step;
                told.reached[b] = wider(told.reached[b], (fresh + step, fresh + step));
                ratios.push(step / epsilon);
            }
            if relaxation == 1.0 {
                ratios.fill(1.0);
            } else {
                elementary::exp(self.level, ratios);
            }
        }
        let blocks = self.clouds.blocks.len();
        for (r, (potentials, weight)) in potentials.iter().zip(weights).enumerate() {
            *weight = weigh(first + r, potentials);
            for b in 0..blocks {
                told.deviation[b] += *weight * (ratios[b][r] - 1.0).abs();
                told.value[b] += *weight * potentials[b];
                y[b][r] = (*weight * ratios[b][r] * f64::from(G::SCALE) / f64::from(sums[b][r])) as f32;
            }
        }
        for (b, block) in self.clouds.blocks.iter().enumerate() {
            let part = &mut columns[block.start..block.start + block.groups];
            simd::column_sums(self.level, tile, next, groups, block.start, &y[b], part);
        }
        told
    }
}
