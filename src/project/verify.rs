//! Checks an export against its manifest.
//!
//! Constraint: the manifest is untrusted too: a name in it never leads out of the folder. Nothing vouches for the
//! manifest itself; whoever can change it can make a false export that agrees with itself. Keep its hash elsewhere, or
//! compare its input hashes and journal head with your own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};

use super::manifest::{self, Counts, FileEntry, FileRole, MANIFEST};
use super::{ProjectError, digest, weights_csv};
use crate::jobs::Progress;

/// What was checked and what does not hold.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct VerifyReport {
    pub files: Vec<String>,
    /// One sentence each: file, what the manifest says, what is there.
    pub mismatches: Vec<String>,
}

/// Re-hashes every file of an export and re-counts its rows. The manifest itself has no hash to check.
///
/// # Errors
/// There is no manifest or it cannot be read, a file cannot be read, or the user cancelled. What does not hold is no
/// error but a mismatch in the report.
pub fn verify(folder: &Path, progress: &dyn Progress) -> Result<VerifyReport, ProjectError> {
    let index = manifest::read_index(&folder.join(MANIFEST))?;
    let mut report = VerifyReport { files: Vec::new(), mismatches: Vec::new() };
    check_counts(&index.counts, &mut report.mismatches);
    check_roles(&index.files, &index.counts, &mut report.mismatches);
    let mut named = BTreeSet::from([MANIFEST.to_owned()]);
    for entry in &index.files {
        report.files.push(entry.name.clone());
        if !is_plain_name(&entry.name) {
            report.mismatches.push(format!("{:?}: the manifest names a file outside the export", entry.name));
        } else if !named.insert(entry.name.clone()) {
            report.mismatches.push(format!("{}: the manifest names it twice", entry.name));
        } else {
            check_file(folder, entry, &index.counts, &mut report.mismatches, progress)?;
        }
    }
    for entry in fs::read_dir(folder).map_err(ProjectError::io(folder))? {
        let name = entry.map_err(ProjectError::io(folder))?.file_name().to_string_lossy().into_owned();
        if !named.contains(&name) {
            report.mismatches.push(format!("{name}: is in the folder and not in the manifest"));
        }
    }
    Ok(report)
}

fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let is_one = matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none();
    is_one && !name.contains(['/', '\\', '\0'])
}

fn check_counts(counts: &Counts, mismatches: &mut Vec<String>) {
    let sum = |parts: &[u64]| parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
    if sum(&[counts.kept, counts.removed, counts.quarantined]) != Some(counts.records) {
        mismatches.push(format!(
            "{MANIFEST}: kept {} + removed {} + quarantined {} is not {} records",
            counts.kept, counts.removed, counts.quarantined, counts.records
        ));
    }
    if sum(&[counts.kept, counts.removed]) != Some(counts.readable) {
        mismatches.push(format!(
            "{MANIFEST}: kept {} + removed {} is not {} readable rows",
            counts.kept, counts.removed, counts.readable
        ));
    }
}

fn check_roles(files: &[FileEntry], counts: &Counts, mismatches: &mut Vec<String>) {
    for (role, said) in [
        (FileRole::Purified, Some(counts.kept)),
        (FileRole::Removed, Some(counts.removed)),
        (FileRole::Quarantine, Some(counts.quarantined)),
        (FileRole::Weights, Some(counts.readable)),
        (FileRole::Croissant, None),
        (FileRole::Card, None),
    ] {
        let mut found = files.iter().filter(|file| file.role == role);
        match (found.next(), found.next()) {
            (Some(file), None) if file.rows == said => {}
            (Some(file), None) => mismatches.push(format!(
                "{MANIFEST}: {} has {} rows in the list of files and {} in the counts",
                file.name,
                file.rows.unwrap_or(0),
                said.unwrap_or(0)
            )),
            _ => mismatches.push(format!("{MANIFEST}: does not list exactly one file with the role {role:?}")),
        }
    }
    // An export may leave them out.
    for file in files.iter().filter(|file| file.role == FileRole::Explanations && file.rows != Some(counts.readable)) {
        mismatches.push(format!("{MANIFEST}: {} does not have a row for each readable row", file.name));
    }
}

fn check_file(
    folder: &Path,
    entry: &FileEntry,
    counts: &Counts,
    mismatches: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<(), ProjectError> {
    let path = folder.join(&entry.name);
    let name = &entry.name;
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => {
            mismatches.push(format!("{name}: is not a plain file"));
            return Ok(());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            mismatches.push(format!("{name}: is missing"));
            return Ok(());
        }
        Err(source) => return Err(ProjectError::Io { path, source }),
    }
    let found = digest::digest(&path, progress)?;
    if found.bytes != entry.bytes {
        mismatches.push(format!("{name}: the manifest says {} bytes, there are {}", entry.bytes, found.bytes));
    }
    if found.blake3 != entry.blake3 || found.sha256 != entry.sha256 {
        mismatches.push(format!(
            "{name}: the content was changed (BLAKE3 {} in the manifest, {} on disk)",
            entry.blake3, found.blake3
        ));
    }
    if let (Some(said), Some(container)) = (entry.rows, entry.container) {
        match digest::count_rows(&path, container, progress) {
            Ok(rows) if rows == said => {}
            Ok(rows) => mismatches.push(format!("{name}: the manifest says {said} rows, there are {rows}")),
            Err(ProjectError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => mismatches.push(format!("{name}: the rows cannot be counted ({error})")),
        }
    }
    if entry.role == FileRole::Weights {
        match weights_csv::check(&path, counts, progress) {
            Ok(wrong) => mismatches.extend(wrong),
            Err(ProjectError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => mismatches.push(format!("{name}: cannot be read ({error})")),
        }
    }
    Ok(())
}
