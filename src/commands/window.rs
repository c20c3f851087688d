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
        screenshot: picture(),
        ..GuiOptions::default()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `DIPOLE_SCREENSHOT=FILE` saves a picture of the window when all work has ended, then closes it: for tests and
/// for the manual, so it is no option that users see.
pub fn picture() -> Option<PathBuf> {
    std::env::var_os("DIPOLE_SCREENSHOT").filter(|path| !path.is_empty()).map(PathBuf::from)
}
