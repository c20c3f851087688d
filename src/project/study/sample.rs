//! Draws of rows, cuts by a score, and names of files, as several studies need them.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Spread, delong};
use crate::project::ProjectError;
use crate::selection::Keep;
use crate::transport::{CheckedSettings, Engine, Observer, Points, Problem, Settings, SolverKind, TransportError};

/// A seeded draw of `count` of `rows` rows without repetition, ascending.
pub(super) fn draw(rows: usize, count: usize, seed: u64) -> Vec<usize> {
    let count = count.min(rows);
    let mut drawn = rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(seed), rows, count).into_vec();
    drawn.sort_unstable();
    drawn
}

/// The rows of 0..rows that are not in `drawn`, which ascends.
pub(super) fn others(rows: usize, drawn: &[usize]) -> Vec<usize> {
    (0..rows).filter(|row| drawn.binary_search(row).is_err()).collect()
}

/// These rows under each other.
pub(super) fn gather(points: Points<'_>, rows: &[usize]) -> Vec<f32> {
    let dim = points.dim;
    rows.iter().filter_map(|row| points.data.get(row * dim..(row + 1) * dim)).flatten().copied().collect()
}

/// Rows as points; `None` only where they are not whole.
pub(super) fn points(data: &[f32], dim: usize) -> Result<Points<'_>, ProjectError> {
    Points::new(data, data.len() / dim.max(1), dim)
        .ok_or_else(|| ProjectError::Inconsistent("vectors of a study are not whole rows; please report it".to_owned()))
}

/// What a row says of both references at uniform weights: f^Q and f^M, centred.
pub(super) struct Potentials {
    pub pull: Vec<f64>,
    pub push: Vec<f64>,
}

impl Potentials {
    /// `None` where costs or ε leave nothing to rank by.
    pub(super) fn solve(
        engine: &dyn Engine,
        problem: &Problem<'_>,
        base: &CheckedSettings,
        epsilon: f64,
        observer: &dyn Observer,
    ) -> Result<Option<Self>, ProjectError> {
        observer.check()?;
        let settings = Settings { solver: SolverKind::OneShot, epsilon, ..Settings::clone(base) }.checked()?;
        match engine.solve(problem, &settings, &Quiet(observer)) {
            Ok(outcome) => Ok(Some(Self { pull: outcome.pull, push: outcome.push })),
            Err(TransportError::Diverged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// G_i = (1-λ) f^Q_i - λ f^M_i.
    pub(super) fn score(&self, lambda: f64) -> Vec<f64> {
        self.pull.iter().zip(&self.push).map(|(pull, push)| (1.0 - lambda) * pull - lambda * push).collect()
    }
}

/// Passes a wish to stop on and nothing else: a study's own steps are its progress, and what single solves warn of is
/// what it studies.
pub(super) struct Quiet<'a>(pub &'a dyn Observer);

impl crate::jobs::Progress for Quiet<'_> {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Observer for Quiet<'_> {}

/// Scores beside labels, where those are known.
pub(super) fn labelled(score: &[f64], labels: &[Option<bool>]) -> Vec<(f64, bool)> {
    score.iter().zip(labels).filter_map(|(score, label)| label.map(|label| (*score, label))).collect()
}

/// AUROC with its interval over rows.
pub(super) fn auroc(score: &[f64], labels: &[Option<bool>]) -> Option<Spread> {
    delong(&labelled(score, labels))
}

/// What a cut does to labelled rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    /// Share of the harmful rows that are dropped.
    pub recall: Option<Spread>,
    /// Share of the kept rows that are harmful.
    pub contamination: Option<Spread>,
    /// Share of the other rows that are kept.
    pub retention: Option<Spread>,
}

/// Keeps the `keep` least suspicious rows, the later row of a tie first, as a selection does.
pub(super) fn cut(score: &[f64], labels: &[Option<bool>], keep: Keep) -> Result<Cut, ProjectError> {
    let mut order: Vec<(f64, usize)> = score.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let kept = keep.of(score.len())?;
    let count = |places: &[(f64, usize)], wanted: bool| {
        places.iter().filter(|(_, row)| labels.get(*row).copied().flatten() == Some(wanted)).count()
    };
    let (kept, dropped) = order.split_at(kept.min(order.len()));
    let (bad_kept, good_kept) = (count(kept, true), count(kept, false));
    let (bad_dropped, good_dropped) = (count(dropped, true), count(dropped, false));
    let share = |part: usize, rest: usize| (part + rest > 0).then(|| Spread::share(part, part + rest));
    Ok(Cut {
        recall: share(bad_dropped, bad_kept),
        contamination: share(bad_kept, good_kept),
        retention: share(good_kept, good_dropped),
    })
}

/// Letters, digits and hyphens of a name, for a file.
pub(super) fn slug(name: &str) -> String {
    let text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "trial".to_owned() } else { parts.join("-") }
}
