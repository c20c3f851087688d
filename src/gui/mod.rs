//! The window.
//!
//! Purpose: the reviewer's workstation over the library: three role cards, one Purify button, map, table, evidence,
//! export. Layout: `app` (runtime), `state` (what is saved), `session` (what is worked on), `action` (the one table of
//! commands) and `apply` (the one place that carries them out), `work` (jobs), `checks` (looks into whole files),
//! `panes` (one file each), `map` (GPU), `theme` (tokens and fonts), `backend` (the seam to the library).
//! Constraints: no frame waits for work; every decision is on disk before the next key is handled; row text never
//! reaches titles, notifications or logs.

pub mod action;
mod app;
mod apply;
pub mod backend;
mod checks;
pub mod compare;
mod compare_work;
mod filter;
mod hints;
pub mod insight;
mod insight_work;
mod keys;
pub mod map;
mod map_work;
mod panes;
mod pick;
mod roles;
pub mod selected;
mod session;
mod settings_work;
mod solved;
mod state;
mod text_cache;
mod theme;
pub mod tune;
mod tune_look;
mod tune_work;
mod view;
mod words;
mod work;
mod writer;

pub use action::Action;
pub use app::App;
pub use map_work::{MapState, Partners};
pub use roles::Role;
pub use session::{Counts, Session};
pub use state::{AppState, RunSettings, Step};
pub use view::{Column, Filter, Shown};

use std::path::PathBuf;
use std::sync::Arc;

use backend::Backend;

/// How the window is opened.
#[derive(Debug, Clone, Default)]
pub struct GuiOptions {
    /// Files whose roles are guessed from their names.
    pub open: Vec<PathBuf>,
    /// Files with their roles.
    pub roles: Vec<(Role, Vec<PathBuf>)>,
    /// Purify as soon as all files are read.
    pub auto_purify: bool,
    /// Do not open the last project when no file is given.
    pub fresh: bool,
    /// Folder of the vector cache.
    pub cache_dir: Option<PathBuf>,
    /// Folder that holds all projects and the window's own settings.
    pub project_root: Option<PathBuf>,
    /// Folder of the model that is offered for fine-tuning; unpacked when it is first looked at.
    pub starter: Option<PathBuf>,
    /// Worker threads; 0 takes all cores.
    pub threads: usize,
    /// Overrides the saved theme.
    pub dark: Option<bool>,
    /// Overrides the saved size of the window, in points.
    pub size: Option<[f32; 2]>,
    /// Files of more rows are looked into for near-duplicates and languages only when the user asks; `None` takes
    /// 200,000.
    pub unasked_rows: Option<usize>,
    /// Saves a picture of the window here when all work has ended, then closes it.
    pub screenshot: Option<PathBuf>,
}

impl GuiOptions {
    fn unasked_rows(&self) -> usize {
        self.unasked_rows.unwrap_or(checks::UNASKED_ROWS)
    }

    fn state_file(&self) -> Option<PathBuf> {
        self.project_root.as_ref().map(|root| root.join("window.json"))
    }
}

/// Opens the window over the library.
///
/// # Errors
/// As [`run_with`].
pub fn run(options: GuiOptions) -> anyhow::Result<()> {
    let folders = crate::project::Folders::of_user();
    let backend = backend::Library {
        engine: Arc::new(crate::transport::ChosenEngine::default()),
        cache_dir: options.cache_dir.clone(),
        project_root: options.project_root.clone().unwrap_or(folders.projects),
        sample: folders.demo,
    };
    run_with(GuiOptions { starter: Some(folders.starter), ..options }, Arc::new(backend))
}

/// Opens the window over a backend and returns when it is closed.
///
/// # Errors
/// No display or no graphics adapter; the message says which.
pub fn run_with(options: GuiOptions, backend: Arc<dyn Backend>) -> anyhow::Result<()> {
    let saved = options.state_file().map_or_else(AppState::default, |path| AppState::load(&path));
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Dipole")
            .with_app_id("dipole")
            .with_icon(icon())
            .with_inner_size(options.size.unwrap_or(saved.window))
            .with_min_inner_size([720.0, 480.0]),
        ..eframe::NativeOptions::default()
    };
    eframe::run_native("Dipole", native, Box::new(move |cc| Ok(Box::new(App::new(cc, options, backend)))))
        .map_err(|error| anyhow::anyhow!("the window could not be opened: {}", in_words(&error)))
}

/// What the user can do about it; winit's own text names a source file of the build machine.
fn in_words(error: &eframe::Error) -> String {
    match error {
        eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => {
            let named = ["WAYLAND_DISPLAY", "DISPLAY"].iter().find_map(|name| {
                std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| format!("{name}={value}"))
            });
            match named {
                Some(named) => format!("no display answers at {named}"),
                None => "there is no display".to_owned(),
            }
        }
        eframe::Error::Wgpu(error) => format!(
            "no graphics adapter can draw it ({error}); on Debian or Ubuntu mesa-vulkan-drivers brings one without a GPU"
        ),
        other => other.to_string(),
    }
}

/// The picture of the window in task bars; none when the embedded picture cannot be decoded.
fn icon() -> egui::IconData {
    eframe::icon_data::from_png_bytes(include_bytes!("../../assets/icons/dipole.png")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_icon_decodes() {
        assert!(super::icon().width >= 128);
    }
}
