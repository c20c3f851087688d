//! The Gibbs kernel of all references, kept or recomputed, and one Sinkhorn iteration over it.
//!
//! Purpose: K_ij = exp((φ_i + γ_j - C_ij)/ε), with offsets φ, γ that keep every number in range, so that potentials
//! are f_i = φ_i - ε ln Σ_j K_ij b_j v_j and g_j = γ_j - ε ln Σ_i K_ij w_i u_i. One sweep reads the kernel once
//! ([`super::pass`]). Constraints: bit-identical for any number of threads (fixed tasks, partial sums added in order);
//! at most 128 partial column sums; never more kernel than the budget.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rayon::prelude::*;

use super::cost::Clouds;
use super::elementary;
use super::entries::{Group, Half, LANES, Single};
use super::offsets;
use super::pass::{KernelFormat, NOWHERE, Scratch, Stage, Task, Tile, fill, is_sound, rate, wider};
use super::simd::{self, Level, Next};
use super::{CheckedSettings, TransportError};
use crate::jobs::Progress;

/// References a kernel can hold side by side.
pub(crate) const BLOCKS: usize = 2;
/// One value per reference; unused ones are 0.
pub(crate) type PerBlock = [f64; BLOCKS];

const MAX_TASKS: usize = 128;
/// |log u| and |log v| beyond which the potentials go into the offsets, and the bound of the sum of the largest of both.
const ABSORB: f64 = 40.0;
const ABSORB_TOGETHER: f64 = 60.0;
/// The same where tiny entries are rounded, so that what rounding does to a density stays below 1e-7, and the factors of
/// entries that are kept times 2⁻⁶⁴ within f32.
const ABSORB_HALF: f64 = 30.0;
const ABSORB_HALF_TOGETHER: f64 = Half::FLOOR - 16.0;
/// With potentials in the offsets entries are densities, which reach the number of reference rows; those of rows of hardly
/// any weight reach more, and such rows keep a lower offset.
const DENSITY_BITS: f32 = 17.0;
/// Entries of a new kernel above e^this are too large; those of 16 bits end below 2, and of their rows not even 2^this is
/// exceeded.
const HIGHEST: f32 = 20.0;
const HIGHEST_HALF: f32 = 0.5;
const UNREACHABLE: f32 = -1e30;

/// What one sweep gives besides the row arrays.
#[derive(Debug, Clone)]
pub(crate) struct Swept {
    /// g of the weights of this sweep, per block.
    pub columns: [Vec<f64>; BLOCKS],
    /// Σ of the unnormalised weights.
    pub mass: f64,
    /// L1 error of the column marginals of the plan of the new f, the old g and the new weights.
    pub marginal: PerBlock,
    /// L1 error of its row marginals: 0 without relaxation.
    pub deviation: PerBlock,
    /// Its dual value Σ w f + Σ b g - ε (mass of the plan - 1).
    pub dual: PerBlock,
}

/// ω = 1 for every block: plain Sinkhorn.
pub(crate) const PLAIN: PerBlock = [1.0; BLOCKS];

/// The row arrays a sweep writes.
pub(crate) struct RowArrays<'a> {
    /// Out: f; in: f of the sweep before, read where ω is not 1.
    pub potentials: &'a mut [PerBlock],
    /// Out: the weights the rule gave.
    pub weights: &'a mut [f64],
}

/// How a kernel is made and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Precision {
    pub format: KernelFormat,
    /// Cosines by integers, to 10⁻⁵, where the processor can.
    pub fast: bool,
}

impl From<KernelFormat> for Precision {
    fn from(format: KernelFormat) -> Self {
        Self { format, fast: format == KernelFormat::Half }
    }
}

/// The kernel of a problem on this machine.
pub(crate) struct Kernel<'a> {
    clouds: &'a Clouds<'a>,
    level: Level,
    epsilon: PerBlock,
    row_offsets: [Vec<f32>; BLOCKS],
    column_offsets: Vec<f32>,
    lift: Vec<[f32; LANES]>,
    /// Kept entries are K·2^-top.
    top: f32,
    tasks: Vec<Task>,
    task_rows: usize,
    scratch: Mutex<Vec<Scratch>>,
    /// The offsets changed: kept tiles are rebuilt by the next sweep.
    stale: bool,
    strip_rows: usize,
    format: KernelFormat,
    fast: bool,
}

