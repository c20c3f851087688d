//! The problem on the device: its buffers, and batches of sweeps over them.
//!
//! Purpose: encode what a sweep needs in submissions of bounded length, and bring back a few numbers a batch.
//! Constraints: no buffer past the adapter's limits; cosines in at most the budget; the cut into slices changes no bit.

use bytemuck::Zeroable;

use super::super::cost::Clouds;
use super::super::kernel::{BLOCKS, PerBlock};
use super::super::simd::LANES;
use super::super::{CheckedSettings, Regularisation};
use super::format::GpuKernel;
use super::layout::{
    BATCH, Control, FIXED, Point, ProblemUniform, Product, RUNNING, SCALING, SWEEP_ROWS, Slice, TILE_COLUMNS,
    TILE_ROWS, TOTALS, UNREACHABLE,
};
use super::pacer::Pacer;
use super::stages::Stages;
use crate::gpu::{Device, GpuError, Stage};
use crate::jobs::Progress;

/// Bytes of column sums between sweep and fold, and of a strip of cosines that are not kept.
const PARTIAL_BYTES: u64 = 64 << 20;
const STRIP_BYTES: u64 = 32 << 20;
/// A kept chunk is one binding of at most this many bytes.
const CHUNK_BYTES: u64 = 1 << 30;
/// Dispatches of one submission.
const SLOTS: usize = 256;
const MOST_GROUPS: usize = 65_535;

/// Columns of the references in one binding.
struct Tile {
    buffer: wgpu::Buffer,
    first: usize,
    columns: usize,
}

/// A run of rows with its cosines or its vectors on the device.
struct Chunk {
    first: usize,
    rows: usize,
    cosines: Option<wgpu::Buffer>,
    vectors: Option<wgpu::Buffer>,
}

/// What a batch brought back.
pub(super) struct Report {
    pub control: Control,
    pub points: Vec<Point>,
    pub took: f64,
}

pub(super) struct Machine<'a> {
    device: &'a Device,
    stages: &'a Stages,
    clouds: &'a Clouds<'a>,
    kernel: GpuKernel,
    problem: wgpu::Buffer,
    arena: wgpu::Buffer,
    count: wgpu::Buffer,
    control: wgpu::Buffer,
    trace: wgpu::Buffer,
    potentials: wgpu::Buffer,
    weights: wgpu::Buffer,
    columns: wgpu::Buffer,
    before: wgpu::Buffer,
    partials: wgpu::Buffer,
    totals: wgpu::Buffer,
    sums: wgpu::Buffer,
    tiles: Vec<Tile>,
    chunks: Vec<Chunk>,
    strip: Option<(wgpu::Buffer, usize)>,
    vectors: Option<wgpu::Buffer>,
    pub pacer: Pacer,
    slot: u64,
    encoder: Option<wgpu::CommandEncoder>,
    parameters: Vec<u8>,
    /// Rows whose cosines are kept.
    pub kept: usize,
    /// Kept chunks that the device had no memory for.
    pub refused: bool,
}

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

impl<'a> Machine<'a> {
    /// Puts the problem on the device; cosines come with [`Machine::build`].
    pub(super) fn new(
        device: &'a Device,
        stages: &'a Stages,
        clouds: &'a Clouds<'a>,
        kernel: GpuKernel,
        problem: &ProblemUniform,
        budget: u64,
    ) -> Result<Self, GpuError> {
        let (n, columns) = (clouds.rows, clouds.groups * LANES);
        if n > u32::MAX as usize / 2 {
            return Err(GpuError::TooLarge { what: "rows", needed: n as u64, allowed: u64::from(u32::MAX / 2) });
        }
        let width = 4 * columns as u64;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let groups = n.div_ceil(SWEEP_ROWS) as u64;
        let partial_groups = (PARTIAL_BYTES.min(device.binding_limit()) / (2 * width)).clamp(1, groups);
        let widest = clouds.blocks.iter().map(|block| block.rows).max().unwrap_or(1).div_ceil(256);
        let mut machine = Self {
            problem: device.buffer("problem", size_of::<ProblemUniform>() as u64, usage)?,
            arena: device.buffer("parameters", SLOTS as u64 * 256, usage)?,
            count: device.buffer("count", 16, usage)?,
            control: device.storage("control", size_of::<Control>() as u64)?,
            trace: device.storage("trace", (BATCH * size_of::<Point>()) as u64)?,
            potentials: device.storage("potentials", 8 * n as u64)?,
            weights: device.storage("weights", 8 * n as u64)?,
            columns: device.storage("columns", width)?,
            before: device.storage("columns before", width)?,
            partials: device.storage("column sums", 2 * width * partial_groups)?,
            totals: device.storage("column totals", 2 * width * TOTALS as u64)?,
            sums: device.storage("column changes", 16 * (BLOCKS * widest) as u64)?,
            tiles: Vec::new(),
            chunks: Vec::new(),
            strip: None,
            vectors: None,
            pacer: Pacer::new(),
            slot: u64::from(device.adapter.uniform_alignment.max(32)),
            encoder: None,
            parameters: Vec::new(),
            kept: 0,
            refused: false,
            device,
            stages,
            clouds,
            kernel,
        };
        device.write(&machine.problem, 0, bytemuck::bytes_of(problem));
        device.write(&machine.count, 0, bytemuck::bytes_of(&[widest as u32, 0, 0, 0]));
        machine.lay_tiles()?;
        machine.lay_chunks(budget)?;
        Ok(machine)
    }

