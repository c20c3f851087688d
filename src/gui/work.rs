//! The background work of the window: what each job does, and what happens when it ends.
//!
//! Constraint: jobs run on their own threads; this file only starts them and takes their results.

use std::path::Path;
use std::sync::Arc;

use super::app::App;
use super::backend::{Backend, DecisionLog, ExportRequest, Handle};
use super::map::{ColourBy, PointCloud};
use super::roles::{FileState, Role};
use super::session::ProjectState;
use super::solved::{Ranking, Solved};
use super::state::Step;
use super::text_cache::TextCache;
use super::tune::remember;
use super::view::{Column, Shown, Sort, ViewInput, ViewRows, compute};
use super::words;
use super::writer::{Change, Record, Writer, record};
use crate::embedding::EncoderChoice;
use crate::jobs::{Job, JobContext, JobFailure, JobState, Progress};
use crate::project::{Plan, Purified};
use crate::selection::RankBy;
use crate::transport::{Observer, TracePoint};

/// Steps of the curve of canaries; more are not told apart on a screen.
const CURVE_STEPS: usize = 300;

/// A project ready for decisions.
pub struct OpenedProject {
    log: Box<dyn DecisionLog>,
    numbers: Arc<[u64]>,
    record: Record,
    journal: Option<std::path::PathBuf>,
}

/// What a run tells while it runs.
pub enum RunEvent {
    Step(TracePoint),
    Warning(String),
}

struct RunObserver<'a>(&'a JobContext<RunEvent>);

impl Progress for RunObserver<'_> {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        self.0.tick(stage, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Observer for RunObserver<'_> {
    fn step(&self, point: &TracePoint) {
        self.0.emit(RunEvent::Step(*point));
    }

    fn warn(&self, message: &str) {
        self.0.emit(RunEvent::Warning(message.to_owned()));
    }
}

impl App {
    /// Opens the record of decisions that belongs to the custom file.
    pub(super) fn open_project(&mut self) {
        let Some(source) = self.session.custom_rows().cloned() else { return };
        let backend = self.backend.clone();
        let job = Job::spawn("Opening your decisions", self.waker(), move |context: &JobContext<()>| {
            let log = backend.project(&source, context)?;
            let numbers: Arc<[u64]> = (0..source.len()).filter_map(|row| source.number(row)).collect();
            let record = record(log.as_ref(), &source, &numbers);
            let journal = log.journal();
            Ok::<_, String>(OpenedProject { log, numbers, record, journal })
        });
        self.session.project = ProjectState::Opening(job);
    }

    /// Embeds, solves, ranks and places the points, all in one job.
    pub(super) fn start_run(&mut self) {
        let plan = self.session.plan(&self.state.run, self.options.threads);
        let (Some(sets), Some(plan), Some(numbers)) = (self.session.open_sets(), plan, self.session.numbers.clone())
        else {
            return;
        };
        match &plan.encoder {
            EncoderChoice::Sentence(folder) => remember(&mut self.state.encoders, folder),
            EncoderChoice::Language(language) => remember(&mut self.state.encoders, &language.folder),
            EncoderChoice::Lexical | EncoderChoice::Precomputed(_) => {}
        }
        if let ProjectState::Open(writer) = &mut self.session.project {
            writer.send(Change::SavePlan(Box::new(plan.clone())));
        }
        let (backend, colour_by) = (self.backend.clone(), self.state.map.colour_by);
        let files = self.session.file_keys();
        let job = Job::spawn("Purifying", self.waker(), move |context: &JobContext<RunEvent>| {
            let purified = Arc::new(backend.purify(&sets, &plan, &RunObserver(context))?);
            context.tick("ranking rows", 0, None);
            solve(backend.as_ref(), plan, files, purified, &numbers, colour_by)
        });
        self.session.run = super::session::Run { job: Some(job), ..super::session::Run::default() };
        self.step = Step::Purify;
    }

    /// Ranks a finished run by another figure.
    pub(super) fn rank_again(&mut self) {
        let (Some(solved), Some(numbers)) = (self.session.solved.clone(), self.session.numbers.clone()) else { return };
        let mut plan = solved.plan.clone();
        plan.selection = self.state.run.selection;
        let (backend, colour_by) = (self.backend.clone(), self.state.map.colour_by);
        self.ranking = Some(Job::spawn("Ranking rows", self.waker(), move |_: &JobContext<()>| {
            solve(backend.as_ref(), plan, solved.files.clone(), solved.purified.clone(), &numbers, colour_by)
        }));
    }