impl<'a> Kernel<'a> {
    /// Builds the kernel. Call inside the thread pool that shall do the work.
    ///
    /// Kept tiles take at most `budget` bytes; the rows that do not fit are recomputed.
    pub(crate) fn build(
        clouds: &'a Clouds<'a>,
        epsilon: PerBlock,
        precision: impl Into<Precision>,
        budget: u64,
        progress: &dyn Progress,
    ) -> Result<Self, TransportError> {
        let Precision { format, fast } = precision.into();
        let n = clouds.rows;
        let strip_rows = clouds.strip_rows();
        let task_rows = n.div_ceil(MAX_TASKS).next_multiple_of(8).max(64.min(n.next_multiple_of(8)));
        let entry = match format {
            KernelFormat::Single => 4,
            KernelFormat::Half => 2,
            KernelFormat::Recomputed => 0,
        };
        let mut left = budget;
        let tasks = (0..n)
            .step_by(task_rows)
            .map(|first| {
                let rows = task_rows.min(n - first);
                let bytes = (rows * clouds.groups * LANES * entry) as u64;
                let fits = bytes <= left;
                if fits {
                    left -= bytes;
                }
                let tile = match format {
                    KernelFormat::Single if fits => Tile::Single(Vec::new()),
                    KernelFormat::Half if fits => Tile::Half(Vec::new()),
                    _ => Tile::Recomputed,
                };
                Task {
                    first,
                    rows,
                    tile,
                    columns: vec![[0.0; LANES]; clouds.groups],
                    mass: 0.0,
                    deviation: [0.0; BLOCKS],
                    value: [0.0; BLOCKS],
                    reached: [NOWHERE; BLOCKS],
                    broken: false,
                    following: Next::default(),
                }
            })
            .collect();
        let mut kernel = Self {
            clouds,
            level: Level::detect(),
            epsilon,
            row_offsets: std::array::from_fn(|b| if b < clouds.blocks.len() { vec![0.0; n] } else { Vec::new() }),
            column_offsets: Vec::new(),
            lift: vec![[0.0; LANES]; clouds.groups],
            top: 0.0,
            tasks,
            task_rows,
            scratch: Mutex::default(),
            stale: false,
            strip_rows,
            format,
            fast,
        };
        kernel.column_offsets = offsets::guessed(clouds, epsilon, kernel.level, progress)?;
        kernel.set_lift();
        let reach = kernel.compute(true, progress)?;
        let highest = if format == KernelFormat::Half { HIGHEST_HALF } else { HIGHEST };
        if let Some(better) = offsets::better(clouds, epsilon, &reach, &kernel.column_offsets, highest) {
            kernel.column_offsets = better;
            kernel.set_lift();
            kernel.stale = true;
        }
        Ok(kernel)
    }

    /// `kept-f32`, `kept-f16`, `recomputed`, or the first two with the share kept.
    pub(crate) fn label(&self) -> String {
        let kept: usize =
            self.tasks.iter().filter(|task| !matches!(task.tile, Tile::Recomputed)).map(|task| task.rows).sum();
        let name = match self.format {
            KernelFormat::Single => "kept-f32",
            KernelFormat::Half => "kept-f16",
            KernelFormat::Recomputed => "recomputed",
        };
        match kept {
            0 => "recomputed".to_owned(),
            kept if kept == self.clouds.rows => name.to_owned(),
            kept => format!("{name} ({} % of the rows, others recomputed)", 100 * kept / self.clouds.rows),
        }
    }

    pub(crate) fn epsilon(&self) -> PerBlock {
        self.epsilon
    }

    fn set_lift(&mut self) {
        self.lift.as_flattened_mut().fill(UNREACHABLE);
        for (b, block) in self.clouds.blocks.iter().enumerate() {
            let rate = rate(self.epsilon[b]);
            let from = block.start * LANES;
            let offsets = &self.column_offsets[from..from + block.rows];
            for (lift, offset) in self.lift.as_flattened_mut()[from..].iter_mut().zip(offsets) {
                *lift = offset * rate - self.top;
            }
        }
    }

