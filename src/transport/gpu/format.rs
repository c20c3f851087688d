//! How cosines are held on the device: the cost model.
//!
//! Purpose: keep them where they fit and a read is cheaper than the product that makes them, in half the bytes where
//! rounding does not show. Constraint: the choice depends on the problem, the settings and the adapter's limits alone.

use super::super::cost::Clouds;
use super::super::kernel::PerBlock;
use super::super::simd::LANES;

/// How cosines are held on the device. Exponentials are taken in every sweep, at the newest potentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuKernel {
    /// 4 bytes an entry.
    Single,
    /// 2 bytes an entry: (cosine + 1)/2 in 65,535 steps.
    Packed,
    /// None: products again in every sweep, a bounded strip at a time.
    Recomputed,
}

/// Operations an adapter does in the time of reading one byte, as a plain product reaches them: from 5 on an
/// integrated adapter to 15 on a large one.
const OPERATIONS_PER_BYTE: usize = 10;
/// Up to this many bytes nothing is gained by half of them.
const SMALL: u64 = 8 << 20;
/// A step of the packed cosine errs by at most 1.5e-5 and by 8.8e-6 rms; f, a mean of them, by no more. Half of the
/// tolerances of a half-precision engine (maximum 5e-3, rms 1e-3 of the deviation of f) asks for this deviation.
const SMALLEST_DEVIATION: f64 = 0.018;
const SAMPLE: usize = 192;

impl GpuKernel {
    /// The format for a problem.
    pub(super) fn choose(clouds: &Clouds<'_>, epsilon: PerBlock, seed: u64) -> Self {
        let entries = (clouds.rows * clouds.groups * LANES) as u64;
        let packed = 4 * entries > SMALL && packing_serves(clouds, epsilon, seed);
        let format = if packed { Self::Packed } else { Self::Single };
        // A product takes 2d operations an entry.
        if 2 * clouds.dim <= format.bytes() * OPERATIONS_PER_BYTE { Self::Recomputed } else { format }
    }

    /// Bytes an entry.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Packed => 2,
            Self::Recomputed => 0,
        }
    }

    /// `kept-f32`, `kept-u16`, `matrix-free`, or the first two with the share kept.
    pub(super) fn label(self, kept: usize, rows: usize) -> String {
        let name = match self {
            Self::Single => "kept-f32",
            Self::Packed => "kept-u16",
            Self::Recomputed => "matrix-free",
        };
        match kept {
            0 => "matrix-free".to_owned(),
            kept if kept == rows => name.to_owned(),
            kept => format!("{name} ({} % of the rows, others recomputed)", 100 * kept / rows),
        }
    }
}

/// Whether the first potentials (g = 0) of sampled rows differ by more than packing could hide.
fn packing_serves(clouds: &Clouds<'_>, epsilon: PerBlock, seed: u64) -> bool {
    let n = clouds.rows;
    let count = SAMPLE.min(n);
    let mut strip = vec![[0.0; LANES]; clouds.groups];
    let mut potentials = vec![Vec::with_capacity(count); clouds.blocks.len()];
    for k in 0..count {
        // Evenly spaced with a seeded start: neighbours in a file are often alike.
        let row = ((k * n / count) as u64 + seed % n as u64) % n as u64;
        clouds.cosines(row as usize, 1, &mut strip);
        for ((block, epsilon), potentials) in clouds.blocks.iter().zip(epsilon).zip(&mut potentials) {
            let cosines = &strip.as_flattened()[block.start * LANES..][..block.rows];
            let nearest = f64::from(cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let sum: f64 = cosines.iter().map(|c| ((f64::from(*c) - nearest) / epsilon).exp()).sum();
            potentials.push(-nearest - epsilon * (sum / block.rows as f64).ln());
        }
    }
    potentials.iter().all(|values| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        variance.sqrt() >= SMALLEST_DEVIATION
    })
}
