//! `dipole`: opens the window, or says why none can open.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::preflight;
use crate::gui::{self, GuiOptions};
use crate::project::Folders;

pub fn run(files: Vec<PathBuf>) -> anyhow::Result<ExitCode> {
    if let Some(obstacle) = preflight::obstacle() {
        bail!("no window can open: {obstacle}. Without a window use `dipole purify` or `dipole demo --headless`");
    }
    let folders = Folders::of_user();
    gui::run(GuiOptions {
        open: files,
        auto_purify: false,
        cache_dir: folders.cache.clone(),
        project_root: Some(folders.projects.clone()),
        ..GuiOptions::default()
    })?;
    Ok(ExitCode::SUCCESS)
}
