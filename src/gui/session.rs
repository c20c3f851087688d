//! What the window works on: files, record, run, table. Data only; `work.rs` moves it, panes show it.

use std::collections::HashMap;
use std::sync::Arc;

use super::backend::{Handle, OpenSets};
use super::checks::Checks;
use super::insight::Insight;
use super::map_work::MapState;
use super::roles::{FileState, Role, RoleFile};
use super::selected::Selected;
use super::solved::Solved;
use super::state::RunSettings;
use super::text_cache::TextCache;
use super::tune::TuneState;
use super::view::{Column, Filter, Sort, Verdicts, ViewRows};
use super::writer::{Record, Writer};
use crate::embedding::CacheSize;
use crate::gpu::Adapter;
use crate::jobs::{Job, Snapshot};
use crate::project::{ExportReport, Plan};
use crate::selection::{Decision, Verdict, calibration};
use crate::transport::TracePoint;

/// The record of decisions of the custom file.
pub enum ProjectState {
    /// No custom file was read yet.
    None,
    Opening(Job<(), super::work::OpenedProject>),
    Open(Writer),
    Failed(String),
}

/// The purification that runs or ran last.
#[derive(Default)]
pub struct Run {
    pub job: Option<Job<super::work::RunEvent, Solved>>,
    pub trace: Vec<TracePoint>,
    pub warnings: Vec<String>,
    pub error: Option<String>,
    pub seconds: f64,
}

/// The table's rows, order and filter.
pub struct Table {
    pub rows: ViewRows,
    pub sort: Sort,
    pub filter: Filter,
    pub job: Option<Job<(), ViewRows>>,
    pub error: Option<String>,
    /// Counts the views asked for.
    pub asked: u64,
    /// Decisions changed what the filter would show.
    pub outdated: bool,
    pub cursor: Option<u32>,
    /// Where the cursor stands in `rows`.
    pub place: usize,
    /// Where an extended selection began.
    pub anchor: usize,
    pub selected: Selected,
    /// Bring this place into view in the next frame.
    pub scroll_to: Option<usize>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            rows: ViewRows::All(0),
            sort: Sort { column: Column::Row, descending: false },
            filter: Filter::default(),
            job: None,
            error: None,
            asked: 0,
            outdated: false,
            cursor: None,
            place: 0,
            anchor: 0,
            selected: Selected::default(),
            scroll_to: None,
        }
    }
}

/// The export that runs or ran last.
#[derive(Default)]
pub struct ExportState {
    pub job: Option<Job<(), ExportReport>>,
    pub report: Option<ExportReport>,
    pub error: Option<String>,
}

/// What the vector cache takes on disk.
#[derive(Default)]
pub struct CacheState {
    /// Measures it, or empties it and measures what is left.
    pub job: Option<Job<(), Option<CacheSize>>>,
    /// `None` until it was measured, and where no cache is kept.
    pub size: Option<CacheSize>,
    pub error: Option<String>,
}

/// The graphics adapters of this machine.
#[derive(Default)]
pub struct AdapterState {
    pub job: Option<Job<(), Vec<Adapter>>>,
    /// `None` until they were looked for.
    pub list: Option<Vec<Adapter>>,
    pub error: Option<String>,
}

/// Rows by fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub kept: usize,
    pub dropped: usize,
    pub by_hand: usize,
    /// Rows that the machine keeps.
    pub machine_keep: usize,
}

/// The fate of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    pub kept: bool,
    pub by_hand: bool,
    /// False before the first run.
    pub known: bool,
}

/// Everything the window works on.
pub struct Session {
    pub files: Vec<RoleFile>,
    pub next_id: u64,
    pub checks: Checks,
    /// Record numbers of the custom rows.
    pub numbers: Option<Arc<[u64]>>,
    pub project: ProjectState,
    pub record: Record,
    pub texts: Option<TextCache>,
    pub solved: Option<Arc<Solved>>,
    pub run: Run,
    pub table: Table,
    pub export: ExportState,
    pub cache: CacheState,
    pub adapters: AdapterState,
    pub map: MapState,
    pub insight: Insight,
    /// Raw texts of quarantined records, by file and record number.
    pub raw: HashMap<(u64, u64), Result<String, String>>,
    pub counts: Counts,
    pub tune: TuneState,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            next_id: 0,
            checks: Checks::default(),
            numbers: None,
            project: ProjectState::None,
            record: empty_record(),
            texts: None,
            solved: None,
            run: Run::default(),
            table: Table::default(),
            export: ExportState::default(),
            cache: CacheState::default(),
            adapters: AdapterState::default(),
            map: MapState::default(),
            insight: Insight::default(),
            raw: HashMap::new(),
            counts: Counts::default(),
            tune: TuneState { is_history_old: true, ..TuneState::default() },
        }
    }
}

