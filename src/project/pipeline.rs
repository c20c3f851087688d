//! The main job.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Plan, ProjectError, leakage};
use crate::data::{Dataset, OpenOptions};
use crate::embedding::{EmbedSettings, Embeddings, Fingerprint, Joined, Texts, embed};
use crate::jobs::Progress;
use crate::transport::{Engine, Observer, Outcome, Points, Problem, TransportError};

/// The opened sets of a plan. Several files of one role are one reference, rows in file order.
#[derive(Clone)]
pub struct Sets {
    pub custom: Dataset,
    pub safe: Vec<Dataset>,
    pub harmful: Vec<Dataset>,
}

impl Sets {
    /// Opens every file of the plan, to the end.
    ///
    /// # Errors
    /// A file cannot be read or has no usable row, the mapping does not fit the custom file, a role has no file, or
    /// the user cancelled.
    pub fn open(plan: &Plan, progress: &dyn Progress) -> Result<Self, ProjectError> {
        for (role, files) in [("safe", &plan.safe), ("harmful", &plan.harmful)] {
            if files.is_empty() {
                return Err(ProjectError::Inconsistent(format!(
                    "there is no {role} reference; give at least one file"
                )));
            }
        }
        let open = |path: &PathBuf, mapping| {
            let options = OpenOptions { mapping, ..OpenOptions::default() };
            Dataset::open(path, &options, progress)
        };
        let all = |paths: &[PathBuf]| paths.iter().map(|path| open(path, None)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            custom: open(&plan.custom, plan.mapping.clone())?,
            safe: all(&plan.safe)?,
            harmful: all(&plan.harmful)?,
        })
    }

    /// Every set, custom first.
    pub fn all(&self) -> impl Iterator<Item = &Dataset> {
        std::iter::once(&self.custom).chain(&self.safe).chain(&self.harmful)
    }
}

/// Seconds of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Timing {
    pub embed: f64,
    pub solve: f64,
}

/// Vectors and weights for a plan.
#[derive(Debug, Clone)]
pub struct Purified {
    pub outcome: Outcome,
    pub fingerprint: Fingerprint,
    pub timing: Timing,
    /// Vectors read from the cache, of all.
    pub cached: u64,
    pub computed: u64,
    /// Rows cut to the encoder's length: custom, safe, harmful.
    pub truncated: [u64; 3],
}

/// Embeds and solves. `cache_dir` holds the vector cache.
///
/// # Errors
/// A setting is out of range, a text cannot be read, a vector cannot be used (file, row and line told), the problem
/// has no answer, or the user cancelled.
pub fn purify(
    sets: &Sets,
    plan: &Plan,
    engine: &dyn Engine,
    cache_dir: Option<PathBuf>,
    observer: &dyn Observer,
) -> Result<Purified, ProjectError> {
    let settings = plan.settings.clone().checked()?;
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let roles: [(&str, Vec<&Dataset>); 3] = [
        ("custom", vec![&sets.custom]),
        ("safe", sets.safe.iter().collect()),
        ("harmful", sets.harmful.iter().collect()),
    ];
    let joined: Vec<Joined<'_>> =
        roles.iter().map(|(_, files)| Joined::new(files.iter().map(|file| *file as &dyn Texts).collect())).collect();
    let texts: Vec<&dyn Texts> = joined.iter().map(|set| set as &dyn Texts).collect();
    let embedding =
        EmbedSettings { encoder: plan.encoder.clone(), views: plan.views, cache_dir, threads, seed: settings.seed };
    let mut warnings = leakage::warnings(sets, observer as &dyn Progress)?;
    warnings.iter().for_each(|warning| observer.warn(warning));
    let began = Instant::now();
    let mut embedded = embed(&texts, &embedding, observer as &dyn Progress)?;
    let embed_seconds = began.elapsed().as_secs_f64();

    for ((role, files), vectors) in roles.iter().zip(&mut embedded.sets) {
        if let Some(warning) = give_direction(role, files, vectors)? {
            observer.warn(&warning);
            warnings.push(warning);
        }
    }
    let mut points = embedded.sets.iter().map(Points::from);
    let (Some(custom), Some(safe), Some(harmful)) = (points.next(), points.next(), points.next()) else {
        return Err(ProjectError::Inconsistent("the encoder did not return three sets; please report it".to_owned()));
    };
    let began = Instant::now();
    let outcome = engine.solve(&Problem { custom, safe, harmful }, &settings, observer);
    let mut outcome = outcome.map_err(|error| located(error, &roles))?;
    warnings.append(&mut outcome.warnings);
    outcome.warnings = warnings;
    let truncated = |at: usize| embedded.truncated.get(at).copied().unwrap_or(0);
    Ok(Purified {
        outcome,
        fingerprint: embedded.fingerprint,
        timing: Timing { embed: embed_seconds, solve: began.elapsed().as_secs_f64() },
        cached: embedded.cached,
        computed: embedded.computed,
        truncated: [truncated(0), truncated(1), truncated(2)],
    })
}

