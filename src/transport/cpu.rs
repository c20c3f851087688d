//! The CPU engine: all cores, SIMD chosen at run time.
//!
//! Purpose: put checks, costs, kernel and solver together. Constraint: the result does not depend on the number of
//! threads.

use super::cost::Clouds;
use super::kernel::{self, BLOCKS, Kernel, PerBlock};
use super::one_shot::Ranking;
use super::pass::KernelFormat;
use super::push_pull::{Alignment, Learned, Wrapped};
use super::{
    CheckedSettings, Engine, Observer, Outcome, Problem, Regularisation, SideOutcome, SolverKind, Stop, TransportError,
    adam, one_shot, push_pull,
};

/// Costs below this median carry no signal in f32.
const FLAT: f64 = 1e-6;
const FRAGILE_EPSILON: f64 = 0.05;
const FRAGILE_SHARE: f64 = 0.5;
/// An asked share is met up to the residual.
const SHARE_TOLERANCE: f64 = 1e-3;

/// Push-pull transport on the processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuEngine {
    format: Option<KernelFormat>,
    plain: bool,
}

impl CpuEngine {
    /// The kernel format is chosen for the problem and the budget.
    pub fn new() -> Self {
        Self::default()
    }

    /// For tests and measurements: this kernel format whatever the problem; the budget still holds.
    pub fn with_format(format: KernelFormat) -> Self {
        Self { format: Some(format), plain: false }
    }

    /// For tests against an iteration that does the same steps: no over-relaxation while the weights are frozen.
    pub fn plain(self) -> Self {
        Self { plain: true, ..self }
    }
}

/// A pool of `threads` workers; 0 takes all cores.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool, TransportError> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|k| format!("transport {k}")).build().map_err(
        |error| TransportError::Setting {
            setting: "threads",
            allowed: "a number of threads that this machine can start",
            found: format!("{threads} ({error})"),
        },
    )
}

impl Engine for CpuEngine {
    fn name(&self) -> String {
        "cpu".to_owned()
    }

    fn solve(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        pool(settings.threads)?.install(|| self.solve_here(problem, settings, observer))
    }
}

impl CpuEngine {
    fn solve_here(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        let progress = &Wrapped(observer);
        observer.tick("building kernel", 0, Some(problem.custom.rows as u64));
        let clouds = Clouds::new(problem.custom, &[("safe", problem.safe), ("harmful", problem.harmful)])?;
        let mut medians = [0.0; BLOCKS];
        let mut epsilon = [0.0; BLOCKS];
        for b in 0..BLOCKS {
            medians[b] = clouds.median_cost(b, settings.seed, progress)?;
            if medians[b].is_nan() || medians[b] <= FLAT {
                return Err(TransportError::FlatCost { set: clouds.blocks[b].name, median: medians[b] });
            }
            epsilon[b] = settings.epsilon * medians[b];
        }
        let format = self.format.unwrap_or_else(|| kernel::choose_format(&clouds, epsilon, settings));
        let mut kernel = Kernel::build(&clouds, epsilon, format, settings.memory_budget, progress)?;
        let label = kernel.label();
        let columns = [problem.safe.rows, problem.harmful.rows];
        let mut alignment = Alignment::new(&mut kernel, settings, observer, problem.custom.rows, columns);
        alignment.relaxed = !self.plain;
        let ranking = match settings.solver {
            SolverKind::OneShot => None,
            SolverKind::Scaling | SolverKind::Adam => Some(one_shot::rank(&mut alignment)?),
        };
        let learned = match settings.solver {
            SolverKind::Scaling => push_pull::scaling(&mut alignment)?,
            SolverKind::Adam => adam::adam(&mut alignment)?,
            SolverKind::OneShot => one_shot::one_shot(&mut alignment)?,
        };
        let ranking = ranking
            .unwrap_or_else(|| Ranking { scores: alignment.scores.clone(), potentials: alignment.potentials.clone() });
        Ok(outcome(&alignment, learned, &ranking, medians, label, self.name()))
    }
}

