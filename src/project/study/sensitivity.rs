//! How the fixed ranking answers to λ, ε, K, the size of each reference, and wrong rows in each.
//!
//! Constraint: one thing moves at a time, all else is as set; draws are seeded.

use super::sample::{Potentials, auroc, cut, draw, gather, others, points};
use super::{Cell, Ground, Plot, Report, Scale, Series, Shape, Spot, Spread, StudySettings, Table, Trial};
use crate::project::ProjectError;
use crate::selection::{self, Keep};
use crate::transport::{CheckedSettings, Engine, Observer, Points, Problem};

const LAMBDAS: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
const EPSILONS: [f64; 7] = [0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.8];
const KEEPS: [f64; 6] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// Rows of a reference; sizes that it does not have are left out, and all of them are added.
const SIZES: [usize; 7] = [50, 100, 200, 500, 1000, 2000, 5000];
/// Shares of a reference that are rows of the other.
const NOISE: [f64; 5] = [0.0, 0.05, 0.1, 0.2, 0.3];

/// The things that move, with how their axis is called.
const FACTORS: [(&str, &str); 7] = [
    ("lambda", "λ (0 only pulls, 1 only pushes)"),
    ("epsilon", "ε (multiple of the median cost)"),
    ("keep", "share of rows that are kept"),
    ("safe_size", "rows of the safe reference"),
    ("harmful_size", "rows of the harmful reference"),
    ("safe_noise", "share of the safe reference that is harmful"),
    ("harmful_noise", "share of the harmful reference that is safe"),
];

/// One figure of one trial.
struct Found {
    factor: usize,
    trial: usize,
    value: f64,
    /// What it is the mean of.
    seeds: usize,
    auroc: Option<Spread>,
    recall: Option<Spread>,
    contamination: Option<Spread>,
    retention: Option<Spread>,
}

struct Work<'a> {
    problem: Problem<'a>,
    labels: &'a [Option<bool>],
    keep: Keep,
    base: &'a CheckedSettings,
    engine: &'a dyn Engine,
    observer: &'a dyn Observer,
    seeds: u64,
    trial: usize,
}

/// Runs the study on every trial.
///
/// # Errors
/// As [`super::measure`].
pub fn sensitivity(
    trials: &[Trial],
    study: &StudySettings,
    seeds: u64,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    let base = study.settings.clone().checked()?;
    let mut found = Vec::new();
    for (trial, of) in trials.iter().enumerate() {
        let ground = Ground::open(of, study, observer)?;
        let prepared = ground.prepare(study, observer)?;
        let work = Work {
            problem: prepared.problem(),
            labels: &ground.labels,
            keep: study.selection.keep,
            base: &base,
            engine,
            observer,
            seeds: seeds.max(1),
            trial,
        };
        work.all(&mut found, trials.len())?;
    }
    let names: Vec<String> = trials.iter().map(Trial::name).collect();
    Ok(Report {
        name: "sensitivity".to_owned(),
        about: vec![
            format!(
                "Encoder {}; where nothing else is said λ = {}, ε = {} × median cost, {} kept, all reference rows.",
                study.encoder_name, base.lambda, base.epsilon, study.selection.keep
            ),
            format!(
                "Sizes and noise are means over {seeds} draws with seeds from {}, with the 95 % interval of Student's t; otherwise intervals are over rows (DeLong for AUROC, Clopper-Pearson for shares).",
                base.seed
            ),
            "Noise: that share of the reference is exchanged for rows drawn from the other one, which loses them."
                .to_owned(),
        ],
        tables: vec![table(&found, &names)],
        plots: plots(&found, &names),
    })
}

