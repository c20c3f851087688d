//! File dialogs of the system, off the window's thread.
//!
//! Constraint: a desktop without a portal has no dialog; the user is told to drop a file or type a path.

use std::path::PathBuf;

use super::app::Found;
use super::roles::Role;
use crate::jobs::{Job, JobContext};

const WAY_OUT: &str = "No file dialog is available here. Drop the file on the window or type its path.";

/// Asks for the files of a role.
pub(super) fn files(role: Role, wake: impl Fn() + Send + Sync + 'static) -> Job<(), Found> {
    Job::spawn("Choosing files", wake, move |_: &JobContext<()>| {
        let title = format!("Choose: {}", role.title());
        let paths = ask(move || {
            let dialog = rfd::FileDialog::new()
                .set_title(title)
                .add_filter("Data", &["jsonl", "json", "csv", "tsv", "parquet", "gz", "zst", "txt"])
                .add_filter("All files", &["*"]);
            if role == Role::Custom { dialog.pick_file().map(|path| vec![path]) } else { dialog.pick_files() }
        })?;
        Ok::<_, String>(paths.map_or(Found::Nothing, |paths| Found::Files(role, paths)))
    })
}

/// Asks where to save a picture.
pub(super) fn picture(start: PathBuf, wake: impl Fn() + Send + Sync + 'static) -> Job<(), Found> {
    Job::spawn("Choosing a file", wake, move |_: &JobContext<()>| {
        let chosen = ask(move || {
            let name = start.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
            let dialog =
                rfd::FileDialog::new().set_title("Save the map").add_filter("PNG", &["png"]).set_file_name(name);
            match start.parent().filter(|folder| folder.is_dir()) {
                Some(folder) => dialog.set_directory(folder).save_file(),
                None => dialog.save_file(),
            }
        })?;
        Ok::<_, String>(chosen.map_or(Found::Nothing, Found::MapFile))
    })
}

/// Asks for a file of prompts.
pub(super) fn prompts(wake: impl Fn() + Send + Sync + 'static) -> Job<(), Found> {
    Job::spawn("Choosing a file", wake, move |_: &JobContext<()>| {
        let chosen = ask(|| {
            rfd::FileDialog::new()
                .set_title("Choose a file of prompts")
                .add_filter("Prompts", &["txt", "jsonl", "json", "csv", "tsv", "parquet", "gz", "zst"])
                .add_filter("All files", &["*"])
                .pick_file()
        })?;
        Ok::<_, String>(chosen.map_or(Found::Nothing, Found::Prompts))
    })
}

/// Asks for a folder.
pub(super) fn folder(
    title: &'static str,
    start: Option<PathBuf>,
    wake: impl Fn() + Send + Sync + 'static,
    found: fn(PathBuf) -> Found,
) -> Job<(), Found> {
    Job::spawn("Choosing a folder", wake, move |_: &JobContext<()>| {
        let chosen = ask(move || {
            let dialog = rfd::FileDialog::new().set_title(title);
            match start.filter(|path| path.is_dir()) {
                Some(path) => dialog.set_directory(path).pick_folder(),
                None => dialog.pick_folder(),
            }
        })?;
        Ok::<_, String>(chosen.map_or(Found::Nothing, found))
    })
}

/// Runs a dialog. One that ends at once without an answer was never shown.
fn ask<T>(dialog: impl FnOnce() -> Option<T>) -> Result<Option<T>, String> {
    let began = std::time::Instant::now();
    match dialog() {
        Some(answer) => Ok(Some(answer)),
        None if began.elapsed() < std::time::Duration::from_millis(300) => Err(WAY_OUT.to_owned()),
        None => Ok(None),
    }
}
