//! Planting: a part of the harmful reference among the custom rows.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::selection::SelectionError;
use crate::transport::{Points, Problem};

/// Canaries are at most this share of the custom rows, so that planting does not change what the set is.
const MOST_OF_CUSTOM: f64 = 0.1;
/// Fewer canaries tell nothing.
pub(super) const FEWEST: usize = 5;

/// True where harmful files of so many rows leave enough to plant: two files of five rows, or fifteen rows in all.
pub fn is_possible(sources: &[usize]) -> bool {
    sources.iter().filter(|rows| **rows >= FEWEST).count() >= 2 || sources.iter().sum::<usize>() >= 3 * FEWEST
}

/// Which harmful references are planted and which stay references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fold {
    pub canaries: Vec<usize>,
    pub references: Vec<usize>,
}

/// One fold a source that leaves it out, or one fold of a seeded share where there is one source.
///
/// # Errors
/// There are too few harmful rows to plant and to keep.
pub(super) fn folds(
    sources: &[Range<usize>],
    custom_rows: usize,
    share: f64,
    seed: u64,
) -> Result<Vec<Fold>, SelectionError> {
    let all: usize = sources.iter().map(Range::len).sum();
    let most = ((custom_rows as f64 * MOST_OF_CUSTOM) as usize).max(FEWEST);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let usable: Vec<&Range<usize>> = sources.iter().filter(|source| source.len() >= FEWEST).collect();
    let too_few = || {
        SelectionError::Outcome(format!(
            "calibration plants a part of the harmful reference, and {all} harmful rows are too few for it; give at least {}, or fix lambda and epsilon",
            3 * FEWEST
        ))
    };
    if usable.len() >= 2 {
        let fold = |source: &Range<usize>| {
            let mut canaries: Vec<usize> = source.clone().collect();
            canaries.shuffle(&mut random);
            canaries.truncate(most);
            canaries.sort_unstable();
            let references = sources.iter().filter(|other| *other != source).flat_map(Clone::clone).collect();
            Fold { canaries, references }
        };
        return Ok(usable.into_iter().map(fold).collect());
    }
    let mut rows: Vec<usize> = sources.iter().flat_map(Clone::clone).collect();
    rows.shuffle(&mut random);
    let count = ((share * all as f64).round() as usize).max(FEWEST).min(most);
    if !is_possible(&sources.iter().map(Range::len).collect::<Vec<_>>()) {
        return Err(too_few());
    }
    let mut references = rows.split_off(count);
    references.sort_unstable();
    rows.sort_unstable();
    Ok(vec![Fold { canaries: rows, references }])
}

/// The vectors of a fold: the custom rows and behind them the canaries, and the references that are left.
pub(super) struct Planted {
    pub custom: Vec<f32>,
    pub harmful: Vec<f32>,
}

impl Planted {
    pub fn new(problem: &Problem<'_>, fold: &Fold) -> Self {
        let rows = |rows: &[usize]| -> Vec<f32> {
            let dim = problem.harmful.dim;
            rows.iter()
                .filter_map(|row| problem.harmful.data.get(row * dim..(row + 1) * dim))
                .flatten()
                .copied()
                .collect()
        };
        let mut custom = Vec::with_capacity(problem.custom.data.len() + fold.canaries.len() * problem.custom.dim);
        custom.extend_from_slice(problem.custom.data);
        custom.extend(rows(&fold.canaries));
        Self { custom, harmful: rows(&fold.references) }
    }

    /// The canaries alone; `None` if the vectors do not fit each other.
    pub fn canaries(&self, problem: &Problem<'_>) -> Option<Points<'_>> {
        let data = self.custom.get(problem.custom.data.len()..)?;
        Points::new(data, data.len() / problem.custom.dim.max(1), problem.custom.dim)
    }

    /// `None` if the vectors do not fit each other.
    pub fn problem<'a>(&'a self, problem: &Problem<'a>) -> Option<Problem<'a>> {
        let dim = problem.custom.dim.max(1);
        Some(Problem {
            custom: Points::new(&self.custom, self.custom.len() / dim, dim)?,
            safe: problem.safe,
            harmful: Points::new(&self.harmful, self.harmful.len() / dim, dim)?,
        })
    }
}
