//! What each force is worth: pull alone, push alone, both, and how each spreads the weights.
//!
//! Source: the second experiment of arXiv 2601.07200. Constraint: every variant has the same rows, vectors, ε and
//! solver; only λ differs.

use super::sample::{Potentials, Quiet, auroc, cut, draw, gather, points, slug};
use super::{Cell, Ground, Plot, Report, Scale, Series, Shape, Spot, Spread, StudySettings, Table, Trial};
use crate::project::ProjectError;
use crate::selection;
use crate::transport::{Engine, Observer, Outcome, Problem, Settings, SolverKind, TransportError};

/// Name and λ; `None` is the setting's own.
const VARIANTS: [(&str, Option<f64>); 4] =
    [("pull only", Some(0.0)), ("push only", Some(1.0)), ("paper", Some(0.5)), ("full", None)];
/// Share of each reference that a seed draws.
const SHARE: f64 = 0.8;
/// Points of a line that shows a distribution.
const QUANTILES: usize = 60;

/// Runs the study on every trial; each of `seeds` draws 80 % of both references.
///
/// # Errors
/// As [`super::measure`].
pub fn ablation(
    trials: &[Trial],
    study: &StudySettings,
    seeds: u64,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    let base = study.settings.clone().checked()?;
    let mut table = Table::new(
        "ablation",
        "What each force is worth",
        &[
            "trial",
            "variant",
            "lambda",
            "auroc_by_score",
            "auroc_by_score_over_seeds",
            "auroc_by_weight",
            "harmful_dropped",
            "harmful_among_kept",
            "other_kept",
            "effective_share",
            "weight_on_harmful",
        ],
    );
    let names: Vec<String> = trials.iter().map(Trial::name).collect();
    let mut by_variant: Vec<Series> = VARIANTS
        .iter()
        .enumerate()
        .map(|(colour, (name, _))| Series { name: (*name).to_owned(), shape: Shape::Marks, colour, spots: Vec::new() })
        .collect();
    let mut plots = Vec::new();
    let total = (trials.len() * VARIANTS.len()) as u64;
    for (at, trial) in trials.iter().enumerate() {
        let ground = Ground::open(trial, study, observer)?;
        let prepared = ground.prepare(study, observer)?;
        let problem = prepared.problem();
        let draws = drawn(&problem, study, seeds, engine, observer)?;
        let mut spread_of_weights = Vec::new();
        for (variant, (name, lambda)) in VARIANTS.iter().enumerate() {
            observer.tick("ablation", (at * VARIANTS.len() + variant) as u64, Some(total));
            let lambda = lambda.unwrap_or(base.lambda);
            let settings = Settings { solver: SolverKind::Scaling, lambda, ..Settings::clone(&base) }.checked()?;
            let outcome = match engine.solve(&problem, &settings, &Quiet(observer)) {
                Ok(outcome) => outcome,
                Err(TransportError::Diverged { .. }) => {
                    let mut row = vec![ground.name.as_str().into(), (*name).into(), Cell::Number(lambda)];
                    row.resize(table.columns.len(), Cell::Nothing);
                    table.rows.push(row);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let by_seed: Vec<f64> = draws
                .iter()
                .filter_map(|one| selection::auroc(&super::sample::labelled(&one.score(lambda), &ground.labels)))
                .collect();
            let by_score = auroc(&outcome.score, &ground.labels);
            let of_cut = cut(&outcome.score, &ground.labels, study.selection.keep)?;
            let low: Vec<f64> = outcome.weights.iter().map(|weight| -weight).collect();
            table.rows.push(vec![
                ground.name.as_str().into(),
                (*name).into(),
                Cell::Number(lambda),
                by_score.into(),
                Spread::mean(&by_seed).map(Spread::within_unit).into(),
                auroc(&low, &ground.labels).into(),
                of_cut.recall.into(),
                of_cut.contamination.into(),
                of_cut.retention.into(),
                Cell::Number(outcome.effective_rows / outcome.weights.len().max(1) as f64),
                Cell::Number(on_harmful(&outcome, &ground.labels)),
            ]);
            if let (Some(spread), Some(series)) = (by_score, by_variant.get_mut(variant)) {
                series.spots.push(Spot::of(at as f64, spread));
            }
            spread_of_weights.extend(distribution(&outcome, &ground.labels, name, variant));
        }
        plots.push(Plot {
            name: format!("ablation_weights_{}", slug(&ground.name)),
            title: format!("Learned weights, {}", ground.name),
            x_label: "learned weight × number of rows (1 is average)".to_owned(),
            x: Scale::Log,
            y_label: "share of rows with at most this weight".to_owned(),
            y: Scale::Linear,
            series: spread_of_weights,
        });
    }
    observer.tick("ablation", total, Some(total));
    let overview = Plot {
        name: "ablation_auroc".to_owned(),
        title: "AUROC by score of each force".to_owned(),
        x_label: "custom set / harmful reference".to_owned(),
        x: Scale::Names(names),
        y_label: "AUROC (95 % interval over rows)".to_owned(),
        y: Scale::Linear,
        series: by_variant,
    };
    plots.insert(0, overview);
    Ok(Report {
        name: "ablation".to_owned(),
        about: vec![
            format!(
                "Encoder {}; ε = {} × median cost; full is λ = {}; {} kept; seed {}.",
                study.encoder_name, base.epsilon, base.lambda, study.selection.keep, base.seed
            ),
            "Intervals are 95 %: DeLong for AUROC over rows, Clopper-Pearson for shares.".to_owned(),
            format!("Over seeds: mean of {seeds} draws of 80 % of both references, interval of Student's t."),
            "weight_on_harmful is the share of the learned weight that lies on harmful rows before any cut.".to_owned(),
        ],
        tables: vec![table],
        plots,
    })
}

/// Potentials with a part of both references, one a seed.
fn drawn(
    problem: &Problem<'_>,
    study: &StudySettings,
    seeds: u64,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Vec<Potentials>, ProjectError> {
    let base = study.settings.clone().checked()?;
    let mut found = Vec::new();
    for seed in 0..seeds {
        let seed = base.seed.wrapping_add(seed);
        let part = |of: crate::transport::Points<'_>, salt: u64| {
            let count = (SHARE * of.rows as f64).round().max(1.0) as usize;
            gather(of, &draw(of.rows, count, seed.wrapping_mul(2).wrapping_add(salt)))
        };
        let (safe, harmful) = (part(problem.safe, 0), part(problem.harmful, 1));
        let dim = problem.custom.dim;
        let reduced = Problem { custom: problem.custom, safe: points(&safe, dim)?, harmful: points(&harmful, dim)? };
        found.extend(Potentials::solve(engine, &reduced, &base, base.epsilon, observer)?);
    }
    Ok(found)
}

fn on_harmful(outcome: &Outcome, labels: &[Option<bool>]) -> f64 {
    outcome.weights.iter().zip(labels).filter(|(_, label)| **label == Some(true)).map(|(weight, _)| weight).sum()
}

/// The cumulative distributions of n·w over the other rows (a line) and over the harmful ones (dashes).
fn distribution(outcome: &Outcome, labels: &[Option<bool>], name: &str, colour: usize) -> Vec<Series> {
    let n = outcome.weights.len() as f64;
    let of = |wanted: bool| {
        let mut weights: Vec<f64> = outcome
            .weights
            .iter()
            .zip(labels)
            .filter(|(_, label)| **label == Some(wanted))
            .map(|(weight, _)| weight * n)
            .collect();
        weights.sort_unstable_by(f64::total_cmp);
        weights
    };
    let line = |wanted: bool| {
        let weights = of(wanted);
        let spots = (0..=QUANTILES).filter_map(|step| {
            let share = step as f64 / QUANTILES as f64;
            let at = ((weights.len().checked_sub(1)? as f64) * share).round() as usize;
            Some(Spot::exact(*weights.get(at)?, share))
        });
        Series {
            name: format!("{name}, {}", if wanted { "harmful" } else { "other" }),
            shape: if wanted { Shape::Dashed } else { Shape::Line },
            colour,
            spots: spots.collect(),
        }
    };
    vec![line(false), line(true)]
}