/// A record without decisions.
pub fn empty_record() -> Record {
    Record { verdicts: Verdicts::default(), decisions: Arc::default(), head: None, can_undo: false, can_redo: false }
}

/// What a result no longer fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Removed,
    Custom,
    Reference,
    Settings,
}

impl Changed {
    pub fn words(self) -> &'static str {
        match self {
            Self::Removed => "The custom file was removed.",
            Self::Custom => "The custom file changed since this result.",
            Self::Reference => "A reference changed since this result.",
            Self::Settings => "The settings changed since this result.",
        }
    }
}

/// True where both plans learn alike; λ and ε do not count where canaries find them.
fn same_solver(now: &Plan, then: &Plan) -> bool {
    let mut settings = now.settings.clone();
    if now.calibration.is_some() {
        (settings.lambda, settings.epsilon) = (then.settings.lambda, then.settings.epsilon);
    }
    settings == then.settings
}

impl Session {
    pub fn file(&self, id: u64) -> Option<&RoleFile> {
        self.files.iter().find(|file| file.id == id)
    }

    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &RoleFile> {
        self.files.iter().filter(move |file| file.role == role)
    }

    pub fn custom(&self) -> Option<&RoleFile> {
        self.of_role(Role::Custom).next()
    }

    /// The custom rows once they are all read.
    pub fn custom_rows(&self) -> Option<&Handle> {
        self.custom()?.ready_handle()
    }

    /// What keeps a run from starting, in the user's words.
    pub fn missing_for_run(&self) -> Option<String> {
        for role in Role::ALL {
            let mut files = self.of_role(role).peekable();
            let title = role.title().to_lowercase();
            if files.peek().is_none() {
                return Some(format!("Add a {title} file first."));
            }
            for file in files {
                match &file.state {
                    FileState::Reading => return Some(format!("Wait until {} is read.", file.name())),
                    FileState::Failed(_) => {
                        return Some(format!("{} cannot be used: remove or replace it.", file.name()));
                    }
                    FileState::Ready => {}
                }
            }
        }
        None
    }

    /// The files as they are open now, with their roles.
    pub fn file_keys(&self) -> Vec<(u64, Role)> {
        self.files.iter().map(|file| (file.id, file.role)).collect()
    }

    /// The opened sets, when all roles are filled and read.
    pub fn open_sets(&self) -> Option<OpenSets> {
        let all = |role| self.of_role(role).map(|file| file.ready_handle().cloned()).collect::<Option<Vec<_>>>();
        Some(OpenSets { custom: self.custom_rows()?.clone(), safe: all(Role::Safe)?, harmful: all(Role::Harmful)? })
    }

    /// True where the harmful reference has rows enough for canaries.
    pub fn can_calibrate(&self) -> bool {
        let rows: Vec<usize> =
            self.of_role(Role::Harmful).map(|file| file.handle.as_ref().map_or(0, |handle| handle.len())).collect();
        calibration::is_possible(&rows)
    }

    /// What a run would do now.
    pub fn plan(&self, run: &RunSettings, threads: usize) -> Option<Plan> {
        let paths = |role| self.of_role(role).map(|file| file.path.clone()).collect();
        let custom = self.custom()?;
        let mut settings = run.solver.clone();
        settings.threads = threads;
        Some(Plan {
            custom: custom.path.clone(),
            safe: paths(Role::Safe),
            harmful: paths(Role::Harmful),
            mapping: custom.mapping.clone(),
            encoder: run.encoder.clone(),
            views: run.views,
            settings,
            calibration: run.calibration.clone().filter(|_| self.can_calibrate()),
            selection: run.selection,
        })
    }

