//! The runtime objects of the window. `logic` drains the jobs, `ui` draws.
//!
//! Constraint: what is saved lives in [`AppState`]; what the user works on lives in `Session`; this holds the rest.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use egui_notify::{Anchor, Toasts};

use super::GuiOptions;
use super::action::Action;
use super::backend::Backend;
use super::panes::Panes;
use super::roles::Role;
use super::session::{ProjectState, Session};
use super::solved::Solved;
use super::state::{AppState, Step};
use super::theme;
use crate::embedding::EncoderChoice;
use crate::jobs::{Job, JobState};
use crate::project::Plan;

/// The window.
pub struct App {
    pub(super) ctx: egui::Context,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) options: GuiOptions,
    pub(super) state: AppState,
    saved: AppState,
    saving: Option<Job<(), ()>>,
    pub(super) session: Session,
    pub(super) step: Step,
    pub(super) panes: Option<Box<Panes>>,
    pub(super) actions: VecDeque<Action>,
    pub(super) toasts: Toasts,
    pub(super) system_fonts: Arc<theme::fonts::SystemFonts>,
    pub(super) has_map: bool,
    pub(super) engine: String,
    pub(super) palette_open: bool,
    pub(super) cheat_sheet_open: bool,
    pub(super) settings_open: bool,
    pub(super) ranking: Option<Job<(), Solved>>,
    pub(super) small: Vec<Job<(), Found>>,
    auto_purify: bool,
    picture_due: Option<PictureDue>,
}

/// What a small job brings back.
pub(super) enum Found {
    Files(Role, Vec<PathBuf>),
    Encoder(EncoderChoice),
    ExportFolder(PathBuf),
    MapFile(PathBuf),
    BaseModel(PathBuf),
    RowsFolder(PathBuf),
    CompareBase(PathBuf),
    CompareAdapter(PathBuf),
    Prompts(PathBuf),
    Sample([PathBuf; 3]),
    LastPlan(Option<Box<Plan>>),
    Raw(u64, u64, Result<String, String>),
    Picture(PathBuf),
    Nothing,
}

struct PictureDue {
    path: PathBuf,
    /// Frames to draw after the work has ended, so that layouts settle.
    frames: u8,
}

impl App {
    /// Makes the window's runtime; nothing is read in this call but the small file of settings.
    pub fn new(cc: &eframe::CreationContext<'_>, options: GuiOptions, backend: Arc<dyn Backend>) -> Self {
        let ctx = cc.egui_ctx.clone();
        theme::apply(&ctx);
        let state = options.state_file().map_or_else(AppState::default, |path| AppState::load(&path));
        let mut state = AppState { dark: options.dark.unwrap_or(state.dark), ..state };
        if let Some(starter) = &options.starter {
            state.tune.offer(starter);
        }
        ctx.set_theme(if state.dark { egui::Theme::Dark } else { egui::Theme::Light });
        let has_map = cc.wgpu_render_state.as_ref().is_some_and(super::map::install);
        let engine = backend.engine();
        let mut app = Self {
            system_fonts: theme::fonts::SystemFonts::install(&ctx),
            ctx,
            backend,
            saved: state.clone(),
            state,
            saving: None,
            session: Session::default(),
            step: Step::Data,
            panes: Some(Box::default()),
            actions: VecDeque::new(),
            toasts: Toasts::default().with_anchor(Anchor::BottomRight).with_margin(egui::vec2(16.0, 48.0)),
            has_map,
            engine,
            palette_open: false,
            cheat_sheet_open: false,
            settings_open: false,
            ranking: None,
            small: Vec::new(),
            auto_purify: options.auto_purify,
            picture_due: options.screenshot.clone().map(|path| PictureDue { path, frames: 4 }),
            options,
        };
        app.open_first_files();
        app
    }

    fn open_first_files(&mut self) {
        for (role, paths) in self.options.roles.clone() {
            self.actions.push_back(Action::Open(role, paths));
        }
        if !self.options.open.is_empty() {
            self.actions.push_back(Action::OpenAny(self.options.open.clone()));
        }
        if self.options.roles.is_empty() && self.options.open.is_empty() && !self.options.fresh {
            let backend = self.backend.clone();
            self.small.push(Job::spawn("Looking for your last project", self.waker(), move |_| {
                backend.last_plan().map(|plan| Found::LastPlan(plan.map(Box::new)))
            }));
        }
    }

