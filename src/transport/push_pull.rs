//! The `scaling` solver: one Sinkhorn iteration on both references, then a damped Gibbs update of the weights.
//!
//! Purpose: a stationary point of J_τ(w) = (1-λ) OT_ε(w, safe) - λ OT_ε(w, harmful) + τ KL(w ‖ 1/n), where
//! w_i ∝ exp(-G_i/τ), G = (1-λ) f^Q - λ f^M. Constraints: f is updated last before the weights, within one read of
//! the kernel; J is not monotone and bounds nothing before the potentials converge, so the residual
//! r = ‖p - w‖₁ of the Gibbs weights p alone controls damping and end.

use super::gibbs::{Gibbs, sums};
use super::kernel::{BLOCKS, Kernel, PLAIN, PerBlock, RowArrays, Swept};
use super::relaxation::Relaxation;
use super::{CheckedSettings, Observer, Stop, TracePoint, TransportError};

/// r below which the weights are frozen and the end is put to the test.
const FREEZE: f64 = 1e-5;
/// The residual with frozen weights that counts as converged.
const CONFIRMED: f64 = 1e-3;
const SMALLEST_ALPHA: f64 = 0.02;
const PATIENCE: usize = 20;
const IMPROVEMENT: f64 = 0.9;
/// Error of the column marginals above which a residual proves nothing.
const MARGINALS_HOLD: f64 = 1e-3;
/// L1 error of the column marginals to which frozen weights are solved, and the sweeps that may take.
const SETTLED: f64 = 1e-6;
const SETTLING_SWEEPS: usize = 500;

/// Potentials that follow the weights.
pub(crate) struct Alignment<'s, 'k> {
    pub kernel: &'s mut Kernel<'k>,
    pub settings: &'s CheckedSettings,
    pub observer: &'s dyn Observer,
    /// f of the newest sweep.
    pub potentials: Vec<PerBlock>,
    /// g after it.
    pub columns: [Vec<f64>; BLOCKS],
    /// g that f was computed from: (f, used) is the plan whose row marginals hold exactly.
    pub used: [Vec<f64>; BLOCKS],
    /// L1 errors of the column marginals of that plan.
    pub marginal: PerBlock,
    /// L1 errors of its row marginals (0 but for a relaxed sweep) and its dual values.
    deviation: PerBlock,
    dual: PerBlock,
    /// Factor by which the change of g shrank per sweep at fixed weights (σ² of the kernel), where it was seen.
    pub contraction: [Option<f64>; BLOCKS],
    /// Over-relaxation while the weights are frozen.
    pub relaxed: bool,
    /// G of the newest sweep.
    pub scores: Vec<f64>,
    pub sweeps: usize,
    numerators: Vec<f64>,
}

/// What a solver hands to the outcome.
pub(crate) struct Learned {
    pub weights: Vec<f64>,
    pub gibbs: Gibbs,
    pub residual: f64,
    pub trace: Vec<TracePoint>,
    pub stop: Stop,
}

impl<'s, 'k> Alignment<'s, 'k> {
    /// Starts with g = 0; `rows` are the custom rows, `columns` the rows of each reference.
    pub(crate) fn new(
        kernel: &'s mut Kernel<'k>,
        settings: &'s CheckedSettings,
        observer: &'s dyn Observer,
        rows: usize,
        columns: [usize; BLOCKS],
    ) -> Self {
        Self {
            kernel,
            settings,
            observer,
            potentials: vec![[0.0; BLOCKS]; rows],
            columns: columns.map(|m| vec![0.0; m]),
            used: columns.map(|m| vec![0.0; m]),
            marginal: [0.0; BLOCKS],
            deviation: [0.0; BLOCKS],
            dual: [0.0; BLOCKS],
            contraction: [None; BLOCKS],
            relaxed: true,
            scores: vec![0.0; rows],
            sweeps: 0,
            numerators: vec![0.0; rows],
        }
    }

    /// Back to g = 0, as after [`Alignment::new`].
    pub(crate) fn restart(&mut self) {
        for columns in self.columns.iter_mut().chain(&mut self.used) {
            columns.fill(0.0);
        }
        self.potentials.fill([0.0; BLOCKS]);
        self.marginal = [0.0; BLOCKS];
        self.contraction = [None; BLOCKS];
        self.scores.fill(0.0);
        self.sweeps = 0;
    }

    pub(crate) fn rows(&self) -> usize {
        self.scores.len()
    }

    /// The scale of the costs, for what has their unit.
    fn scale(&self) -> f64 {
        self.kernel.epsilon().iter().sum::<f64>() / self.settings.epsilon
    }

