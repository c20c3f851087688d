//! The state of a solve on the device, from and to the host.

use super::super::cost::Clouds;
use super::super::kernel::{BLOCKS, PerBlock};
use super::super::simd::LANES;
use super::super::{CheckedSettings, Regularisation};
use super::layout::{Control, FAR, ProblemUniform, UNREACHABLE};
use super::machine::Machine;
use crate::gpu::GpuError;
use crate::jobs::Progress;

/// What the device must know of the problem.
pub(super) fn uniform(
    clouds: &Clouds<'_>,
    settings: &CheckedSettings,
    epsilon: PerBlock,
    medians: PerBlock,
    smallest_alpha: f64,
) -> ProblemUniform {
    let rows = |b: usize| clouds.blocks.get(b).map_or(0, |block| block.rows);
    let (share, tau) = match settings.regularisation {
        Regularisation::EffectiveShare(share) => (share, 0.0),
        Regularisation::Tau(tau) => (0.0, tau),
    };
    ProblemUniform {
        inverse: std::array::from_fn(|b| (1.0 / rows(b).max(1) as f64) as f32),
        epsilon: epsilon.map(|e| e as f32),
        rate: epsilon.map(|e| (std::f64::consts::LOG2_E / e) as f32),
        centre: medians.map(|median| (1.0 - median) as f32),
        lambda: settings.lambda as f32,
        share: share as f32,
        tau: tau as f32,
        scale: medians.iter().sum::<f64>() as f32,
        rows: clouds.rows as u32,
        split: clouds.blocks.get(1).map_or(clouds.groups, |block| block.start) as u32 * LANES as u32,
        columns: (clouds.groups * LANES) as u32,
        quads: clouds.dim.next_multiple_of(16) as u32 / 4,
        real: [rows(0) as u32, rows(1) as u32],
        smallest_alpha: smallest_alpha as f32,
        padding: 0,
    }
}

/// A state that waits for sweeps at fixed weights.
pub(super) fn fixed(control: Control, mode: u32, tolerance: f64, patience: u32) -> Control {
    Control { mode, tolerance: tolerance as f32, patience, best: f32::MAX, since: 0, change: [0.0; 2], ..control }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
}

/// What [`Machine::read`] brings.
pub(super) struct State {
    pub potentials: Vec<[f32; 2]>,
    pub log_weights: Vec<f32>,
    pub columns: [Vec<f64>; BLOCKS],
    pub before: [Vec<f64>; BLOCKS],
}

impl Machine<'_> {
    /// Back to potentials of 0; weights stay.
    pub(super) fn restart(&mut self) {
        let (n, width) = (self.clouds.rows, self.width());
        let mut columns = vec![UNREACHABLE; width];
        for block in &self.clouds.blocks {
            columns[block.start * LANES..][..block.rows].fill(0.0);
        }
        self.device.write(&self.columns, 0, bytemuck::cast_slice(&columns));
        self.device.write(&self.before, 0, bytemuck::cast_slice(&columns));
        self.device.write(&self.potentials, 0, &vec![0; 8 * n]);
        let scores = vec![FAR; n.next_multiple_of(4)];
        self.device.write(&self.scores, 0, bytemuck::cast_slice(&scores));
    }

    /// Sets ln w of every row.
    pub(super) fn set_weights(&mut self, log_weights: impl Iterator<Item = f32>) {
        let mut rows: Vec<f32> = log_weights.collect();
        rows.resize(rows.len().next_multiple_of(4), -FAR);
        self.device.write(&self.logs, 0, bytemuck::cast_slice(&rows));
        self.device.write(&self.raws, 0, bytemuck::cast_slice(&rows));
    }

    /// (f of both references relative to their medians, ln w) of every row; g and g before of every padded column.
    pub(super) fn read(&self, progress: &dyn Progress) -> Result<State, GpuError> {
        let (rows, width) = (4 * self.clouds.rows as u64, 4 * self.width() as u64);
        let parts = [(&self.potentials, 2 * rows), (&self.logs, rows), (&self.columns, width), (&self.before, width)];
        let mut parts = self.device.read(&parts, progress)?.into_iter();
        let mut next = || parts.next().unwrap_or_default();
        let potentials = next().chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        let (log_weights, columns, before) = (floats(&next()), floats(&next()), floats(&next()));
        Ok(State { potentials, log_weights, columns: self.split(&columns), before: self.split(&before) })
    }

    /// Only ln w and g.
    pub(super) fn read_checkpoint(&self, progress: &dyn Progress) -> Result<State, GpuError> {
        let parts = [(&self.logs, 4 * self.clouds.rows as u64), (&self.columns, 4 * self.width() as u64)];
        let mut parts = self.device.read(&parts, progress)?.into_iter();
        let log_weights = floats(&parts.next().unwrap_or_default());
        let columns = self.split(&floats(&parts.next().unwrap_or_default()));
        Ok(State { potentials: Vec::new(), log_weights, columns, before: Default::default() })
    }

    fn split(&self, columns: &[f32]) -> [Vec<f64>; BLOCKS] {
        std::array::from_fn(|b| {
            let block = self.clouds.blocks.get(b);
            let part = block.and_then(|block| columns.get(block.start * LANES..block.start * LANES + block.rows));
            part.unwrap_or_default().iter().map(|g| f64::from(*g)).collect()
        })
    }
}