    /// A call that repaints the window, for other threads.
    pub(super) fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let ctx = self.ctx.clone();
        move || ctx.request_repaint()
    }

    /// A quiet note. Never carries row text.
    pub(super) fn say(&mut self, text: &str) {
        self.note(text, theme::icons::INFO, 6);
    }

    /// A note that stays longer.
    pub(super) fn complain(&mut self, text: &str) {
        tracing::warn!("{text}");
        self.note(text, theme::icons::ERROR, 12);
    }

    /// The toast's own signs and its cross are in none of the embedded fonts, so the icon is ours and it closes itself.
    fn note(&mut self, text: &str, icon: &str, seconds: u64) {
        let colours = theme::palette(&self.ctx.global_style());
        let ink = if icon == theme::icons::ERROR { *colours.error } else { *colours.accent };
        let toast = self.toasts.custom(text, icon.to_owned(), ink);
        toast.duration(Duration::from_secs(seconds)).closable(false).show_progress_bar(false);
    }

    /// Wishes for an action; it is carried out before the next frame is drawn.
    pub fn send(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// What the window works on, for tests and panes.
    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn state(&self) -> &AppState {
        &self.state
    }

    pub fn step(&self) -> Step {
        self.step
    }

    /// True when no job runs, no decision is on its way and no text is being read.
    pub fn is_idle(&self) -> bool {
        let written = match &self.session.project {
            ProjectState::Open(writer) => writer.pending() == 0,
            ProjectState::Opening(_) => false,
            ProjectState::None | ProjectState::Failed(_) => true,
        };
        written
            && self.actions.is_empty()
            && self.small.is_empty()
            && self.ranking.is_none()
            && !self.session.map.is_busy()
            && !self.session.insight.is_busy()
            && self.session.running().is_empty()
            && self.session.texts.as_ref().is_none_or(|texts| texts.is_idle())
    }

    pub(super) fn can_purify(&self) -> Result<(), String> {
        if self.session.run.job.is_some() {
            return Err("A run is going on.".to_owned());
        }
        if let Some(reason) = self.session.missing_for_run() {
            return Err(reason);
        }
        match self.session.numbers {
            Some(_) => Ok(()),
            None => match &self.session.project {
                ProjectState::Failed(error) => Err(format!("Decisions cannot be recorded: {error}")),
                _ => Err("Your decisions are being opened.".to_owned()),
            },
        }
    }

    pub(super) fn is_running(&self) -> Result<(), String> {
        self.session.run.job.as_ref().map(|_| ()).ok_or_else(|| "No run is going on.".to_owned())
    }

    pub(super) fn can_export(&self) -> Result<(), String> {
        if self.session.solved.is_none() {
            return Err("Purify first: there is nothing to export yet.".to_owned());
        }
        if self.session.export.job.is_some() {
            return Err("An export is going on.".to_owned());
        }
        if self.session.open_sets().is_none() {
            return Err("The files of this result are no longer open.".to_owned());
        }
        match self.session.stale(&self.state.run, self.options.threads) {
            Some(what) if what.contains("custom") => Err(format!("{what} Purify again.")),
            _ if self.state.export_folder.trim().is_empty() => Err("Choose a folder first.".to_owned()),
            _ => Ok(()),
        }
    }

    pub(super) fn can_decide(&self) -> Result<(), String> {
        match &self.session.project {
            ProjectState::Open(_) if self.session.table.cursor.is_some() => Ok(()),
            ProjectState::Open(_) => Err("Select a row first.".to_owned()),
            ProjectState::Failed(error) => Err(format!("Decisions cannot be recorded: {error}")),
            ProjectState::Opening(_) => Err("Your decisions are being opened.".to_owned()),
            ProjectState::None if self.session.custom().is_some() => {
                Err("Decide when the file is read to its end.".to_owned())
            }
            ProjectState::None => Err("Open a custom file first.".to_owned()),
        }
    }

    /// True when decisions can be recorded, whichever row is selected.
    pub(super) fn can_decide_rows(&self) -> bool {
        matches!(self.session.project, ProjectState::Open(_))
    }

    pub(super) fn has_rows(&self) -> Result<(), String> {
        if self.session.rows() == 0 { Err("Open a custom file first.".to_owned()) } else { Ok(()) }
    }

    /// True while a decision is on its way to the disk: what can be undone after it is not known yet, so a key typed
    /// now waits its turn behind it.
    fn is_deciding(&self) -> bool {
        matches!(&self.session.project, ProjectState::Open(writer) if writer.pending() > 0)
    }

    pub(super) fn can_undo(&self) -> Result<(), String> {
        let can = self.session.record.can_undo || self.is_deciding();
        if can { Ok(()) } else { Err("There is no decision to take back.".to_owned()) }
    }

    pub(super) fn can_redo(&self) -> Result<(), String> {
        let can = self.session.record.can_redo || self.is_deciding();
        if can { Ok(()) } else { Err("There is no decision to repeat.".to_owned()) }
    }

    pub(super) fn poll_small_jobs(&mut self) {
        if let Some(job) = &mut self.ranking {
            let ended = job.poll();
            self.take_ranking(ended);
        }
        let mut ended = Vec::new();
        self.small.retain_mut(|job| match job.poll() {
            JobState::Running => true,
            JobState::Taken => false,
            JobState::Done(found) => {
                ended.push(Ok(found));
                false
            }
            JobState::Failed(failure) => {
                ended.push(Err(failure));
                false
            }
        });
        for result in ended {
            match result {
                Ok(found) => self.take_found(found),
                Err(failure) => self.complain(&failure.to_string()),
            }
        }
    }

    fn take_found(&mut self, found: Found) {
        match found {
            Found::Files(role, paths) => self.actions.push_back(Action::Open(role, paths)),
            Found::Encoder(encoder) => {
                let mut run = self.state.run.clone();
                run.encoder = encoder;
                self.actions.push_back(Action::SetRun(Box::new(run)));
            }
            Found::ExportFolder(path) => self.actions.push_back(Action::SetExportFolder(path.display().to_string())),
            Found::MapFile(path) => self.actions.push_back(Action::SaveMap(path)),
            Found::Sample(paths) => {
                for (role, path) in Role::ALL.into_iter().zip(paths) {
                    self.actions.push_back(Action::Open(role, vec![path]));
                }
            }
            Found::LastPlan(Some(plan)) if self.session.files.is_empty() => self.open_plan(*plan),
            Found::LastPlan(_) | Found::Nothing => {}
            Found::Raw(file, record, text) => {
                self.session.raw.insert((file, record), text);
            }
            found @ (Found::BaseModel(_)
            | Found::RowsFolder(_)
            | Found::CompareBase(_)
            | Found::CompareAdapter(_)
            | Found::Prompts(_)) => self.take_picked(found),
            Found::Picture(path) => self.say(&format!("Picture saved: {}", path.display())),
        }
    }

    fn open_plan(&mut self, plan: Plan) {
        self.state.run.encoder = plan.encoder;
        self.state.run.views = plan.views;
        self.state.run.calibration = plan.calibration;
        self.state.run.solver = plan.settings;
        self.state.run.selection = plan.selection;
        self.open_file(Role::Custom, plan.custom, plan.mapping);
        self.actions.push_back(Action::Open(Role::Safe, plan.safe));
        self.actions.push_back(Action::Open(Role::Harmful, plan.harmful));
        self.say("Your last project is open again.");
    }

    /// Saves the settings in the background when they changed.
    fn save_state(&mut self) {
        if let Some(job) = &mut self.saving {
            match job.poll() {
                JobState::Running => return,
                JobState::Failed(failure) => tracing::warn!("the window's settings were not saved: {failure}"),
                JobState::Done(()) | JobState::Taken => {}
            }
            self.saving = None;
        }
        let still = !self.ctx.input(|input| input.pointer.any_down());
        if self.state != self.saved && still {
            self.saved = self.state.clone();
            if let Some(path) = self.options.state_file() {
                let state = self.state.clone();
                self.saving = Some(Job::spawn(
                    "Saving settings",
                    || {},
                    move |_: &crate::jobs::JobContext<()>| state.save(&path),
                ));
            }
        }
    }

    /// Takes the picture that `--screenshot` asked for, once all work has ended, and closes the window.
    fn picture_when_settled(&mut self) {
        let idle = self.is_idle() && !self.auto_purify;
        let Some(due) = &mut self.picture_due else { return };
        if !idle {
            self.ctx.request_repaint_after(Duration::from_millis(50));
            return;
        }
        self.ctx.request_repaint();
        if due.frames > 0 {
            due.frames -= 1;
            return;
        }
        let path = due.path.clone();
        self.picture_due = None;
        let ctx = self.ctx.clone();
        self.take_picture(move |image| {
            if let Err(error) = super::work::save_picture(&image, &path) {
                tracing::error!("{error}");
            }
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            ctx.request_repaint();
        });
    }

    /// Hands a picture of the window to another thread.
    pub(super) fn take_picture(&self, then: impl FnOnce(Arc<egui::ColorImage>) + Send + 'static) {
        let callback = egui::ScreenshotCallback::new(move |image| {
            let spawned = std::thread::Builder::new().name("picture".to_owned()).spawn(move || then(image));
            if let Err(error) = spawned {
                tracing::error!("the picture was not saved: {error}");
            }
        });
        self.ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
        self.ctx.request_repaint();
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.poll_work();
        self.take_dropped_files(ctx);
        if self.palette_open || self.cheat_sheet_open {
            // The overlay has the keys.
        } else {
            self.actions.extend(super::keys::from_keys(ctx));
        }
        self.apply_all();
        self.session.follow_reading();
        if self.auto_purify && self.can_purify().is_ok() {
            self.auto_purify = false;
            self.start_run();
        }
        self.picture_when_settled();
        self.save_state();
        if !self.session.running().is_empty() {
            // Clocks and bars go on between the events of a job.
            ctx.request_repaint_after(Duration::from_millis(250));
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        if let Some(mut panes) = self.panes.take() {
            panes.show(ui, self);
            self.panes = Some(panes);
        }
        self.toasts.show(ui);
        // A click is carried out in this frame's name, before the next is drawn.
        if !self.actions.is_empty() {
            self.apply_all();
            ui.ctx().request_repaint();
        }
    }

    fn on_exit(&mut self) {
        self.close_tune();
        if let Some(path) = self.options.state_file()
            && self.state != self.saved
            && let Err(error) = self.state.save(&path)
        {
            tracing::warn!("the window's settings were not saved: {error}");
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}
