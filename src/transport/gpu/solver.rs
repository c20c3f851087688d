//! The solvers, as far as the host takes part: phases, the end, and the outcome.
//!
//! Purpose: the same phases as `push_pull.rs`, `one_shot.rs` and `adam.rs`, with sweeps and decisions within a phase on
//! the device. Constraint: the outcome is put together in float64 from the device's potentials.

use super::super::adam::{Nested, adam};
use super::super::assemble::Solved;
use super::super::cost::Clouds;
use super::super::cpu::{Checkpoint, Reached};
use super::super::gibbs::{Gibbs, sums};
use super::super::kernel::{BLOCKS, PerBlock};
use super::super::one_shot::{ITERATIONS, Ranking};
use super::super::push_pull::{Learned, Wrapped, objective, score_of};
use super::super::{CheckedSettings, Observer, Outcome, SolverKind, Stop, TracePoint};
use super::format::GpuKernel;
use super::layout::{BATCH, BROKEN, Control, FIXED, FROZEN, Point, QUIET, RUNNING, SCALING, STALLED};
use super::machine::{Machine, Report};
use super::pacer::Pacer;
use super::stages::Stages;
use super::state::{State, fixed, uniform};
use super::{Failure, Injection};
use crate::gpu::{Device, GpuError};

/// As in push_pull.rs.
const SMALLEST_ALPHA: f64 = 0.02;
const CONFIRMED: f64 = 1e-3;
const MARGINALS_HOLD: f64 = 1e-3;
const SETTLED: f64 = 1e-6;
const SETTLING_SWEEPS: usize = 500;
const PATIENCE: u32 = 20;
/// Rounding of float32 potentials, in the unit of the cost: marginals hold to this over ε at best.
const ROUNDING: f64 = 4e-8;
/// A batch is meant to take no longer, and to have no more sweeps.
const BATCH_SECONDS: f64 = 0.2;
const BATCH_SWEEPS: usize = 10;
const NO_ROOM: &str = "The graphics processor has less memory than the kernel needs: what does not fit is computed again in \
                       every step.";

/// A problem on the device, its settings, and what was learned of it.
pub(super) struct Solver<'a> {
    device: &'a Device,
    machine: Machine<'a>,
    /// What was learned of the adapter's speed, for the next solve.
    pacer: &'a mut Pacer,
    kernel: GpuKernel,
    settings: &'a CheckedSettings,
    observer: &'a dyn Observer,
    injection: Option<Injection>,
    rows: usize,
    medians: PerBlock,
    epsilon: PerBlock,
    control: Control,
    batch: usize,
    sweeps: usize,
    potentials: Vec<PerBlock>,
    scores: Vec<f64>,
    used: [Vec<f64>; BLOCKS],
    columns: [Vec<f64>; BLOCKS],
}

impl<'a> Solver<'a> {
    #[expect(clippy::too_many_arguments, reason = "one call, each of another kind")]
    pub(super) fn new(
        device: &'a Device,
        stages: &'a Stages,
        clouds: &'a Clouds<'a>,
        kernel: GpuKernel,
        settings: &'a CheckedSettings,
        medians: PerBlock,
        injection: Option<Injection>,
        pacer: &'a mut Pacer,
        observer: &'a dyn Observer,
    ) -> Result<Self, Failure> {
        let epsilon = medians.map(|median| settings.epsilon * median);
        let smallest_alpha = SMALLEST_ALPHA.min(settings.alpha);
        let problem = uniform(clouds, settings, epsilon, medians, smallest_alpha);
        let budget = settings.memory_budget;
        let mut machine = Machine::new(device, stages, clouds, kernel, &problem, budget, *pacer, &Wrapped(observer))?;
        if machine.refused {
            observer.warn(NO_ROOM);
        }
        machine.build(&Wrapped(observer))?;
        Ok(Self {
            device,
            pacer,
            machine,
            kernel,
            settings,
            observer,
            injection,
            rows: clouds.rows,
            medians,
            epsilon,
            control: Control::default(),
            batch: 1,
            sweeps: 0,
            potentials: Vec::new(),
            scores: Vec::new(),
            used: Default::default(),
            columns: Default::default(),
        })
    }

