//! Fine-tuning runs of this user: a folder each, with what was asked for, what came of it, and the adapter.
//!
//! Constraints: `run.json` is replaced atomically, so a kill leaves a run that says how far it came; a run that goes on
//! holds a lock, so that no second Dipole resumes it; everything that decides the adapter is in the folder or named there.

mod rows;
mod store;

pub use rows::{held_out_rows, rows_file};
pub use store::{RunLock, RunStore, StoredRun};

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Device;

use super::ProjectError;
use crate::data::{Dataset, OpenOptions};
use crate::jobs::Progress;
use crate::model::{ChatTokenizer, Decoder};
use crate::training::{
    Control, EventLog, Finish, Listener, Prepared, TrainError, TrainEvent, TrainSettings, Trainer, check_base, prepare,
};

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It goes on; or, where nobody holds its lock, it was interrupted.
    Begun,
    Ended(Finish),
    /// In the words that the user read.
    Failed(String),
}

/// What was asked for and what came of it: `run.json`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TuneRun {
    /// The model folder.
    pub base: PathBuf,
    /// The rows that are trained on: a file.
    pub data: PathBuf,
    /// Where the rows come from, in words.
    pub origin: String,
    pub settings: TrainSettings,
    pub threads: usize,
    /// RFC 3339, UTC.
    pub began: String,
    pub state: RunState,
    /// Seconds of work, all sessions together.
    pub seconds: f64,
    #[serde(default)]
    pub rows: RowFacts,
    #[serde(default)]
    pub steps_done: u64,
    #[serde(default)]
    pub steps: u64,
    #[serde(default)]
    pub first_loss: Option<f64>,
    #[serde(default)]
    pub last_loss: Option<f64>,
    /// Lowest held-out loss.
    #[serde(default)]
    pub evaluation: Option<f64>,
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowFacts {
    pub read: u64,
    /// Trained on or held out.
    pub used: u64,
    pub tokens: u64,
    /// Longer than the maximum: their end was cut off.
    pub truncated: u64,
    /// Left out because they cannot be trained on.
    pub refused: u64,
    /// Left out because their weight is 0.
    pub weightless: u64,
}

impl RowFacts {
    fn new(read: usize, prepared: &Prepared) -> Self {
        Self {
            read: read as u64,
            used: prepared.rows.len() as u64,
            tokens: prepared.tokens(),
            truncated: prepared.truncated,
            refused: prepared.refused,
            weightless: prepared.weightless,
        }
    }
}

impl TuneRun {
    /// A run that begins now.
    pub fn new(base: &Path, data: &Path, origin: impl Into<String>, settings: TrainSettings, threads: usize) -> Self {
        Self {
            base: base.to_owned(),
            data: data.to_owned(),
            origin: origin.into(),
            settings,
            threads,
            began: super::atomic::now(),
            state: RunState::Begun,
            seconds: 0.0,
            rows: RowFacts::default(),
            steps_done: 0,
            steps: 0,
            first_loss: None,
            last_loss: None,
            evaluation: None,
        }
    }

    /// Writes it down in its folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn record(&self, folder: &Path) -> Result<(), ProjectError> {
        store::save(folder, self)
    }

    fn hear(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Begin { steps, resumed_at, .. } => (self.steps, self.steps_done) = (*steps, *resumed_at),
            TrainEvent::Step(report) => {
                self.steps_done = report.step;
                self.first_loss.get_or_insert(report.loss);
                self.last_loss = Some(report.loss);
                self.evaluation = match (self.evaluation, report.evaluation) {
                    (Some(best), Some(now)) => Some(best.min(now)),
                    (best, now) => now.or(best),
                };
            }
            _ => {}
        }
    }
}

/// Trains, or goes on where the folder's checkpoint stands, and writes down what comes of it. The caller holds the
/// lock of the folder.
///
/// # Errors
/// Model, rows or settings cannot be used, numbers ran away, or the user cancelled; `run.json` then says so.
pub fn tune(
    folder: &Path,
    mut run: TuneRun,
    control: &Control,
    listener: &mut dyn Listener,
    progress: &dyn Progress,
    _lock: &RunLock,
) -> Result<TuneRun, ProjectError> {
    let began = Instant::now();
    run.state = RunState::Begun;
    store::save(folder, &run)?;
    let (before, saved) = (run.seconds, std::cell::RefCell::new(run));
    let mut hear = |event: &TrainEvent| {
        let mut run = saved.borrow_mut();
        run.hear(event);
        if let TrainEvent::Checkpoint { .. } = event {
            run.seconds = before + began.elapsed().as_secs_f64();
            if let Err(error) = store::save(folder, &run) {
                tracing::warn!("{error}");
            }
        }
        drop(run);
        listener.event(event);
    };
    let request = saved.borrow().clone();
    let facts = |facts| saved.borrow_mut().rows = facts;
    let result = train(folder, &request, control, &mut hear, facts, progress);
    let mut run = saved.into_inner();
    run.seconds = before + began.elapsed().as_secs_f64();
    run.state = match &result {
        Ok(finish) => RunState::Ended(*finish),
        Err(error) => RunState::Failed(error.to_string()),
    };
    store::save(folder, &run)?;
    result.map(|_| run)
}

fn train(
    folder: &Path,
    run: &TuneRun,
    control: &Control,
    listener: &mut dyn Listener,
    facts: impl FnOnce(RowFacts),
    progress: &dyn Progress,
) -> Result<Finish, ProjectError> {
    run.settings.check()?;
    check_base(&run.base)?;
    let decoder = Decoder::open(&run.base, run.settings.precision, &Device::Cpu, progress).map_err(TrainError::from)?;
    let tokenizer = ChatTokenizer::open(&run.base, decoder.spec()).map_err(TrainError::from)?;
    let data = Dataset::open(&run.data, &OpenOptions::default(), progress)?;
    let prepared = prepare(&data, &tokenizer, &run.settings, progress)?;
    facts(RowFacts::new(data.len(), &prepared));
    if tokenizer.has_built_in_template() {
        let message = "the model has no chat template; a plain one stands in".to_owned();
        listener.event(&TrainEvent::Warning { message });
    }
    let trainer = Trainer::new(&decoder, &run.settings, prepared, folder, run.threads)?;
    let mut log = EventLog::new(folder, listener)?;
    Ok(trainer.run(true, control, &mut log, progress)?.finish)
}
