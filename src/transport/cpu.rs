//! The CPU engine: all cores, SIMD chosen at run time.
//!
//! Purpose: put checks, costs, kernel and solver together. Constraint: the result does not depend on the number of
//! threads.

use super::assemble::{self, Solved};
use super::cost::Clouds;
use super::kernel::{self, BLOCKS, Kernel};
use super::one_shot::Ranking;
use super::pass::KernelFormat;
use super::push_pull::{Alignment, Wrapped};
use super::{
    CheckedSettings, Engine, Observer, Outcome, Problem, SolverKind, TracePoint, TransportError, adam, one_shot,
    push_pull,
};

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
        self.resume(problem, settings, None, observer)
    }
}

/// Where another engine left an iteration.
#[derive(Debug, Clone, Default)]
pub(super) struct Checkpoint {
    /// The finished ranking.
    pub ranking: Option<Ranking>,
    /// What the `scaling` solver had reached.
    pub scaling: Option<Reached>,
}

/// A state of the `scaling` solver.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    /// g of both references.
    pub columns: [Vec<f64>; BLOCKS],
    /// Positive, summing to 1.
    pub weights: Vec<f64>,
    pub trace: Vec<TracePoint>,
    pub sweeps: usize,
}

impl CpuEngine {
    /// As [`Engine::solve`], going on from where another engine stopped.
    pub(super) fn resume(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        checkpoint: Option<Checkpoint>,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        pool(settings.threads)?.install(|| self.solve_here(problem, settings, checkpoint.unwrap_or_default(), observer))
    }

    fn solve_here(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        checkpoint: Checkpoint,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        let progress = &Wrapped(observer);
        observer.tick("building kernel", 0, Some(problem.custom.rows as u64));
        let clouds = Clouds::new(problem.custom, &[("safe", problem.safe), ("harmful", problem.harmful)])?.packed();
        let medians = assemble::medians(&clouds, settings.seed, progress)?;
        let epsilon = medians.map(|median| settings.epsilon * median);
        let precision = self.format.map_or_else(|| kernel::choose_precision(&clouds, epsilon, settings), Into::into);
        let mut kernel = Kernel::build(&clouds, epsilon, precision, settings.memory_budget, progress)?;
        let label = kernel.label();
        let columns = [problem.safe.rows, problem.harmful.rows];
        let mut alignment = Alignment::new(&mut kernel, settings, observer, problem.custom.rows, columns);
        alignment.relaxed = !self.plain;
        let ranking = match (settings.solver, checkpoint.ranking) {
            (SolverKind::OneShot, _) => None,
            (_, Some(ranking)) => Some(ranking),
            (_, None) => Some(one_shot::rank(&mut alignment)?),
        };
        let learned = match (settings.solver, checkpoint.scaling) {
            (SolverKind::Scaling, Some(reached)) => {
                (alignment.columns, alignment.sweeps) = (reached.columns, reached.sweeps);
                push_pull::scaling_from(&mut alignment, reached.weights, reached.trace)?
            }
            (SolverKind::Scaling, None) => push_pull::scaling(&mut alignment)?,
            (SolverKind::Adam, _) => adam::adam(&mut alignment, settings, observer, problem.custom.rows)?,
            (SolverKind::OneShot, _) => one_shot::one_shot(&mut alignment)?,
        };
        let ranking = ranking
            .unwrap_or_else(|| Ranking { scores: alignment.scores.clone(), potentials: alignment.potentials.clone() });
        let Alignment { potentials, used, marginal, contraction, scores, sweeps, .. } = alignment;
        let solved = Solved {
            settings,
            epsilon,
            medians,
            potentials,
            used,
            marginal,
            contraction,
            scores,
            sweeps,
            learned,
            ranking,
            kernel: label,
            engine: self.name(),
        };
        Ok(solved.outcome(observer))
    }
}
