//! Calibration by canaries: which λ and ε separate planted harmful rows on the user's own data.
//!
//! Purpose: λ and ε decide the ranking and no label says which to take. A part of the harmful reference is planted among
//! the custom rows, every pair of a grid ranks them, and the scores of several pairs are averaged and smoothed over
//! neighbours. With several harmful files each is left out in turn, and the pairs that bring canaries of a left-out file
//! up best, in the worst case over the files, are averaged. One file alone cannot tell what finds other kinds (measured:
//! the pairs its canaries prefer lose 0.1 AUROC on unseen attacks), so there fixed pairs are averaged and the canaries
//! measure the cut. Source: ours. Constraints: no label is read; potentials at uniform weights do not depend
//! on λ, so one kernel a ρ serves every λ; the same problem, settings, seed and engine give the same bits.

mod canaries;
mod recall;
mod settings;
mod smoothing;

use std::ops::Range;

use crate::jobs::Progress;
use crate::transport::{CheckedSettings, Engine, Observer, Problem, Settings, SolverKind, TransportError};

use super::{SelectionError, auroc};
use canaries::{Fold, Planted};
use smoothing::Neighbourhoods;

pub use canaries::is_possible;
pub use recall::{Estimate, Recall, interval};
pub use settings::CalibrationSettings;

/// One pair of the grid.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GridPoint {
    pub lambda: f64,
    /// ρ, ε as a multiple of each reference's median cost.
    pub epsilon: f64,
    /// AUROC of canaries against custom rows, the least over the folds; `None` where ρ could not be solved.
    pub auroc: Option<f64>,
    /// Among the pairs whose scores are averaged.
    pub chosen: bool,
}

/// What a calibration found; it goes into the manifest.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Calibration {
    pub settings: CalibrationSettings,
    /// ρ-major.
    pub grid: Vec<GridPoint>,
    pub canaries: usize,
    /// Harmful files left out one at a time; 1 means that canaries and references share their source.
    pub folds: usize,
    pub recall: Recall,
    /// Rows to keep so that the wanted recall of canaries is met, of the n custom rows.
    pub suggested_keep: usize,
    /// AUROC of canaries by the averaged score.
    pub auroc: f64,
}

impl Calibration {
    /// What the canaries say of a cut that drops this many of the rows, and what that is worth, in plain sentences.
    pub fn statement(&self, dropped: usize) -> String {
        let Estimate { share, low, high } = self.recall.at(dropped);
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let meaning = if self.folds > 1 {
            "each harmful file was left out in turn, so this estimates attacks of a source that no reference shows"
        } else {
            "canaries and references share their source, so attacks of another kind may be found less often; give several harmful files to estimate that"
        };
        format!(
            "Of {} planted canaries a cut that drops {dropped} of {} rows drops {} ({:.0} % interval {} to {}); {meaning}.",
            self.canaries,
            self.recall.rows,
            percent(share),
            100.0 * self.recall.confidence,
            percent(low),
            percent(high),
        )
    }

    /// True where the averaged pairs are fixed ones: one harmful file alone cannot choose among them.
    pub fn has_fixed_pairs(&self) -> bool {
        self.folds == 1 && !self.settings.single_source.is_empty()
    }

    /// Of the chosen pairs the one that separates the canaries best; the weights are learned with it.
    pub fn best(&self) -> GridPoint {
        let solved = self.grid.iter().filter(|point| point.chosen && point.auroc.is_some());
        // Of equals the first.
        let best = solved.rev().max_by(|a, b| a.auroc.unwrap_or(0.0).total_cmp(&b.auroc.unwrap_or(0.0)));
        best.copied().unwrap_or(GridPoint { lambda: 0.7, epsilon: 0.1, auroc: None, chosen: false })
    }
}

/// The ranking that a calibration recommends, n values each.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    pub calibration: Calibration,
    /// Mean over the chosen pairs of the score in its own standard deviations, half of it that of the ten nearest custom
    /// rows; higher is more suspicious.
    pub score: Vec<f64>,
    /// The same of f^Q: more positive is farther from the safe reference.
    pub pull: Vec<f64>,
    /// The same of f^M: more negative is nearer to the harmful reference.
    pub push: Vec<f64>,
}

/// Potentials at uniform weights for one ρ: f^Q and f^M of every row, centred.
struct Potentials {
    pull: Vec<f64>,
    push: Vec<f64>,
}

impl Potentials {
    /// G_i = (1-λ) f^Q_i - λ f^M_i.
    fn score(&self, lambda: f64) -> Vec<f64> {
        self.pull.iter().zip(&self.push).map(|(pull, push)| (1.0 - lambda) * pull - lambda * push).collect()
    }
}

