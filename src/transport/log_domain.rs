//! One Sinkhorn iteration in the log domain, in float64, with cosines recomputed.
//!
//! Purpose: the way out when a sum of the fast kernel leaves the range of f32 (a column that only rows of vanishing
//! weight are near to, an ε that is small against the jump of the potentials). Slow, rarely needed; the caller makes
//! its result the new offsets of the fast kernel. Constraints: same order of updates and of sums as the
//! fast sweep; never relaxed.

use rayon::prelude::*;

use super::TransportError;
use super::cost::Clouds;
use super::entries::LANES;
use super::kernel::{BLOCKS, PerBlock, RowArrays, Swept};
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
    let mut swept = Swept {
        columns: Default::default(),
        mass,
        marginal: [0.0; BLOCKS],
        deviation: [0.0; BLOCKS],
        dual: [0.0; BLOCKS],
    };
    for (b, block) in clouds.blocks.iter().enumerate() {
        let (mut error, mut plan) = (0.0, 0.0);
        let sums = &sums[block.start * LANES..];
        for (sum, old) in sums.iter().zip(&columns[b]) {
            let new = -epsilon[b] * (sum.value() - mass.ln());
            let column = ((old - new) / epsilon[b]).exp();
            error += (column - 1.0).abs();
            plan += column;
            swept.columns[b].push(new);
        }
        let share = 1.0 / block.rows as f64;
        swept.marginal[b] = error * share;
        let value: f64 = rows.potentials.iter().zip(rows.weights.iter()).map(|(f, w)| w * f[b]).sum();
        swept.dual[b] = value / mass + columns[b].iter().sum::<f64>() * share - epsilon[b] * (plan * share - 1.0);
        if swept.columns[b].iter().any(|g| !g.is_finite()) {
            return Err(TransportError::Diverged { set: block.name, step: 0 });
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::jobs::Silent;
    use crate::transport::kernel::{Kernel, PLAIN};
    use crate::transport::{KernelFormat, Points};

    const ROWS: usize = 90;
    const COLUMNS: [usize; BLOCKS] = [40, 33];

    fn cloud(random: &mut ChaCha8Rng, rows: usize) -> Vec<f32> {
        (0..rows * 8).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    /// Potentials, weights and the rest of one sweep, by the kernel and in the log domain.
    fn both(columns: &[Vec<f64>; BLOCKS], epsilon: PerBlock) -> [(Vec<PerBlock>, Vec<f64>, Swept); 2] {
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let [x, safe, harmful] = [ROWS, COLUMNS[0], COLUMNS[1]].map(|rows| cloud(&mut random, rows));
        let points = |data, rows| Points::new(data, rows, 8).expect("fits");
        let references = [("safe", points(&safe, COLUMNS[0])), ("harmful", points(&harmful, COLUMNS[1]))];
        let clouds = Clouds::new(points(&x, ROWS), &references).expect("sound vectors").packed();
        let weigh = |i: usize, _: &PerBlock| 1.0 + (i % 3) as f64;
        [true, false].map(|fast| {
            let (mut potentials, mut weights) = (vec![[0.0; BLOCKS]; ROWS], vec![0.0; ROWS]);
            let mut rows = RowArrays { potentials: &mut potentials, weights: &mut weights };
            let swept = if fast {
                let mut kernel =
                    Kernel::build(&clouds, epsilon, KernelFormat::Single, 1 << 30, &Silent).expect("builds");
                kernel.sweep(columns, &mut rows, &weigh, PLAIN, &Silent)
            } else {
                sweep(&clouds, epsilon, columns, &mut rows, &weigh, &Silent)
            };
            (potentials, weights, swept.expect("sweeps"))
        })
    }

    #[test]
    fn both_domains_give_the_same_sweep() {
        let columns = COLUMNS.map(|m| (0..m).map(|j| 0.05 * (j % 5) as f64).collect::<Vec<f64>>());
        let [fast, slow] = both(&columns, [0.1, 0.07]);
        assert_eq!(fast.1, slow.1);
        assert!((fast.2.mass - slow.2.mass).abs() < 1e-9);
        for (fast, slow) in fast.0.as_flattened().iter().zip(slow.0.as_flattened()) {
            assert!((fast - slow).abs() < 1e-6);
        }
        for b in 0..BLOCKS {
            assert!((fast.2.marginal[b] - slow.2.marginal[b]).abs() < 1e-4 * (1.0 + slow.2.marginal[b]));
            for (fast, slow) in fast.2.columns[b].iter().zip(&slow.2.columns[b]) {
                assert!((fast - slow).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn sums_beyond_single_precision_are_done_in_the_log_domain() {
        let epsilon = [0.1, 0.07];
        let even = COLUMNS.map(|m| vec![0.0; m]);
        let plain = both(&even, epsilon);
        for jump in [-150.0, 150.0] {
            // Potentials far from the offsets: f answers with the opposite shift, and nothing is lost.
            let moved: [Vec<f64>; BLOCKS] = std::array::from_fn(|b| vec![jump * epsilon[b]; COLUMNS[b]]);
            let [fast, slow] = both(&moved, epsilon);
            assert_eq!((&fast.0, &fast.2.columns), (&slow.0, &slow.2.columns), "the same code answers");
            for (moved, plain) in fast.0.iter().zip(&plain[1].0) {
                for b in 0..BLOCKS {
                    assert!((moved[b] + jump * epsilon[b] - plain[b]).abs() < 1e-9);
                }
            }
        }
    }
}