    fn width(&self) -> usize {
        self.clouds.groups * LANES
    }

    /// Bytes of one padded vector.
    fn vector_bytes(&self) -> usize {
        4 * self.clouds.dim.next_multiple_of(16)
    }

    fn lay_tiles(&mut self) -> Result<(), GpuError> {
        let most = self.device.binding_limit() as usize / self.vector_bytes() / TILE_COLUMNS * TILE_COLUMNS;
        if most == 0 {
            let needed = (TILE_COLUMNS * self.vector_bytes()) as u64;
            return Err(GpuError::TooLarge { what: "vectors", needed, allowed: self.device.binding_limit() });
        }
        let width = self.width();
        for first in (0..width).step_by(most) {
            let columns = most.min(width - first);
            let buffer = self.device.storage("references", (columns * self.vector_bytes()) as u64)?;
            self.upload(&buffer, self.clouds.references(), first, columns)?;
            self.tiles.push(Tile { buffer, first, columns });
        }
        Ok(())
    }

    /// Cuts the rows into chunks: as many as fit the budget are kept.
    fn lay_chunks(&mut self, budget: u64) -> Result<(), GpuError> {
        let (n, width, limit) = (self.clouds.rows, self.width(), self.device.binding_limit().min(CHUNK_BYTES));
        let by_vectors = limit as usize / self.vector_bytes();
        let entry = if self.kernel == GpuKernel::Packed { 2 } else { 4 };
        let most = by_vectors.min(limit as usize / (entry * width)) / TILE_ROWS * TILE_ROWS;
        if most == 0 {
            let needed = (TILE_ROWS * (entry * width).max(self.vector_bytes())) as u64;
            return Err(GpuError::TooLarge { what: "a tile of the kernel", needed, allowed: limit });
        }
        let row_bytes = (self.kernel.bytes() * width) as u64;
        let fitting = budget.checked_div(row_bytes).unwrap_or(0).min(n as u64) as usize;
        self.kept = if fitting == n { n } else { fitting / TILE_ROWS * TILE_ROWS };
        let mut left = budget.saturating_sub(self.kept as u64 * row_bytes);
        let mut first = 0;
        while first < n {
            let end = if first < self.kept { self.kept } else { n };
            let rows = most.min(end - first);
            let mut chunk = Chunk { first, rows, cosines: None, vectors: None };
            if first < self.kept && !self.refused {
                match self.device.storage("cosines", rows as u64 * row_bytes) {
                    Ok(buffer) => chunk.cosines = Some(buffer),
                    Err(GpuError::OutOfMemory { .. }) => {
                        (self.kept, self.refused, left) = (first, true, 0);
                        // The rest is cut anew, as recomputed.
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let bytes = (rows * self.vector_bytes()) as u64;
            if chunk.cosines.is_none() && bytes <= left {
                let buffer = self.device.storage("vectors", bytes)?;
                self.upload(&buffer, self.clouds.custom(), first, rows)?;
                left -= bytes;
                chunk.vectors = Some(buffer);
            }
            self.chunks.push(chunk);
            first += rows;
        }
        let tallest = self.chunks.iter().map(|chunk| chunk.rows).max().unwrap_or(0);
        if self.chunks.iter().any(|chunk| chunk.vectors.is_none()) {
            self.vectors = Some(self.device.storage("vectors", (tallest * self.vector_bytes()) as u64)?);
        }
        if self.kept < n {
            let bytes = STRIP_BYTES.min(limit) as usize / (entry * width) / TILE_ROWS * TILE_ROWS;
            let rows = bytes.clamp(TILE_ROWS, tallest.next_multiple_of(TILE_ROWS));
            self.strip = Some((self.device.storage("strip", (rows * entry * width) as u64)?, rows));
        }
        Ok(())
    }

    /// Writes vectors `first..first + rows` of `data`, padded to whole tiles of the product.
    fn upload(&self, buffer: &wgpu::Buffer, data: &[f32], first: usize, rows: usize) -> Result<(), GpuError> {
        let (dim, padded) = (self.clouds.dim, self.clouds.dim.next_multiple_of(16));
        let data = data.get(first * dim..(first + rows) * dim).unwrap_or_default();
        if dim == padded {
            self.device.write(buffer, 0, bytemuck::cast_slice(data));
        } else {
            let mut wide = vec![0.0f32; rows * padded];
            for (wide, row) in wide.chunks_exact_mut(padded).zip(data.chunks_exact(dim)) {
                wide[..dim].copy_from_slice(row);
            }
            self.device.write(buffer, 0, bytemuck::cast_slice(&wide));
        }
        self.device.check()
    }

    /// Makes the cosines of the kept chunks.
    pub(super) fn build(&mut self, progress: &dyn Progress) -> Result<(), GpuError> {
        for at in 0..self.chunks.len() {
            let Some(Chunk { first, rows, cosines: Some(out), .. }) = self.chunks.get(at) else { continue };
            let (first, rows, out) = (*first, *rows, out.clone());
            let Some(vectors) = self.vectors.clone() else { continue };
            self.flush(progress)?;
            self.upload(&vectors, self.clouds.custom(), first, rows)?;
            let mut done = 0;
            while done < rows {
                let step = self.product_rows().min(rows - done);
                self.product(&vectors, &out, done, step, done, progress)?;
                done += step;
                self.flush(progress)?;
                progress.tick("building kernel", (first + done) as u64, Some(self.clouds.rows as u64));
            }
        }
        self.flush(progress)?;
        if self.kept == self.clouds.rows {
            self.vectors = None;
        }
        Ok(())
    }

    /// Rows of a product of all columns that is short enough for one submission.
    fn product_rows(&self) -> usize {
        let row = 2.0 * (self.width() * self.vector_bytes() / 4) as f64;
        ((self.pacer.flops() / row) as usize / TILE_ROWS * TILE_ROWS).clamp(TILE_ROWS, MOST_GROUPS * TILE_ROWS)
    }

    /// Cosines of rows of a vector buffer with all columns.
    fn product(
        &mut self,
        vectors: &wgpu::Buffer,
        out: &wgpu::Buffer,
        x_first: usize,
        rows: usize,
        out_first: usize,
        progress: &dyn Progress,
    ) -> Result<(), GpuError> {
        let stages = self.stages;
        let operations = 2.0 * (rows.next_multiple_of(TILE_ROWS) * self.vector_bytes() / 4) as f64;
        for at in 0..self.tiles.len() {
            let Some(tile) = self.tiles.get(at) else { continue };
            let (first, all) = (tile.first, tile.columns);
            let group = self.device.bind(&stages.cosine, &[&self.problem, &self.arena, vectors, &tile.buffer, out]);
            let mut done = 0;
            while done < all {
                let room = (self.pacer.flops() / operations) as usize / TILE_COLUMNS * TILE_COLUMNS;
                let columns = room.clamp(TILE_COLUMNS, MOST_GROUPS * TILE_COLUMNS).min(all - done);
                let parameters = Product {
                    x_first: x_first as u32,
                    rows: rows as u32,
                    y_first: done as u32,
                    columns: columns as u32,
                    column: (first + done) as u32,
                    out_first: out_first as u32,
                    padding: [0; 2],
                };
                let grid = [columns.div_ceil(TILE_COLUMNS), rows.div_ceil(TILE_ROWS)];
                self.pacer.add_flops(operations * columns as f64);
                self.dispatch(&stages.cosine, &group, Some(bytemuck::bytes_of(&parameters)), grid);
                done += columns;
                self.flush_if_full(progress)?;
            }
        }
        Ok(())
    }

    /// Encodes one dispatch; `parameters` go to the moving uniform.
    fn dispatch(&mut self, stage: &Stage, group: &wgpu::BindGroup, parameters: Option<&[u8]>, grid: [usize; 2]) {
        let mut offset = None;
        if let Some(parameters) = parameters {
            offset = Some(self.parameters.len() as u32);
            self.parameters.extend_from_slice(parameters);
            self.parameters.resize(self.parameters.len().next_multiple_of(self.slot as usize), 0);
        }
        let encoder = self.encoder.get_or_insert_with(|| self.device.encoder());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&stage.pipeline);
        pass.set_bind_group(0, group, offset.as_slice());
        pass.dispatch_workgroups(grid[0] as u32, grid[1] as u32, 1);
    }

    fn flush_if_full(&mut self, progress: &dyn Progress) -> Result<(), GpuError> {
        let full = self.parameters.len() + 4 * self.slot as usize > SLOTS * 256;
        if full || self.pacer.is_full() { self.flush(progress) } else { Ok(()) }
    }

    /// Submits what is encoded and waits for it.
    fn flush(&mut self, progress: &dyn Progress) -> Result<(), GpuError> {
        progress.check()?;
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        self.device.write(&self.arena, 0, &self.parameters);
        self.parameters.clear();
        let took = self.device.run(encoder, progress)?;
        self.pacer.learn(took);
        Ok(())
    }

    /// Encodes one sweep and the decisions after it.
    fn sweep(&mut self, scaling: bool, progress: &dyn Progress) -> Result<(), GpuError> {
        let stages = self.stages;
        let row_buffers = [&self.problem, &self.potentials, &self.weights, &self.control];
        let (lift, gibbs) =
            (self.device.bind(&stages.lift, &row_buffers), self.device.bind(&stages.gibbs, &row_buffers));
        if scaling {
            self.dispatch(&stages.lift, &lift, None, [1, 1]);
        }
        let width = self.width();
        let fold =
            self.device.bind(&stages.fold, &[&self.problem, &self.arena, &self.partials, &self.totals, &self.control]);
        let room = (self.partials.size() / (8 * width as u64)) as usize * SWEEP_ROWS;
        for at in 0..self.chunks.len() {
            let Some(chunk) = self.chunks.get(at) else { continue };
            let (first, rows) = (chunk.first, chunk.rows);
            let (kept, mut vectors) = (chunk.cosines.clone(), chunk.vectors.clone());
            let strip = self.strip.clone();
            if kept.is_none() && vectors.is_none() {
                // Submitted work may still read the vectors of the chunk before.
                self.flush(progress)?;
                if let Some(buffer) = &self.vectors {
                    self.upload(buffer, self.clouds.custom(), first, rows)?;
                }
                vectors = self.vectors.clone();
            }
            let mut done = 0;
            while done < rows {
                let paced = (self.pacer.entries() / width as f64) as usize / SWEEP_ROWS * SWEEP_ROWS;
                let mut step = paced.clamp(SWEEP_ROWS, room).min(rows - done);
                let (cosines, chunk_row) = match (&kept, &strip, &vectors) {
                    (Some(kept), ..) => (kept, done),
                    (None, Some((strip, most)), Some(vectors)) => {
                        step = step.max(TILE_ROWS.min(room)).min(*most).min(self.product_rows()).min(rows - done);
                        self.product(vectors, strip, done, step, 0, progress)?;
                        (strip, 0)
                    }
                    _ => {
                        return Err(GpuError::Refused { reason: "a chunk has neither cosines nor vectors".to_owned() });
                    }
                };
                let groups = step.div_ceil(SWEEP_ROWS);
                let slice = Slice {
                    first: (first + done) as u32,
                    rows: step as u32,
                    chunk_row: chunk_row as u32,
                    fresh: u32::from(first + done == 0),
                    group: ((first + done) / SWEEP_ROWS) as u32,
                    groups: groups as u32,
                    padding: [0; 2],
                };
                let sweep = self.device.bind(
                    &stages.sweep,
                    &[
                        &self.problem,
                        &self.arena,
                        cosines,
                        &self.columns,
                        &self.potentials,
                        &self.weights,
                        &self.partials,
                        &self.control,
                    ],
                );
                let across = groups.min(MOST_GROUPS);
                let slice = bytemuck::bytes_of(&slice);
                self.pacer.add_entries((step * width) as f64);
                self.dispatch(&stages.sweep, &sweep, Some(slice), [across, groups.div_ceil(across)]);
                self.dispatch(&stages.fold, &fold, Some(slice), [(width / 4).div_ceil(64), TOTALS]);
                done += step;
                self.flush_if_full(progress)?;
            }
        }
        self.dispatch(&stages.gibbs, &gibbs, None, [1, 1]);
        let columns = self.device.bind(
            &stages.columns,
            &[&self.problem, &self.totals, &self.columns, &self.before, &self.sums, &self.control],
        );
        let widest = self.sums.size() as usize / (16 * BLOCKS);
        self.dispatch(&stages.columns, &columns, None, [widest, BLOCKS]);
        let policy =
            self.device.bind(&stages.policy, &[&self.problem, &self.sums, &self.control, &self.trace, &self.count]);
        self.dispatch(&stages.policy, &policy, None, [1, 1]);
        Ok(())
    }

    /// Runs `sweeps` (at most [`BATCH`]) sweeps from this state, or fewer where the device stops by itself.
    pub(super) fn batch(&mut self, from: Control, sweeps: usize, progress: &dyn Progress) -> Result<Report, GpuError> {
        let before = self.pacer;
        let began = std::time::Instant::now();
        let control = Control { halted: RUNNING, steps: 0, ..from };
        self.device.write(&self.control, 0, bytemuck::bytes_of(&control));
        for _ in 0..sweeps.min(BATCH) {
            self.sweep(control.mode == SCALING, progress)?;
        }
        self.flush(progress)?;
        let sizes = [(&self.control, size_of::<Control>() as u64), (&self.trace, self.trace.size())];
        let parts = self.device.read(&sizes, progress)?;
        let mut parts = parts.iter();
        let control: Control = parts.next().map_or(Control::zeroed(), |bytes| bytemuck::pod_read_unaligned(bytes));
        let points: &[u8] = parts.next().map_or(&[], Vec::as_slice);
        let points = points.chunks_exact(size_of::<Point>()).take(control.steps as usize);
        if control.halted != RUNNING {
            self.pacer.restore(before);
        }
        let points = points.map(bytemuck::pod_read_unaligned).collect();
        Ok(Report { control, points, took: began.elapsed().as_secs_f64() })
    }

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
    }

    /// Sets ln w of every row.
    pub(super) fn set_weights(&mut self, log_weights: impl Iterator<Item = f32>) {
        let rows: Vec<[f32; 2]> = log_weights.map(|log_weight| [log_weight, log_weight]).collect();
        self.device.write(&self.weights, 0, bytemuck::cast_slice(&rows));
    }

    /// (f of both references relative to their medians, ln w) of every row; g and g before of every padded column.
    pub(super) fn read(&self, progress: &dyn Progress) -> Result<State, GpuError> {
        let (rows, width) = (8 * self.clouds.rows as u64, 4 * self.width() as u64);
        let parts = [(&self.potentials, rows), (&self.weights, rows), (&self.columns, width), (&self.before, width)];
        let mut parts = self.device.read(&parts, progress)?.into_iter();
        let mut next = || parts.next().unwrap_or_default();
        let pairs =
            |bytes: Vec<u8>| -> Vec<[f32; 2]> { bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect() };
        let singles =
            |bytes: Vec<u8>| -> Vec<f32> { bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect() };
        let (potentials, weights) = (pairs(next()), pairs(next()));
        let (columns, before) = (singles(next()), singles(next()));
        Ok(State {
            potentials,
            log_weights: weights.into_iter().map(|pair| pair[0]).collect(),
            columns: self.split(&columns),
            before: self.split(&before),
        })
    }

    /// Only ln w and g.
    pub(super) fn read_checkpoint(&self, progress: &dyn Progress) -> Result<State, GpuError> {
        let parts = [(&self.weights, 8 * self.clouds.rows as u64), (&self.columns, 4 * self.width() as u64)];
        let mut parts = self.device.read(&parts, progress)?.into_iter();
        let weights = parts.next().unwrap_or_default();
        let columns: Vec<f32> =
            parts.next().unwrap_or_default().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        let first = |pair: &[u8]| bytemuck::pod_read_unaligned::<[f32; 2]>(pair)[0];
        Ok(State {
            potentials: Vec::new(),
            log_weights: weights.chunks_exact(8).map(first).collect(),
            columns: self.split(&columns),
            before: Default::default(),
        })
    }

    fn split(&self, columns: &[f32]) -> [Vec<f64>; BLOCKS] {
        std::array::from_fn(|b| {
            let block = self.clouds.blocks.get(b);
            let part = block.and_then(|block| columns.get(block.start * LANES..block.start * LANES + block.rows));
            part.unwrap_or_default().iter().map(|g| f64::from(*g)).collect()
        })
    }
}

/// What [`Machine::read`] brings.
pub(super) struct State {
    pub potentials: Vec<[f32; 2]>,
    pub log_weights: Vec<f32>,
    pub columns: [Vec<f64>; BLOCKS],
    pub before: [Vec<f64>; BLOCKS],
}

/// A state that waits for sweeps at fixed weights.
pub(super) fn fixed(control: Control, tolerance: f64, patience: u32) -> Control {
    Control {
        mode: FIXED,
        tolerance: tolerance as f32,
        patience,
        best: f32::MAX,
        since: 0,
        change: [0.0; 2],
        ..control
    }
}
