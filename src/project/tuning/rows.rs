//! Which file of rows a path stands for, and which of its rows a run held out.

use std::path::{Path, PathBuf};

use super::TuneRun;
use crate::data::{Dataset, OpenOptions};
use crate::jobs::Progress;
use crate::model::ChatTokenizer;
use crate::project::ProjectError;
use crate::training::{TrainRow, held_out, prepare};

/// The file itself, or the purified rows of an export folder.
///
/// # Errors
/// There is no such file, or the folder is no export.
pub fn rows_file(given: &Path) -> Result<PathBuf, ProjectError> {
    let io = ProjectError::io(given);
    match std::fs::metadata(given) {
        Ok(found) if !found.is_dir() => return Ok(given.to_owned()),
        Ok(_) => {}
        Err(error) => return Err(io(error)),
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(given)
        .map_err(io)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("purified.")))
        .collect();
    found.sort();
    let none = || ProjectError::refused(given, "there is no purified.* in it; give an export folder or a file of rows");
    found.into_iter().next().ok_or_else(none)
}

/// The rows that a run held out, the first `most` of them; empty where it held out none.
///
/// # Errors
/// The rows can no longer be read or tokenised, or the user cancelled.
pub fn held_out_rows(
    run: &TuneRun,
    tokenizer: &ChatTokenizer,
    most: usize,
    progress: &dyn Progress,
) -> Result<Vec<TrainRow>, ProjectError> {
    if run.settings.evaluation_share <= 0.0 {
        return Ok(Vec::new());
    }
    let data = Dataset::open(&run.data, &OpenOptions::default(), progress)?;
    let rows = prepare(&data, tokenizer, &run.settings, progress)?.rows;
    let places = held_out(rows.len(), &run.settings);
    Ok(places.into_iter().take(most).filter_map(|place| rows.get(place).cloned()).collect())
}
