//! The record of an export: what went in, what was done, what came out.
//!
//! Constraints: everything but the `run` object is a function of the input, the settings and the engine, so that
//! equal runs give equal bytes; files are named without their folders, so that no machine's paths are published. The
//! manifest holds the hash of every other file and none of itself.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::{Export, ProjectError, atomic};
use crate::data::{Container, Dataset, Format, Mapping};
use crate::embedding::EncoderChoice;
use crate::jobs::Progress;
use crate::transport::SideOutcome;

/// The manifest's name in an export folder.
pub(super) const MANIFEST: &str = "manifest.json";
/// Version of the manifest's own form.
pub(super) const VERSION: u32 = 1;

const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// What a file of an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileRole {
    Purified,
    Removed,
    Quarantine,
    Weights,
    Explanations,
    Decisions,
    Croissant,
    Card,
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct FileEntry {
    pub(super) name: String,
    pub(super) role: FileRole,
    pub(super) bytes: u64,
    pub(super) blake3: String,
    pub(super) sha256: String,
    /// Records in it, for files of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<Container>,
}

impl FileEntry {
    pub(super) fn new(name: &str, role: FileRole, digest: Digest, rows: Option<(u64, Container)>) -> Self {
        Self {
            name: name.to_owned(),
            role,
            bytes: digest.bytes,
            blake3: digest.blake3,
            sha256: digest.sha256,
            rows: rows.map(|(rows, _)| rows),
            container: rows.map(|(_, container)| container),
        }
    }
}

/// Where every record of the custom file went: kept + removed + quarantined = records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) readable: u64,
    pub(super) kept: u64,
    pub(super) removed: u64,
    pub(super) quarantined: u64,
    #[serde(default)]
    pub(super) kept_by_hand: u64,
    #[serde(default)]
    pub(super) dropped_by_hand: u64,
}

/// What a check needs of a manifest.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Index {
    dipole_export: u32,
    pub(super) counts: Counts,
    pub(super) files: Vec<FileEntry>,
}

/// Reads the part of a manifest that names files and counts.
pub(super) fn read_index(path: &Path) -> Result<Index, ProjectError> {
    let size = fs::metadata(path).map_err(ProjectError::io(path))?.len();
    if size > MAX_MANIFEST_BYTES {
        return Err(ProjectError::malformed(path, "is larger than 64 MiB; it is no manifest of Dipole's"));
    }
    let bytes = fs::read(path).map_err(ProjectError::io(path))?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|error| ProjectError::malformed(path, format!("is no manifest of Dipole's ({error})")))?;
    if index.dipole_export != VERSION {
        let reason = format!("has version {} and this Dipole reads version {VERSION}", index.dipole_export);
        return Err(ProjectError::malformed(path, reason));
    }
    Ok(index)
}

/// A file that was read, as the manifest and the card tell it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct Input {
    pub(super) role: &'static str,
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) blake3: String,
    pub(super) records: u64,
    pub(super) rows: u64,
    pub(super) quarantined: u64,
    pub(super) exact_duplicates: u64,
    pub(super) format: Format,
    pub(super) mapping: Mapping,
}

impl Input {
    fn read(role: &'static str, set: &Dataset, progress: &dyn Progress) -> Result<Self, ProjectError> {
        let stats = set.stats();
        Ok(Self {
            role,
            file: file_name(set.path()),
            bytes: set.file_bytes(),
            blake3: blake3::Hash::from_bytes(set.file_hash(progress)?).to_hex().to_string(),
            records: stats.records,
            rows: stats.rows,
            quarantined: stats.quarantined,
            exact_duplicates: stats.exact_duplicates,
            format: set.format(),
            mapping: set.mapping(),
        })
    }

