//! Studies: what a ranking is worth on labelled sets, by one call.
//!
//! Constraints: labels measure and choose nothing; a large set is measured on a seeded sample; every figure is written
//! as data beside the table.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Plan, ProjectError, Sets, compare};
use crate::data::{Container, Dataset, OpenOptions, WeightedRow, write_rows};
use crate::embedding::EncoderChoice;
use crate::selection::comparison::Comparison;
use crate::selection::{SelectionSettings, labels_of};
use crate::transport::{Engine, Observer, Settings};

/// Custom sets of more rows are measured on a sample of as many.
pub const SAMPLE: usize = 10_000;

/// A custom set with its labels, its safe reference and one harmful reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    pub custom: PathBuf,
    pub labels: PathBuf,
    pub safe: Vec<PathBuf>,
    pub harmful: PathBuf,
}

/// The trials of a folder laid out as `custom/NAME.jsonl` (or `.jsonl.gz`) with `custom/NAME.labels.csv`,
/// `ref_safe/` and `ref_harmful/`: every custom set with every harmful reference.
///
/// The safe reference of `NAME` is the file `safe_X` whose X is a part of `NAME`, else the file `safe_general`, else all of
/// them.
///
/// # Errors
/// A folder is missing or nothing is in it.
pub fn trials(folder: &Path) -> Result<Vec<Trial>, ProjectError> {
    let safe = data_files(&folder.join("ref_safe"))?;
    let harmful = data_files(&folder.join("ref_harmful"))?;
    let mut trials = Vec::new();
    for custom in data_files(&folder.join("custom"))? {
        let name = stem(&custom);
        let labels = folder.join("custom").join(format!("{name}.labels.csv"));
        if !labels.is_file() {
            tracing::warn!("{}: has no labels beside it and is left out", custom.display());
            continue;
        }
        let suffix = |path: &PathBuf| stem(path).trim_start_matches("safe_").to_owned();
        let named = |wanted: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
            safe.iter().filter(|path| wanted(&suffix(path))).cloned().collect()
        };
        let own = [named(&|suffix| name.contains(suffix)), named(&|suffix| suffix == "general"), safe.clone()];
        let safe = own.into_iter().find(|files| !files.is_empty()).unwrap_or_default();
        for harmful in &harmful {
            trials.push(Trial {
                custom: custom.clone(),
                labels: labels.clone(),
                safe: safe.clone(),
                harmful: harmful.clone(),
            });
        }
    }
    if trials.is_empty() {
        return Err(ProjectError::Inconsistent(format!(
            "{}: there is no labelled custom set with references; the folder needs custom/NAME.jsonl, custom/NAME.labels.csv, ref_safe/ and ref_harmful/",
            folder.display()
        )));
    }
    Ok(trials)
}

/// The name of a data file without its endings.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn data_files(folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let is_data = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
    };
    let entries = std::fs::read_dir(folder).map_err(ProjectError::io(folder))?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(ProjectError::io(folder))?;
    files.retain(is_data);
    files.sort();
    Ok(files)
}

/// One trial with one encoder.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Measurement {
    pub encoder: String,
    pub custom: String,
    pub safe: String,
    pub harmful: String,
    pub rows: usize,
    pub table: Vec<Comparison>,
}

/// What every trial shares.
#[derive(Debug, Clone)]
pub struct StudySettings {
    pub encoder: EncoderChoice,
    /// How the encoder is called in the table.
    pub encoder_name: String,
    pub selection: SelectionSettings,
    pub settings: Settings,
    pub cache_dir: Option<PathBuf>,
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
    let mut plan = Plan {
        custom: trial.custom.clone(),
        safe: trial.safe.clone(),
        harmful: vec![trial.harmful.clone()],
        mapping: None,
        encoder: study.encoder.clone(),
        views: None,
        settings: study.settings.clone(),
        calibration: None,
        selection: study.selection,
    };
    let whole = Dataset::open(&trial.custom, &OpenOptions::default(), observer)?;
    let rows = sample(whole.len(), study.settings.seed);
    let folder = tempfile::tempdir().map_err(ProjectError::io(&std::env::temp_dir()))?;
    let numbers: Vec<u64> = rows.iter().filter_map(|row| whole.number(*row)).collect();
    if rows.len() < whole.len() {
        let drawn: Vec<WeightedRow> = rows.iter().map(|row| WeightedRow { index: *row, weight: 1.0 }).collect();
        plan.custom = folder.path().join("sample.jsonl");
        write_rows(&whole, &drawn, Container::Jsonl, &plan.custom, observer)?;
    }
    drop(whole);
    let labels = labels_of(&trial.labels, &numbers)?;
    let sets = Sets::open(&plan, observer)?;
    let compared = compare(&sets, &plan, engine, study.cache_dir.clone(), Some(&labels), observer)?;
    let names: Vec<String> = trial.safe.iter().map(|path| stem(path)).collect();
    Ok(Measurement {
        encoder: study.encoder_name.clone(),
        custom: stem(&trial.custom),
        safe: names.join("+"),
        harmful: stem(&trial.harmful),
        rows: rows.len(),
        table: compared.table,
    })
}

/// All row indices, or a seeded draw of [`SAMPLE`] in the order of the file.
fn sample(rows: usize, seed: u64) -> Vec<usize> {
    if rows <= SAMPLE {
        return (0..rows).collect();
    }
    let mut drawn = rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(seed), rows, SAMPLE).into_vec();
    drawn.sort_unstable();
    drawn
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
