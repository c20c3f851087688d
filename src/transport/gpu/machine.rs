//! The problem on the device: its buffers, and batches of sweeps over them.
//!
//! Purpose: encode what a sweep needs in submissions of bounded length, and bring back a few numbers a batch.
//! Constraints: no buffer past the adapter's limits; cosines in at most the budget; the cut into slices changes no bit.

use bytemuck::Zeroable;

use super::super::cost::Clouds;
use super::super::kernel::BLOCKS;
use super::super::simd::LANES;
use super::format::GpuKernel;
use super::layout::{
    BATCH, Control, GROUP_ROWS, Point, ProblemUniform, Product, QUIET, ROW_GROUPS, RUNNING, SCALING, SEEKS, SLOT,
    Slice, TILE_COLUMNS, TILE_ROWS, TOTALS, Turn,
};
use super::memory::{Chunk, Tile};
use super::pacer::Pacer;
use super::stages::Stages;
use crate::gpu::{Device, GpuError, Stage};
use crate::jobs::Progress;

/// Bytes of column sums between sweep and fold.
const PARTIAL_BYTES: u64 = 64 << 20;
/// Dispatches of one submission.
const SLOTS: usize = 256;
/// Of these, what is encoded between two looks at the room left.
const ROOM: usize = 16;
const MOST_GROUPS: usize = 65_535;

/// What a batch brought back.
pub(super) struct Report {
    pub control: Control,
    pub points: Vec<Point>,
    pub took: f64,
}

pub(super) struct Machine<'a> {
    pub(super) device: &'a Device,
    pub(super) stages: &'a Stages,
    pub(super) clouds: &'a Clouds<'a>,
    pub(super) kernel: GpuKernel,
    pub(super) problem: wgpu::Buffer,
    pub(super) arena: wgpu::Buffer,
    pub(super) count: wgpu::Buffer,
    pub(super) control: wgpu::Buffer,
    pub(super) trace: wgpu::Buffer,
    pub(super) potentials: wgpu::Buffer,
    pub(super) logs: wgpu::Buffer,
    pub(super) scores: wgpu::Buffer,
    pub(super) raws: wgpu::Buffer,
    pub(super) columns: wgpu::Buffer,
    pub(super) before: wgpu::Buffer,
    pub(super) partials: wgpu::Buffer,
    pub(super) totals: wgpu::Buffer,
    pub(super) sums: wgpu::Buffer,
    /// Between the dispatches over all rows.
    slots: wgpu::Buffer,
    seeks: u32,
    pub(super) tiles: Vec<Tile>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) strip: Option<(wgpu::Buffer, usize)>,
    pub(super) vectors: Option<wgpu::Buffer>,
    pub pacer: Pacer,
    pub(super) slot: u64,
    pub(super) encoder: Option<wgpu::CommandEncoder>,
    pub(super) parameters: Vec<u8>,
    /// Rows whose cosines are kept.
    pub kept: usize,
    /// Kept chunks that the device had no memory for.
    pub refused: bool,
}

