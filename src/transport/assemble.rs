//! What every engine shares before and after its iterations: the unit of ε, and the outcome with its warnings.
//!
//! Purpose: an engine hands over potentials and weights, and all of them tell the user the same things in the same
//! words. Constraint: float64, whatever the engine computed in.

use super::cost::Clouds;
use super::gibbs::Gibbs;
use super::kernel::{BLOCKS, PerBlock};
use super::one_shot::Ranking;
use super::push_pull::{Learned, objective};
use super::{CheckedSettings, Observer, Outcome, Regularisation, SideOutcome, SolverKind, Stop, TransportError};
use crate::jobs::Progress;

/// Costs below this median carry no signal in f32.
const FLAT: f64 = 1e-6;
const FRAGILE_EPSILON: f64 = 0.05;
const FRAGILE_SHARE: f64 = 0.5;
/// An asked share is met up to the residual.
const SHARE_TOLERANCE: f64 = 1e-3;

/// The median cost to each reference; an error where the costs tell nothing.
pub(super) fn medians(clouds: &Clouds<'_>, seed: u64, progress: &dyn Progress) -> Result<PerBlock, TransportError> {
    let mut medians = [0.0; BLOCKS];
    for (b, median) in medians.iter_mut().enumerate() {
        *median = clouds.median_cost(b, seed, progress)?;
        if median.is_nan() || *median <= FLAT {
            return Err(TransportError::FlatCost { set: clouds.blocks[b].name, median: *median });
        }
    }
    Ok(medians)
}

/// A finished iteration, as the engine left it.
pub(super) struct Solved<'a> {
    pub settings: &'a CheckedSettings,
    pub epsilon: PerBlock,
    pub medians: PerBlock,
    /// f of the newest sweep.
    pub potentials: Vec<PerBlock>,
    /// g that f was computed from.
    pub used: [Vec<f64>; BLOCKS],
    pub marginal: PerBlock,
    pub contraction: [Option<f64>; BLOCKS],
    /// G of the newest sweep.
    pub scores: Vec<f64>,
    pub sweeps: usize,
    pub learned: Learned,
    pub ranking: Ranking,
    pub kernel: String,
    pub engine: String,
}

impl Solved<'_> {
    /// The outcome; its warnings are told to the observer too.
    pub(super) fn outcome(self, observer: &dyn Observer) -> Outcome {
        let n = self.scores.len() as f64;
        let lambda = self.settings.lambda;
        let Gibbs { tau, .. } = self.learned.gibbs;
        let weights = &self.learned.weights;
        let uniform;
        let costed = if self.settings.solver == SolverKind::OneShot {
            uniform = vec![1.0 / n; self.scores.len()];
            &uniform
        } else {
            weights
        };
        let (objective_value, ..) = objective(lambda, &self.scores, costed, tau, &self.used);
        let (_, share, divergence) = objective(lambda, &self.scores, weights, tau, &self.used);
        let side = |b: usize| {
            let row_potential: Vec<f64> = self.potentials.iter().map(|f| f[b]).collect();
            let column_potential = self.used[b].clone();
            let rows: f64 = costed.iter().zip(&row_potential).map(|(w, f)| w * f).sum();
            let cost = rows + column_potential.iter().sum::<f64>() / column_potential.len() as f64;
            SideOutcome {
                epsilon: self.epsilon[b],
                median_cost: self.medians[b],
                row_potential,
                column_potential,
                cost,
                marginal_error: self.marginal[b],
            }
        };
        let centred = |values: Vec<f64>| -> Vec<f64> {
            let mean = values.iter().sum::<f64>() / n;
            values.into_iter().map(|value| value - mean).collect()
        };
        let warnings = self.warnings(share);
        warnings.iter().for_each(|warning| observer.warn(warning));
        Outcome {
            pull: centred(self.ranking.potentials.iter().map(|f| f[0]).collect()),
            push: centred(self.ranking.potentials.iter().map(|f| f[1]).collect()),
            safe: side(0),
            harmful: side(1),
            score: centred(self.ranking.scores),
            tau,
            effective_rows: share * n,
            divergence,
            residual: self.learned.residual,
            objective: objective_value,
            trace: self.learned.trace,
            stop: self.learned.stop,
            iterations: self.sweeps,
            warnings,
            kernel: self.kernel,
            engine: self.engine,
            engine_reason: String::new(),
            weights: self.learned.weights,
        }
    }

    fn warnings(&self, share: f64) -> Vec<String> {
        let Self { settings, epsilon, .. } = self;
        let (tau, tied, stop) = (self.learned.gibbs.tau, self.learned.gibbs.tied, self.learned.stop);
        let rows = self.scores.len();
        let mut warnings = Vec::new();
        if tied && rows > 1 {
            warnings.push("Scores of many rows are equal, so the weights cannot tell them apart.".to_owned());
        }
        if settings.epsilon < FRAGILE_EPSILON {
            warnings.push(format!(
                "Epsilon {} is small: solving takes more steps and the ranking leans on few neighbours. 0.1 is safer.",
                settings.epsilon
            ));
        }
        if share < FRAGILE_SHARE - SHARE_TOLERANCE && rows > 1 {
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
        if let Some(contraction) = self.contraction[1].filter(|c| *c < 1.0) {
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
}
