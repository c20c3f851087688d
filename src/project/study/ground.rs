//! The labelled sets that a study works on.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::StudySettings;
use crate::data::{Container, Dataset, OpenOptions, WeightedRow, write_rows};
use crate::project::pipeline::prepare;
use crate::project::{Demo, Plan, Prepared, ProjectError, Sets};
use crate::selection::labels_of;
use crate::transport::Observer;

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

/// The trial on the sample data inside the program, unpacked into `folder`.
///
/// # Errors
/// The folder cannot be written.
pub fn demo(folder: &Path) -> Result<Vec<Trial>, ProjectError> {
    let demo = Demo::unpack(folder)?;
    Ok(vec![Trial { custom: demo.custom, labels: demo.labels, safe: vec![demo.safe], harmful: demo.harmful }])
}

impl Trial {
    /// Its custom set and harmful reference.
    pub fn name(&self) -> String {
        format!("{} / {}", stem(&self.custom), stem(&self.harmful))
    }
}

/// An opened trial: the rows that are measured and their labels.
pub struct Ground {
    pub name: String,
    pub trial: Trial,
    pub plan: Plan,
    pub sets: Sets,
    /// Whether each custom row is harmful, where that is known.
    pub labels: Vec<Option<bool>>,
    /// Holds the sample; texts are read from it again.
    _folder: tempfile::TempDir,
}

impl Ground {
    /// Opens a trial; a set of more than [`SAMPLE`] rows is drawn from.
    ///
    /// # Errors
    /// A file cannot be read or written, labels do not fit, or the user cancelled.
    pub fn open(trial: &Trial, study: &StudySettings, observer: &dyn Observer) -> Result<Self, ProjectError> {
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
        Ok(Self { name: trial.name(), trial: trial.clone(), plan, sets, labels, _folder: folder })
    }

    /// Embeds the sets.
    ///
    /// # Errors
    /// As [`super::super::purify`].
    pub fn prepare(&self, study: &StudySettings, observer: &dyn Observer) -> Result<Prepared, ProjectError> {
        prepare(&self.sets, &self.plan, study.cache_dir.clone(), observer)
    }
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