    /// Fills the kept tiles. With `first`, row offsets become the row minima of the cost, and the answer is how near
    /// each column comes to its nearest row beyond that row's minimum (≤ 0, in the unit of the cost).
    fn compute(&mut self, first: bool, progress: &dyn Progress) -> Result<Vec<f32>, TransportError> {
        let n = self.clouds.rows as u64;
        let done = AtomicU64::new(0);
        let Self {
            clouds, level, epsilon, row_offsets, lift, tasks, scratch, strip_rows, task_rows, fast, format, ..
        } = self;
        let (clouds, level, epsilon, lift) = (*clouds, *level, *epsilon, &*lift);
        let (strip_rows, task_rows) = (*strip_rows, *task_rows);
        let (fast, half) = (*fast, *format == KernelFormat::Half);
        let reaches: Vec<Vec<[f32; LANES]>> = tasks
            .par_iter_mut()
            .zip(split_blocks(row_offsets, task_rows))
            .with_max_len(1)
            .map(|(task, offsets)| {
                let mut buffers = scratch.lock().pop().unwrap_or_default();
                let mut reach = vec![[f32::NEG_INFINITY; LANES]; if first { clouds.groups } else { 0 }];
                let entries = task.rows * clouds.groups;
                match &mut task.tile {
                    Tile::Single(tile) => tile.resize(entries, Single::EMPTY),
                    Tile::Half(tile) => tile.resize(entries, Half::EMPTY),
                    Tile::Recomputed => {}
                }
                let needed = first || !matches!(task.tile, Tile::Recomputed);
                for from in (0..if needed { task.rows } else { 0 }).step_by(strip_rows) {
                    progress.check()?;
                    let rows = strip_rows.min(task.rows - from);
                    let Scratch { strip, .. } = &mut buffers;
                    strip.resize(strip_rows * clouds.groups, [0.0; LANES]);
                    if fast {
                        clouds.fast_cosines(task.first + from, rows, strip);
                    } else {
                        clouds.cosines(task.first + from, rows, strip);
                    }
                    for (b, block) in clouds.blocks.iter().enumerate() {
                        for r in 0..rows {
                            let row = &strip[r * clouds.groups + block.start..][..block.groups];
                            if first {
                                let nearest = simd::largest(level, &row.as_flattened()[..block.rows]);
                                offsets[b][from + r] = 1.0 - nearest;
                                // As rounded in the offset, so that both uses agree.
                                let nearest = 1.0 - offsets[b][from + r];
                                simd::raise(level, row, nearest, &mut reach[block.start..][..block.groups]);
                            } else if half {
                                // A row of little weight may have densities that 16 bits do not reach.
                                let rate = rate(epsilon[b]);
                                let lift = &lift[block.start..][..block.groups];
                                let top = simd::highest(level, row, rate, lift) - (1.0 - offsets[b][from + r]) * rate;
                                offsets[b][from + r] -= (top - HIGHEST_HALF).max(0.0) / rate;
                            }
                        }
                    }
                    let whole = from * clouds.groups..(from + rows) * clouds.groups;
                    let offsets = &offsets.each_ref().map(|o| o.get(from..from + rows).unwrap_or_default());
                    match &mut task.tile {
                        Tile::Single(tile) => fill(clouds, level, epsilon, lift, offsets, strip, &mut tile[whole]),
                        Tile::Half(tile) => fill(clouds, level, epsilon, lift, offsets, strip, &mut tile[whole]),
                        Tile::Recomputed => {}
                    }
                    let done = done.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
                    progress.tick("building kernel", done, Some(n));
                }
                scratch.lock().push(buffers);
                Ok(reach)
            })
            .collect::<Result<_, TransportError>>()?;
        let mut all = vec![f32::NEG_INFINITY; if first { clouds.groups * LANES } else { 0 }];
        for reach in &reaches {
            for (all, reach) in all.iter_mut().zip(reach.as_flattened()) {
                *all = all.max(*reach);
            }
        }
        self.stale = false;
        Ok(all)
    }