impl<'a> Machine<'a> {
    /// Puts the problem on the device; cosines come with [`Machine::build`].
    #[expect(clippy::too_many_arguments, reason = "one call, each of another kind")]
    pub(super) fn new(
        device: &'a Device,
        stages: &'a Stages,
        clouds: &'a Clouds<'a>,
        kernel: GpuKernel,
        problem: &ProblemUniform,
        budget: u64,
        pacer: Pacer,
        progress: &dyn Progress,
    ) -> Result<Self, GpuError> {
        let (n, columns) = (clouds.rows, clouds.groups * LANES);
        if n > u32::MAX as usize / 2 {
            return Err(GpuError::TooLarge { what: "rows", needed: n as u64, allowed: u64::from(u32::MAX / 2) });
        }
        let width = 4 * columns as u64;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let (_, sweep_rows) = stages.sweep_of(columns);
        let groups = n.div_ceil(sweep_rows) as u64;
        let partial_groups = (PARTIAL_BYTES.min(device.binding_limit()) / (2 * width)).clamp(1, groups);
        let widest = clouds.blocks.iter().map(|block| block.rows).max().unwrap_or(1).div_ceil(256);
        let mut machine = Self {
            problem: device.buffer("problem", size_of::<ProblemUniform>() as u64, usage)?,
            arena: device.buffer("parameters", SLOTS as u64 * 256, usage)?,
            count: device.buffer("count", 16, usage)?,
            control: device.storage("control", size_of::<Control>() as u64)?,
            trace: device.storage("trace", (BATCH * size_of::<Point>()) as u64)?,
            potentials: device.storage("potentials", 8 * n as u64)?,
            logs: device.storage("weights", 4 * n as u64)?,
            scores: device.storage("scores", 4 * n as u64)?,
            raws: device.storage("new weights", 4 * n as u64)?,
            columns: device.storage("columns", width)?,
            before: device.storage("columns before", width)?,
            partials: device.storage("column sums", 2 * width * partial_groups)?,
            totals: device.storage("column totals", 2 * width * TOTALS as u64)?,
            sums: device.storage("column changes", 16 * (BLOCKS * widest) as u64)?,
            slots: device.storage("row sums", 16 * (SLOT * (SEEKS as usize + 4)) as u64)?,
            // A given temperature is not sought.
            seeks: if problem.share > 0.0 { SEEKS } else { 1 },
            tiles: Vec::new(),
            chunks: Vec::new(),
            strip: None,
            vectors: None,
            pacer,
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
        machine.lay_tiles(progress)?;
        machine.lay_chunks(budget, progress)?;
        Ok(machine)
    }

    pub(super) fn width(&self) -> usize {
        self.clouds.groups * LANES
    }

    /// Bytes of one padded vector.
    pub(super) fn vector_bytes(&self) -> usize {
        4 * self.clouds.dim.next_multiple_of(16)
    }

    /// Makes the cosines of the kept chunks.
    pub(super) fn build(&mut self, progress: &dyn Progress) -> Result<(), GpuError> {
        for at in 0..self.chunks.len() {
            let Some(Chunk { first, rows, cosines: Some(out), .. }) = self.chunks.get(at) else { continue };
            let (first, rows, out) = (*first, *rows, out.clone());
            let Some(vectors) = self.vectors.clone() else { continue };
            self.flush(progress)?;
            self.upload(&vectors, self.clouds.custom(), first, rows, progress)?;
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
        let full = self.parameters.len() + ROOM * self.slot as usize > SLOTS * 256;
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
    fn sweep(&mut self, mode: u32, progress: &dyn Progress) -> Result<(), GpuError> {
        let stages = self.stages;
        if mode == SCALING {
            self.over_rows(&stages.rows.lift, self.seeks + 3, 0);
            self.over_rows(&stages.rows.lift_close, self.seeks + 3, 0);
        }
        let width = self.width();
        let fold =
            self.device.bind(&stages.fold, &[&self.problem, &self.arena, &self.partials, &self.totals, &self.control]);
        let (stage, sweep_rows) = stages.sweep_of(width);
        let room = (self.partials.size() / (8 * width as u64)) as usize * sweep_rows;
        for at in 0..self.chunks.len() {
            let Some(chunk) = self.chunks.get(at) else { continue };
            let (first, rows) = (chunk.first, chunk.rows);
            let (kept, mut vectors) = (chunk.cosines.clone(), chunk.vectors.clone());
            let strip = self.strip.clone();
            if kept.is_none() && vectors.is_none() {
                // Submitted work may still read the vectors of the chunk before.
                self.flush(progress)?;
                if let Some(buffer) = &self.vectors {
                    self.upload(buffer, self.clouds.custom(), first, rows, progress)?;
                }
                vectors = self.vectors.clone();
            }
            let mut done = 0;
            while done < rows {
                let paced = (self.pacer.entries() / width as f64) as usize / sweep_rows * sweep_rows;
                let mut step = paced.clamp(sweep_rows, room).min(rows - done);
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
                let groups = step.div_ceil(sweep_rows);
                let slice = Slice {
                    first: (first + done) as u32,
                    rows: step as u32,
                    chunk_row: chunk_row as u32,
                    fresh: u32::from(first + done == 0),
                    group: ((first + done) / sweep_rows) as u32,
                    groups: groups as u32,
                    padding: [0; 2],
                };
                let sweep = self.device.bind(
                    stage,
                    &[
                        &self.problem,
                        &self.arena,
                        cosines,
                        &self.columns,
                        &self.potentials,
                        &self.logs,
                        &self.scores,
                        &self.raws,
                        &self.partials,
                        &self.control,
                    ],
                );
                let across = groups.min(MOST_GROUPS);
                let slice = bytemuck::bytes_of(&slice);
                self.pacer.add_entries((step * width) as f64);
                self.dispatch(stage, &sweep, Some(slice), [across, groups.div_ceil(across)]);
                self.dispatch(&stages.fold, &fold, Some(slice), [(width / 4).div_ceil(64), TOTALS]);
                done += step;
                self.flush_if_full(progress)?;
            }
        }
        self.gibbs(mode);
        self.flush_if_full(progress)?;
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

    /// Encodes the sums over all rows after a sweep, and the new weights.
    fn gibbs(&mut self, mode: u32) {
        let stages = &self.stages.rows;
        let seeks = if mode == QUIET { 1 } else { self.seeks };
        self.over_rows(&stages.survey, 0, 0);
        for step in 0..seeks {
            self.over_rows(&stages.seek, step, step);
        }
        if mode != QUIET {
            self.over_rows(&stages.normalise, seeks, 0);
            self.over_rows(&stages.weigh, seeks + 1, 0);
            self.over_rows(&stages.close, seeks + 2, 0);
        }
    }

    /// Encodes one dispatch over all rows.
    fn over_rows(&mut self, stage: &Stage, slot: u32, step: u32) {
        let groups = self.clouds.rows.div_ceil(GROUP_ROWS).min(ROW_GROUPS);
        let turn = Turn { slot, step, groups: groups as u32, padding: 0 };
        let alone = std::ptr::eq(stage, &self.stages.rows.close) || std::ptr::eq(stage, &self.stages.rows.lift_close);
        let buffers = [&self.problem, &self.arena, &self.scores, &self.logs, &self.raws, &self.control, &self.slots];
        let group = self.device.bind(stage, &buffers);
        self.dispatch(stage, &group, Some(bytemuck::bytes_of(&turn)), [if alone { 1 } else { groups }, 1]);
    }

    /// Runs `sweeps` (at most [`BATCH`]) sweeps from this state, or fewer where the device stops by itself.
    pub(super) fn batch(&mut self, from: Control, sweeps: usize, progress: &dyn Progress) -> Result<Report, GpuError> {
        let before = self.pacer;
        let began = std::time::Instant::now();
        let control = Control { halted: RUNNING, steps: 0, ..from };
        self.device.write(&self.control, 0, bytemuck::bytes_of(&control));
        for _ in 0..sweeps.min(BATCH) {
            self.sweep(control.mode, progress)?;
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
}