    /// Learns the weights; `checkpoint` holds how far it came.
    pub(super) fn solve(mut self, checkpoint: &mut Checkpoint) -> Result<Outcome, Failure> {
        let uniform = vec![1.0 / self.rows as f64; self.rows];
        let (learned, ranking) = match self.settings.solver {
            SolverKind::OneShot => {
                let trace = self.uniform_sweeps("aligning", &uniform)?;
                let gibbs = self.gibbs();
                let residual = self.residual(&gibbs, &uniform);
                let weights = self.scores.iter().map(|score| gibbs.weight(*score)).collect();
                let ranking = self.ranking();
                (Learned { weights, gibbs, residual, trace, stop: Stop::FixedIterations }, ranking)
            }
            solver => {
                self.uniform_sweeps("ranking", &uniform)?;
                let ranking = self.ranking();
                checkpoint.ranking = Some(ranking.clone());
                self.sweeps = 0;
                self.machine.restart();
                let learned = if solver == SolverKind::Scaling {
                    self.scaling(&uniform, checkpoint)?
                } else {
                    let (settings, observer, rows) = (self.settings, self.observer, self.rows);
                    adam(&mut self, settings, observer, rows)?
                };
                (learned, ranking)
            }
        };
        *self.pacer = self.machine.pacer;
        let contraction = self.control.contraction.map(|factor| (factor > 0.0).then_some(f64::from(factor)));
        let solved = Solved {
            settings: self.settings,
            epsilon: self.epsilon,
            medians: self.medians,
            potentials: self.potentials,
            used: self.used,
            marginal: self.control.marginal.map(f64::from),
            contraction,
            scores: self.scores,
            sweeps: self.sweeps,
            learned,
            ranking,
            kernel: self.kernel.label(self.machine.kept, self.rows),
            engine: format!("gpu {}", self.device.adapter.name),
        };
        let mut outcome = solved.outcome(self.observer);
        if self.machine.refused {
            outcome.warnings.insert(0, NO_ROOM.to_owned());
        }
        Ok(outcome)
    }

    fn ranking(&self) -> Ranking {
        Ranking { scores: self.scores.clone(), potentials: self.potentials.clone() }
    }

    /// The sweeps of a ranking, with their trace.
    fn uniform_sweeps(&mut self, stage: &str, uniform: &[f64]) -> Result<Vec<TracePoint>, Failure> {
        self.machine.restart();
        self.set_weights(uniform);
        self.control = Control::default();
        let mode = if stage == "aligning" { FIXED } else { QUIET };
        let mut trace = Vec::new();
        while trace.len() < ITERATIONS {
            self.observer.tick(stage, trace.len() as u64 + 1, Some(ITERATIONS as u64));
            let state = fixed(self.control, mode, -1.0, u32::MAX);
            let Report { points, .. } = self.run(state, ITERATIONS - trace.len(), 0)?;
            for point in points {
                let point = self.point(&point, trace.len() + 1);
                if stage == "aligning" {
                    self.observer.step(&point);
                }
                trace.push(point);
            }
        }
        self.fetch()?;
        Ok(trace)
    }

    /// Sweeps, at most a batch; `step` is how many outer steps are done.
    fn run(&mut self, state: Control, most: usize, step: usize) -> Result<Report, Failure> {
        self.observer.check()?;
        self.inject(step);
        let sweeps = most.min(self.batch).min(BATCH);
        let report = self.machine.batch(state, sweeps, &Wrapped(self.observer))?;
        self.control = report.control;
        self.sweeps += report.points.len();
        if report.control.halted == BROKEN {
            return Err(Failure::Numbers);
        }
        if report.control.halted == RUNNING {
            let each = report.took / sweeps as f64;
            self.batch = ((BATCH_SECONDS / each) as usize).clamp(1, BATCH_SWEEPS);
        }
        Ok(report)
    }

    fn inject(&mut self, step: usize) {
        match self.injection {
            Some(Injection::Lost { after }) if step >= after => self.device.lose(),
            Some(Injection::OutOfMemory { after }) if step >= after => {
                self.device.fail(GpuError::OutOfMemory { what: "a test".to_owned() });
            }
            Some(Injection::Refused { after }) if step >= after => self.device.misuse(),
            _ => {}
        }
    }

    /// A point of the device's trace, in the unit of the cost.
    fn point(&self, point: &Point, step: usize) -> TracePoint {
        TracePoint {
            step,
            residual: f64::from(point.residual),
            objective: f64::from(point.objective) + score_of(self.settings.lambda, &self.medians),
            effective_share: f64::from(point.share),
            tau: f64::from(point.tau),
            marginal_safe: f64::from(point.marginal[0]),
            marginal_harmful: f64::from(point.marginal[1]),
        }
    }

    fn set_weights(&mut self, weights: &[f64]) {
        self.machine.set_weights(weights.iter().map(|weight| weight.max(1e-300).ln() as f32));
    }

    /// Potentials and scores of the newest sweep; the answer is the normalised weights.
    fn fetch(&mut self) -> Result<Vec<f64>, Failure> {
        let State { potentials, log_weights, columns, before } = self.machine.read(&Wrapped(self.observer))?;
        let medians = self.medians;
        self.potentials = potentials.iter().map(|f| std::array::from_fn(|b| f64::from(f[b]) + medians[b])).collect();
        let lambda = self.settings.lambda;
        self.scores = self.potentials.iter().map(|f| score_of(lambda, f)).collect();
        (self.columns, self.used) = (columns, before);
        Ok(normalised(&log_weights))
    }

    fn gibbs(&self) -> Gibbs {
        Gibbs::new(&self.scores, self.settings.regularisation, self.medians.iter().sum())
    }

    fn residual(&self, gibbs: &Gibbs, weights: &[f64]) -> f64 {
        let [residual] = sums(self.rows, |i| [(gibbs.weight(self.scores[i]) - weights[i]).abs()]);
        residual
    }