/// Rows whose text is empty to the encoder have no direction. They take the mean direction of their set, so that they
/// say nothing for or against anyone, and the user is told.
fn give_direction(role: &str, files: &[&Dataset], vectors: &mut Embeddings) -> Result<Option<String>, ProjectError> {
    let dim = vectors.dim();
    let is_zero = |row: &[f32]| row.iter().all(|value| *value == 0.0);
    let zeros: Vec<usize> = (0..vectors.rows()).filter(|row| is_zero(vectors.row(*row))).collect();
    let Some(first) = zeros.first().copied() else { return Ok(None) };
    let mut mean = vec![0.0_f64; dim];
    for row in 0..vectors.rows() {
        mean.iter_mut().zip(vectors.row(row)).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let norm = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
    let place = place(files, first);
    if norm.is_nan() || norm <= 1e-9 {
        let reason = "its text is empty to this encoder, and so is the whole set; choose another encoder".to_owned();
        let (path, row, line) = place.unwrap_or_default();
        return Err(ProjectError::Vector { path, row, line, reason });
    }
    for row in &zeros {
        let start = row * dim;
        if let Some(values) = vectors.data_mut().get_mut(start..start + dim) {
            values.iter_mut().zip(&mean).for_each(|(value, sum)| *value = (sum / norm) as f32);
        }
    }
    let (path, row, line) = place.unwrap_or_default();
    let (count, verb) = if zeros.len() == 1 {
        ("1 row is".to_owned(), "It takes")
    } else {
        (format!("{} rows are", zeros.len()), "They take")
    };
    Ok(Some(format!(
        "{role}: {count} empty to this encoder (first: {} row {row}, line {line}). {verb} the mean direction of the set and cannot be judged; look at them by eye.",
        path.file_name().unwrap_or_default().to_string_lossy()
    )))
}

/// File, record number and line of a row of a role.
fn place(files: &[&Dataset], mut row: usize) -> Option<(PathBuf, u64, u64)> {
    for file in files {
        match row.checked_sub(file.len()) {
            None => {
                let number = file.number(row).unwrap_or(row as u64);
                return Some((Path::to_owned(file.path()), number, file.line(row).unwrap_or(0)));
            }
            Some(rest) => row = rest,
        }
    }
    None
}

/// Tells a vector that cannot be used by file, row and line.
fn located(error: TransportError, roles: &[(&str, Vec<&Dataset>)]) -> ProjectError {
    let (set, row, reason) = match &error {
        TransportError::NotFinite { set, row } => (set, row, "its vector is not finite; embed it again"),
        TransportError::ZeroVector { set, row } => (set, row, "its vector is zero; choose another encoder"),
        _ => return error.into(),
    };
    let files = roles.iter().find(|(role, _)| role == set).map(|(_, files)| files.as_slice()).unwrap_or_default();
    match place(files, *row) {
        Some((path, row, line)) => ProjectError::Vector { path, row, line, reason: reason.to_owned() },
        None => error.into(),
    }
}