    /// What has changed since the last run, in words; `None` when its result stands.
    pub fn stale(&self, run: &RunSettings, threads: usize) -> Option<&'static str> {
        self.changed(run, threads).map(Changed::words)
    }

    /// What has changed since the last run.
    pub fn changed(&self, run: &RunSettings, threads: usize) -> Option<Changed> {
        let solved = self.solved.as_ref()?;
        let Some(now) = self.plan(run, threads) else { return Some(Changed::Removed) };
        let then = &solved.plan;
        if now.custom != then.custom || now.mapping != then.mapping {
            Some(Changed::Custom)
        } else if now.safe != then.safe || now.harmful != then.harmful {
            Some(Changed::Reference)
        } else if now.encoder != then.encoder
            || now.views != then.views
            || now.calibration != then.calibration
            || !same_solver(&now, then)
        {
            Some(Changed::Settings)
        } else {
            None
        }
    }

    /// While the custom file is read, the table shows what is there so far.
    pub fn follow_reading(&mut self) {
        if self.custom().is_some() && self.custom_rows().is_none() {
            self.table.rows = ViewRows::All(self.rows());
        }
    }

    pub fn rows(&self) -> usize {
        self.custom().and_then(|file| file.handle.as_ref()).map_or(0, |handle| handle.len())
    }

    pub fn decision(&self, row: u32) -> Option<&Decision> {
        self.record.verdicts.get(&row)
    }

    /// Kept or dropped, and by whom.
    pub fn fate(&self, row: u32) -> Fate {
        if let Some(decision) = self.decision(row) {
            return Fate { kept: decision.verdict == Verdict::Keep, by_hand: true, known: true };
        }
        match &self.solved {
            Some(solved) => {
                Fate { kept: solved.ranking.machine_keeps(row, self.counts.machine_keep), by_hand: false, known: true }
            }
            None => Fate { kept: true, by_hand: false, known: false },
        }
    }

    /// Counts the rows by fate. One look at each decision, none at the other rows.
    pub fn recount(&mut self, run: &RunSettings) {
        let by_hand = self.record.verdicts.len();
        let Some(solved) = &self.solved else {
            self.counts = Counts { by_hand, ..Counts::default() };
            return;
        };
        let rows = solved.ranking.len();
        let machine_keep = solved.ranking.machine_keep(run.selection.keep);
        let mut kept = machine_keep;
        for (row, decision) in self.record.verdicts.iter() {
            match (decision.verdict, solved.ranking.machine_keeps(*row, machine_keep)) {
                (Verdict::Keep, false) => kept += 1,
                (Verdict::Drop, true) => kept -= 1,
                _ => {}
            }
        }
        self.counts = Counts { kept, dropped: rows - kept, by_hand, machine_keep };
    }

    /// The ranks up to this are dropped by the machine.
    pub fn dropped_by_machine(&self) -> u32 {
        let rows = self.solved.as_ref().map_or(0, |solved| solved.ranking.len());
        u32::try_from(rows - self.counts.machine_keep.min(rows)).unwrap_or(u32::MAX)
    }

    /// Brings the selection of several rows to the map; a single one has its mark there already.
    pub fn mark_selection(&self) {
        let Some(solved) = &self.solved else { return };
        if self.table.selected.len() > 1 {
            solved.cloud.set_selected(&self.table.selected);
        } else {
            solved.cloud.set_selected(&Selected::default());
        }
    }

    /// The rows that a decision applies to.
    pub fn chosen_rows(&self) -> Vec<u32> {
        if self.table.selected.is_empty() {
            return self.table.cursor.into_iter().collect();
        }
        self.table.selected.iter().collect()
    }

    /// Forgets everything that belonged to the custom file.
    pub fn forget_custom(&mut self) {
        self.numbers = None;
        self.project = ProjectState::None;
        self.record = empty_record();
        self.texts = None;
        self.solved = None;
        self.run = Run::default();
        self.map = MapState::default();
        self.insight = Insight::default();
        self.table = Table::default();
        self.export = ExportState::default();
        self.counts = Counts::default();
    }

    /// Name and progress of everything that runs.
    pub fn running(&self) -> Vec<(String, Snapshot)> {
        let mut running: Vec<(String, Snapshot)> =
            self.files.iter().filter_map(|file| Some((format!("Reading {}", file.name()), file.progress()?))).collect();
        if let ProjectState::Opening(job) = &self.project {
            running.push((job.name().to_owned(), job.snapshot()));
        }
        running.extend(self.run.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running.extend(self.tune.running());
        running.extend(self.table.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running.extend(self.map.progress());
        running.extend(self.insight.running());
        running.extend(self.checks.job());
        running.extend(self.cache.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running.extend(self.export.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running
    }
}