    /// p of the current scores.
    pub(crate) fn gibbs(&self) -> Gibbs {
        Gibbs::new(&self.scores, self.settings.regularisation, self.scale())
    }

    /// r = ‖p - w‖₁.
    pub(crate) fn residual(&self, gibbs: &Gibbs, weights: &[f64]) -> f64 {
        let [residual] = sums(self.rows(), |i| [(gibbs.weight(self.scores[i]) - weights[i]).abs()]);
        residual
    }

    /// One sweep; the weights' numerators of the rule are left in `numerators`.
    pub(crate) fn sweep(&mut self, weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync)) -> Result<f64, TransportError> {
        self.relaxed_sweep(weigh, PLAIN)
    }

    fn relaxed_sweep(
        &mut self,
        weigh: &(impl Fn(usize, &PerBlock) -> f64 + Sync),
        relaxation: PerBlock,
    ) -> Result<f64, TransportError> {
        let mut rows = RowArrays { potentials: &mut self.potentials, weights: &mut self.numerators };
        let Swept { columns, mass, marginal, deviation, dual } = self
            .kernel
            .sweep(&self.columns, &mut rows, weigh, relaxation, &Wrapped(self.observer))
            .map_err(|error| match error {
                TransportError::Diverged { set, .. } => TransportError::Diverged { set, step: self.sweeps + 1 },
                other => other,
            })?;
        (self.deviation, self.dual) = (deviation, dual);
        self.used = std::mem::replace(&mut self.columns, columns);
        self.marginal = marginal;
        self.sweeps += 1;
        let lambda = self.settings.lambda;
        for (score, f) in self.scores.iter_mut().zip(&self.potentials) {
            *score = score_of(lambda, f);
        }
        if !(mass > 0.0 && mass.is_finite()) || self.scores.iter().any(|score| !score.is_finite()) {
            return Err(TransportError::Diverged { set: "custom", step: self.sweeps });
        }
        Ok(mass)
    }

    /// Sweeps with these weights, over-relaxed if so set, until the marginals hold to `tolerance`, or no longer come nearer; the
    /// last sweep is plain.
    pub(crate) fn settle(&mut self, weights: &[f64], tolerance: f64, most: usize) -> Result<(), TransportError> {
        let (mut best, mut since) = (f64::INFINITY, 0);
        let mut relaxation = self.kernel.epsilon().map(Relaxation::new);
        let mut plain = false;
        for sweep in 1..=most {
            let omega = if plain || sweep == most || !self.relaxed {
                PLAIN
            } else {
                relaxation.each_ref().map(Relaxation::omega)
            };
            self.relaxed_sweep(&|i, _| weights[i], omega)?;
            let (mut error, mut near, mut rose): (f64, bool, bool) = (0.0, true, false);
            for b in 0..BLOCKS {
                let both = self.marginal[b] + self.deviation[b];
                relaxation[b].heard(omega[b], both, self.dual[b]);
                error = error.max(both);
                near &= relaxation[b].near(both, tolerance);
                rose |= relaxation[b].rose();
            }
            if omega == PLAIN && (error <= tolerance || since >= PATIENCE) {
                break;
            }
            if error < IMPROVEMENT * best || self.relaxed && rose {
                (best, since) = (error, 0);
            } else {
                since += 1;
            }
            plain = omega != PLAIN && (near || since >= PATIENCE);
        }
        for (contraction, relaxation) in self.contraction.iter_mut().zip(&relaxation) {
            *contraction = relaxation.contraction().or(*contraction);
        }
        Ok(())
    }

    /// Whether this residual of frozen, settled weights shows a stationary point.
    pub(crate) fn confirms(&self, residual: f64) -> bool {
        residual <= CONFIRMED && self.marginal.iter().all(|error| *error <= MARGINALS_HOLD)
    }

    /// Records and announces one outer step.
    pub(crate) fn record(&self, trace: &mut Vec<TracePoint>, weights: &[f64], tau: f64, residual: f64) {
        let (objective, effective_share, _) =
            objective(self.settings.lambda, &self.scores, weights, tau, &self.columns);
        let step = trace.len() + 1;
        let point = TracePoint {
            step,
            residual,
            objective,
            effective_share,
            tau,
            marginal_safe: self.marginal[0],
            marginal_harmful: self.marginal[1],
        };
        self.observer.step(&point);
        trace.push(point);
    }
}

