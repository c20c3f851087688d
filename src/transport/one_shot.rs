//! The `one-shot` solver: scores at uniform weights after ten Sinkhorn iterations.
//!
//! Purpose: a preview, and often the better ranking. Constraint: no feedback of the weights; they are the Gibbs
//! weights of the scores, and costs and objective are those of uniform weights.

use super::push_pull::{Alignment, Learned};
use super::{Stop, TransportError};

const ITERATIONS: usize = 10;

/// Ten sweeps at uniform weights.
pub(crate) fn one_shot(alignment: &mut Alignment<'_, '_>) -> Result<Learned, TransportError> {
    let n = alignment.rows();
    let uniform = vec![1.0 / n as f64; n];
    let mut trace = Vec::with_capacity(ITERATIONS);
    for step in 1..=ITERATIONS {
        alignment.observer.tick("aligning", step as u64, Some(ITERATIONS as u64));
        alignment.observer.check()?;
        alignment.sweep(&|i, _| uniform[i])?;
        let gibbs = alignment.gibbs();
        let residual = alignment.residual(&gibbs, &uniform);
        alignment.record(&mut trace, &uniform, gibbs.tau, residual);
    }
    let gibbs = alignment.gibbs();
    let residual = alignment.residual(&gibbs, &uniform);
    let weights = alignment.scores.iter().map(|score| gibbs.weight(*score)).collect();
    Ok(Learned { weights, gibbs, residual, trace, stop: Stop::FixedIterations })
}