    /// Computes which rows the table shows.
    pub(super) fn refresh_view(&mut self) {
        let Some(source) = self.session.custom_rows().cloned() else { return };
        let table = &mut self.session.table;
        let input = ViewInput {
            rows: source.len(),
            source,
            solved: self.session.solved.clone(),
            kept: self.session.counts.machine_keep,
            verdicts: self.session.record.verdicts.clone(),
            filter: table.filter.clone(),
            sort: table.sort,
        };
        table.outdated = false;
        table.error = None;
        table.asked += 1;
        let asked = table.asked;
        let name = if table.filter.text.is_empty() { "Sorting rows" } else { "Searching texts" };
        let ctx = self.ctx.clone();
        // The job before it, if any, is dropped and so cancelled.
        table.job = Some(Job::spawn(
            name,
            move || ctx.request_repaint(),
            move |context: &JobContext<()>| {
                let rows = compute(&input, context)?;
                if let Some(solved) = &input.solved {
                    solved.cloud.set_visible(&rows, asked);
                }
                Ok::<_, String>(rows)
            },
        ));
    }

    /// What an export of the last result would hold now.
    pub(super) fn export_request(&self) -> Option<ExportRequest> {
        let session = &self.session;
        let solved = session.solved.clone()?;
        let mut plan = solved.plan.clone();
        plan.selection = self.state.run.selection;
        Some(ExportRequest {
            sets: session.open_sets()?,
            plan,
            purified: solved.purified.clone(),
            numbers: session.numbers.clone()?,
            decisions: session.record.decisions.as_ref().clone(),
            journal_head: session.record.head.clone(),
            licences: self.state.licences.split(',').map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect(),
            skip_explanations: false,
        })
    }

    pub(super) fn start_export(&mut self) {
        let Some(request) = self.export_request() else { return };
        let session = &mut self.session;
        let folder = std::path::PathBuf::from(self.state.export_folder.trim());
        let (backend, ctx) = (self.backend.clone(), self.ctx.clone());
        session.export.report = None;
        session.export.error = None;
        session.export.job = Some(Job::spawn(
            "Exporting",
            move || ctx.request_repaint(),
            move |context: &JobContext<()>| backend.export(&folder, &request, context),
        ));
        self.step = Step::Export;
    }

    /// Takes what the jobs have finished. Never waits.
    pub(super) fn poll_work(&mut self) {
        self.poll_files();
        self.poll_checks();
        self.poll_project();
        self.poll_decisions();
        self.poll_run();
        self.poll_table();
        self.poll_export();
        self.poll_cache();
        self.poll_adapters();
        self.poll_map();
        self.poll_tune();
        self.poll_insight();
        self.poll_small_jobs();
    }

    fn poll_files(&mut self) {
        let mut custom_ready = false;
        for file in &mut self.session.files {
            custom_ready |= file.poll() && file.role == Role::Custom;
        }
        // The first rows can be read while the rest is indexed.
        if self.session.texts.is_none()
            && let Some(source) = self.session.custom().and_then(|file| file.handle.clone())
        {
            self.session.texts = Some(TextCache::new(source, self.waker()));
        }
        if custom_ready {
            self.open_project();
            self.refresh_view();
        }
    }

    /// Reading and purifying go first: nothing is looked for while they go on.
    fn poll_checks(&mut self) {
        self.session.checks.poll();
        self.session.checks.keep_only(&self.session.files);
        let is_reading = self.session.files.iter().any(|file| file.state == FileState::Reading);
        if !is_reading && self.session.run.job.is_none() {
            let (wake, limit) = (self.waker(), self.options.unasked_rows());
            self.session.checks.start_next(&self.session.files, limit, &self.backend, wake);
        }
    }

