//! The compiled stages.

use super::layout::{Product, Slice};
use crate::gpu::{Binding, Device, GpuError, Stage};

const SHARED: &str = include_str!("../../../shaders/transport.wgsl");
const COSINE: &str = include_str!("../../../shaders/transport_cosine.wgsl");
const SWEEP: &str = include_str!("../../../shaders/transport_sweep.wgsl");
const FOLD: &str = include_str!("../../../shaders/transport_fold.wgsl");
const GIBBS: &str = include_str!("../../../shaders/transport_gibbs.wgsl");
const COLUMNS: &str = include_str!("../../../shaders/transport_columns.wgsl");
const POLICY: &str = include_str!("../../../shaders/transport_policy.wgsl");

/// Every stage for one format of the kept cosines.
#[derive(Debug)]
pub(super) struct Stages {
    pub cosine: Stage,
    pub sweep: Stage,
    pub fold: Stage,
    pub gibbs: Stage,
    pub lift: Stage,
    pub columns: Stage,
    pub policy: Stage,
}

impl Stages {
    pub(super) fn compile(device: &Device, packed: bool) -> Result<Self, GpuError> {
        use Binding::{Moving, Read, Uniform, Write};
        let packed: &[(&str, f64)] = &[("PACKED", f64::from(u8::from(packed)))];
        let slice = Moving(size_of::<Slice>() as u64);
        let product = Moving(size_of::<Product>() as u64);
        let stage = |label, source, entry, bindings: &[Binding], constants: &[(&str, f64)]| {
            device.stage(label, &format!("{SHARED}{source}"), entry, bindings, constants)
        };
        let rows = [Uniform, Read, Write, Read, Write];
        Ok(Self {
            // SAFETY: rows and columns are clamped to the product's own, which `Machine` keeps within the vectors, the
            // tile and the chunk it binds; a vector's parts stay below `quads`, a multiple of 4; places in workgroup
            // memory are at most 127 · 5 + 3 of 640 and 63 · 5 + 3 of 320; every loop counts up to a fixed bound.
            cosine: unsafe {
                let source = format!("{SHARED}{COSINE}");
                let bindings = [Uniform, product, Read, Read, Write];
                device.unchecked_stage("cosine", &source, "multiply", &bindings, packed)?
            },
            sweep: stage(
                "sweep",
                SWEEP,
                "sweep",
                &[Uniform, slice, Read, Read, Write, Read, Write, Write, Write, Read],
                packed,
            )?,
            fold: stage("fold", FOLD, "fold", &[Uniform, slice, Read, Write, Read], &[])?,
            gibbs: stage("gibbs", GIBBS, "gibbs", &rows, &[])?,
            lift: stage("lift", GIBBS, "lift", &rows, &[])?,
            columns: stage("columns", COLUMNS, "renew", &[Uniform, Read, Write, Write, Write, Read], &[])?,
            policy: stage("policy", POLICY, "decide", &[Uniform, Read, Write, Write, Uniform], &[])?,
        })
    }
}
