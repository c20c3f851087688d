//! The export folder: purified data in the input's own schema, what was removed, and the record of it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::digest::{self, Digest};
use super::manifest::{self, Counts, FileEntry, FileRole, Input, MANIFEST};
use super::staging::{Staging, Target};
use super::{ExportContext, Plan, ProjectError, Purified, Sets, card, croissant, explanations_csv, weights_csv};
use crate::data::{Container, WeightedRow, write_quarantine, write_rows};
use crate::jobs::Progress;
use crate::selection::{Decisions, Selection};

const REMOVED: &str = "removed.jsonl";
const QUARANTINE: &str = "quarantine.jsonl";
const DECISIONS: &str = "decisions.jsonl";

/// What is exported.
pub struct Export<'a> {
    pub sets: &'a Sets,
    pub plan: &'a Plan,
    pub purified: &'a Purified,
    pub selection: &'a Selection,
    pub decisions: &'a Decisions,
    pub context: &'a ExportContext,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ExportReport {
    pub folder: PathBuf,
    /// `purified.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet`.
    pub purified_file: String,
    pub kept: u64,
    pub removed: u64,
    pub quarantined: u64,
    pub bytes: u64,
}

impl Export<'_> {
    /// What the auditor must know besides the figures, one sentence each.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let stale = self.selection.stale.len();
        let stale = (stale > 0).then(|| {
            format!(
                "{stale} decisions were not applied: their row is gone, quarantined or has other words now (decisions.stale_rows)."
            )
        });
        let [custom, safe, harmful] = self.purified.truncated;
        let cut = (custom + safe + harmful > 0).then(|| {
            format!(
                "{} rows were longer than the encoder reads; only their beginning was judged.",
                custom + safe + harmful
            )
        });
        self.purified.outcome.warnings.iter().cloned().chain(stale).chain(cut)
    }

    fn is_consistent(&self) -> Result<(), ProjectError> {
        let rows = self.sets.custom.len();
        let parts =
            [self.purified.outcome.weights.len(), self.selection.states.len(), self.selection.loss_weights.len()];
        if parts.iter().any(|part| *part != rows) {
            return Err(ProjectError::Inconsistent(format!(
                "the custom set has {rows} rows, but the result was made for {}; purify again",
                self.purified.outcome.weights.len()
            )));
        }
        if self.selection.kept == 0 {
            return Err(ProjectError::Inconsistent(
                "every row was dropped by hand, so there is nothing to export; keep at least one row".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Writes the export folder atomically: a crash leaves the old folder or the new one. An existing folder is
/// replaced only if it is empty or a Dipole export.
///
/// # Errors
/// The folder cannot be replaced, the sets do not belong to the result, a row cannot be read again, writing failed, or
/// the user cancelled. The folder is as it was then.
pub fn export(folder: &Path, what: &Export<'_>, progress: &dyn Progress) -> Result<ExportReport, ProjectError> {
    what.is_consistent()?;
    let inputs: Vec<PathBuf> = what.sets.all().map(|set| set.path().to_owned()).collect();
    let target = Target::check(folder, &inputs)?;
    let staging = Staging::create(&target)?;
    let container = what.sets.custom.format().container;
    let purified_file = format!("purified.{}", extension(container));

    let inputs = Input::all(what, progress)?;
    write_data(&staging, &purified_file, container, what, progress)?;
    let counts = counts(what);
    let in_force = write_decisions(&staging.file(DECISIONS), what)?;

    let mut files = Vec::new();
    let explanations = (!what.context.skip_explanations).then_some((
        explanations_csv::EXPLANATIONS,
        FileRole::Explanations,
        (counts.readable, Container::Csv),
    ));
    let data = [
        (purified_file.as_str(), FileRole::Purified, (counts.kept, container)),
        (REMOVED, FileRole::Removed, (counts.removed, Container::Jsonl)),
        (QUARANTINE, FileRole::Quarantine, (counts.quarantined, Container::Jsonl)),
        (weights_csv::WEIGHTS, FileRole::Weights, (counts.readable, Container::Csv)),
        (DECISIONS, FileRole::Decisions, (in_force as u64, Container::Jsonl)),
    ];
    for (name, role, rows) in data.into_iter().chain(explanations) {
        let digest = digest::digest(&staging.file(name), progress)?;
        files.push(FileEntry::new(name, role, digest, Some(rows)));
    }
    let metadata = croissant::render(what, &files).map_err(not_json)?;
    let page = card::render(what, &counts, &inputs, &files, &metadata);
    for (name, role, bytes) in
        [(croissant::CROISSANT, FileRole::Croissant, &metadata), (card::CARD, FileRole::Card, &page.into_bytes())]
    {
        files.push(FileEntry::new(name, role, write_synced(&staging.file(name), bytes, progress)?, None));
    }
    let bytes = files.iter().map(|file| file.bytes).sum();
    let manifest = manifest::render(what, &counts, &inputs, &files, in_force).map_err(not_json)?;
    write_synced(&staging.file(MANIFEST), &manifest, progress)?;
    progress.check()?;
    staging.commit(&target)?;
    Ok(ExportReport {
        folder: target.folder().to_owned(),
        purified_file,
        kept: counts.kept,
        removed: counts.removed,
        quarantined: counts.quarantined,
        bytes,
    })
}

/// Whether an export of this plan could replace the folder, so that a long run does not end in a refusal.
///
/// # Errors
/// As [`export`] for a folder that it would not touch.
pub fn check_folder(folder: &Path, plan: &Plan) -> Result<(), ProjectError> {
    let inputs: Vec<PathBuf> = std::iter::once(&plan.custom).chain(&plan.safe).chain(&plan.harmful).cloned().collect();
    Target::check(folder, &inputs).map(drop)
}

fn extension(container: Container) -> &'static str {
    match container {
        Container::Jsonl => "jsonl",
        Container::Json => "json",
        Container::Csv => "csv",
        Container::Tsv => "tsv",
        Container::Parquet => "parquet",
    }
}

/// The rows, the quarantine, the weights and the explanations, each flushed to disk.
fn write_data(
    staging: &Staging,
    purified_file: &str,
    container: Container,
    what: &Export<'_>,
    progress: &dyn Progress,
) -> Result<(), ProjectError> {
    let rows = |kept: bool| -> Vec<WeightedRow> {
        let selection = what.selection;
        let all = selection.states.iter().zip(&selection.loss_weights).enumerate();
        all.filter(|(_, (state, _))| state.is_kept() == kept)
            .map(|(index, (_, weight))| WeightedRow { index, weight: *weight })
            .collect()
    };
    let custom = &what.sets.custom;
    write_rows(custom, &rows(true), container, &staging.file(purified_file), progress)?;
    write_rows(custom, &rows(false), Container::Jsonl, &staging.file(REMOVED), progress)?;
    write_quarantine(custom, &staging.file(QUARANTINE), progress)?;
    let weights = staging.file(weights_csv::WEIGHTS);
    weights_csv::write(&weights, what, progress)?;
    File::open(&weights).and_then(|file| file.sync_all()).map_err(ProjectError::io(&weights))?;
    if what.context.skip_explanations {
        return Ok(());
    }
    explanations_csv::write(&staging.file(explanations_csv::EXPLANATIONS), what, progress)
}

fn counts(what: &Export<'_>) -> Counts {
    let stats = what.sets.custom.stats();
    let kept = what.selection.kept as u64;
    Counts {
        records: stats.records,
        readable: stats.rows,
        kept,
        removed: stats.rows - kept.min(stats.rows),
        quarantined: stats.quarantined,
        kept_by_hand: what.selection.kept_by_hand as u64,
        dropped_by_hand: what.selection.dropped_by_hand as u64,
    }
}

/// The decisions in force as JSON lines, which `--decisions` reads. Returns how many there are.
fn write_decisions(path: &Path, what: &Export<'_>) -> Result<usize, ProjectError> {
    let custom = &what.sets.custom;
    let numbers: Vec<u64> = (0..custom.len()).filter_map(|index| custom.number(index)).collect();
    let in_force = what.decisions.matched(&numbers, custom).in_force;
    let mut text = Vec::new();
    for decision in in_force.0.values() {
        serde_json::to_writer(&mut text, decision).map_err(not_json)?;
        text.push(b'\n');
    }
    let mut file = File::create(path).map_err(ProjectError::io(path))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(ProjectError::io(path))?;
    Ok(in_force.len())
}

fn write_synced(path: &Path, bytes: &[u8], progress: &dyn Progress) -> Result<Digest, ProjectError> {
    let mut file = File::create(path).map_err(ProjectError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(ProjectError::io(path))?;
    digest::digest(path, progress)
}

fn not_json(error: serde_json::Error) -> ProjectError {
    ProjectError::Inconsistent(format!("the record could not be written as JSON: {error}"))
}
