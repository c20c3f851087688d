//! One Sinkhorn iteration in the log domain, in float64, with cosines recomputed.
//!
//! Purpose: the way out when a sum of the fast kernel leaves the range of f32 (a column that only rows of vanishing
//! weight are near to, an ε that is small against the jump of the potentials). Slow, rarely needed; the caller makes
//! its result the new offsets of the fast kernel. Constraints: same order of updates and of sums as the fast sweep.

use rayon::prelude::*;

use super::TransportError;
use super::cost::Clouds;
use super::kernel::{BLOCKS, PerBlock, RowArrays, Swept};
use super::simd::LANES;
use crate::jobs::Progress;

const TASKS: usize = 64;

/// A running log-sum-exp.
#[derive(Debug, Clone, Copy)]
struct LogSum {
    largest: f64,
    sum: f64,
}

impl LogSum {
    const EMPTY: Self = Self { largest: f64::NEG_INFINITY, sum: 0.0 };

    fn add(&mut self, other: Self) {
        if other.largest > self.largest {
            self.sum = self.sum * (self.largest - other.largest).exp() + other.sum;
            self.largest = other.largest;
        } else if other.sum > 0.0 {
            self.sum += other.sum * (other.largest - self.largest).exp();
        }
    }

    fn value(self) -> f64 {
        self.largest + self.sum.ln()
    }
}

/// As the fast sweep.
pub(crate) fn sweep(
    clouds: &Clouds<'_>,
    epsilon: PerBlock,
    columns: &[Vec<f64>; BLOCKS],
    rows: &mut RowArrays<'_>,
    weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync),
    progress: &dyn Progress,
) -> Result<Swept, TransportError> {
    let task_rows = clouds.rows.div_ceil(TASKS).max(1);
    let strip_rows = clouds.strip_rows();
    let parts: Vec<(Vec<LogSum>, f64)> = rows
        .potentials
        .par_chunks_mut(task_rows)
        .zip(rows.weights.par_chunks_mut(task_rows))
        .enumerate()
        .with_max_len(1)
        .map(|(task, (potentials, weights))| {
            let mut sums = vec![LogSum::EMPTY; clouds.groups * LANES];
            let mut strip = vec![[0.0; LANES]; strip_rows * clouds.groups];
            let mut mass = 0.0;
            let parts = potentials.chunks_mut(strip_rows).zip(weights.chunks_mut(strip_rows));
            for (part, (potentials, weights)) in parts.enumerate() {
                let first = task * task_rows + part * strip_rows;
                clouds.cosines(first, potentials.len(), &mut strip);
                let strip = strip.chunks_exact(clouds.groups);
                for (r, ((potentials, weight), cosines)) in potentials.iter_mut().zip(weights).zip(strip).enumerate() {
                    progress.check()?;
                    let cosines = cosines.as_flattened();
                    for (b, block) in clouds.blocks.iter().enumerate() {
                        let mut sum = LogSum::EMPTY;
                        for (g, cosine) in columns[b].iter().zip(&cosines[block.start * LANES..]) {
                            sum.add(LogSum { largest: (g - 1.0 + f64::from(*cosine)) / epsilon[b], sum: 1.0 });
                        }
                        potentials[b] = epsilon[b] * ((block.rows as f64).ln() - sum.value());
                    }
                    *weight = weigh(first + r, potentials);
                    mass += *weight;
                    if *weight <= 0.0 {
                        continue;
                    }
                    for (b, block) in clouds.blocks.iter().enumerate() {
                        let part = block.start * LANES..block.start * LANES + block.rows;
                        for (sum, cosine) in sums[part.clone()].iter_mut().zip(&cosines[part]) {
                            let largest = weight.ln() + (potentials[b] - 1.0 + f64::from(*cosine)) / epsilon[b];
                            sum.add(LogSum { largest, sum: 1.0 });
                        }
                    }
                }
            }
            Ok((sums, mass))
        })
        .collect::<Result<_, TransportError>>()?;
    let mut sums = vec![LogSum::EMPTY; clouds.groups * LANES];
    let mut mass = 0.0;
    for (part, part_mass) in parts {
        mass += part_mass;
        sums.iter_mut().zip(part).for_each(|(sum, part)| sum.add(part));
    }
    let mut swept = Swept { columns: Default::default(), mass, marginal: [0.0; BLOCKS] };
    for (b, block) in clouds.blocks.iter().enumerate() {
        let mut error = 0.0;
        let sums = &sums[block.start * LANES..];
        for (sum, old) in sums.iter().zip(&columns[b]) {
            let new = -epsilon[b] * (sum.value() - mass.ln());
            error += (((old - new) / epsilon[b]).exp() - 1.0).abs();
            swept.columns[b].push(new);
        }
        swept.marginal[b] = error / block.rows as f64;
        if swept.columns[b].iter().any(|g| !g.is_finite()) {
            return Err(TransportError::Diverged { set: block.name, step: 0 });
        }
    }
    Ok(swept)
}
