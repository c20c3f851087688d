//! Products with a bfloat16 matrix by the dot products of CPUs that have them (AVX512-BF16): twice the speed of float32.
//!
//! The other operand is rounded to bfloat16 (relative error 2^-9 a number), sums are float32. Constraint: each number of
//! a result is summed in an order that depends on the sizes of the matrix alone, so neither the other rows nor the
//! number of threads changes a bit.

#[cfg(target_arch = "x86_64")]
mod x86;

use half::bf16;

/// Numbers of one instruction's operand.
const LANE: usize = 32;
/// Rows of W that stay in the cache while all rows of x pass by.
const PANEL: usize = 48;

/// Sizes of a frozen matrix: outputs × inputs.
pub(super) type Sizes = (usize, usize);

/// This CPU has the instructions.
pub(crate) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// y += x·Wᵀ, x rows × inputs, y rows × outputs; false where this CPU cannot.
pub(super) fn forward(x: &[f32], w: &[bf16], sizes: Sizes, y: &mut [f32], side_by_side: bool) -> bool {
    use rayon::prelude::*;
    let (outputs, inputs) = sizes;
    if !available() || inputs == 0 || outputs == 0 {
        return false;
    }
    let rounded = Rounded::new(x, inputs);
    let panels: Vec<usize> = (0..outputs).step_by(PANEL).collect();
    let of = |first: &usize| panel(&rounded, w, sizes, *first);
    let mut scatter = |first: usize, part: Vec<f32>| {
        let width = PANEL.min(outputs - first);
        for (row, part) in y.chunks_exact_mut(outputs).zip(part.chunks_exact(width)) {
            let target = row.get_mut(first..first + width).unwrap_or_default();
            target.iter_mut().zip(part).for_each(|(target, value)| *target += value);
        }
    };
    if side_by_side {
        let parts: Vec<Vec<f32>> = panels.par_iter().map(of).collect();
        panels.iter().zip(parts).for_each(|(first, part)| scatter(*first, part));
    } else {
        panels.iter().for_each(|first| scatter(*first, of(first)));
    }
    true
}

/// dx += g·W, g rows × outputs, dx rows × inputs; false where this CPU cannot.
pub(super) fn backward(g: &[f32], w: &[bf16], sizes: Sizes, dx: &mut [f32]) -> bool {
    let (outputs, inputs) = sizes;
    if !available() || inputs == 0 || outputs == 0 {
        return false;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instructions were found just now.
    unsafe {
        x86::backward(&Rounded::new(g, outputs), w, sizes, dx);
    }
    true
}

/// Rows as bfloat16, each filled up with zeros to whole operands.
struct Rounded {
    values: Vec<[u16; LANE]>,
    /// Operands of a row.
    steps: usize,
}

impl Rounded {
    fn new(x: &[f32], width: usize) -> Self {
        let steps = width.div_ceil(LANE);
        let mut values = vec![[0u16; LANE]; x.len() / width.max(1) * steps];
        for (row, x) in values.chunks_exact_mut(steps.max(1)).zip(x.chunks_exact(width.max(1))) {
            row.as_flattened_mut().iter_mut().zip(x).for_each(|(to, from)| *to = round(*from));
        }
        Self { values, steps }
    }

    fn rows(&self) -> usize {
        self.values.len() / self.steps.max(1)
    }

    fn row(&self, row: usize) -> &[[u16; LANE]] {
        self.values.get(row * self.steps..(row + 1) * self.steps).unwrap_or_default()
    }
}

/// To the nearest, ties to even; what is no number stays none.
#[inline(always)]
fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16) as u16;
    if x.is_nan() { 0x7FC0 } else { rounded }
}

/// Rows × the panel's width.
fn panel(x: &Rounded, w: &[bf16], (outputs, inputs): Sizes, first: usize) -> Vec<f32> {
    let width = PANEL.min(outputs - first);
    let mut out = vec![0f32; x.rows() * width];
    let part = w.get(first * inputs..(first + width) * inputs).unwrap_or_default();
    // A bfloat16 is its 16 bits.
    let rows = Rows::new(bytemuck::cast_slice(part), inputs);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the callers have asked for the instructions.
    unsafe {
        x86::panel(x, &rows, width, &mut out);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = rows;
    out
}

/// Rows of W in whole operands, and the filled-up rest of each.
struct Rows<'a> {
    values: &'a [u16],
    inputs: usize,
    rests: Vec<[u16; LANE]>,
}

impl<'a> Rows<'a> {
    fn new(values: &'a [u16], inputs: usize) -> Self {
        let rest = inputs % LANE;
        let filled = |row: &[u16]| {
            let mut filled = [0u16; LANE];
            filled.iter_mut().zip(row.iter().skip(inputs - rest)).for_each(|(to, from)| *to = *from);
            filled
        };
        let rests = if rest == 0 { Vec::new() } else { values.chunks_exact(inputs).map(filled).collect() };
        Self { values, inputs, rests }
    }

    fn row(&self, row: usize) -> (&'a [[u16; LANE]], Option<&[u16; LANE]>) {
        let values = self.values.get(row * self.inputs..(row + 1) * self.inputs).unwrap_or_default();
        (values.as_chunks().0, self.rests.get(row))
    }
}
