//! The compiled stages.

use super::layout::{ONCE_COLUMNS, ONCE_ROWS, Product, SWEEP_ROWS, Slice, Turn};
use crate::gpu::{Binding, Device, GpuError, Stage};

const SHARED: &str = include_str!("../../../shaders/transport.wgsl");
const SLICE: &str = include_str!("../../../shaders/transport_slice.wgsl");
const TREE: &str = include_str!("../../../shaders/transport_tree.wgsl");
const SUBGROUP: &str = include_str!("../../../shaders/transport_subgroup.wgsl");
const COSINE: &str = include_str!("../../../shaders/transport_cosine.wgsl");
const SWEEP: &str = include_str!("../../../shaders/transport_sweep.wgsl");
const ONCE: &str = include_str!("../../../shaders/transport_sweep_once.wgsl");
const FOLD: &str = include_str!("../../../shaders/transport_fold.wgsl");
const GIBBS: &str = include_str!("../../../shaders/transport_gibbs.wgsl");
const COLUMNS: &str = include_str!("../../../shaders/transport_columns.wgsl");
const POLICY: &str = include_str!("../../../shaders/transport_policy.wgsl");

/// Every stage for one format of the kept cosines.
#[derive(Debug)]
pub(super) struct Stages {
    pub cosine: Stage,
    pub sweep: Stage,
    /// The same for at most [`ONCE_COLUMNS`], in one read.
    pub once: Stage,
    pub fold: Stage,
    pub rows: Rows,
    pub columns: Stage,
    pub policy: Stage,
}

/// Stages over all rows, in their order (`shaders/transport_gibbs.wgsl`).
#[derive(Debug)]
pub(super) struct Rows {
    pub survey: Stage,
    pub seek: Stage,
    pub normalise: Stage,
    pub weigh: Stage,
    pub close: Stage,
    pub lift: Stage,
    pub lift_close: Stage,
}

impl Stages {
    pub(super) fn compile(device: &Device, packed: bool, subgroups: bool) -> Result<Self, GpuError> {
        use Binding::{Moving, Read, Uniform, Write};
        let packed: &[(&str, f64)] = &[("PACKED", f64::from(u8::from(packed)))];
        let slice = Moving(size_of::<Slice>() as u64);
        let product = Moving(size_of::<Product>() as u64);
        let sums = if subgroups && device.adapter.has_wide_subgroups() { SUBGROUP } else { TREE };
        let stage = |label, parts: &[&str], entry, bindings: &[Binding], constants: &[(&str, f64)]| {
            device.stage(label, &parts.concat(), entry, bindings, constants)
        };
        let turn = Moving(size_of::<Turn>() as u64);
        let over_rows =
            |entry| stage(entry, &[SHARED, sums, GIBBS], entry, &[Uniform, turn, Read, Write, Read, Write, Write], &[]);
        let sweeping = [Uniform, slice, Read, Read, Write, Read, Write, Write, Write, Read];
        Ok(Self {
            // SAFETY: rows and columns are clamped to the product's own, which `Machine` keeps within the vectors, the
            // tile and the chunk it binds; a vector's parts stay below `quads`, a multiple of 4; places in workgroup
            // memory are at most 127 · 5 + 3 of 640 and 63 · 5 + 3 of 320; every loop counts up to a fixed bound.
            cosine: unsafe {
                let source = [SHARED, COSINE].concat();
                let bindings = [Uniform, product, Read, Read, Write];
                device.unchecked_stage("cosine", &source, "multiply", &bindings, packed)?
            },
            sweep: stage("sweep", &[SHARED, SLICE, SWEEP], "sweep", &sweeping, packed)?,
            // SAFETY: rows are clamped to the slice's own, which `Machine` keeps within the chunk and the rows it binds;
            // octets are clamped to the columns; partial sums of `groups` workgroups fit what `Machine` makes room for;
            // places in workgroup memory follow from the thread and from rows below 64, and the place of a
            // subgroup, which the driver numbers, is checked by the stage; loops count up to bounds.
            once: unsafe {
                let source = [SHARED, SLICE, sums, ONCE].concat();
                device.unchecked_stage("sweep once", &source, "sweep", &sweeping, packed)?
            },
            fold: stage("fold", &[SHARED, FOLD], "fold", &[Uniform, slice, Read, Write, Read], &[])?,
            rows: Rows {
                survey: over_rows("survey")?,
                seek: over_rows("seek")?,
                normalise: over_rows("normalise")?,
                weigh: over_rows("weigh")?,
                close: over_rows("close")?,
                lift: over_rows("lift")?,
                lift_close: over_rows("lift_close")?,
            },
            columns: stage(
                "columns",
                &[SHARED, sums, COLUMNS],
                "renew",
                &[Uniform, Read, Write, Write, Write, Read],
                &[],
            )?,
            policy: stage("policy", &[SHARED, POLICY], "decide", &[Uniform, Read, Write, Write, Uniform], &[])?,
        })
    }

    /// The stage of a sweep over this many columns, and the rows that a workgroup of it takes.
    pub(super) fn sweep_of(&self, columns: usize) -> (&Stage, usize) {
        if columns <= ONCE_COLUMNS { (&self.once, ONCE_ROWS) } else { (&self.sweep, SWEEP_ROWS) }
    }
}