    fn poll_project(&mut self) {
        let ProjectState::Opening(job) = &mut self.session.project else { return };
        match job.poll() {
            JobState::Running | JobState::Taken => {}
            JobState::Done(opened) => {
                let decided = opened.record.verdicts.len();
                let source = self.session.custom_rows().cloned();
                let writer = source
                    .ok_or_else(|| "the custom file is gone".to_owned())
                    .and_then(|source| Writer::new(opened.log, source, opened.numbers.clone(), self.waker()));
                self.session.project = match writer {
                    Ok(writer) => ProjectState::Open(writer),
                    Err(error) => ProjectState::Failed(error),
                };
                self.session.insight.journal = opened.journal;
                self.session.numbers = Some(opened.numbers);
                self.session.record = opened.record;
                self.session.recount(&self.state.run);
                self.refresh_view();
                if decided > 0 {
                    self.say(&format!("{} by hand from before are in force.", decisions(decided)));
                }
            }
            JobState::Failed(failure) => {
                self.session.project = ProjectState::Failed(failure.to_string());
                self.complain(&format!("Decisions cannot be recorded: {failure}"));
            }
        }
    }

    fn poll_decisions(&mut self) {
        let ProjectState::Open(writer) = &mut self.session.project else { return };
        for answer in writer.poll() {
            tracing::debug!(micros = answer.took.as_micros() as u64, "decision on disk");
            self.session.record = answer.record;
            if let Some(solved) = &self.session.solved {
                solved.cloud.set_verdicts(&answer.turned, &self.session.record.verdicts);
            }
            match (&answer.result, &answer.change) {
                (Ok(true), Change::SavePlan(_)) => {}
                (Ok(true), _) => {
                    self.session.table.outdated |= self.session.table.filter.shown != Shown::All;
                }
                (Ok(false), _) => {}
                (Err(error), _) => {
                    let text = format!("Not recorded: {error}");
                    self.complain(&text);
                }
            }
            self.session.recount(&self.state.run);
            let ProjectState::Open(_) = &self.session.project else { return };
        }
    }

    fn poll_run(&mut self) {
        let run = &mut self.session.run;
        let Some(job) = &mut run.job else { return };
        for event in job.drain_events() {
            match event {
                RunEvent::Step(point) => run.trace.push(point),
                RunEvent::Warning(text) => run.warnings.push(text),
            }
        }
        let ended = job.poll();
        let seconds = job.elapsed().as_secs_f64();
        match ended {
            JobState::Running | JobState::Taken => {}
            JobState::Done(solved) => {
                run.job = None;
                run.seconds = seconds;
                run.error = None;
                // Events may be lost when the window lags; the outcome holds them all.
                run.trace.clone_from(&solved.purified.outcome.trace);
                run.warnings.clone_from(&solved.purified.outcome.warnings);
                self.take_solved(solved);
                if self.settings_open {
                    self.measure_cache();
                }
                self.session.table.sort = Sort { column: Column::Score, descending: true };
                self.session.table.cursor = None;
                self.session.table.selected.clear();
                self.step = Step::Review;
                self.refresh_view();
                let counts = self.session.counts;
                self.say(&format!(
                    "Purified in {}: {} kept, {} dropped.",
                    words::duration(seconds),
                    words::count(counts.kept as u64),
                    words::count(counts.dropped as u64)
                ));
            }
            JobState::Failed(failure) => {
                run.job = None;
                run.seconds = seconds;
                match failure {
                    JobFailure::Cancelled => self.say("The run was stopped. Nothing changed."),
                    failure => {
                        run.error = Some(failure.to_string());
                        self.complain("The run failed. The Purify step says why.");
                    }
                }
            }
        }
    }

    fn take_solved(&mut self, solved: Solved) {
        let solved = Arc::new(solved);
        let decided: Vec<u32> = self.session.record.verdicts.keys().copied().collect();
        solved.cloud.set_verdicts(&decided, &self.session.record.verdicts);
        let before = self.session.solved.replace(solved);
        self.session.recount(&self.state.run);
        self.start_map(before.as_ref());
        self.session.mark_selection();
    }

    fn poll_table(&mut self) {
        let table = &mut self.session.table;
        let Some(job) = &mut table.job else { return };
        match job.poll() {
            JobState::Running | JobState::Taken => return,
            JobState::Done(rows) => self.take_rows(rows),
            JobState::Failed(JobFailure::Cancelled) => {}
            JobState::Failed(failure) => {
                self.session.table.error = Some(failure.to_string());
                self.complain("The rows could not be sorted or searched. The table says why.");
            }
        }
        self.session.table.job = None;
    }

