//! Every ranking on the sets of a plan.

use std::path::PathBuf;

use super::pipeline::{prepare, texts};
use super::{Plan, ProjectError, Sets};
use crate::embedding::Fingerprint;
use crate::selection::baselines::Material;
use crate::selection::comparison::{self, Comparison, Contender};
use crate::transport::{Engine, Observer};

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
