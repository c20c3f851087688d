//! Every ranking on every trial, saved pair by pair.
//!
//! Constraint: a finished pair is on disk before the next begins, with what it was made from, so that a killed study
//! loses at most the pair in work and goes on where it was.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::report::quoted;
use super::{Ground, StudySettings, Trial, stem};
use crate::embedding::EncoderChoice;
use crate::project::{ProjectError, atomic, compare};
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

/// A measurement on disk and what it was made from.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Record {
    /// Hash over the files, the encoder, the settings and the program's version.
    made_from: String,
    measurement: Measurement,
}

/// The finished pairs of a study, one file each.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// `folder` is made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: PathBuf) -> Result<Self, ProjectError> {
        std::fs::create_dir_all(&folder).map_err(ProjectError::io(&folder))?;
        Ok(Self { folder })
    }

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
        let made_from = identity(trial, study)?;
        let path = self.folder.join(format!("{}.json", made_from.get(..24).unwrap_or(&made_from)));
        // What cannot be read back was not finished or is not ours: it is measured again.
        let found = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        if let Some(found) = found.filter(|found| found.made_from == made_from) {
            return Ok((found.measurement, true));
        }
        let record = Record { made_from, measurement: measure(trial, study, engine, observer)? };
        let bytes = serde_json::to_vec_pretty(&record)
            .map_err(|error| ProjectError::Inconsistent(format!("a measurement cannot be written as JSON: {error}")))?;
        atomic::write(&path, &bytes)?;
        Ok((record.measurement, false))
    }
}

/// A hash over everything that decides a measurement.
fn identity(trial: &Trial, study: &StudySettings) -> Result<String, ProjectError> {
    let mut hash = blake3::Hasher::new();
    hash.update(concat!("dipole quality 1 ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    let mut file = |role: &str, path: &Path| -> Result<(), ProjectError> {
        let mut content = blake3::Hasher::new();
        let opened = File::open(path).map_err(ProjectError::io(path))?;
        content.update_reader(opened).map_err(ProjectError::io(path))?;
        hash.update(format!("{role} {} {}\n", stem(path), content.finalize().to_hex()).as_bytes());
        Ok(())
    };
    file("custom", &trial.custom)?;
    file("labels", &trial.labels)?;
    trial.safe.iter().try_for_each(|path| file("safe", path))?;
    file("harmful", &trial.harmful)?;
    match &study.encoder {
        EncoderChoice::Lexical => {}
        EncoderChoice::Precomputed(files) => files.iter().try_for_each(|path| file("vectors", path))?,
        EncoderChoice::Sentence(folder) => files_of(folder)?.iter().try_for_each(|path| file("model", path))?,
        EncoderChoice::Language(choice) => {
            files_of(&choice.folder)?.iter().try_for_each(|path| file("model", path))?;
        }
    }
    let how = match &study.encoder {
        EncoderChoice::Language(choice) => format!("{:?} {:?}", choice.pool, choice.layer),
        _ => String::new(),
    };
    // The number of threads changes no figure.
    let settings = crate::transport::Settings { threads: 0, ..study.settings.clone() };
    hash.update(format!("{} {how} {:?} {settings:?}", study.encoder_name, study.selection).as_bytes());
    Ok(hash.finalize().to_hex().to_string())
}

/// The plain files of a model's folder by name, or a model of one file.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    if folder.is_file() {
        // A GGUF file, and the tokenizer that is taken from beside it.
        let tokenizer = folder.with_file_name("tokenizer.json");
        return Ok(std::iter::once(folder.to_owned()).chain(Some(tokenizer).filter(|path| path.is_file())).collect());
    }
    let entries = std::fs::read_dir(folder).map_err(ProjectError::io(folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(ProjectError::io(folder))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
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