    fn take_rows(&mut self, rows: ViewRows) {
        let table = &mut self.session.table;
        table.rows = rows;
        let place = table.cursor.and_then(|row| table.rows.place_of(row, table.place));
        match place {
            Some(place) => table.place = place,
            None => {
                table.place = 0;
                table.cursor = table.rows.get(0);
                table.selected = table.cursor.into_iter().collect();
            }
        }
        table.anchor = table.place;
        table.scroll_to = Some(table.place);
        self.session.mark_selection();
    }

    fn poll_export(&mut self) {
        let export = &mut self.session.export;
        let Some(job) = &mut export.job else { return };
        match job.poll() {
            JobState::Running | JobState::Taken => return,
            JobState::Done(report) => {
                let text = format!(
                    "Exported {} kept and {} removed rows to {}",
                    words::count(report.kept),
                    words::count(report.removed),
                    report.folder.display()
                );
                export.report = Some(report);
                self.say(&text);
            }
            JobState::Failed(JobFailure::Cancelled) => self.say("The export was stopped. The folder is as it was."),
            JobState::Failed(failure) => {
                export.error = Some(failure.to_string());
                self.complain("The export failed. The Export step says why.");
            }
        }
        self.session.export.job = None;
    }

    /// Asks how much the vector cache takes.
    pub(super) fn measure_cache(&mut self) {
        let backend = self.backend.clone();
        let cache = &mut self.session.cache;
        if cache.job.is_none() {
            let work = move |_: &JobContext<()>| backend.cache_size();
            let ctx = self.ctx.clone();
            cache.job = Some(Job::spawn("Measuring the vector cache", move || ctx.request_repaint(), work));
        }
    }

    pub(super) fn take_ranking(&mut self, ended: JobState<Solved>) {
        match ended {
            JobState::Running | JobState::Taken => return,
            JobState::Done(solved) => {
                self.take_solved(solved);
                self.refresh_view();
            }
            JobState::Failed(JobFailure::Cancelled) => {}
            JobState::Failed(failure) => self.complain(&format!("The rows could not be ranked: {failure}")),
        }
        self.ranking = None;
    }
}

fn solve(
    backend: &dyn Backend,
    plan: Plan,
    files: Vec<(u64, Role)>,
    purified: Arc<Purified>,
    numbers: &[u64],
    colour_by: ColourBy,
) -> Result<Solved, String> {
    let by: RankBy = plan.selection.rank_by;
    let ranked = backend.rank(&purified.outcome, by, numbers)?;
    let ranking = Ranking::new(&purified, by, ranked);
    let cloud = Arc::new(PointCloud::new(&purified, &ranking, colour_by));
    let curve = purified.calibration.as_ref().map(|found| found.recall.curve(CURVE_STEPS));
    let recall_curve = Arc::new(curve.unwrap_or_default());
    Ok(Solved { plan, files, purified, ranking, cloud, recall_curve })
}

fn decisions(count: usize) -> String {
    if count == 1 { "1 decision".to_owned() } else { format!("{} decisions", words::count(count as u64)) }
}

/// The first MiB of a quarantined record as text.
pub fn raw_text(handle: &Handle, record: &crate::data::Quarantined) -> Result<String, String> {
    let bytes = handle.quarantined_raw(record)?;
    let shown = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let mut text = String::from_utf8_lossy(shown).into_owned();
    if bytes.len() > shown.len() {
        text.push_str(&format!("\n… {} in all.", words::bytes(record.bytes)));
    }
    Ok(text)
}

/// Writes a picture of the window.
pub fn save_picture(image: &egui::ColorImage, path: &Path) -> Result<(), String> {
    let [width, height] = image.size;
    let pixels: Vec<u8> = image.pixels.iter().flat_map(|pixel| pixel.to_srgba_unmultiplied()).collect();
    let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    image::save_buffer_with_format(path, &pixels, width, height, image::ColorType::Rgba8, image::ImageFormat::Png)
        .map_err(|error| format!("{}: {error}", path.display()))
}
