//! Every ranking on the sets of a plan.

use std::path::PathBuf;

use super::pipeline::{prepare, texts};
use super::{Plan, ProjectError, Purified, Sets};
use crate::embedding::Fingerprint;
use crate::selection::baselines::Material;
use crate::selection::comparison::{self, Agreement, Comparison, Contender};
use crate::selection::{Keep, SelectionError};
use crate::transport::{Engine, Observer, Points, Problem, Settings};

/// All rankings of the custom rows and the table that compares them.
#[derive(Debug, Clone)]
pub struct Compared {
    pub contenders: Vec<Contender>,
    pub table: Vec<Comparison>,
    pub fingerprint: Fingerprint,
}

/// Embeds the sets, computes every ranking, and compares them at the plan's cut. `labels[i]` tells whether row i is
/// harmful; they measure and nothing else.
///
/// # Errors
/// As [`super::purify`], and where labels do not fit the rows.
pub fn compare(
    sets: &Sets,
    plan: &Plan,
    engine: &dyn Engine,
    cache_dir: Option<PathBuf>,
    labels: Option<&[Option<bool>]>,
    observer: &dyn Observer,
) -> Result<Compared, ProjectError> {
    let prepared = prepare(sets, plan, cache_dir, observer)?;
    let [custom, safe, _] = texts(sets);
    let base = plan.settings.clone().checked()?;
    let material = Material { problem: prepared.problem(), custom_texts: &custom, safe_texts: &safe, seed: base.seed };
    let grid = plan.calibration.clone().unwrap_or_default();
    let contenders = comparison::contenders(&material, prepared.sources(), engine, &grid, &base, observer)?;
    let table = comparison::compare(&contenders, plan.selection.keep, labels)?;
    Ok(Compared { contenders, table, fingerprint: prepared.fingerprint })
}

/// A result beside every other ranking of the same rows and vectors.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The first is the result itself.
    pub contenders: Vec<Contender>,
    pub table: Vec<Comparison>,
    pub agreement: Agreement,
    /// The cut of table and agreement.
    pub keep: Keep,
}

impl Beside {
    /// Compares at a cut.
    ///
    /// # Errors
    /// `keep` is out of range, or the contenders are not of the same rows.
    pub fn at(contenders: Vec<Contender>, keep: Keep) -> Result<Self, SelectionError> {
        let table = comparison::compare(&contenders, keep, None)?;
        let agreement = comparison::agreement(&contenders, keep)?;
        Ok(Self { contenders, table, agreement, keep })
    }
}

/// Computes every other ranking on the rows and vectors of a result; nothing is embedded again. λ and ε of the fixed
/// setting are those of the plan where they were set by hand, else the defaults.
///
/// # Errors
/// The sets are not those of the result, a text cannot be read, a problem has no answer, or the user cancelled.
pub fn compare_beside(
    sets: &Sets,
    plan: &Plan,
    purified: &Purified,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Beside, ProjectError> {
    let [custom, safe, harmful] = purified.vectors.each_ref().map(Points::from);
    let [custom_texts, safe_texts, harmful_texts] = texts(sets);
    let lengths = [&custom_texts, &safe_texts, &harmful_texts].map(crate::embedding::Texts::len);
    if [custom.rows, safe.rows, harmful.rows] != lengths {
        return Err(ProjectError::Inconsistent("the result was made for other files; purify again".to_owned()));
    }
    let mut settings = plan.settings.clone();
    if plan.calibration.is_some() {
        let default = Settings::default();
        (settings.lambda, settings.epsilon) = (default.lambda, default.epsilon);
    }
    let base = settings.checked()?;
    let problem = Problem { custom, safe, harmful };
    let material = Material { problem, custom_texts: &custom_texts, safe_texts: &safe_texts, seed: base.seed };
    let contenders = comparison::beside(&purified.outcome, &material, engine, &base, observer)?;
    Ok(Beside::at(contenders, plan.selection.keep)?)
}