/// Values less their mean, in standard deviations, both taken over the first `of`; zeros where these are all equal.
fn standardised(values: Vec<f64>, of: usize) -> Vec<f64> {
    let n = of.min(values.len()).max(1) as f64;
    let mean = values.iter().take(of).sum::<f64>() / n;
    let deviation = (values.iter().take(of).map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
    values.into_iter().map(|value| (value - mean) * scale).collect()
}

/// What the solver is told and heard by: steps of a calibration are one stage.
struct Stage<'a> {
    observer: &'a dyn Observer,
    done: u64,
    total: u64,
}

impl Progress for Stage<'_> {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {
        self.observer.tick("calibrating", self.done, Some(self.total));
    }

    fn is_cancelled(&self) -> bool {
        self.observer.is_cancelled()
    }
}

impl Observer for Stage<'_> {}

/// A solver with the settings that every calibration solve shares.
struct Solves<'a> {
    engine: &'a dyn Engine,
    base: &'a CheckedSettings,
    observer: &'a dyn Observer,
    done: u64,
    total: u64,
}

impl Solves<'_> {
    /// `None` where costs or ε leave nothing to rank by; other errors end the calibration.
    fn potentials(&mut self, problem: &Problem<'_>, epsilon: f64) -> Result<Option<Potentials>, SelectionError> {
        self.observer.check()?;
        let settings = Settings { solver: SolverKind::OneShot, epsilon, ..Settings::clone(self.base) };
        let stage = Stage { observer: self.observer, done: self.done, total: self.total };
        stage.tick("", 0, None);
        let outcome = settings.checked().and_then(|settings| self.engine.solve(problem, &settings, &stage));
        self.done += 1;
        match outcome {
            Ok(outcome) => Ok(Some(Potentials { pull: outcome.pull, push: outcome.push })),
            Err(TransportError::Diverged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Calibrates on the rows of `problem`; `sources` are the runs of harmful rows that come from one file each.
///
/// `base` gives seed, threads and memory; its solver, λ and ε are not used.
///
/// # Errors
/// A setting is out of range, the harmful reference is too small, no pair of the grid could be solved, the problem has
/// no answer, or the user cancelled.
pub fn calibrate(
    engine: &dyn Engine,
    problem: &Problem<'_>,
    sources: &[Range<usize>],
    settings: &CalibrationSettings,
    base: &CheckedSettings,
    observer: &dyn Observer,
) -> Result<Calibrated, SelectionError> {
    let settings = settings.clone().checked()?;
    let n = problem.custom.rows;
    let folds = canaries::folds(sources, n, settings.canary_share, base.seed)?;
    let total = (folds.len() * settings.epsilons.len() + settings.epsilons.len()) as u64;
    let mut solves = Solves { engine, base, observer, done: 0, total };
    observer.tick("calibrating", 0, Some(total));
    let pool = crate::transport::pool(base.threads)?;
    let around = pool.install(|| Neighbourhoods::new(problem.custom, problem.custom, true, base.seed, observer))?;
    let mut planted = Vec::with_capacity(folds.len());
    for fold in &folds {
        planted.push(plant(&mut solves, problem, fold, &around, &settings)?);
    }
    let pairs: Vec<(usize, f64)> =
        (0..settings.epsilons.len()).flat_map(|at| settings.lambdas.iter().map(move |lambda| (at, *lambda))).collect();
    let aurocs: Vec<Option<f64>> = pairs
        .iter()
        .map(|(at, lambda)| {
            let of_fold = |(fold, around): &(PlantedPotentials, Neighbourhoods)| {
                let potentials = fold.get(*at)?.as_ref()?;
                separation(&around.smooth(potentials.score(*lambda), n), n)
            };
            planted.iter().map(of_fold).try_fold(1.0, |least: f64, auroc| Some(least.min(auroc?)))
        })
        .collect();
    let chosen = if folds.len() > 1 || settings.single_source.is_empty() {
        best(&aurocs, settings.best)
    } else {
        let is_named = |(at, lambda): &(usize, f64)| {
            settings.epsilons.get(*at).is_some_and(|epsilon| settings.single_source.contains(&(*lambda, *epsilon)))
        };
        let named =
            pairs.iter().zip(&aurocs).enumerate().filter(|(_, (pair, auroc))| is_named(pair) && auroc.is_some());
        named.map(|(place, _)| place).collect()
    };
    if chosen.is_empty() {
        return Err(SelectionError::Outcome(
            "no pair of the calibration grid could be solved; fix lambda and epsilon instead".to_owned(),
        ));
    }
    let chosen_pairs: Vec<(usize, f64)> = chosen.iter().filter_map(|at| pairs.get(*at).copied()).collect();
    let recalls: Vec<(Recall, f64)> = planted
        .iter()
        .filter_map(|(fold, around)| {
            let averaged = average(fold, &chosen_pairs, around, n)?;
            let (custom, canaries) = averaged.score.split_at_checked(n)?;
            Some((Recall::new(canaries, custom, settings.confidence), separation(&averaged.score, n)?))
        })
        .collect();
    let auroc = recalls.iter().map(|(_, auroc)| auroc).sum::<f64>() / recalls.len().max(1) as f64;
    let recall = Recall::pooled(recalls.into_iter().map(|(recall, _)| recall).collect(), settings.confidence);
    drop(planted);

    let mut full: PlantedPotentials = Vec::with_capacity(settings.epsilons.len());
    for (at, epsilon) in settings.epsilons.iter().enumerate() {
        let is_used = chosen_pairs.iter().any(|(used, _)| *used == at);
        full.push(if is_used { solves.potentials(problem, *epsilon)? } else { None });
    }
    let Some(averaged) = average(&full, &chosen_pairs, &around, n) else {
        return Err(SelectionError::Outcome(
            "the pairs that separate the canaries cannot be solved on all references; fix lambda and epsilon instead"
                .to_owned(),
        ));
    };
    observer.tick("calibrating", total, Some(total));
    let grid = pairs
        .iter()
        .zip(&aurocs)
        .enumerate()
        .map(|(place, ((at, lambda), auroc))| GridPoint {
            lambda: *lambda,
            epsilon: settings.epsilons.get(*at).copied().unwrap_or(f64::NAN),
            auroc: *auroc,
            chosen: chosen.contains(&place),
        })
        .collect();
    let dropped = recall.drop_for(settings.recall);
    let calibration = Calibration {
        grid,
        canaries: recall.above.len(),
        folds: folds.len(),
        suggested_keep: (n - dropped).max(1),
        recall,
        auroc,
        settings,
    };
    Ok(Calibrated { calibration, score: averaged.score, pull: averaged.pull, push: averaged.push })
}

/// One entry a ρ.
type PlantedPotentials = Vec<Option<Potentials>>;

fn plant(
    solves: &mut Solves<'_>,
    problem: &Problem<'_>,
    fold: &Fold,
    around: &Neighbourhoods,
    settings: &CalibrationSettings,
) -> Result<(PlantedPotentials, Neighbourhoods), SelectionError> {
    let planted = Planted::new(problem, fold);
    let unfit = || {
        SelectionError::Outcome("the vectors of the sets do not fit each other; embed them with one encoder".to_owned())
    };
    let canaries = planted.canaries(problem).ok_or_else(unfit)?;
    let of_canaries = Neighbourhoods::new(problem.custom, canaries, false, solves.base.seed, solves.observer)?;
    let planted = planted.problem(problem).ok_or_else(unfit)?;
    let potentials: Result<_, _> =
        settings.epsilons.iter().map(|epsilon| solves.potentials(&planted, *epsilon)).collect();
    Ok((potentials?, around.and(of_canaries)))
}

/// AUROC of the rows behind the first `n` against these.
fn separation(score: &[f64], n: usize) -> Option<f64> {
    let items: Vec<(f64, bool)> = score.iter().enumerate().map(|(row, score)| (*score, row >= n)).collect();
    auroc(&items)
}

/// The places of the largest values, best first; ties go by place.
fn best(values: &[Option<f64>], count: usize) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(place, value)| value.map(|value| (place, value))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.into_iter().take(count).map(|(place, _)| place).collect()
}

struct Averaged {
    score: Vec<f64>,
    pull: Vec<f64>,
    push: Vec<f64>,
}

/// Means over the pairs of what each gives in its own standard deviations, the score smoothed over neighbours; `None` if
/// one was not solved.
fn average(
    potentials: &PlantedPotentials,
    pairs: &[(usize, f64)],
    around: &Neighbourhoods,
    n: usize,
) -> Option<Averaged> {
    let share = 1.0 / pairs.len() as f64;
    let mut mean = Averaged { score: Vec::new(), pull: Vec::new(), push: Vec::new() };
    for (at, lambda) in pairs {
        let one = potentials.get(*at)?.as_ref()?;
        let parts = [
            (&mut mean.score, one.score(*lambda)),
            (&mut mean.pull, one.pull.clone()),
            (&mut mean.push, one.push.clone()),
        ];
        for (sum, part) in parts {
            sum.resize(part.len(), 0.0);
            sum.iter_mut().zip(standardised(part, n)).for_each(|(sum, value)| *sum += share * value);
        }
    }
    mean.score = around.smooth(mean.score, n);
    Some(mean)
}