    /// One Sinkhorn iteration of every block, f before g. `weigh(i, f_i)` gives the unnormalised weight of row i.
    /// With a relaxation ω of a block its potentials go ω times as far as the plain iteration's.
    ///
    /// Offsets are renewed as needed, and sums that leave the range of f32 are done again in the log domain.
    pub(crate) fn sweep(
        &mut self,
        columns: &[Vec<f64>; BLOCKS],
        rows: &mut RowArrays<'_>,
        weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync),
        relaxation: PerBlock,
        progress: &dyn Progress,
    ) -> Result<Swept, TransportError> {
        if self.stale {
            self.compute(false, progress)?;
        }
        let scaled = self.scaled_columns(columns);
        self.run(&scaled, rows, weigh, relaxation, progress)?;
        let broken = self.tasks.iter().any(|task| task.broken);
        let mass: f64 = self.tasks.iter().map(|task| task.mass).sum();
        let sums = if broken { None } else { self.column_sums() };
        let Some(sums) = sums else {
            let swept = super::log_domain::sweep(self.clouds, self.epsilon, columns, rows, weigh, progress)?;
            self.absorb(rows.potentials, &swept.columns);
            return Ok(swept);
        };
        let mut swept = Swept {
            columns: Default::default(),
            mass,
            marginal: [0.0; BLOCKS],
            deviation: [0.0; BLOCKS],
            dual: [0.0; BLOCKS],
        };
        let undo = f64::from(self.top).exp2();
        for (b, block) in self.clouds.blocks.iter().enumerate() {
            let (epsilon, from) = (self.epsilon[b], block.start * LANES);
            let offsets = &self.column_offsets[from..from + block.rows];
            let mut fresh: Vec<f64> = sums[from..from + block.rows].iter().map(|sum| sum * undo / mass).collect();
            elementary::ln(self.level, &mut fresh);
            for (fresh, offset) in fresh.iter_mut().zip(offsets) {
                *fresh = f64::from(*offset) - epsilon * *fresh;
            }
            let mut shares: Vec<f64> = columns[b].iter().zip(&fresh).map(|(old, new)| (old - new) / epsilon).collect();
            elementary::exp(self.level, &mut shares);
            let error: f64 = shares.iter().map(|share| (share - 1.0).abs()).sum();
            let (plan, value): (f64, f64) = (shares.iter().sum(), columns[b].iter().sum());
            if relaxation[b] != 1.0 {
                for (new, old) in fresh.iter_mut().zip(&columns[b]) {
                    *new = old + relaxation[b] * (*new - old);
                }
            }
            swept.columns[b] = fresh;
            let share = 1.0 / block.rows as f64;
            swept.marginal[b] = error * share;
            swept.deviation[b] = self.tasks.iter().map(|task| task.deviation[b]).sum::<f64>() / mass;
            let rows: f64 = self.tasks.iter().map(|task| task.value[b]).sum();
            swept.dual[b] = rows / mass + value * share - epsilon * (plan * share - 1.0);
        }
        if self.out_of_range(&swept.columns) {
            self.absorb(rows.potentials, &swept.columns);
        }
        Ok(swept)
    }

    /// b_j exp((g_j - γ_j)/ε), 0 in the padding.
    fn scaled_columns(&self, columns: &[Vec<f64>; BLOCKS]) -> Vec<[f32; LANES]> {
        let mut scaled = vec![[0.0; LANES]; self.clouds.groups];
        let undo = f64::from(self.top).exp2();
        let flat = scaled.as_flattened_mut();
        for (b, block) in self.clouds.blocks.iter().enumerate() {
            let from = block.start * LANES;
            let share = undo / block.rows as f64;
            let offsets = &self.column_offsets[from..from + block.rows];
            let mut powers: Vec<f64> =
                columns[b].iter().zip(offsets).map(|(g, offset)| (g - f64::from(*offset)) / self.epsilon[b]).collect();
            elementary::exp(self.level, &mut powers);
            for (scaled, power) in flat[from..].iter_mut().zip(powers) {
                *scaled = (share * power) as f32;
            }
        }
        scaled
    }

    fn run(
        &mut self,
        scaled: &[[f32; LANES]],
        rows: &mut RowArrays<'_>,
        weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync),
        relaxation: PerBlock,
        progress: &dyn Progress,
    ) -> Result<(), TransportError> {
        let Self { clouds, level, epsilon, row_offsets, lift, tasks, scratch, strip_rows, task_rows, format, .. } =
            self;
        let raised: Vec<[f32; LANES]> = match format {
            KernelFormat::Half => scaled.iter().map(|group| group.map(|value| value * Half::SCALE)).collect(),
            KernelFormat::Single | KernelFormat::Recomputed => Vec::new(),
        };
        let stage = Stage {
            clouds,
            level: *level,
            epsilon: *epsilon,
            row_offsets,
            lift,
            scaled,
            raised: &raised,
            strip_rows: *strip_rows,
            relaxation,
        };
        // A worker mostly goes on with the task behind.
        let following: Vec<Next> = tasks.iter().skip(1).map(|task| task.tile.next(task.rows)).collect();
        for (task, next) in tasks.iter_mut().zip(following) {
            task.following = next;
        }
        tasks
            .par_iter_mut()
            .zip(rows.potentials.par_chunks_mut(*task_rows))
            .zip(rows.weights.par_chunks_mut(*task_rows))
            .with_max_len(1)
            .try_for_each(|((task, potentials), weights)| {
                let mut buffers = scratch.lock().pop().unwrap_or_default();
                let result = stage.task(task, &mut buffers, potentials, weights, weigh, progress);
                scratch.lock().push(buffers);
                result
            })
    }

    /// Column sums over all tasks, added in the order of the rows; `None` if one left the range of f32.
    fn column_sums(&self) -> Option<Vec<f64>> {
        let mut sums = vec![0.0; self.clouds.groups * LANES];
        for task in &self.tasks {
            for (sum, part) in sums.iter_mut().zip(task.columns.as_flattened()) {
                *sum += part;
            }
        }
        let sound = self.clouds.blocks.iter().all(|block| {
            let from = block.start * LANES;
            sums[from..from + block.rows].iter().all(|sum| is_sound(*sum))
        });
        sound.then_some(sums)
    }

    fn out_of_range(&self, columns: &[Vec<f64>; BLOCKS]) -> bool {
        let (each, together) = match self.format {
            KernelFormat::Half => (ABSORB_HALF, ABSORB_HALF_TOGETHER - f64::from(self.top) * std::f64::consts::LN_2),
            KernelFormat::Single | KernelFormat::Recomputed => (ABSORB, ABSORB_TOGETHER),
        };
        self.clouds.blocks.iter().enumerate().any(|(b, block)| {
            let epsilon = self.epsilon[b];
            let (least, most) = self.tasks.iter().fold(NOWHERE, |a, task| wider(a, task.reached[b]));
            let offsets = &self.column_offsets[block.start * LANES..];
            let v = columns[b].iter().zip(offsets).map(|(g, offset)| g - f64::from(*offset));
            let (left, right) = v.fold(NOWHERE, |a, v| wider(a, (v, v)));
            most.max(-least).max(right).max(-left) > each * epsilon || most + right > together * epsilon
        })
    }

    /// Makes the potentials the new offsets.
    fn absorb(&mut self, rows: &[PerBlock], columns: &[Vec<f64>; BLOCKS]) {
        for (b, block) in self.clouds.blocks.iter().enumerate() {
            for (offset, f) in self.row_offsets[b].iter_mut().zip(rows) {
                *offset = f[b] as f32;
            }
            for (offset, g) in self.column_offsets[block.start * LANES..].iter_mut().zip(&columns[b]) {
                *offset = *g as f32;
            }
        }
        if self.format == KernelFormat::Half {
            self.top = DENSITY_BITS;
        }
        self.set_lift();
        self.stale = true;
    }
}