    /// Every input of an export, hashed: custom, safe, harmful.
    pub(super) fn all(what: &Export<'_>, progress: &dyn Progress) -> Result<Vec<Self>, ProjectError> {
        let safe = what.sets.safe.iter().map(|set| ("safe", set));
        let harmful = what.sets.harmful.iter().map(|set| ("harmful", set));
        std::iter::once(("custom", &what.sets.custom))
            .chain(safe)
            .chain(harmful)
            .map(|(role, set)| Self::read(role, set, progress))
            .collect()
    }
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The manifest as JSON text.
pub(super) fn render(
    what: &Export<'_>,
    counts: &Counts,
    inputs: &[Input],
    files: &[FileEntry],
    decisions_in_force: usize,
) -> Result<Vec<u8>, serde_json::Error> {
    let outcome = &what.purified.outcome;
    let fingerprint = &what.purified.fingerprint;
    let mut settings = serde_json::to_value(&what.plan.settings)?;
    if let Some(settings) = settings.as_object_mut() {
        // The number of threads does not change the result; it is told in `run`.
        settings.remove("threads");
    }
    let [truncated_custom, truncated_safe, truncated_harmful] = what.purified.truncated;
    let manifest = json!({
        "dipole_export": VERSION,
        "note": "This manifest holds the hash of every other file of the export and none of itself. Only the object `run` differs between equal runs.",
        "versions": { "dipole": env!("CARGO_PKG_VERSION"), "manifest": VERSION },
        "method": {
            "name": "Safety Optimal Transport, push-pull weights",
            "source": "arXiv 2601.07200, Eq. 5",
            "claim": "implements the published objective",
        },
        "counts": counts,
        "files": files,
        "inputs": inputs,
        "licences": what.context.licences,
        "encoder": {
            "choice": encoder_name(&what.plan.encoder),
            "views": what.plan.views,
            "fingerprint": fingerprint,
            "truncated_rows": {
                "custom": truncated_custom, "safe": truncated_safe, "harmful": truncated_harmful,
            },
        },
        "engine": outcome.engine,
        "seed": what.plan.settings.seed,
        "settings": settings,
        "score": match &what.purified.calibration {
            None => json!({
                "how": "(1-lambda) f_safe - lambda f_harmful at uniform weights after ten iterations, at the settings' lambda and epsilon",
            }),
            Some(calibration) => json!({
                "how": "mean over the chosen pairs of the calibration of (1-lambda) f_safe - lambda f_harmful at uniform weights after ten iterations, each in its own standard deviations; half of it that of the ten nearest custom rows",
                "weights_learned_at": calibration.best(),
                "calibration": calibration,
            }),
        },
        "selection": {
            "keep": what.plan.selection.keep.to_string(),
            "rank_by": what.plan.selection.rank_by,
            "weights": what.plan.selection.weights.to_string(),
            "machine_keep": what.selection.machine_keep,
            "cut": what.selection.cut,
            "ties": "of rows that tie, the one that comes first in the file counts as more suspicious",
        },
        "decisions": {
            "in_force": decisions_in_force,
            "stale_rows": what.selection.stale.iter().map(|decision| decision.row).collect::<Vec<_>>(),
            "journal_head": what.context.journal_head,
        },
        "convergence": {
            "stop": outcome.stop,
            "iterations": outcome.iterations,
            "residual": outcome.residual,
            "objective": outcome.objective,
            "effective_rows": outcome.effective_rows,
            "divergence": outcome.divergence,
            "tau": outcome.tau,
            "kernel": outcome.kernel,
            "safe": side(&outcome.safe),
            "harmful": side(&outcome.harmful),
        },
        "warnings": what.warnings().collect::<Vec<_>>(),
        "run": run(what),
    });
    let mut text = serde_json::to_vec_pretty(&manifest)?;
    text.push(b'\n');
    Ok(text)
}

fn side(side: &SideOutcome) -> Value {
    json!({
        "epsilon": side.epsilon,
        "median_cost": side.median_cost,
        "cost": side.cost,
        "marginal_error": side.marginal_error,
    })
}

fn encoder_name(encoder: &EncoderChoice) -> Value {
    match encoder {
        EncoderChoice::Lexical => json!("lexical"),
        EncoderChoice::Sentence(folder) => json!({ "sentence": file_name(folder) }),
        EncoderChoice::Language(language) => {
            json!({ "language": file_name(&language.folder), "pool": language.pool, "layer": language.layer })
        }
        EncoderChoice::Precomputed(files) => {
            json!({ "precomputed": files.iter().map(|file| file_name(file)).collect::<Vec<_>>() })
        }
    }
}

/// What may differ between equal runs.
fn run(what: &Export<'_>) -> Value {
    let timing = what.purified.timing;
    let mut host = Map::new();
    if let Some(name) = host_name() {
        host.insert("name".to_owned(), name.into());
    }
    host.insert("system".to_owned(), std::env::consts::OS.into());
    host.insert("architecture".to_owned(), std::env::consts::ARCH.into());
    let processors = std::thread::available_parallelism().map_or(0, |count| count.get());
    host.insert("processors".to_owned(), processors.into());
    json!({
        "written": atomic::now(),
        "origin": what.context.origin,
        "seconds": { "embed": timing.embed, "solve": timing.solve },
        "vectors": { "computed": what.purified.computed, "cached": what.purified.cached },
        "threads": what.plan.settings.threads,
        "engine_reason": what.purified.outcome.engine_reason,
        "host": host,
    })
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
