//! Scores at uniform weights after ten Sinkhorn iterations: the ranking of every solve, and the `one-shot` solver.
//!
//! Purpose: the score ranks better before the weights feed back into the potentials than after (measured on twelve
//! pairs of data set and reference, most of all at small ε), so every solver's rows are ranked by it; the weights are
//! the solver's own. Constraint: no feedback of the weights.

use super::kernel::PerBlock;
use super::push_pull::{Alignment, Learned};
use super::{Stop, TransportError};

pub(super) const ITERATIONS: usize = 10;

/// G and f of both references at uniform weights, one a custom row, not centred.
#[derive(Debug, Clone)]
pub(crate) struct Ranking {
    pub scores: Vec<f64>,
    pub potentials: Vec<PerBlock>,
}

/// Ten sweeps at uniform weights; the alignment is as new afterwards.
pub(crate) fn rank(alignment: &mut Alignment<'_, '_>) -> Result<Ranking, TransportError> {
    sweeps(alignment, "ranking", |_, _| ())?;
    let ranking = Ranking { scores: alignment.scores.clone(), potentials: alignment.potentials.clone() };
    alignment.restart();
    Ok(ranking)
}

/// The `one-shot` solver: the Gibbs weights of the scores; costs and objective are those of uniform weights.
pub(crate) fn one_shot(alignment: &mut Alignment<'_, '_>) -> Result<Learned, TransportError> {
    let mut trace = Vec::with_capacity(ITERATIONS);
    sweeps(alignment, "aligning", |alignment, uniform| {
        let gibbs = alignment.gibbs();
        let residual = alignment.residual(&gibbs, uniform);
        alignment.record(&mut trace, uniform, gibbs.tau, residual);
    })?;
    let gibbs = alignment.gibbs();
    let n = alignment.rows();
    let residual = alignment.residual(&gibbs, &vec![1.0 / n as f64; n]);
    let weights = alignment.scores.iter().map(|score| gibbs.weight(*score)).collect();
    Ok(Learned { weights, gibbs, residual, trace, stop: Stop::FixedIterations })
}

fn sweeps(
    alignment: &mut Alignment<'_, '_>,
    stage: &str,
    mut after: impl FnMut(&Alignment<'_, '_>, &[f64]),
) -> Result<(), TransportError> {
    let n = alignment.rows();
    let uniform = vec![1.0 / n as f64; n];
    for step in 1..=ITERATIONS {
        alignment.observer.tick(stage, step as u64, Some(ITERATIONS as u64));
        alignment.observer.check()?;
        alignment.sweep(&|i, _| uniform[i])?;
        after(alignment, &uniform);
    }
    Ok(())
}