/// J_τ at these weights by the semi-dual of potentials f, as the scores G, and g; ESS/n; and KL(w ‖ 1/n).
pub(crate) fn objective(
    lambda: f64,
    scores: &[f64],
    weights: &[f64],
    tau: f64,
    columns: &[Vec<f64>; BLOCKS],
) -> (f64, f64, f64) {
    let n = scores.len() as f64;
    let [rows, square, entropy] = sums(scores.len(), |i| {
        let w = weights[i];
        [w * scores[i], w * w, if w > 0.0 { w * w.ln() } else { 0.0 }]
    });
    let mean = |g: &Vec<f64>| if g.is_empty() { 0.0 } else { g.iter().sum::<f64>() / g.len() as f64 };
    let divergence = (entropy + n.ln()).max(0.0);
    let dual = rows + (1.0 - lambda) * mean(&columns[0]) - lambda * mean(&columns[1]);
    (dual + tau * divergence, 1.0 / (n * square), divergence)
}

/// G_i = (1-λ) f^Q_i - λ f^M_i.
pub(crate) fn score_of(lambda: f64, f: &PerBlock) -> f64 {
    (1.0 - lambda) * f[0] - lambda * f[1]
}

/// The observer as plain progress.
pub(crate) struct Wrapped<'a>(pub &'a dyn Observer);

impl crate::jobs::Progress for Wrapped<'_> {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        self.0.tick(stage, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Runs the scaling iteration from uniform weights.
pub(crate) fn scaling(alignment: &mut Alignment<'_, '_>) -> Result<Learned, TransportError> {
    let uniform = vec![1.0 / alignment.rows() as f64; alignment.rows()];
    scaling_from(alignment, uniform, Vec::new())
}

/// Runs the scaling iteration from given positive weights that sum to 1, after the steps of this trace.
pub(crate) fn scaling_from(
    alignment: &mut Alignment<'_, '_>,
    mut weights: Vec<f64>,
    mut trace: Vec<TracePoint>,
) -> Result<Learned, TransportError> {
    let (settings, observer) = (alignment.settings, alignment.observer);
    let lambda = settings.lambda;
    let mut log_weights: Vec<f64> = weights.iter().map(|w| w.ln()).collect();
    alignment.sweep(&|i, _| weights[i])?;
    let mut gibbs = alignment.gibbs();
    let mut alpha = settings.alpha;
    let smallest_alpha = SMALLEST_ALPHA.min(alpha);
    let (mut best, mut since) = (f64::INFINITY, 0);
    let mut stop = Stop::StepLimit;
    let mut residual = f64::INFINITY;
    let mut settled = false;
    for step in trace.len() + 1..=settings.max_steps {
        observer.tick("aligning", step as u64, Some(settings.max_steps as u64));
        observer.check()?;
        let tau = gibbs.tau;
        let damped = |log_w: f64, score: f64| (1.0 - alpha) * log_w - alpha * score / tau;
        // The largest exponent of the sweep before keeps this sweep's numerators near 1.
        let exponents = log_weights.iter().zip(&alignment.scores).map(|(log_w, score)| damped(*log_w, *score));
        let shift = exponents.fold(f64::NEG_INFINITY, f64::max);
        let mass = alignment.sweep(&|i, f| (damped(log_weights[i], score_of(lambda, f)) - shift).exp())?;
        gibbs = alignment.gibbs();
        residual = alignment.residual(&gibbs, &weights);
        for (i, log_w) in log_weights.iter_mut().enumerate() {
            *log_w = damped(*log_w, alignment.scores[i]) - shift - mass.ln();
            weights[i] = alignment.numerators[i] / mass;
        }
        alignment.record(&mut trace, &weights, gibbs.tau, residual);
        settled = residual <= FREEZE;
        if settled {
            alignment.settle(&weights, SETTLED, SETTLING_SWEEPS)?;
            gibbs = alignment.gibbs();
            residual = alignment.residual(&gibbs, &weights);
            if alignment.confirms(residual) {
                stop = Stop::Converged;
                break;
            }
            // The residual that fell was that of lagging potentials: begin anew from the true one.
            (best, since) = (residual, 0);
        }
        if residual < IMPROVEMENT * best {
            (best, since) = (residual, 0);
        } else {
            since += 1;
        }
        if since >= PATIENCE {
            if alpha <= smallest_alpha {
                stop = Stop::Stalled;
                break;
            }
            alpha = (alpha / 2.0).max(smallest_alpha);
            (best, since) = (residual, 0);
        }
    }
    if !settled {
        alignment.settle(&weights, SETTLED, SETTLING_SWEEPS)?;
        gibbs = alignment.gibbs();
        residual = alignment.residual(&gibbs, &weights);
        if stop == Stop::Stalled && alignment.confirms(residual) {
            stop = Stop::Converged;
        }
    }
    Ok(Learned { weights, gibbs, residual, trace, stop })
}
