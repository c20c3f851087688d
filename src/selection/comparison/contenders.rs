//! Every ranking that is compared, computed on the same rows and vectors.

use std::ops::Range;
use std::time::Instant;

use crate::selection::SelectionError;
use crate::selection::baselines::{self, Baseline, Material};
use crate::selection::calibration::{CalibrationSettings, calibrate};
use crate::transport::{CheckedSettings, Engine, Observer, Outcome, Settings, SolverKind};

/// A ranking with what it does to the rows it keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Contender {
    pub name: &'static str,
    /// One sentence for a reviewer.
    pub about: String,
    /// Suspicion, n values; higher is more suspicious.
    pub score: Vec<f64>,
    /// Learned weights of every row (a common factor does not matter); `None` weighs every kept row alike.
    pub weights: Option<Vec<f64>>,
    /// Drops no row, whatever is asked.
    pub keeps_all: bool,
    pub seconds: f64,
}

/// The λ of the paper; it publishes no ε.
const PAPER_LAMBDA: f64 = 0.5;

/// The method, calibrated and fixed, its ablations, and every baseline, in the order of a table. The first is the
/// recommended one.
///
/// `base` gives ε, λ, seed, threads and memory of the fixed setting.
///
/// # Errors
/// A set does not fit, a setting is out of range, a problem has no answer, or the user cancelled.
pub fn contenders(
    material: &Material<'_>,
    sources: &[Range<usize>],
    engine: &dyn Engine,
    grid: &CalibrationSettings,
    base: &CheckedSettings,
    observer: &dyn Observer,
) -> Result<Vec<Contender>, SelectionError> {
    let problem = &material.problem;
    let mut all = Vec::new();
    let began = Instant::now();
    let calibrated = calibrate(engine, problem, sources, grid, base, observer)?;
    let pairs: Vec<String> = calibrated
        .calibration
        .grid
        .iter()
        .filter(|point| point.chosen)
        .map(|point| format!("{}/{}", point.lambda, point.epsilon))
        .collect();
    all.push(plain(
        "calibrated",
        format!(
            "The recommended ranking: mean of the pairs lambda/epsilon that bring canaries up: {}.",
            pairs.join(" ")
        ),
        calibrated.score,
        began.elapsed().as_secs_f64(),
    ));
    all.extend(fixed_and_controls(material, engine, base, observer)?);
    Ok(all)
}

/// A result that stands already, and beside it the method at fixed settings, its ablations, and every baseline. The first
/// is the result.
///
/// `base` gives ε, λ, seed, threads and memory of the fixed setting.
///
/// # Errors
/// As [`contenders`], and where the result is not of these rows.
pub fn beside(
    result: &Outcome,
    material: &Material<'_>,
    engine: &dyn Engine,
    base: &CheckedSettings,
    observer: &dyn Observer,
) -> Result<Vec<Contender>, SelectionError> {
    if result.score.len() != material.problem.custom.rows {
        return Err(SelectionError::Outcome("the result was made for other rows; purify again".to_owned()));
    }
    let own = Contender {
        weights: Some(result.weights.clone()),
        ..plain("this result", "The ranking in this window.".to_owned(), result.score.clone(), 0.0)
    };
    let mut all = vec![own];
    all.extend(fixed_and_controls(material, engine, base, observer)?);
    Ok(all)
}

fn plain(name: &'static str, about: String, score: Vec<f64>, seconds: f64) -> Contender {
    Contender { name, about, score, weights: None, keeps_all: false, seconds }
}

/// The method at fixed settings, its ablations, and every baseline.
fn fixed_and_controls(
    material: &Material<'_>,
    engine: &dyn Engine,
    base: &CheckedSettings,
    observer: &dyn Observer,
) -> Result<Vec<Contender>, SelectionError> {
    let problem = &material.problem;
    let mut all = Vec::new();
    let began = Instant::now();
    let fixed = engine.solve(
        problem,
        &Settings { solver: SolverKind::Scaling, ..Settings::clone(base) }.checked()?,
        observer,
    )?;
    let seconds = began.elapsed().as_secs_f64();
    all.push(Contender {
        weights: Some(fixed.weights.clone()),
        ..plain(
            "fixed",
            format!(
                "The method at lambda {}, epsilon {}: cut by score, kept rows weighted.",
                base.lambda, base.epsilon
            ),
            fixed.score.clone(),
            seconds,
        )
    });
    let began = Instant::now();
    let paper = Settings { solver: SolverKind::Scaling, lambda: PAPER_LAMBDA, ..Settings::clone(base) }.checked()?;
    let paper = engine.solve(problem, &paper, observer)?;
    all.push(Contender {
        score: paper.weights.iter().map(|weight| -weight).collect(),
        ..plain(
            "paper",
            format!("As published: lambda 0.5, cut by weight (epsilon {}; the paper names none).", base.epsilon),
            Vec::new(),
            began.elapsed().as_secs_f64(),
        )
    });
    all.push(plain("pull-only", "Only the distance from the safe reference.".to_owned(), fixed.pull, seconds));
    let push = fixed.push.iter().map(|push| -push).collect();
    all.push(plain("push-only", "Only the nearness to the harmful reference.".to_owned(), push, seconds));
    all.push(plain(
        "top-k-only",
        "The fixed ranking; every kept row counts alike.".to_owned(),
        fixed.score.clone(),
        seconds,
    ));
    all.push(Contender {
        weights: Some(fixed.weights),
        keeps_all: true,
        ..plain("reweight-only", "Drops nothing; learned weights alone.".to_owned(), fixed.score, seconds)
    });
    let pool = crate::transport::pool(base.threads)?;
    for (at, baseline) in Baseline::ALL.into_iter().enumerate() {
        observer.tick("baselines", at as u64, Some(Baseline::ALL.len() as u64));
        let began = Instant::now();
        let score = pool.install(|| baselines::score(baseline, material, observer))?;
        all.push(Contender {
            keeps_all: baseline == Baseline::Sft,
            ..plain(baseline.name(), baseline.about().to_owned(), score, began.elapsed().as_secs_f64())
        });
    }
    Ok(all)
}
