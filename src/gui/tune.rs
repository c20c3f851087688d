//! Fine-tuning in the window: what is chosen, what goes on, what was found. Data only; `tune_work.rs` moves it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::compare::{CompareAction, CompareState};
use crate::data::Dataset;
use crate::jobs::{Job, JobContext, JobFailure, JobState, Snapshot};
use crate::model::{ChatTokenizer, DecoderFacts, Merged, Piece};
use crate::project::tuning::StoredRun;
use crate::training::{Control, MemoryEstimate, StepReport, TrainSettings};

/// Models that the picker remembers.
const RECENT: usize = 8;

/// Which rows are trained on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowsFrom {
    /// The kept rows of the last purification, with their weights.
    #[default]
    Kept,
    /// An export folder or a file.
    File,
}

/// What is remembered between two starts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TuneChoices {
    /// The model folder as typed.
    pub base: String,
    /// Model folders used before, the newest first.
    pub recent: Vec<PathBuf>,
    pub rows_from: RowsFrom,
    /// The file or folder of rows as typed.
    pub file: String,
    pub settings: TrainSettings,
    /// Take every core; otherwise one stays with the window.
    pub all_cores: bool,
}

impl TuneChoices {
    /// Puts a model folder to the front of those used before.
    pub fn remember(&mut self, base: &Path) {
        remember(&mut self.recent, base);
    }

    /// Chooses a model folder where none is chosen.
    pub fn offer(&mut self, base: &Path) {
        if self.base.trim().is_empty() {
            self.base = base.display().to_string();
        }
    }

    pub fn base_path(&self) -> PathBuf {
        PathBuf::from(self.base.trim())
    }

    pub fn file_path(&self) -> PathBuf {
        PathBuf::from(self.file.trim())
    }

    /// Worker threads of a run.
    pub fn threads(&self, given: usize) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match given {
            0 if self.all_cores => cores,
            0 => cores.saturating_sub(1).max(1),
            given => given,
        }
    }
}

/// Puts a folder to the front of those used before.
pub fn remember(recent: &mut Vec<PathBuf>, folder: &Path) {
    recent.retain(|path| path != folder);
    recent.insert(0, folder.to_owned());
    recent.truncate(RECENT);
}

/// A wish about fine-tuning.
#[derive(Debug, Clone, PartialEq)]
pub enum TuneAction {
    Set(Box<TuneChoices>),
    PickBase,
    PickRows,
    /// Looks at the chosen model and rows again.
    LookAgain,
    /// Trains on the chosen rows.
    Start,
    /// Pauses, or goes on.
    Pause,
    Stop,
    /// Goes on with a run where it stands.
    Resume(PathBuf),
    /// Shows the curves of a run.
    Show(PathBuf),
    Merge(PathBuf),
    /// Shows how a row is tokenised: another one by so many rows.
    Preview(isize),
    Compare(CompareAction),
}

/// A path that was looked at in the background, and what lies there. A newer path ends an older look.
pub struct Look<T> {
    asked: Option<PathBuf>,
    job: Option<Job<(), T>>,
    found: Option<Result<Arc<T>, String>>,
}

impl<T> Default for Look<T> {
    fn default() -> Self {
        Self { asked: None, job: None, found: None }
    }
}

impl<T: Send + Sync + 'static> Look<T> {
    /// Looks at `path` unless that was the last one; an empty path is none. Takes what has ended. Never waits.
    pub fn follow(
        &mut self,
        path: &Path,
        name: &str,
        wake: impl Fn() + Send + Sync + 'static,
        look: impl FnOnce(&Path, &JobContext<()>) -> Result<T, String> + Send + 'static,
    ) {
        if self.asked.as_deref() != Some(path) {
            (self.asked, self.found, self.job) = (Some(path.to_owned()), None, None);
            if !path.as_os_str().is_empty() {
                let at = path.to_owned();
                self.job = Some(Job::spawn(name, wake, move |context: &JobContext<()>| look(&at, context)));
            }
        }
        let Some(job) = &mut self.job else { return };
        self.found = Some(match job.poll() {
            JobState::Running => return,
            JobState::Done(found) => Ok(Arc::new(found)),
            JobState::Taken => Err("it was looked at already".to_owned()),
            JobState::Failed(failure) => Err(failure.to_string()),
        });
        self.job = None;
    }

    /// Looks again at the next call of [`Look::follow`].
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    pub fn found(&self) -> Option<&Result<Arc<T>, String>> {
        self.found.as_ref()
    }

    pub fn ok(&self) -> Option<&Arc<T>> {
        self.found.as_ref()?.as_ref().ok()
    }

    pub fn progress(&self) -> Option<(String, Snapshot)> {
        self.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot()))
    }
}

/// A model folder that can be trained.
pub struct BaseModel {
    pub path: PathBuf,
    pub facts: DecoderFacts,
    pub tokenizer: ChatTokenizer,
}

/// Rows in a file.
pub struct RowsFile {
    pub path: PathBuf,
    pub data: Dataset,
}

/// How one row is tokenised.
pub struct Preview {
    /// Record number in the file.
    pub number: u64,
    /// Its pieces, or why it is left out.
    pub pieces: Result<Vec<Piece>, String>,
    pub tokens: usize,
    pub supervised: usize,
    pub cut: usize,
}

