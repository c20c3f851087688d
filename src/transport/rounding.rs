//! Whether a bfloat16 kernel serves a problem.
//!
//! Purpose: compare, on sampled rows, the first potentials (g = 0) from the rounded and from the unrounded kernel.
//! The tolerances of a bfloat16 engine are rms 1e-3 and maximum 5e-3 of the standard deviation of f; half of them is
//! demanded here, since later potentials weigh fewer columns.

use super::cost::Clouds;
use super::kernel::PerBlock;
use super::simd::{Brain, Group, LANES};

const SAMPLE: usize = 192;
const RMS: f64 = 5e-4;
const MAXIMUM: f64 = 2.5e-3;
const LARGEST_EXPONENT: f64 = 80.0;

/// True when rounding errors of f stay within half the tolerance on the sample, and no C/ε of it exceeds 80.
pub(crate) fn brain_serves(clouds: &Clouds<'_>, epsilon: PerBlock, seed: u64) -> bool {
    let n = clouds.rows;
    let count = SAMPLE.min(n);
    let mut strip = vec![[0.0; LANES]; clouds.groups];
    let mut exact = vec![Vec::with_capacity(count); clouds.blocks.len()];
    let mut errors = exact.clone();
    for k in 0..count {
        // Evenly spaced with a seeded start: neighbours in a file are often alike.
        let row = ((k * n / count) as u64 + seed % n as u64) % n as u64;
        clouds.cosines(row as usize, 1, &mut strip);
        for (b, block) in clouds.blocks.iter().enumerate() {
            let cosines = &strip.as_flattened()[block.start * LANES..][..block.rows];
            let nearest = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let farthest = cosines.iter().copied().fold(f32::INFINITY, f32::min);
            if (1.0 - f64::from(farthest)) / epsilon[b] > LARGEST_EXPONENT {
                return false;
            }
            let (mut sum, mut rounded) = (0.0, 0.0);
            for group in cosines.chunks(LANES) {
                let mut values = [0.0; LANES];
                for (value, cosine) in values.iter_mut().zip(group) {
                    *value = (f64::from(cosine - nearest) / epsilon[b]).exp() as f32;
                }
                let wide = Brain::narrow(&values).widen();
                sum += values.iter().map(|v| f64::from(*v)).sum::<f64>();
                rounded += wide.as_flattened().iter().map(|v| f64::from(*v)).sum::<f64>();
            }
            exact[b].push(1.0 - f64::from(nearest) - epsilon[b] * (sum / block.rows as f64).ln());
            errors[b].push(epsilon[b] * (rounded / sum).ln());
        }
    }
    exact.iter().zip(&errors).all(|(exact, errors)| {
        let spread = deviation(exact);
        let worst = errors.iter().map(|e| (e - mean(errors)).abs()).fold(0.0, f64::max);
        deviation(errors) <= RMS * spread && worst <= MAXIMUM * spread
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64).sqrt()
}