impl Work<'_> {
    fn all(&self, found: &mut Vec<Found>, trials: usize) -> Result<(), ProjectError> {
        let total = (trials * FACTORS.len()) as u64;
        let step = |factor: usize| {
            self.observer.tick("sensitivity", (self.trial * FACTORS.len() + factor) as u64, Some(total))
        };
        step(0);
        if let Some(whole) = self.potentials(&self.problem, self.base.epsilon)? {
            for lambda in LAMBDAS {
                found.push(self.of_score(0, lambda, &whole.score(lambda), self.keep)?);
            }
            step(2);
            for keep in KEEPS {
                found.push(self.of_score(2, keep, &whole.score(self.base.lambda), Keep::Share(keep))?);
            }
        }
        step(1);
        for epsilon in EPSILONS {
            if let Some(one) = self.potentials(&self.problem, epsilon)? {
                found.push(self.of_score(1, epsilon, &one.score(self.base.lambda), self.keep)?);
            }
        }
        let [safe, harmful] = [self.problem.safe, self.problem.harmful];
        for (factor, points) in [(3, safe), (4, harmful)] {
            step(factor);
            let all = points.rows;
            for size in SIZES.into_iter().filter(|size| *size < all).chain([all]) {
                // All of them can be drawn in one way.
                let seeds = if size == all { 1 } else { self.seeds };
                let draws = |seed: u64| -> Result<[Vec<f32>; 2], ProjectError> {
                    let part = gather(points, &draw(all, size, seed));
                    let [safe, harmful] = [safe, harmful].map(|points| points.data.to_vec());
                    Ok(if factor == 3 { [part, harmful] } else { [safe, part] })
                };
                found.extend(self.over_seeds(factor, size as f64, seeds, draws)?);
            }
        }
        for (factor, points, other) in [(5, safe, harmful), (6, harmful, safe)] {
            step(factor);
            for share in NOISE.into_iter().filter(|share| can_exchange(points, other, *share)) {
                let draws = |seed: u64| -> Result<[Vec<f32>; 2], ProjectError> {
                    let (noisy, left) = exchanged(points, other, share, seed);
                    Ok(if factor == 5 { [noisy, left] } else { [left, noisy] })
                };
                let seeds = if share == 0.0 { 1 } else { self.seeds };
                found.extend(self.over_seeds(factor, share, seeds, draws)?);
            }
        }
        Ok(())
    }

    fn potentials(&self, problem: &Problem<'_>, epsilon: f64) -> Result<Option<Potentials>, ProjectError> {
        Potentials::solve(self.engine, problem, self.base, epsilon, self.observer)
    }

    fn of_score(&self, factor: usize, value: f64, score: &[f64], keep: Keep) -> Result<Found, ProjectError> {
        let of_cut = cut(score, self.labels, keep)?;
        Ok(Found {
            factor,
            trial: self.trial,
            value,
            seeds: 0,
            auroc: auroc(score, self.labels),
            recall: of_cut.recall,
            contamination: of_cut.contamination,
            retention: of_cut.retention,
        })
    }

    /// Means over seeds; `None` where nothing could be solved. `draws` gives the vectors of both references.
    fn over_seeds(
        &self,
        factor: usize,
        value: f64,
        seeds: u64,
        draws: impl Fn(u64) -> Result<[Vec<f32>; 2], ProjectError>,
    ) -> Result<Option<Found>, ProjectError> {
        let dim = self.problem.custom.dim;
        let mut figures: [Vec<f64>; 4] = Default::default();
        for seed in 0..seeds {
            let [safe, harmful] = draws(self.base.seed.wrapping_add(seed))?;
            let problem =
                Problem { custom: self.problem.custom, safe: points(&safe, dim)?, harmful: points(&harmful, dim)? };
            let Some(one) = self.potentials(&problem, self.base.epsilon)? else { continue };
            let score = one.score(self.base.lambda);
            let of_cut = cut(&score, self.labels, self.keep)?;
            let auroc = selection::auroc(&super::sample::labelled(&score, self.labels));
            let value = |spread: Option<Spread>| spread.map(|spread| spread.value);
            let new = [auroc, value(of_cut.recall), value(of_cut.contamination), value(of_cut.retention)];
            figures.iter_mut().zip(new).for_each(|(values, value)| values.extend(value));
        }
        let [auroc, recall, contamination, retention] =
            figures.each_ref().map(|values| Spread::mean(values).map(Spread::within_unit));
        let seeds = figures.first().map_or(0, Vec::len);
        Ok((seeds > 0).then_some(Found {
            factor,
            trial: self.trial,
            value,
            seeds,
            auroc,
            recall,
            contamination,
            retention,
        }))
    }
}