/// What the shown preview belongs to: model, rows, row, longest length.
pub type PreviewOf = (PathBuf, RowsFrom, PathBuf, usize, usize);

#[derive(Default)]
pub struct PreviewState {
    pub row: usize,
    pub of: Option<PreviewOf>,
    pub job: Option<Job<(), Preview>>,
    pub found: Option<Result<Preview, String>>,
}

/// What the trainer tells besides its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Begun {
    pub rows: u64,
    pub held_out: u64,
    pub steps: u64,
    pub parameters: u64,
    pub resumed_at: u64,
    pub memory: MemoryEstimate,
}

/// A run that goes on.
pub struct Live {
    pub job: Job<crate::training::TrainEvent, StoredRun>,
    pub control: Control,
    pub folder: PathBuf,
    pub base: PathBuf,
    pub origin: String,
    pub begun: Option<Begun>,
    pub steps: Vec<StepReport>,
    pub warnings: Vec<String>,
    pub checkpoint: Option<u64>,
}

/// A run at rest, with its curves.
pub struct Shown {
    pub run: StoredRun,
    pub steps: Vec<StepReport>,
}

/// An adapter being worked into its model.
pub struct Merging {
    pub folder: PathBuf,
    pub job: Job<(), Merged>,
}

/// What a run would take, and what it was worked out from.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    pub steps: u64,
    pub memory: MemoryEstimate,
    pub of: (PathBuf, usize, TrainSettings, usize),
    /// Free memory changes, so it is looked up again.
    pub at: Instant,
}

/// Everything about fine-tuning that is not saved.
#[derive(Default)]
pub struct TuneState {
    pub base: Look<BaseModel>,
    pub rows: Look<RowsFile>,
    pub preview: PreviewState,
    pub forecast: Option<Forecast>,
    pub live: Option<Live>,
    pub shown: Option<Shown>,
    pub showing: Option<Job<(), Shown>>,
    /// Why the last run failed.
    pub error: Option<String>,
    pub history: Vec<StoredRun>,
    pub history_error: Option<String>,
    pub listing: Option<Job<(), Vec<StoredRun>>>,
    /// The history on disk may have changed.
    pub is_history_old: bool,
    pub merging: Option<Merging>,
    pub compare: CompareState,
}

impl TuneState {
    /// Name and progress of everything that runs here.
    pub fn running(&self) -> Vec<(String, Snapshot)> {
        let mut running = Vec::new();
        running.extend(self.live.as_ref().map(|live| (live.job.name().to_owned(), live.job.snapshot())));
        running.extend(self.base.progress());
        running.extend(self.rows.progress());
        running.extend(self.preview.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running.extend(self.merging.as_ref().map(|merging| (merging.job.name().to_owned(), merging.job.snapshot())));
        running.extend(self.compare.running());
        running.extend(self.listing.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running.extend(self.showing.as_ref().map(|job| (job.name().to_owned(), job.snapshot())));
        running
    }

    /// The run in the list that lies in `folder`.
    pub fn run(&self, folder: &Path) -> Option<&StoredRun> {
        self.history.iter().find(|run| run.folder == folder)
    }
}

/// A failure as the user reads it; `None` where she stopped it herself.
pub fn failure(failure: JobFailure) -> Option<String> {
    match failure {
        JobFailure::Cancelled => None,
        failure => Some(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offered_model_is_chosen_only_where_none_is() {
        let mut choices = TuneChoices::default();
        choices.offer(Path::new("/m/starter"));
        assert_eq!(choices.base, "/m/starter");
        choices.base = "/m/own".to_owned();
        choices.offer(Path::new("/m/starter"));
        assert_eq!(choices.base, "/m/own");
    }

    #[test]
    fn recent_models_are_few_and_each_is_there_once() {
        let mut choices = TuneChoices::default();
        for number in [1, 2, 1, 3, 4, 5, 6, 7, 8, 9] {
            choices.remember(&PathBuf::from(format!("/m/{number}")));
        }
        assert_eq!(choices.recent.len(), RECENT);
        assert_eq!(choices.recent.first(), Some(&PathBuf::from("/m/9")));
        choices.remember(Path::new("/m/1"));
        let ones = choices.recent.iter().filter(|path| path.as_path() == Path::new("/m/1")).count();
        assert_eq!(ones, 1);
    }

    #[test]
    fn a_newer_look_ends_an_older_one() {
        let mut look: Look<u32> = Look::default();
        let follow = |look: &mut Look<u32>, path: &str, answer: Result<u32, String>| {
            look.follow(Path::new(path), "looking", || {}, move |_, _| answer);
        };
        follow(&mut look, "", Ok(0));
        assert!(look.found().is_none() && look.progress().is_none(), "an empty path is none");
        follow(&mut look, "/a", Ok(1));
        follow(&mut look, "/b", Err("b is wrong".to_owned()));
        while look.found().is_none() {
            follow(&mut look, "/b", Ok(9));
            std::thread::yield_now();
        }
        assert_eq!(look.found().and_then(|found| found.as_ref().err()).map(String::as_str), Some("b is wrong"));
    }
}
