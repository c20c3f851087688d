//! Why a row stands where it stands, read off the transport plan.
//!
//! Purpose: for every row which force dominates, where its mass goes, and which references are nearest: as data and as
//! one sentence whose every number can be recomputed from `weights.csv` and `explanations.csv`. Constraints: strips of
//! fixed size, no n×m matrix; the plan is the solved one, π(j|i) ∝ b_j exp((g_j - C_ij)/ε).

mod groups;
mod terms;

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::SelectionError;
use crate::jobs::Progress;
use crate::transport::{Outcome, Points, Problem, SideOutcome};

pub use groups::{Group, Grouping, group};
pub use terms::{ReferenceWords, Vocabulary};

const STRIP: usize = 64;

/// Which of the two forces speaks louder for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Force {
    /// Its distance from the safe reference.
    Pull,
    /// Its nearness to the harmful reference.
    Push,
}

/// A row and one reference.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Toward {
    /// The group with the largest share of the row's mass.
    pub group: usize,
    /// That share, in [0, 1].
    pub share: f64,
    /// The reference row with the largest cosine.
    pub nearest: usize,
    pub cosine: f64,
}

/// Why one row stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Reason {
    pub force: Force,
    /// Share of the rows that are nearer to the safe reference (a smaller `pull`).
    pub farther_than: f64,
    /// Share of the rows that are farther from the harmful reference (a larger `push`).
    pub nearer_than: f64,
    pub safe: Toward,
    pub harmful: Toward,
}

/// A share or a cosine as it is told, in the export and in the window.
pub fn four_digits(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl Reason {
    /// Share and cosine to four digits, as the export writes them.
    pub fn rounded(mut self) -> Self {
        let Self { safe, harmful, .. } = &mut self;
        for value in [&mut safe.share, &mut safe.cosine, &mut harmful.share, &mut harmful.cosine] {
            *value = four_digits(*value);
        }
        self
    }

    /// One sentence. `names` are the groups of the safe and of the harmful reference.
    pub fn sentence(&self, safe: &Grouping, harmful: &Grouping) -> String {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let (toward, grouping, reference) = match self.force {
            Force::Pull => (&self.safe, safe, "safe"),
            Force::Push => (&self.harmful, harmful, "harmful"),
        };
        let lead = match self.force {
            Force::Pull => format!(
                "Judged mainly by pull: farther from the safe reference than {} of the rows (and nearer to the harmful one than {})",
                percent(self.farther_than),
                percent(self.nearer_than)
            ),
            Force::Push => format!(
                "Judged mainly by push: nearer to the harmful reference than {} of the rows (and farther from the safe one than {})",
                percent(self.nearer_than),
                percent(self.farther_than)
            ),
        };
        let group = grouping.groups.get(toward.group).map_or_else(String::new, |group| {
            format!("; {} of its mass lies on {reference} references about “{}”", percent(toward.share), group.name())
        });
        format!("{lead}{group}; the nearest {reference} reference has cosine {:.3}.", toward.cosine)
    }
}

/// A reason with everything that it was read off.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    pub reason: Reason,
    /// Share of the row's mass on every group of the safe reference; they sum to 1 before they are rounded.
    pub safe_shares: Vec<f64>,
    /// The same of the harmful reference.
    pub harmful_shares: Vec<f64>,
}

impl Explained {
    /// Shares and cosines to four digits after the point, so that a sentence says what a file of so many digits holds.
    pub fn rounded(mut self) -> Self {
        for share in self.safe_shares.iter_mut().chain(&mut self.harmful_shares) {
            *share = four_digits(*share);
        }
        self.reason = self.reason.rounded();
        self
    }
}

/// Reads the reasons of one solved problem, a block of rows at a time.
pub struct Explainer<'a> {
    problem: Problem<'a>,
    outcome: &'a Outcome,
    safe: &'a Grouping,
    harmful: &'a Grouping,
    farther: Vec<f64>,
    nearer: Vec<f64>,
}

impl<'a> Explainer<'a> {
    /// # Errors
    /// Outcome, vectors and groups are not of the same rows.
    pub fn new(
        problem: Problem<'a>,
        outcome: &'a Outcome,
        safe: &'a Grouping,
        harmful: &'a Grouping,
    ) -> Result<Self, SelectionError> {
        let n = problem.custom.rows;
        let fits = [outcome.pull.len(), outcome.push.len()].iter().all(|len| *len == n)
            && [(&outcome.safe, problem.safe, safe), (&outcome.harmful, problem.harmful, harmful)].iter().all(
                |(side, points, grouping)| {
                    side.column_potential.len() == points.rows
                        && grouping.of.len() == points.rows
                        && points.dim == problem.custom.dim
                },
            );
        if !fits {
            return Err(SelectionError::Outcome(
                "the result was made for other rows or references; purify again".to_owned(),
            ));
        }
        let farther = shares_below(&outcome.pull);
        let nearer = shares_below(&outcome.push.iter().map(|push| -push).collect::<Vec<_>>());
        Ok(Self { problem, outcome, safe, harmful, farther, nearer })
    }

