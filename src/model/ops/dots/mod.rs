//! Products with a bfloat16 matrix by the dot products of CPUs that have them (AVX512-BF16): twice the speed of float32.
//!
//! The other operand is rounded to bfloat16 (relative error 2^-9 a number), sums are float32. Constraint: each number of
//! a result is summed in an order that depends on the sizes of the matrix alone, so neither the other rows nor the
//! number of threads changes a bit.

#[cfg(target_arch = "x86_64")]
mod x86;

use half::bf16;

/// Pairs of numbers of one instruction's operand.
const LANE: usize = 16;
/// Columns of a product that are computed together.
const COLUMNS: usize = 64;

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

/// y += x·Wᵀ, x rows × inputs, y rows × outputs; false where this CPU cannot. A single row, as generation has it, is
/// summed in another order than several.
pub(super) fn forward(x: &[f32], w: &[bf16], sizes: Sizes, y: &mut [f32], side_by_side: bool) -> bool {
    use rayon::prelude::*;
    let (outputs, inputs) = sizes;
    if !available() || inputs == 0 || outputs == 0 {
        return false;
    }
    let rounded = Rounded::new(x, inputs);
    // A bfloat16 is its 16 bits.
    let w: &[u16] = bytemuck::cast_slice(w);
    let of = |first: &usize| columns(&rounded, w, sizes, *first);
    let mut scatter = |first: usize, part: Vec<f32>| {
        let width = COLUMNS.min(outputs - first);
        for (row, part) in y.chunks_exact_mut(outputs).zip(part.chunks_exact(width)) {
            let target = row.get_mut(first..first + width).unwrap_or_default();
            target.iter_mut().zip(part).for_each(|(target, value)| *target += value);
        }
    };
    let firsts: Vec<usize> = (0..outputs).step_by(COLUMNS).collect();
    if side_by_side {
        let parts: Vec<Vec<f32>> = firsts.par_iter().map(of).collect();
        firsts.iter().zip(parts).for_each(|(first, part)| scatter(*first, part));
    } else {
        firsts.iter().for_each(|first| scatter(*first, of(first)));
    }
    true
}

/// Rows of x × up to 64 rows of W from `first` on.
fn columns(x: &Rounded, w: &[u16], (outputs, inputs): Sizes, first: usize) -> Vec<f32> {
    let width = COLUMNS.min(outputs - first);
    let mut out = vec![0f32; x.rows() * width];
    let part = w.get(first * inputs..(first + width) * inputs).unwrap_or_default();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller has asked for the instructions.
    unsafe {
        if x.rows() == 1 { x86::single(x, part, inputs, &mut out) } else { x86::forward(x, part, inputs, &mut out) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = part;
    out
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
        x86::backward(&Rounded::new(g, outputs), bytemuck::cast_slice(w), sizes, dx);
    }
    true
}

/// Rows as pairs of bfloat16, each filled up with zeros to whole operands.
struct Rounded {
    values: Vec<[u32; LANE]>,
    /// Operands of a row.
    steps: usize,
}

impl Rounded {
    fn new(x: &[f32], width: usize) -> Self {
        let steps = width.div_ceil(2 * LANE);
        let mut values = vec![[0u32; LANE]; x.len() / width.max(1) * steps];
        for (row, x) in values.chunks_exact_mut(steps.max(1)).zip(x.chunks_exact(width.max(1))) {
            let (pairs, rest) = x.as_chunks::<2>();
            let rest = rest.first().map(|last| [*last, 0.0]);
            let pairs = pairs.iter().chain(&rest);
            row.as_flattened_mut().iter_mut().zip(pairs).for_each(|(to, [low, high])| {
                *to = u32::from(round(*low)) | u32::from(round(*high)) << 16;
            });
        }
        Self { values, steps }
    }

    fn rows(&self) -> usize {
        self.values.len() / self.steps.max(1)
    }

    fn row(&self, row: usize) -> &[[u32; LANE]] {
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
