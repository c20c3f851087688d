//! Balanced entropic optimal transport between two weighted point clouds, at fixed weights.
//!
//! Purpose: OT_ε(a, b) = min_P <C,P> + ε KL(P ‖ a⊗b) with the cosine cost and an absolute ε, by over-relaxed Sinkhorn on
//! a kept kernel; what `dipole bench` and the benches measure beside other solvers. Constraints: b is uniform; the same
//! bits for any number of threads.

use std::time::{Duration, Instant};

use super::cost::Clouds;
use super::cpu::pool;
use super::kernel::{self, BLOCKS, Kernel, PLAIN, PerBlock, RowArrays};
use super::pass::KernelFormat;
use super::relaxation::Relaxation;
use super::{Points, Settings, TransportError};
use crate::jobs::Progress;

/// Sweeps without a nearer plan after which the rounding of the kernel is taken to be in the way.
const PATIENCE: usize = 100;
const IMPROVEMENT: f64 = 0.9;
/// Share of the tolerance for potentials that are rounded to float32 by who takes them.
const SPARED: f64 = 0.05;

/// The knobs of [`sinkhorn`].
#[derive(Debug, Clone, PartialEq)]
pub struct SinkhornSettings {
    /// ε in the unit of the cost, above 0 (0.05).
    pub epsilon: f64,
    /// L1 error of both marginals together to stop at, the expected rounding of a 16-bit kernel included (1e-4).
    pub tolerance: f64,
    /// Sweeps at most (10,000).
    pub max_sweeps: usize,
    /// Over-relaxation (true); plain Sinkhorn without.
    pub relaxed: bool,
    /// Worker threads; 0 takes all cores. Does not change the result.
    pub threads: usize,
    /// Bytes a kept kernel may take (2 GiB).
    pub memory_budget: u64,
    /// The kernel's format; `None` lets the engine choose.
    pub format: Option<KernelFormat>,
}

impl Default for SinkhornSettings {
    fn default() -> Self {
        Self {
            epsilon: 0.05,
            tolerance: 1e-4,
            max_sweeps: 10_000,
            relaxed: true,
            threads: 0,
            memory_budget: Settings::default().memory_budget,
            format: None,
        }
    }
}

/// The solution: P_ij = a_i b_j exp((f_i + g_j - C_ij)/ε).
#[derive(Debug, Clone, PartialEq)]
pub struct Coupling {
    /// f, one a row of x, in the unit of the cost.
    pub row_potential: Vec<f64>,
    /// g, one a row of y.
    pub column_potential: Vec<f64>,
    /// L1 error of the marginals: of the columns as the solver saw it, and what rounding is expected to add.
    pub marginal_error: f64,
    /// Σ a f + Σ b g, the dual value.
    pub cost: f64,
    /// Reads of the kernel, each one whole Sinkhorn iteration.
    pub sweeps: usize,
    /// The tolerance was met.
    pub converged: bool,
    /// As in [`super::Outcome::kernel`].
    pub kernel: String,
    /// Time for checks, costs and kernel, and for the sweeps.
    pub build: Duration,
    pub solve: Duration,
}

/// Transports the rows of `x`, weighted by `weights` (normalised here; uniform if absent), to the rows of `y`.
///
/// Fails where a cloud is empty or has a row without direction, and where a setting or a weight is out of range.
pub fn sinkhorn(
    x: Points<'_>,
    y: Points<'_>,
    weights: Option<&[f64]>,
    settings: &SinkhornSettings,
    progress: &dyn Progress,
) -> Result<Coupling, TransportError> {
    let refuse = |setting, allowed, found: String| Err(TransportError::Setting { setting, allowed, found });
    if !(settings.epsilon > 0.0 && settings.epsilon.is_finite()) {
        return refuse("epsilon", "above 0 and finite", settings.epsilon.to_string());
    }
    if settings.tolerance.is_nan() || settings.tolerance < 0.0 {
        return refuse("tolerance", "0 or more", settings.tolerance.to_string());
    }
    if settings.max_sweeps == 0 {
        return refuse("max_sweeps", "1 or more", "0".to_owned());
    }
    let weights = match weights {
        None => vec![1.0 / x.rows.max(1) as f64; x.rows],
        Some(weights) if weights.len() != x.rows => {
            return refuse("weights", "one for each row", weights.len().to_string());
        }
        Some(weights) => {
            let total: f64 = weights.iter().sum();
            if let Some(bad) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
                return refuse("weights", "finite and not negative", bad.to_string());
            }
            if !(total > 0.0 && total.is_finite()) {
                return refuse("weights", "of positive sum", total.to_string());
            }
            weights.iter().map(|w| w / total).collect()
        }
    };
    pool(settings.threads)?.install(|| solve(x, y, &weights, settings, progress))
}

fn solve(
    x: Points<'_>,
    y: Points<'_>,
    weights: &[f64],
    settings: &SinkhornSettings,
    progress: &dyn Progress,
) -> Result<Coupling, TransportError> {
    let began = Instant::now();
    let clouds = Clouds::new(x, &[("target", y)])?.packed();
    let epsilon = [settings.epsilon, 0.0];
    let (precision, rounding) = match settings.format {
        Some(format) => (format.into(), 0.0),
        None => kernel::plain_precision(&clouds, settings.epsilon, settings.tolerance, settings.memory_budget),
    };
    // What the rounding of kernel and potentials takes is not left to the iterations.
    let tolerance = (1.0 - SPARED) * settings.tolerance - rounding;
    let mut kernel = Kernel::build(&clouds, epsilon, precision, settings.memory_budget, progress)?;
    let built = Instant::now();

    let mut potentials = vec![[0.0; BLOCKS]; x.rows];
    let mut numerators = vec![0.0; x.rows];
    let mut columns: [Vec<f64>; BLOCKS] = [vec![0.0; y.rows], Vec::new()];
    let mut relaxation = Relaxation::new(settings.epsilon);
    let (mut best, mut since) = (f64::INFINITY, 0);
    let (mut sweeps, mut near, mut error, mut cost) = (0, false, f64::INFINITY, f64::NEG_INFINITY);
    let mut used = Vec::new();
    while sweeps < settings.max_sweeps {
        let plain = near || !settings.relaxed || sweeps + 1 == settings.max_sweeps;
        let omega: PerBlock = if plain { PLAIN } else { [relaxation.omega(), 1.0] };
        let mut rows = RowArrays { potentials: &mut potentials, weights: &mut numerators };
        let swept = kernel.sweep(&columns, &mut rows, &|i, _| weights[i], omega, progress)?;
        sweeps += 1;
        used = std::mem::take(&mut columns[0]);
        columns = swept.columns;
        error = swept.marginal[0] + swept.deviation[0];
        cost = swept.dual[0];
        relaxation.heard(omega[0], error, cost);
        // Only a plain sweep leaves f that belongs to g.
        if error <= tolerance && omega == PLAIN {
            break;
        }
        if relaxation.rose() || error < IMPROVEMENT * best {
            (best, since) = (error, 0);
        } else {
            since += 1;
        }
        if since > PATIENCE && omega == PLAIN {
            break;
        }
        near = omega != PLAIN && (relaxation.near(error, tolerance) || since >= PATIENCE);
    }
    let label = kernel.label();
    Ok(Coupling {
        row_potential: potentials.iter().map(|f| f[0]).collect(),
        column_potential: used,
        marginal_error: error + rounding,
        cost,
        sweeps,
        converged: error <= tolerance,
        kernel: label,
        build: built - began,
        solve: built.elapsed(),
    })
}
