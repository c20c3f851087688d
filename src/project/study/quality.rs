//! Every ranking on every trial, saved pair by pair.
//!
//! Constraint: a killed study loses at most the pair in work; [`Records`] has the others.

use super::records::{Records, identity};
use super::report::quoted;
use super::{Ground, StudySettings, Trial, stem};
use crate::project::{ProjectError, compare};
use crate::selection::comparison::Comparison;
use crate::transport::{Engine, Observer};

/// One trial with one encoder.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measurement {
    pub encoder: String,
    pub custom: String,
    pub safe: String,
    pub harmful: String,
    pub rows: usize,
    pub table: Vec<Comparison>,
}

/// Measures every ranking on a trial.
///
/// # Errors
/// As [`compare`], and where labels or files cannot be read.
pub fn measure(
    trial: &Trial,
    study: &StudySettings,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Measurement, ProjectError> {
    let ground = Ground::open(trial, study, observer)?;
    let cache = study.cache_dir.clone();
    let compared = compare(&ground.sets, &ground.plan, engine, cache, Some(&ground.labels), observer)?;
    let names: Vec<String> = trial.safe.iter().map(|path| stem(path)).collect();
    Ok(Measurement {
        encoder: study.encoder_name.clone(),
        custom: stem(&trial.custom),
        safe: names.join("+"),
        harmful: stem(&trial.harmful),
        rows: ground.sets.custom.len(),
        table: compared.table,
    })
}

impl Records {
    /// Takes the measurement that is there, if it was made from the same files, encoder and settings by the same version;
    /// else measures and saves. The flag says whether it was there.
    ///
    /// # Errors
    /// As [`measure`], and where the record cannot be written.
    pub fn measure(
        &self,
        trial: &Trial,
        study: &StudySettings,
        engine: &dyn Engine,
        observer: &dyn Observer,
    ) -> Result<(Measurement, bool), ProjectError> {
        self.keep(identity("quality 1", trial, study)?, || measure(trial, study, engine, observer))
    }
}

/// The measurements as a Markdown page: for every encoder AUROC by ranking and trial, the mean, the worst, and how far
/// each ranking falls behind the best control at worst.
pub fn page(measurements: &[Measurement]) -> String {
    use std::fmt::Write;
    const CONTROLS: [&str; 5] = ["anchor", "centroid", "probe", "10-nn", "dsir"];
    let mut page = String::new();
    let mut encoders: Vec<&str> = measurements.iter().map(|one| one.encoder.as_str()).collect();
    encoders.dedup();
    for encoder in encoders {
        let of: Vec<&Measurement> = measurements.iter().filter(|one| one.encoder == encoder).collect();
        let auroc =
            |one: &Measurement, name: &str| one.table.iter().find(|line| line.name == name)?.measured.as_ref()?.auroc;
        // Writing to a String cannot fail.
        let _ = writeln!(page, "## AUROC, {encoder}\n");
        let _ = writeln!(
            page,
            "| ranking | {} | mean | worst | behind the best control at worst |",
            of.iter().map(|one| format!("{} / {}", one.custom, one.harmful)).collect::<Vec<_>>().join(" | ")
        );
        let _ = writeln!(page, "|---|{}", "---:|".repeat(of.len() + 3));
        let names: Vec<&str> =
            of.first().map_or(Vec::new(), |one| one.table.iter().map(|line| line.name.as_str()).collect());
        for name in names {
            let values: Vec<Option<f64>> = of.iter().map(|one| auroc(one, name)).collect();
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            let behind = of.iter().filter_map(|one| {
                let best = CONTROLS.iter().filter_map(|control| auroc(one, control)).fold(0.0, f64::max);
                Some(auroc(one, name)? - best)
            });
            let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
            let count = known.len().max(1) as f64;
            let _ = writeln!(
                page,
                "| {name} | {} | {:.4} | {:.4} | {:+.4} |",
                values.iter().map(|value| shown(*value)).collect::<Vec<_>>().join(" | "),
                known.iter().sum::<f64>() / count,
                known.iter().copied().fold(1.0, f64::min),
                behind.fold(f64::INFINITY, f64::min),
            );
        }
        let _ = writeln!(page);
    }
    page
}

/// The measurements as CSV, one line a trial and ranking.
pub fn csv(measurements: &[Measurement]) -> String {
    use std::fmt::Write;
    let mut out = String::from(
        "encoder,custom,safe,harmful,rows,ranking,kept,auroc,average_precision,harmful_recall,contamination,benign_retention,seconds\n",
    );
    let figure = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    for one in measurements {
        for line in &one.table {
            let Some(found) = &line.measured else { continue };
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{},{:.3}",
                quoted(&one.encoder),
                quoted(&one.custom),
                quoted(&one.safe),
                quoted(&one.harmful),
                one.rows,
                line.name,
                line.kept,
                figure(found.auroc),
                figure(found.average_precision),
                figure(found.harmful_recall),
                figure(found.contamination),
                figure(found.benign_retention),
                line.seconds,
            );
        }
    }
    out
}
