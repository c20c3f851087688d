//! The `adam` solver: gradient descent on w = softmax(θ) with nested Sinkhorn, as a reference in the paper's style.
//!
//! Source: the gradient of J_τ is ∂J/∂θ_i = w_i (c_i - Σ_k w_k c_k), c_i = G_i + τ ln(n w_i) (envelope theorem: no
//! differentiation through the iterations). Adam: Kingma and Ba (2015), algorithm 1. The paper publishes no learning
//! rate; here it starts at 0.1 and halves when the residual stops falling. Constraint: slow beside `scaling`.

use super::gibbs::Gibbs;
use super::push_pull::{Alignment, Learned};
use super::{CheckedSettings, Observer, Stop, TracePoint, TransportError};
use crate::jobs::Cancelled;

const RATE: f64 = 0.1;
const SMALLEST_RATE: f64 = 1e-4;
const MOMENTUM: f64 = 0.9;
const SECOND_MOMENTUM: f64 = 0.99;
const PATIENCE: usize = 10;
const IMPROVEMENT: f64 = 0.9;
const NESTED_TOLERANCE: f64 = 1e-5;
const NESTED_SWEEPS: usize = 100;
/// Below this residual the iterate is taken; it leaves room for the last settling.
const TARGET: f64 = 5e-4;

/// An engine that solves both transports at given weights.
pub(crate) trait Nested {
    type Error: From<TransportError> + From<Cancelled>;

    /// Sweeps at these weights until the column marginals hold to `tolerance`, `most` sweeps ran, or nothing improves.
    fn settle(&mut self, weights: &[f64], tolerance: f64, most: usize) -> Result<(), Self::Error>;
    /// G of the newest sweep.
    fn scores(&self) -> &[f64];
    /// p of the current scores.
    fn gibbs(&self) -> Gibbs;
    /// ‖p - w‖₁.
    fn residual(&self, gibbs: &Gibbs, weights: &[f64]) -> f64;
    /// Whether this residual of settled weights shows a stationary point.
    fn confirms(&self, residual: f64) -> bool;
    /// Records and announces one step.
    fn record(&self, trace: &mut Vec<TracePoint>, weights: &[f64], tau: f64, residual: f64);
}

impl Nested for Alignment<'_, '_> {
    type Error = TransportError;

    fn settle(&mut self, weights: &[f64], tolerance: f64, most: usize) -> Result<(), TransportError> {
        Alignment::settle(self, weights, tolerance, most)
    }

    fn scores(&self) -> &[f64] {
        &self.scores
    }

    fn gibbs(&self) -> Gibbs {
        Alignment::gibbs(self)
    }

    fn residual(&self, gibbs: &Gibbs, weights: &[f64]) -> f64 {
        Alignment::residual(self, gibbs, weights)
    }

    fn confirms(&self, residual: f64) -> bool {
        Alignment::confirms(self, residual)
    }

    fn record(&self, trace: &mut Vec<TracePoint>, weights: &[f64], tau: f64, residual: f64) {
        Alignment::record(self, trace, weights, tau, residual);
    }
}

/// Adam steps from uniform weights.
pub(crate) fn adam<N: Nested>(
    alignment: &mut N,
    settings: &CheckedSettings,
    observer: &dyn Observer,
    n: usize,
) -> Result<Learned, N::Error> {
    let mut theta = vec![0.0f64; n];
    let mut weights = vec![1.0 / n as f64; n];
    let mut moments = vec![[0.0f64; 2]; n];
    let mut trace = Vec::new();
    let mut rate = RATE;
    let (mut best, mut since) = (f64::INFINITY, 0);
    let mut stop = Stop::StepLimit;
    for step in 1..=settings.max_steps {
        observer.tick("aligning", step as u64, Some(settings.max_steps as u64));
        observer.check()?;
        alignment.settle(&weights, NESTED_TOLERANCE, NESTED_SWEEPS)?;
        let gibbs = alignment.gibbs();
        let residual = alignment.residual(&gibbs, &weights);
        alignment.record(&mut trace, &weights, gibbs.tau, residual);
        if residual <= TARGET {
            stop = Stop::Converged;
            break;
        }
        if residual < IMPROVEMENT * best {
            (best, since) = (residual, 0);
        } else {
            since += 1;
        }
        if since >= PATIENCE {
            if rate <= SMALLEST_RATE {
                stop = Stop::Stalled;
                break;
            }
            rate = (rate / 2.0).max(SMALLEST_RATE);
            (best, since) = (residual, 0);
        }
        descend(&mut theta, &mut moments, &mut weights, alignment.scores(), gibbs.tau, rate, step);
    }
    alignment.settle(&weights, NESTED_TOLERANCE / 10.0, NESTED_SWEEPS)?;
    let gibbs = alignment.gibbs();
    let residual = alignment.residual(&gibbs, &weights);
    stop = match stop {
        Stop::Converged | Stop::Stalled if alignment.confirms(residual) => Stop::Converged,
        Stop::Converged => Stop::Stalled,
        other => other,
    };
    Ok(Learned { weights, gibbs, residual, trace, stop })
}

fn descend(
    theta: &mut [f64],
    moments: &mut [[f64; 2]],
    weights: &mut [f64],
    scores: &[f64],
    tau: f64,
    rate: f64,
    step: usize,
) {
    let n = weights.len() as f64;
    let costs: Vec<f64> = weights.iter().zip(scores).map(|(w, g)| g + tau * (n * w.max(1e-300)).ln()).collect();
    let mean: f64 = weights.iter().zip(&costs).map(|(w, c)| w * c).sum();
    let first_bias = 1.0 - MOMENTUM.powi(step.min(1 << 20) as i32);
    let second_bias = 1.0 - SECOND_MOMENTUM.powi(step.min(1 << 20) as i32);
    // Gradients are of the order τ/n: the usual 1e-8 of Adam would swamp them.
    let floor = 1e-8 * tau / n;
    for (((theta, moments), w), cost) in theta.iter_mut().zip(moments).zip(weights.iter()).zip(&costs) {
        let gradient = w * (cost - mean);
        moments[0] = MOMENTUM * moments[0] + (1.0 - MOMENTUM) * gradient;
        moments[1] = SECOND_MOMENTUM * moments[1] + (1.0 - SECOND_MOMENTUM) * gradient * gradient;
        *theta -= rate * (moments[0] / first_bias) / ((moments[1] / second_bias).sqrt() + floor);
    }
    let largest = theta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = theta.iter().map(|t| (t - largest).exp()).sum();
    for (w, t) in weights.iter_mut().zip(theta) {
        *w = (*t - largest).exp() / total;
    }
}