/// The parts of the row offsets that belong to each task, in order.
fn split_blocks(offsets: &mut [Vec<f32>; BLOCKS], task_rows: usize) -> Vec<[&mut [f32]; BLOCKS]> {
    let [first, second] = offsets;
    let mut second = second.chunks_mut(task_rows);
    first.chunks_mut(task_rows).map(|part| [part, second.next().unwrap_or_default()]).collect()
}

/// The precision for a problem: 16 bits only where they halve real traffic and their rounding stays far inside the
/// tolerances (see [`super::rounding`]).
pub(crate) fn choose_precision(clouds: &Clouds<'_>, epsilon: PerBlock, settings: &CheckedSettings) -> Precision {
    if is_small(clouds, settings.memory_budget) {
        return KernelFormat::Single.into();
    }
    super::rounding::half_serves(clouds, epsilon, settings.seed)
        .map_or(KernelFormat::Single.into(), |fast| Precision { format: KernelFormat::Half, fast })
}

/// A kernel of this many bytes in f32 is near enough to the cores.
const SMALL_KERNEL: u64 = 8 << 20;

fn is_small(clouds: &Clouds<'_>, budget: u64) -> bool {
    (clouds.rows * clouds.groups * LANES) as u64 * 4 <= SMALL_KERNEL.min(budget)
}

/// The precision for plain transport to a marginal error, and the part of it that its rounding is expected to take.
pub(crate) fn plain_precision(clouds: &Clouds<'_>, epsilon: f64, tolerance: f64, budget: u64) -> (Precision, f64) {
    if is_small(clouds, budget) {
        return (KernelFormat::Single.into(), 0.0);
    }
    match super::rounding::half_error(clouds, epsilon, tolerance) {
        Some((fast, error)) => (Precision { format: KernelFormat::Half, fast }, error),
        None => (KernelFormat::Single.into(), 0.0),
    }
}
