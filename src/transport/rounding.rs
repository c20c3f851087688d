//! Whether a 16-bit kernel serves a problem.
//!
//! Purpose: compare, on sampled rows, the first potentials (g = 0) from the rounded kernel, of rounded or of exact
//! cosines, and from the unrounded one.
//! The tolerances of a 16-bit engine are rms 1e-3 and maximum 5e-3 of the standard deviation of f; half of them is
//! demanded here, since later potentials weigh fewer columns. Constraint: the same bits for any number of threads.

use rayon::prelude::*;

use super::cost::Clouds;
use super::entries::{Group, Half, LANES, Single};
use super::kernel::PerBlock;
use super::pass::rate;
use super::simd::{self, Exponent, Level};

/// Sampled rows at most and at least; one in so many of small sets.
const SAMPLE: usize = 192;
const SMALLEST_SAMPLE: usize = 128;
const ONE_IN: usize = 40;
/// Rows of one product.
const STRIP: usize = 24;
const RMS: f64 = 5e-4;
const MAXIMUM: f64 = 2.5e-3;
/// Share of a marginal tolerance that rounding may take.
const SHARE: f64 = 0.8;

/// f of a sampled row from the unrounded kernel, and how far the rounded one is from it: of exact, of fast cosines.
struct Sampled {
    exact: f64,
    errors: [f64; 2],
}

/// Whether fast cosines serve, where rounding errors of f stay within half the tolerance on the sample at all.
pub(crate) fn half_serves(clouds: &Clouds<'_>, epsilon: PerBlock, seed: u64) -> Option<bool> {
    let rows = sampled(clouds, epsilon, seed);
    let serves = |fast: &bool| {
        (0..clouds.blocks.len()).all(|b| {
            let exact: Vec<f64> = rows.iter().map(|row| row[b].exact).collect();
            let errors: Vec<f64> = rows.iter().map(|row| row[b].errors[usize::from(*fast)]).collect();
            let spread = deviation(&exact);
            let worst = errors.iter().map(|e| (e - mean(&errors)).abs()).fold(0.0, f64::max);
            deviation(&errors) <= RMS * spread && worst <= MAXIMUM * spread
        })
    };
    [true, false].into_iter().find(serves)
}

/// Whether fast cosines serve, and the L1 error of both marginals that 16 bits are then expected to cause with the first
/// reference, where that leaves enough of the tolerance to the iterations. A column's sum has n entries where a row's has
/// m, and its error averages alike.
pub(crate) fn half_error(clouds: &Clouds<'_>, epsilon: f64, tolerance: f64) -> Option<(bool, f64)> {
    let rows = sampled(clouds, [epsilon; 2], 0);
    let columns = clouds.blocks.first().map_or(0, |block| block.rows);
    let error = |fast: bool| {
        let errors: Vec<f64> = rows.iter().map(|row| row[0].errors[usize::from(fast)]).collect();
        let centre = mean(&errors);
        let one = errors.iter().map(|e| (e - centre).abs() / epsilon).sum::<f64>() / errors.len() as f64;
        one * (1.0 + (columns as f64 / clouds.rows as f64).sqrt())
    };
    [true, false].map(|fast| (fast, error(fast))).into_iter().find(|(_, error)| *error <= SHARE * tolerance)
}

/// Evenly spaced rows with a seeded start (neighbours in a file are often alike), each with an entry per reference.
fn sampled(clouds: &Clouds<'_>, epsilon: PerBlock, seed: u64) -> Vec<Vec<Sampled>> {
    let (n, level) = (clouds.rows, Level::detect());
    let count = (n / ONE_IN).clamp(SMALLEST_SAMPLE, SAMPLE).min(n);
    let rows: Vec<usize> = (0..count).map(|k| (k * n / count + (seed % n as u64) as usize) % n).collect();
    let lift = vec![[0.0; LANES]; clouds.groups];
    rows.par_chunks(STRIP)
        .flat_map_iter(|rows| {
            let mut exact = vec![[0.0; LANES]; rows.len() * clouds.groups];
            let mut rounded = exact.clone();
            clouds.both_cosines(rows, &mut exact, &mut rounded);
            let pairs = exact.chunks_exact(clouds.groups).zip(rounded.chunks_exact(clouds.groups));
            let found: Vec<Vec<Sampled>> = pairs
                .map(|(exact, rounded)| {
                    let blocks = clouds.blocks.iter().enumerate();
                    blocks
                        .map(|(b, block)| {
                            let part = block.start..block.start + block.groups;
                            let reach = simd::largest(level, &exact[part.clone()].as_flattened()[..block.rows]);
                            let exponent = Exponent { reach, rate: rate(epsilon[b]), lift: &lift[part.clone()] };
                            let whole = sum::<Single>(level, &exact[part.clone()], exponent, block.rows);
                            let half = [&exact[part.clone()], &rounded[part]]
                                .map(|cosines| sum::<Half>(level, cosines, exponent, block.rows));
                            let mean = whole / block.rows as f64;
                            Sampled {
                                exact: 1.0 - f64::from(reach) - epsilon[b] * mean.ln(),
                                errors: half.map(|half| epsilon[b] * (half / whole).ln()),
                            }
                        })
                        .collect()
                })
                .collect();
            found
        })
        .collect()
}

/// Σ_j K_ij of one row as stored.
fn sum<G: Group>(level: Level, cosines: &[[f32; LANES]], exponent: Exponent<'_>, columns: usize) -> f64 {
    let mut entries = vec![G::EMPTY; cosines.len()];
    simd::exponentials(level, cosines, exponent, &mut entries);
    let wide = entries.iter().flat_map(|group| group.widen()).flatten();
    wide.take(columns).map(f64::from).sum::<f64>() * f64::from(G::SCALE)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64).sqrt()
}
