//! A linear probe: logistic regression of the harmful against the safe reference.
//!
//! min_{β,b} Σ ln(1 + exp(-y_i (β·z_i + b))) + ‖β‖²/2, y = ±1, the intercept free (scikit-learn's C = 1), by Newton's
//! method with step halving. Constraint: float64 throughout; the score is the log-odds β·z + b.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;

use crate::jobs::Progress;
use crate::selection::SelectionError;
use crate::transport::{Points, Problem};

const MOST_STEPS: usize = 50;
const MOST_HALVINGS: usize = 30;
const GRADIENT: f64 = 1e-8;

pub(super) fn score(problem: &Problem<'_>, progress: &dyn Progress) -> Result<Vec<f64>, SelectionError> {
    let fitted = fit(problem.safe, problem.harmful, progress)?;
    let rows = problem.custom.data.par_chunks_exact(problem.custom.dim);
    Ok(rows.map(|row| fitted.log_odds(row.iter().map(|value| f64::from(*value)))).collect())
}

/// β, and b as the last entry.
struct Fitted(Vec<f64>);

impl Fitted {
    fn log_odds(&self, row: impl Iterator<Item = f64>) -> f64 {
        row.chain(std::iter::once(1.0)).zip(&self.0).map(|(z, weight)| z * weight).sum()
    }
}

/// ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn fit(safe: Points<'_>, harmful: Points<'_>, progress: &dyn Progress) -> Result<Fitted, SelectionError> {
    let (dim, rows) = (safe.dim, safe.rows + harmful.rows);
    let wide = dim + 1;
    let design: Vec<f64> = safe
        .data
        .chunks_exact(dim)
        .chain(harmful.data.chunks_exact(dim))
        .flat_map(|row| row.iter().map(|value| f64::from(*value)).chain(std::iter::once(1.0)))
        .collect();
    let is_harmful = |row: usize| row >= safe.rows;
    let objective = |weights: &[f64], margins: &[f64]| -> f64 {
        let loss: f64 = margins.iter().enumerate().map(|(i, m)| softplus(if is_harmful(i) { -m } else { *m })).sum();
        loss + weights.iter().take(dim).map(|w| w * w).sum::<f64>() / 2.0
    };
    let margins_of = |weights: &Fitted| -> Vec<f64> {
        design.par_chunks_exact(wide).map(|row| weights.log_odds(row.iter().take(dim).copied())).collect()
    };
    let mut weights = Fitted(vec![0.0; wide]);
    let mut margins = vec![0.0; rows];
    let mut value = objective(&weights.0, &margins);
    for _ in 0..MOST_STEPS {
        progress.check()?;
        let chances: Vec<f64> = margins.iter().map(|m| 1.0 / (1.0 + (-m).exp())).collect();
        let mut gradient: Vec<f64> = weights.0.iter().take(dim).copied().chain(std::iter::once(0.0)).collect();
        for (i, row) in design.chunks_exact(wide).enumerate() {
            let residual = chances.get(i).copied().unwrap_or(0.5) - f64::from(u8::from(is_harmful(i)));
            gradient.iter_mut().zip(row).for_each(|(sum, z)| *sum += residual * z);
        }
        if gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs())) <= GRADIENT * rows as f64 {
            break;
        }
        let scaled: Vec<f64> = design
            .chunks_exact(wide)
            .zip(&chances)
            .flat_map(|(row, p)| {
                let scale = (p * (1.0 - p)).sqrt();
                row.iter().map(move |z| scale * z)
            })
            .collect();
        let scaled = MatRef::from_row_major_slice(&scaled, rows, wide);
        let mut hessian = Mat::<f64>::from_fn(wide, wide, |i, j| match (i == j, i < dim) {
            (true, true) => 1.0,
            // The intercept has no prior; this keeps it solvable where every chance is 0 or 1.
            (true, false) => 1e-9,
            _ => 0.0,
        });
        matmul(hessian.as_mut(), Accum::Add, scaled.transpose(), scaled, 1.0, Par::Seq);
        let right = Mat::<f64>::from_fn(wide, 1, |i, _| gradient.get(i).copied().unwrap_or(0.0));
        let factor = hessian.llt(Side::Lower).map_err(|error| {
            SelectionError::Outcome(format!("the probe cannot be fitted to the references ({error:?})"))
        })?;
        let step = factor.solve(&right);
        let mut length = 1.0;
        let mut better = None;
        for _ in 0..MOST_HALVINGS {
            let tried = Fitted(weights.0.iter().enumerate().map(|(i, w)| w - length * step[(i, 0)]).collect());
            let margins = margins_of(&tried);
            let tried_value = objective(&tried.0, &margins);
            if tried_value < value {
                better = Some((tried, margins, tried_value));
                break;
            }
            length /= 2.0;
        }
        let Some(found) = better else { break };
        (weights, margins, value) = found;
    }
    Ok(weights)
}
