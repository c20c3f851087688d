//! A window over the real library in a folder of its own, and the hands that use it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dipole::gui::backend::Library;
use dipole::gui::{Action, App, GuiOptions, Role};
use dipole::transport::CpuEngine;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

const PATIENCE: Duration = Duration::from_secs(120);

pub struct Window {
    pub harness: Harness<'static, App>,
    pub home: tempfile::TempDir,
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window reads by path".to_owned())
    }
}

pub fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)
}

impl Window {
    pub fn open() -> Self {
        Self::sized([1440.0, 900.0])
    }

    pub fn sized(size: [f32; 2]) -> Self {
        Self::with(size, |options| options)
    }

    pub fn with(size: [f32; 2], change: impl Fn(GuiOptions) -> GuiOptions) -> Self {
        Self::within(tempfile::tempdir().expect("a folder"), size, change)
    }

    /// The next start in the same home.
    pub fn again(self) -> Self {
        let Self { harness, home } = self;
        drop(harness);
        Self::within(home, [1440.0, 900.0], |options| options)
    }

    fn within(home: tempfile::TempDir, size: [f32; 2], change: impl Fn(GuiOptions) -> GuiOptions) -> Self {
        let backend = Library {
            engine: Arc::new(CpuEngine::new()),
            cache_dir: Some(home.path().join("cache")),
            project_root: home.path().join("projects"),
            sample: home.path().join("sample"),
        };
        let options = GuiOptions {
            fresh: true,
            project_root: Some(home.path().join("projects")),
            size: Some(size),
            threads: 2,
            ..GuiOptions::default()
        };
        let options = change(options);
        let harness = Harness::builder()
            .with_size(size)
            .allow_missing_glyphs()
            .build_eframe(move |cc| App::new(cc, options, Arc::new(backend)));
        Self { harness, home }
    }

    pub fn app(&self) -> &App {
        self.harness.state()
    }

    /// Draws frames until it holds.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            self.harness.step();
            if holds(self) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{what} did not come; the window shows: {:#?}", self.texts());
            std::thread::sleep(Duration::from_millis(5));
        }
        // What the last frame wished for is drawn, too.
        self.harness.run_steps(2);
        self.harness.check_accessibility();
    }

    pub fn until_idle(&mut self) {
        self.until("rest", |window| window.app().is_idle());
    }

    pub fn texts(&self) -> Vec<String> {
        let nodes = self.harness.root().children_recursive().map(|node| node.accesskit_node());
        nodes.filter_map(|node| node.label().or_else(|| node.value())).collect()
    }

    pub fn shows(&self, text: &str) -> bool {
        self.texts().iter().any(|shown| shown.contains(text))
    }

    /// Clicks as a user does, who scrolls to what she clicks.
    pub fn click(&mut self, name: &str) {
        self.harness.get_by_label(name).scroll_to_me();
        self.harness.run_steps(4);
        self.harness.get_by_label(name).click();
        self.harness.run_steps(3);
    }

    pub fn send(&mut self, action: Action) {
        self.harness.state_mut().send(action);
        self.harness.run_steps(2);
    }

    pub fn type_into(&mut self, field: &str, text: &str) {
        self.harness.get_by_label(field).scroll_to_me();
        self.harness.run_steps(4);
        self.harness.get_by_label(field).focus();
        self.harness.run_steps(2);
        self.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        self.harness.run_steps(2);
        self.harness.get_by_label(field).type_text(text);
        self.harness.run_steps(3);
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub fn drop_at(&mut self, at: egui::Pos2, path: PathBuf) {
        self.harness.hover_at(at);
        self.harness.step();
        self.harness
            .input_mut()
            .hovered_files
            .push(egui::HoveredFile { path: Some(path.clone()), ..Default::default() });
        self.harness.run_steps(2);
        self.harness.input_mut().hovered_files.clear();
        self.harness.input_mut().dropped_files.push(Arc::new(Dropped(path)));
        self.harness.run_steps(2);
    }

    pub fn open_demo(&mut self) {
        for (role, name) in
            [(Role::Custom, "custom.jsonl"), (Role::Safe, "safe.jsonl"), (Role::Harmful, "harmful.jsonl")]
        {
            self.send(Action::Open(role, vec![demo(name)]));
        }
        self.until_idle();
    }

    pub fn purified() -> Self {
        let mut window = Self::open();
        window.open_demo();
        window.send(Action::Purify);
        window.until("a result", |window| window.app().session().solved.is_some());
        window.until_idle();
        window
    }
}