/// True where the other reference has the rows to make this share of noise and keeps half of its own.
fn can_exchange(points: Points<'_>, other: Points<'_>, share: f64) -> bool {
    (share * points.rows as f64).round() as usize <= other.rows / 2
}

/// A reference of which this share was drawn from the other, and what is left of the other; never more than half of it.
fn exchanged(points: Points<'_>, other: Points<'_>, share: f64, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let count = ((share * points.rows as f64).round() as usize).min(other.rows / 2);
    let moved = draw(other.rows, count, seed);
    let replaced = draw(points.rows, count, seed.wrapping_add(1 << 32));
    let mut noisy = gather(points, &others(points.rows, &replaced));
    noisy.extend(gather(other, &moved));
    (noisy, gather(other, &others(other.rows, &moved)))
}

fn table(found: &[Found], names: &[String]) -> Table {
    let mut table = Table::new(
        "sensitivity",
        "One thing moved at a time",
        &["trial", "moved", "value", "draws", "auroc", "harmful_dropped", "harmful_among_kept", "other_kept"],
    );
    for one in found {
        table.rows.push(vec![
            names.get(one.trial).map_or(Cell::Nothing, |name| name.as_str().into()),
            FACTORS.get(one.factor).map_or(Cell::Nothing, |(name, _)| (*name).into()),
            Cell::Number(one.value),
            one.seeds.max(1).into(),
            one.auroc.into(),
            one.recall.into(),
            one.contamination.into(),
            one.retention.into(),
        ]);
    }
    table
}

fn plots(found: &[Found], names: &[String]) -> Vec<Plot> {
    FACTORS
        .iter()
        .enumerate()
        .map(|(factor, (name, label))| {
            let of_recall = *name == "keep";
            let series = names.iter().enumerate().map(|(trial, trial_name)| {
                let own = found.iter().filter(|one| one.factor == factor && one.trial == trial);
                let spots = own.filter_map(|one| {
                    let spread = if of_recall { one.recall } else { one.auroc };
                    Some(Spot::of(one.value, spread?))
                });
                Series { name: trial_name.clone(), shape: Shape::Line, colour: trial, spots: spots.collect() }
            });
            let is_log = matches!(*name, "epsilon" | "safe_size" | "harmful_size");
            Plot {
                name: format!("sensitivity_{name}"),
                title: format!(
                    "{} by {}",
                    if of_recall { "Harmful rows dropped" } else { "AUROC" },
                    name.replace('_', " ")
                ),
                x_label: (*label).to_owned(),
                x: if is_log { Scale::Log } else { Scale::Linear },
                y_label: if of_recall { "share of harmful rows dropped (95 %)" } else { "AUROC (95 % interval)" }
                    .to_owned(),
                y: Scale::Linear,
                series: series.collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_moves_rows_from_one_reference_to_the_other() {
        let safe: Vec<f32> = (0..10).map(|row| row as f32).collect();
        let harmful: Vec<f32> = (100..130).map(|row| row as f32).collect();
        let (safe, harmful) = (Points::new(&safe, 10, 1).expect("rows"), Points::new(&harmful, 30, 1).expect("rows"));
        let (noisy, left) = exchanged(safe, harmful, 0.3, 5);
        assert_eq!((noisy.len(), left.len()), (10, 27));
        let moved: Vec<&f32> = noisy.iter().filter(|value| **value >= 100.0).collect();
        assert!(moved.len() == 3 && moved.iter().all(|value| !left.contains(value)), "{noisy:?}");
        assert_eq!(exchanged(safe, harmful, 0.3, 5).0, noisy, "a seed decides the draw");
        assert_ne!(exchanged(safe, harmful, 0.3, 6).0, noisy);
        assert!(can_exchange(safe, harmful, 0.9) && !can_exchange(harmful, safe, 0.3));
        let (all, left) = exchanged(harmful, safe, 0.9, 5);
        assert_eq!((all.len(), left.len()), (30, 5), "no more than half of the other is taken");
    }
}
