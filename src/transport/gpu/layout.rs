//! The structures that shaders and host share, byte for byte (`shaders/transport.wgsl`).

use bytemuck::{Pod, Zeroable};

/// Constants of a solve; index 0 is the safe, 1 the harmful reference.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ProblemUniform {
    pub inverse: [f32; 2],
    pub epsilon: [f32; 2],
    pub rate: [f32; 2],
    pub centre: [f32; 2],
    pub lambda: f32,
    pub share: f32,
    pub tau: f32,
    pub scale: f32,
    pub rows: u32,
    pub split: u32,
    pub columns: u32,
    pub quads: u32,
    pub real: [u32; 2],
    pub smallest_alpha: f32,
    pub padding: u32,
}

pub(super) const FIXED: u32 = 0;
pub(super) const SCALING: u32 = 1;
pub(super) const QUIET: u32 = 2;

pub(super) const RUNNING: u32 = 0;
pub(super) const FROZEN: u32 = 1;
pub(super) const STALLED: u32 = 2;
pub(super) const BROKEN: u32 = 4;

/// State of the solver between sweeps.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Control {
    pub mode: u32,
    pub halted: u32,
    pub steps: u32,
    pub patience: u32,
    pub alpha: f32,
    pub tau: f32,
    pub shift: f32,
    pub log_mass: f32,
    pub residual: f32,
    pub score: f32,
    pub square: f32,
    pub entropy: f32,
    pub tolerance: f32,
    pub best: f32,
    pub since: u32,
    pub bad: u32,
    pub marginal: [f32; 2],
    pub change: [f32; 2],
    pub contraction: [f32; 2],
    pub mean: [f32; 2],
}

/// One step in the trace of a batch.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Point {
    pub residual: f32,
    pub objective: f32,
    pub share: f32,
    pub tau: f32,
    pub marginal: [f32; 2],
    pub alpha: f32,
    pub mode: u32,
}

/// A run of rows of a sweep.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Slice {
    pub first: u32,
    pub rows: u32,
    pub chunk_row: u32,
    pub fresh: u32,
    pub group: u32,
    pub groups: u32,
    pub padding: [u32; 2],
}

/// A product of rows and columns.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Product {
    pub x_first: u32,
    pub rows: u32,
    pub y_first: u32,
    pub columns: u32,
    pub column: u32,
    pub out_first: u32,
    pub padding: [u32; 2],
}

/// One dispatch over all rows.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Turn {
    pub slot: u32,
    pub step: u32,
    pub groups: u32,
    pub padding: u32,
}

/// Workgroups of a dispatch over all rows, the rows of each at the least, and the vec4 of a slot between dispatches.
pub(super) const ROW_GROUPS: usize = 128;
pub(super) const GROUP_ROWS: usize = 1024;
pub(super) const SLOT: usize = 2 * ROW_GROUPS + 2;
/// Dispatches that seek the temperature before the one that ends the search alone.
pub(super) const SEEKS: u32 = 6;

/// Rows a workgroup of the sweep takes, and rows and columns a workgroup of the product.
pub(super) const SWEEP_ROWS: usize = 32;
/// Columns that the sweep in one read takes at most, and its rows.
pub(super) const ONCE_COLUMNS: usize = 4096;
pub(super) const ONCE_ROWS: usize = 64;
pub(super) const TILE_ROWS: usize = 128;
pub(super) const TILE_COLUMNS: usize = 64;
/// Running totals a column.
pub(super) const TOTALS: usize = 32;
/// G of a padded row; ln w is as far below.
pub(super) const FAR: f32 = 3e38;
/// g of a padded column.
pub(super) const UNREACHABLE: f32 = -1e20;
/// Points a batch can record.
pub(super) const BATCH: usize = 32;
