//! A window in a harness: opening it, waiting for its work, pressing several keys in one frame.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dipole::gui::backend::{Backend, Library};
use dipole::gui::{App, GuiOptions};
use egui_kittest::{Harness, HarnessBuilder};

/// The library over a folder of its own.
pub fn library(root: &Path) -> Arc<dyn Backend> {
    Arc::new(Library {
        engine: Arc::new(dipole::transport::CpuEngine::new()),
        cache_dir: Some(root.join("cache")),
        project_root: root.join("projects"),
        sample: root.join("sample"),
    })
}

/// Options that keep everything inside `root`.
pub fn options(root: &Path) -> GuiOptions {
    GuiOptions { fresh: true, project_root: Some(root.join("projects")), threads: 1, ..GuiOptions::default() }
}

pub fn builder() -> HarnessBuilder<App> {
    Harness::builder().with_size([1440.0, 900.0])
}

/// A window over rows in many scripts; the test machine need not have a font for each.
pub fn open_any_script(options: GuiOptions, backend: Arc<dyn Backend>) -> Harness<'static, App> {
    builder().allow_missing_glyphs().build_eframe(|cc| App::new(cc, options, backend))
}

/// A window in which a sign that no embedded font has is a failure.
pub fn open(options: GuiOptions, backend: Arc<dyn Backend>) -> Harness<'static, App> {
    builder().build_eframe(|cc| App::new(cc, options, backend))
}

/// Draws frames until no work is left.
pub fn settle(harness: &mut Harness<'_, App>) {
    wait(harness, "all work to end", |app| app.is_idle());
    // What ended in the last frame is drawn, and asks for texts.
    for _ in 0..2 {
        harness.step();
        wait(harness, "texts", |app| app.is_idle());
    }
    // Every button and field has a name.
    harness.check_accessibility();
}

/// Draws frames until something holds. A window that hangs fails here after two minutes.
pub fn wait(harness: &mut Harness<'_, App>, what: &str, holds: impl Fn(&App) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        harness.step();
        if holds(harness.state()) {
            return;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All of these keys pressed and released in one frame.
pub fn type_at_once(harness: &mut Harness<'_, App>, keys: &[(egui::Key, egui::Modifiers)]) {
    let events = keys.iter().flat_map(|(key, modifiers)| {
        let event =
            |pressed| egui::Event::Key { key: *key, physical_key: None, pressed, repeat: false, modifiers: *modifiers };
        [event(true), event(false)]
    });
    harness.input_mut().events.extend(events);
    harness.step();
}

/// A file that the system drops on the window.
#[derive(Debug)]
pub struct Dropped(pub PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

pub fn drop_files(harness: &mut Harness<'_, App>, paths: &[PathBuf]) {
    for path in paths {
        harness.input_mut().dropped_files.push(Arc::new(Dropped(path.clone())));
    }
    harness.step();
}

/// The three sample files in a folder of their own.
pub fn sample(root: &Path) -> [PathBuf; 3] {
    ["custom.jsonl", "safe.jsonl", "harmful.jsonl"].map(|name| {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name);
        let to = root.join(name);
        std::fs::copy(from, &to).expect("the sample is copied");
        to
    })
}
