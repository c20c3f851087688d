//! The main job.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::{Plan, ProjectError, leakage};
use crate::data::{Dataset, OpenOptions};
use crate::embedding::{EmbedSettings, Embeddings, Fingerprint, Joined, Texts, embed};
use crate::jobs::Progress;
use crate::selection::SelectionError;
use crate::selection::calibration::{Calibrated, Calibration, calibrate};
use crate::transport::{Engine, Observer, Outcome, Points, Problem, Settings, TransportError};

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
    /// What the calibration found, where there was one; the outcome's score, pull and push are its own then.
    pub calibration: Option<Calibration>,
    /// The vectors of the custom, safe and harmful rows, for the map.
    pub vectors: Arc<[Embeddings; 3]>,
    pub fingerprint: Fingerprint,
    pub timing: Timing,
    /// Vectors read from the cache, of all.
    pub cached: u64,
    pub computed: u64,
    /// Rows cut to the encoder's length: custom, safe, harmful.
    pub truncated: [u64; 3],
}

/// The vectors of a plan's sets, and what was said about them.
#[derive(Debug)]
pub struct Prepared {
    /// Custom, safe, harmful.
    sets: Arc<[Embeddings; 3]>,
    /// The rows of the harmful reference that come from one file each.
    sources: Vec<Range<usize>>,
    pub fingerprint: Fingerprint,
    pub warnings: Vec<String>,
    /// Seconds of embedding.
    pub seconds: f64,
    /// Vectors read from the cache, of all.
    pub cached: u64,
    pub computed: u64,
    /// Rows cut to the encoder's length: custom, safe, harmful.
    pub truncated: [u64; 3],
}

impl Prepared {
    /// The problem to solve.
    pub fn problem(&self) -> Problem<'_> {
        let [custom, safe, harmful] = self.sets.each_ref().map(Points::from);
        Problem { custom, safe, harmful }
    }

    /// The vectors of the custom, safe and harmful rows.
    pub fn vectors(&self) -> Arc<[Embeddings; 3]> {
        self.sets.clone()
    }

    /// The rows of the harmful reference that come from one file each.
    pub fn sources(&self) -> &[Range<usize>] {
        &self.sources
    }
}

/// The files of every role, in the order of the rows of a reference.
pub(super) fn roles(sets: &Sets) -> [(&'static str, Vec<&Dataset>); 3] {
    [("custom", vec![&sets.custom]), ("safe", sets.safe.iter().collect()), ("harmful", sets.harmful.iter().collect())]
}

/// The texts of custom, safe and harmful rows, in the order of the vectors.
pub(super) fn texts(sets: &Sets) -> [Joined<'_>; 3] {
    roles(sets).map(|(_, files)| Joined::new(files.into_iter().map(|file| file as &dyn Texts).collect()))
}

/// Embeds every set. `cache_dir` holds the vector cache.
///
/// # Errors
/// A setting is out of range, a text cannot be read, a vector cannot be used (file, row and line told), or the user
/// cancelled.
pub fn prepare(
    sets: &Sets,
    plan: &Plan,
    cache_dir: Option<PathBuf>,
    observer: &dyn Observer,
) -> Result<Prepared, ProjectError> {
    let settings = plan.settings.clone().checked()?;
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let joined = texts(sets);
    let texts = joined.each_ref().map(|set| set as &dyn Texts);
    let embedding =
        EmbedSettings { encoder: plan.encoder.clone(), views: plan.views, cache_dir, threads, seed: settings.seed };
    let mut warnings = leakage::warnings(sets, observer as &dyn Progress)?;
    warnings.iter().for_each(|warning| observer.warn(warning));
    let began = Instant::now();
    let mut embedded = embed(&texts, &embedding, observer as &dyn Progress)?;
    let seconds = began.elapsed().as_secs_f64();
    for ((role, files), vectors) in roles(sets).iter().zip(&mut embedded.sets) {
        if let Some(warning) = give_direction(role, files, vectors)? {
            observer.warn(&warning);
            warnings.push(warning);
        }
    }
    let Ok(vectors) = <[Embeddings; 3]>::try_from(embedded.sets) else {
        return Err(ProjectError::Inconsistent("the encoder did not return three sets; please report it".to_owned()));
    };
    let mut end = 0;
    let sources = sets
        .harmful
        .iter()
        .map(|file| {
            let start = end;
            end += file.len();
            start..end
        })
        .collect();
    let truncated = |at: usize| embedded.truncated.get(at).copied().unwrap_or(0);
    Ok(Prepared {
        sets: Arc::new(vectors),
        sources,
        fingerprint: embedded.fingerprint,
        warnings,
        seconds,
        cached: embedded.cached,
        computed: embedded.computed,
        truncated: [truncated(0), truncated(1), truncated(2)],
    })
}

/// Embeds, calibrates if the plan says so, and solves. `cache_dir` holds the vector cache.
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
    let prepared = prepare(sets, plan, cache_dir, observer)?;
    solve(sets, plan, &prepared, engine, observer)
}

/// Calibrates if the plan says so, and solves.
///
/// With calibration the weights are learned at the best pair of the grid, and score, pull and push are those that the
/// calibration recommends.
///
/// # Errors
/// As [`purify`].
pub fn solve(
    sets: &Sets,
    plan: &Plan,
    prepared: &Prepared,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Purified, ProjectError> {
    let settings = plan.settings.clone().checked()?;
    let problem = prepared.problem();
    let located = |error| located(error, &roles(sets));
    let began = Instant::now();
    let calibrated = match &plan.calibration {
        None => None,
        Some(grid) => Some(calibrate(engine, &problem, prepared.sources(), grid, &settings, observer).map_err(
            |error| match error {
                SelectionError::Transport(error) => located(error),
                other => other.into(),
            },
        )?),
    };
    let settings = match &calibrated {
        Some(Calibrated { calibration, .. }) => {
            let best = calibration.best();
            Settings { lambda: best.lambda, epsilon: best.epsilon, ..Settings::clone(&settings) }.checked()?
        }
        None => settings,
    };
    let mut outcome = engine.solve(&problem, &settings, observer).map_err(located)?;
    let mut warnings = prepared.warnings.clone();
    warnings.append(&mut outcome.warnings);
    outcome.warnings = warnings;
    let calibration = calibrated.map(|calibrated| {
        (outcome.score, outcome.pull, outcome.push) = (calibrated.score, calibrated.pull, calibrated.push);
        calibrated.calibration
    });
    Ok(Purified {
        outcome,
        calibration,
        vectors: prepared.sets.clone(),
        fingerprint: prepared.fingerprint.clone(),
        timing: Timing { embed: prepared.seconds, solve: began.elapsed().as_secs_f64() },
        cached: prepared.cached,
        computed: prepared.computed,
        truncated: prepared.truncated,
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
pub(super) fn place(files: &[&Dataset], mut row: usize) -> Option<(PathBuf, u64, u64)> {
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