    fn confirms(&self, residual: f64) -> bool {
        residual <= CONFIRMED && self.control.marginal.iter().all(|error| f64::from(*error) <= MARGINALS_HOLD)
    }

    /// Sweeps at the device's weights until the marginals hold to `tolerance` or no longer come nearer.
    fn settle(&mut self, tolerance: f64, most: usize, step: usize) -> Result<(), Failure> {
        let finest = ROUNDING / self.epsilon[0].min(self.epsilon[1]);
        let mut state = fixed(self.control, QUIET, tolerance.max(finest), PATIENCE);
        let mut done = 0;
        while done < most {
            let report = self.run(state, most - done, step)?;
            done += report.points.len().max(1);
            state = report.control;
            if report.control.halted != RUNNING {
                break;
            }
        }
        Ok(())
    }

    fn scaling(&mut self, uniform: &[f64], checkpoint: &mut Checkpoint) -> Result<Learned, Failure> {
        let most = self.settings.max_steps;
        self.set_weights(uniform);
        self.control = Control::default();
        self.run(fixed(self.control, FIXED, -1.0, u32::MAX), 1, 0)?;
        let mut trace: Vec<TracePoint> = Vec::new();
        let mut stop = Stop::StepLimit;
        let mut settled = false;
        let mut state =
            Control { mode: SCALING, alpha: self.settings.alpha as f32, best: f32::MAX, since: 0, ..self.control };
        while trace.len() < most {
            self.observer.tick("aligning", trace.len() as u64 + 1, Some(most as u64));
            let report = self.run(state, most - trace.len(), trace.len())?;
            for point in &report.points {
                let point = self.point(point, trace.len() + 1);
                self.observer.step(&point);
                trace.push(point);
            }
            state = report.control;
            self.note(&trace, checkpoint)?;
            settled = report.control.halted == FROZEN;
            if report.control.halted == STALLED {
                stop = Stop::Stalled;
                break;
            }
            if settled {
                self.settle(SETTLED, SETTLING_SWEEPS, trace.len())?;
                let weights = self.fetch()?;
                let gibbs = self.gibbs();
                let residual = self.residual(&gibbs, &weights);
                if self.confirms(residual) {
                    stop = Stop::Converged;
                    break;
                }
                // The residual that fell was that of lagging potentials: begin anew from the true one.
                let (alpha, tau, best) = (state.alpha, gibbs.tau as f32, residual as f32);
                state = Control { mode: SCALING, alpha, tau, best, since: 1, ..self.control };
            }
        }
        if !settled {
            self.settle(SETTLED, SETTLING_SWEEPS, trace.len())?;
        }
        let weights = self.fetch()?;
        let gibbs = self.gibbs();
        let residual = self.residual(&gibbs, &weights);
        if stop == Stop::Stalled && self.confirms(residual) {
            stop = Stop::Converged;
        }
        Ok(Learned { weights, gibbs, residual, trace, stop })
    }

    /// Where the CPU engine would go on.
    fn note(&self, trace: &[TracePoint], checkpoint: &mut Checkpoint) -> Result<(), Failure> {
        let State { log_weights, columns, .. } = self.machine.read_checkpoint(&Wrapped(self.observer))?;
        let weights = normalised(&log_weights);
        checkpoint.scaling = Some(Reached { columns, weights, trace: trace.to_vec(), sweeps: self.sweeps });
        Ok(())
    }
}

/// w of ln w, summing to 1.
fn normalised(log_weights: &[f32]) -> Vec<f64> {
    let largest = log_weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raw = |i: usize| (f64::from(log_weights[i]) - f64::from(largest)).exp();
    let [total] = sums(log_weights.len(), |i| [raw(i)]);
    (0..log_weights.len()).map(|i| raw(i) / total).collect()
}

impl Nested for Solver<'_> {
    type Error = Failure;

    fn settle(&mut self, weights: &[f64], tolerance: f64, most: usize) -> Result<(), Failure> {
        self.set_weights(weights);
        Solver::settle(self, tolerance, most, 0)?;
        self.fetch()?;
        Ok(())
    }

    fn scores(&self) -> &[f64] {
        &self.scores
    }

    fn gibbs(&self) -> Gibbs {
        Solver::gibbs(self)
    }

    fn residual(&self, gibbs: &Gibbs, weights: &[f64]) -> f64 {
        Solver::residual(self, gibbs, weights)
    }

    fn confirms(&self, residual: f64) -> bool {
        Solver::confirms(self, residual)
    }

    fn record(&self, trace: &mut Vec<TracePoint>, weights: &[f64], tau: f64, residual: f64) {
        let (value, effective_share, _) = objective(self.settings.lambda, &self.scores, weights, tau, &self.columns);
        let point = TracePoint {
            step: trace.len() + 1,
            residual,
            objective: value,
            effective_share,
            tau,
            marginal_safe: f64::from(self.control.marginal[0]),
            marginal_harmful: f64::from(self.control.marginal[1]),
        };
        self.observer.step(&point);
        trace.push(point);
    }
}