    /// The rows of this range; what lies behind the last row is left out. Memory is that of the answer and of one strip of
    /// 64 rows a thread.
    ///
    /// # Errors
    /// The user cancelled.
    pub fn block(&self, rows: Range<usize>, progress: &dyn Progress) -> Result<Vec<Explained>, SelectionError> {
        let custom = self.problem.custom;
        let (start, end) = (rows.start.min(custom.rows), rows.end.min(custom.rows));
        let data = custom.data.get(start * custom.dim..end * custom.dim).unwrap_or_default();
        let block = Points { data, rows: end.saturating_sub(start), dim: custom.dim };
        let safe = toward(block, self.problem.safe, &self.outcome.safe, self.safe, progress)?;
        let harmful = toward(block, self.problem.harmful, &self.outcome.harmful, self.harmful, progress)?;
        let places = self.farther.iter().zip(&self.nearer).skip(start);
        Ok(places
            .zip(safe.into_iter().zip(harmful))
            .map(|((farther_than, nearer_than), ((safe, safe_shares), (harmful, harmful_shares)))| {
                // How far from the middle each force puts the row, on whichever side.
                let is_push = (nearer_than - 0.5).abs() >= (farther_than - 0.5).abs();
                let force = if is_push { Force::Push } else { Force::Pull };
                let reason = Reason { force, farther_than: *farther_than, nearer_than: *nearer_than, safe, harmful };
                Explained { reason, safe_shares, harmful_shares }
            })
            .collect())
    }
}

/// The reasons of all n rows.
///
/// # Errors
/// Outcome, vectors and groups are not of the same rows, or the user cancelled.
pub fn reasons(
    problem: &Problem<'_>,
    outcome: &Outcome,
    safe: &Grouping,
    harmful: &Grouping,
    progress: &dyn Progress,
) -> Result<Vec<Reason>, SelectionError> {
    let explained = Explainer::new(*problem, outcome, safe, harmful)?.block(0..problem.custom.rows, progress)?;
    Ok(explained.into_iter().map(|explained| explained.reason).collect())
}

/// For every value the share of values that are smaller.
fn shares_below(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = values.len().max(1) as f64;
    values.iter().map(|value| sorted.partition_point(|other| other < value) as f64 / n).collect()
}

fn toward(
    custom: Points<'_>,
    reference: Points<'_>,
    side: &SideOutcome,
    grouping: &Grouping,
    progress: &dyn Progress,
) -> Result<Vec<(Toward, Vec<f64>)>, SelectionError> {
    let strips: Vec<Vec<(Toward, Vec<f64>)>> = custom
        .data
        .par_chunks(STRIP * custom.dim.max(1))
        .map(|strip| {
            progress.check()?;
            let rows = strip.len() / custom.dim.max(1);
            let mut cosines = vec![0.0f32; rows * reference.rows];
            matmul(
                MatMut::from_row_major_slice_mut(&mut cosines, rows, reference.rows),
                Accum::Replace,
                MatRef::from_row_major_slice(strip, rows, custom.dim),
                MatRef::from_row_major_slice(reference.data, reference.rows, reference.dim).transpose(),
                1.0,
                Par::Seq,
            );
            Ok(cosines.chunks_exact(reference.rows).map(|cosines| of_row(cosines, side, grouping)).collect())
        })
        .collect::<Result<_, SelectionError>>()?;
    Ok(strips.concat())
}

/// The nearest reference, the group with most of the mass, and the share of every group.
fn of_row(cosines: &[f32], side: &SideOutcome, grouping: &Grouping) -> (Toward, Vec<f64>) {
    let exponents: Vec<f64> = cosines
        .iter()
        .zip(&side.column_potential)
        .map(|(cosine, g)| (g - (1.0 - f64::from(*cosine))) / side.epsilon)
        .collect();
    let largest = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut shares = vec![0.0; grouping.groups.len()];
    for (exponent, group) in exponents.iter().zip(&grouping.of) {
        if let Some(share) = shares.get_mut(*group) {
            *share += (exponent - largest).exp();
        }
    }
    let total: f64 = shares.iter().sum();
    let first_largest = |values: &mut dyn Iterator<Item = f64>| {
        values
            .enumerate()
            .fold((0, f64::NEG_INFINITY), |best, (at, value)| if value > best.1 { (at, value) } else { best })
    };
    shares.iter_mut().for_each(|share| *share /= total);
    let (group, share) = first_largest(&mut shares.iter().copied());
    let (nearest, cosine) = first_largest(&mut cosines.iter().map(|cosine| f64::from(*cosine)));
    (Toward { group, share, nearest, cosine }, shares)
}