fn outcome(
    alignment: &Alignment<'_, '_>,
    learned: Learned,
    ranking: &Ranking,
    medians: PerBlock,
    kernel: String,
    engine: String,
) -> Outcome {
    let settings = alignment.settings;
    let n = alignment.rows() as f64;
    let Learned { weights, gibbs, residual, trace, stop } = learned;
    let uniform;
    let costed = if settings.solver == SolverKind::OneShot {
        uniform = vec![1.0 / n; alignment.rows()];
        &uniform
    } else {
        &weights
    };
    let (objective, ..) = alignment.objective(costed, gibbs.tau, &alignment.used);
    let (_, share, divergence) = alignment.objective(&weights, gibbs.tau, &alignment.used);
    let side = |b: usize| {
        let row_potential: Vec<f64> = alignment.potentials.iter().map(|f| f[b]).collect();
        let column_potential = alignment.used[b].clone();
        let rows: f64 = costed.iter().zip(&row_potential).map(|(w, f)| w * f).sum();
        let cost = rows + column_potential.iter().sum::<f64>() / column_potential.len() as f64;
        SideOutcome {
            epsilon: alignment.kernel.epsilon()[b],
            median_cost: medians[b],
            row_potential,
            column_potential,
            cost,
            marginal_error: alignment.marginal[b],
        }
    };
    let centred = |values: Vec<f64>| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / n;
        values.into_iter().map(|value| value - mean).collect()
    };
    let warnings = warnings(alignment, gibbs.tau, gibbs.tied, share, stop);
    warnings.iter().for_each(|warning| alignment.observer.warn(warning));
    Outcome {
        score: centred(ranking.scores.clone()),
        pull: centred(ranking.potentials.iter().map(|f| f[0]).collect()),
        push: centred(ranking.potentials.iter().map(|f| f[1]).collect()),
        safe: side(0),
        harmful: side(1),
        tau: gibbs.tau,
        effective_rows: share * n,
        divergence,
        residual,
        objective,
        trace,
        stop,
        iterations: alignment.sweeps,
        warnings,
        kernel,
        engine,
        weights,
    }
}

fn warnings(alignment: &Alignment<'_, '_>, tau: f64, tied: bool, share: f64, stop: Stop) -> Vec<String> {
    let settings = alignment.settings;
    let epsilon = alignment.kernel.epsilon();
    let mut warnings = Vec::new();
    if tied && alignment.rows() > 1 {
        warnings.push("Scores of many rows are equal, so the weights cannot tell them apart.".to_owned());
    }
    if settings.epsilon < FRAGILE_EPSILON {
        warnings.push(format!(
            "Epsilon {} is small: solving takes more steps and the ranking leans on few neighbours. 0.1 is safer.",
            settings.epsilon
        ));
    }
    if share < FRAGILE_SHARE - SHARE_TOLERANCE && alignment.rows() > 1 {
        warnings.push(format!(
            "Only {:.0} % of the rows carry the weight. Ask for an effective share of at least 50 %.",
            100.0 * share
        ));
    }
    if settings.lambda >= 1.0 {
        warnings.push(
            "With lambda 1 only the harmful reference counts, and more than one solution is possible.".to_owned(),
        );
    }
    if let Regularisation::Tau(tau) = settings.regularisation
        && tau <= 0.1 * epsilon[0].min(epsilon[1])
    {
        warnings.push("Tau is below a tenth of epsilon: the weights may swing or fall onto a few rows.".to_owned());
    }
    if let Some(contraction) = alignment.contraction[1].filter(|c| *c < 1.0) {
        let bound = settings.lambda * epsilon[1] * contraction / (1.0 - contraction);
        if tau < bound {
            warnings.push(format!(
                "Tau {tau:.2e} is below {bound:.2e}, the bound that guarantees a single solution nearby. Other \
                 solutions may exist."
            ));
        }
    }
    match stop {
        Stop::StepLimit => warnings.push(format!(
            "The weights had not settled after {} steps. Allow more steps or raise epsilon.",
            settings.max_steps
        )),
        Stop::Stalled => warnings.push(
            "The weights stopped improving before they settled. Raise epsilon or the effective share.".to_owned(),
        ),
        Stop::Converged | Stop::FixedIterations => {}
    }
    warnings
}
