//! The background work of fine-tuning: training, the list of runs, merging. `tune_look.rs` has what comes before.
//!
//! Constraint: a frame never waits; the trainer has threads of its own, and one core stays with the window unless the
//! user gives it away. What can be lost is events, never results: the curves of an ended run come from its folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::app::{App, Found};
use super::backend::ExportRequest;
use super::roles::name_of;
use super::session::Changed;
use super::state::Step;
use super::tune::{Begun, Live, Merging, RowsFrom, Shown, TuneAction, TuneState, failure};
use super::{pick, words};
use crate::jobs::{Job, JobContext, JobState};
use crate::model::merge;
use crate::project::Folders;
use crate::project::tuning::{RunLock, RunState, RunStore, StoredRun, TuneRun, tune};
use crate::training::{Control, Finish, TrainEvent, checkpoint_step, read_steps};

/// How long the window waits for a run's checkpoint when it is closed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Steps before a checkpoint that are shown when a run goes on; its folder has them all.
const MOST_BEFORE: usize = 3000;
/// What trains a run: the kept rows are written down first.
enum Source {
    Kept(Box<ExportRequest>),
    File(PathBuf),
}

impl App {
    /// Where runs are kept.
    pub(super) fn runs(&self) -> RunStore {
        let projects = self.options.project_root.clone().unwrap_or_else(|| Folders::of_user().projects);
        RunStore::beside(&projects)
    }

    pub(super) fn apply_tune(&mut self, action: TuneAction) {
        match action {
            TuneAction::Set(choices) => self.state.tune = *choices,
            TuneAction::PickBase => {
                let start = Some(self.state.tune.base_path());
                self.small.push(pick::folder("Choose a base model", start, self.waker(), Found::BaseModel));
            }
            TuneAction::PickRows => {
                let start = Some(self.state.tune.file_path());
                self.small.push(pick::folder("Choose an export folder", start, self.waker(), Found::RowsFolder));
            }
            TuneAction::LookAgain => {
                self.session.tune.base.forget();
                self.session.tune.rows.forget();
            }
            TuneAction::Start => self.start_tune(),
            TuneAction::Pause => {
                if let Some(live) = self.session.tune.live.as_ref().filter(|live| live.begun.is_some()) {
                    live.control.pause(!live.control.is_paused());
                }
            }
            TuneAction::Stop => {
                if let Some(live) = &self.session.tune.live {
                    live.stop();
                }
            }
            TuneAction::Resume(folder) => self.resume_tune(&folder),
            TuneAction::Show(folder) => self.show_run(folder),
            TuneAction::Merge(folder) => self.merge_run(&folder),
            TuneAction::Preview(by) => self.step_preview(by),
            TuneAction::Compare(action) => self.apply_compare(action),
        }
    }

    /// Why no run can begin now.
    pub(super) fn can_tune(&self) -> Result<(), String> {
        let tune = &self.session.tune;
        let choices = &self.state.tune;
        if tune.live.is_some() {
            return Err("A fine-tuning run is going on.".to_owned());
        }
        match tune.base.found() {
            None if choices.base.trim().is_empty() => return Err("Choose a base model first.".to_owned()),
            None if self.step != Step::Tune => return Err("Go to Tune first.".to_owned()),
            None => return Err("The base model is being looked at.".to_owned()),
            Some(Err(_)) => return Err("This base model cannot be used; its field says why.".to_owned()),
            Some(Ok(_)) => {}
        }
        match choices.rows_from {
            RowsFrom::Kept => self.can_tune_kept()?,
            RowsFrom::File => match tune.rows.found() {
                None if choices.file.trim().is_empty() => return Err("Choose a file of rows first.".to_owned()),
                None => return Err("The rows are being read.".to_owned()),
                Some(Err(_)) => return Err("These rows cannot be used; their field says why.".to_owned()),
                Some(Ok(_)) => {}
            },
        }
        choices.settings.check().map_err(|error| format!("A setting is out of range: {error}."))
    }

    /// Why the kept rows cannot be trained on now.
    pub(super) fn can_tune_kept(&self) -> Result<(), String> {
        if self.session.run.job.is_some() {
            return Err("Wait until the purification has ended.".to_owned());
        }
        if self.session.solved.is_none() {
            return Err("Purify first, or choose a file of rows.".to_owned());
        }
        if self.session.open_sets().is_none() {
            return Err("The files of this result are no longer open.".to_owned());
        }
        if self.session.counts.kept == 0 {
            return Err("No row is kept.".to_owned());
        }
        match self.session.changed(&self.state.run, self.options.threads) {
            Some(what @ (Changed::Removed | Changed::Custom)) => Err(format!("{} Purify again.", what.words())),
            _ => Ok(()),
        }
    }

    pub(super) fn is_tuning(&self) -> Result<(), String> {
        self.session.tune.live.as_ref().map(|_| ()).ok_or_else(|| "No fine-tuning is going on.".to_owned())
    }

    /// Rows that a run would train on, as far as that is known before they are tokenised.
    pub(super) fn rows_to_tune(&self) -> Option<usize> {
        match self.state.tune.rows_from {
            RowsFrom::Kept => self.session.solved.as_ref().map(|_| self.session.counts.kept),
            RowsFrom::File => self.session.tune.rows.ok().map(|rows| rows.data.len()),
        }
    }

    fn start_tune(&mut self) {
        let choices = self.state.tune.clone();
        let (source, origin) = match choices.rows_from {
            RowsFrom::Kept => {
                let Some(mut request) = self.export_request() else { return };
                // Nobody reads them beside an adapter, and they would be the longest part of the beginning.
                request.skip_explanations = true;
                let name = self.session.custom().map_or_else(String::new, |file| file.name());
                (Source::Kept(Box::new(request)), format!("the kept rows of {name}"))
            }
            RowsFrom::File => {
                let Some(rows) = self.session.tune.rows.ok() else { return };
                (Source::File(rows.path.clone()), name_of(&choices.file_path()))
            }
        };
        let Some(model) = self.session.tune.base.ok().cloned() else { return };
        self.state.tune.remember(&model.path);
        let threads = choices.threads(self.options.threads);
        let folder = match self.runs().create(&name_of(&model.path)) {
            Ok(folder) => folder,
            Err(error) => return self.complain(&error.to_string()),
        };
        let data = match &source {
            Source::Kept(_) => folder.join("data"),
            Source::File(path) => path.clone(),
        };
        let run = TuneRun::new(&model.path, &data, origin, choices.settings, threads);
        self.train(folder, run, Some(source));
    }

    fn resume_tune(&mut self, folder: &Path) {
        if self.session.tune.live.is_some() {
            self.say("A fine-tuning run is going on.");
            return;
        }
        let Some(stored) = self.session.tune.run(folder).filter(|run| run.can_resume()).cloned() else { return };
        let mut run = stored.run;
        run.threads = self.state.tune.threads(self.options.threads);
        self.train(folder.to_owned(), run, None);
    }

    /// Begins a run, or goes on with one whose rows are written down already.
    fn train(&mut self, folder: PathBuf, run: TuneRun, source: Option<Source>) {
        let control = Control::default();
        let (backend, at, steering) = (self.backend.clone(), folder.clone(), control.clone());
        let (base, origin) = (run.base.clone(), run.origin.clone());
        let job = Job::spawn("Fine-tuning", self.waker(), move |context: &JobContext<TrainEvent>| {
            let mut run = run;
            let lock = RunLock::take(&at).map_err(|error| error.to_string())?;
            if let Some(Source::Kept(request)) = &source {
                run.record(&at).map_err(|error| error.to_string())?;
                let report = match backend.export(&at.join("data"), request, context) {
                    Ok(report) => report,
                    Err(error) => {
                        run.state = RunState::Failed(error.clone());
                        run.record(&at).map_err(|more| format!("{error}; and {more}"))?;
                        return Err(error);
                    }
                };
                run.data = report.folder.join(report.purified_file);
            } else if run.data.is_dir() {
                // It was interrupted before its rows were written.
                return Err("The rows of this run were not written to their end; start a new one.".to_owned());
            }
            // The curves go on from where they were.
            if let Some(upto) = checkpoint_step(&at) {
                let before = read_steps(&at).map_err(|error| error.to_string())?;
                let skipped = before.len().saturating_sub(MOST_BEFORE);
                let known = before.into_iter().skip(skipped).filter(|step| step.step <= upto);
                known.for_each(|step| context.emit(TrainEvent::Step(step)));
            }
            let mut tell = |event: &TrainEvent| context.emit(event.clone());
            tune(&at, run, &steering, &mut tell, context, &lock).map_err(|error| error.to_string())?;
            drop(lock);
            RunStore::read(&at).map_err(|error| error.to_string())
        });
        let tune = &mut self.session.tune;
        (tune.error, tune.shown) = (None, None);
        tune.live = Some(Live {
            job,
            control,
            folder,
            base,
            origin,
            begun: None,
            steps: Vec::new(),
            warnings: Vec::new(),
            checkpoint: None,
        });
        self.step = Step::Tune;
    }

    /// Takes what has finished, and looks at what is chosen. Never waits.
    pub(super) fn poll_tune(&mut self) {
        if self.step == Step::Tune {
            self.follow_choices();
            self.poll_preview();
            self.forecast();
        }
        self.poll_live();
        self.poll_history();
        self.poll_merging();
        self.poll_compare();
    }

    fn poll_live(&mut self) {
        let tune = &mut self.session.tune;
        let Some(live) = &mut tune.live else { return };
        let events: Vec<TrainEvent> = live.job.drain_events().collect();
        events.into_iter().for_each(|event| live.hear(event));
        let ended = live.job.poll();
        if matches!(ended, JobState::Running) {
            return;
        }
        let Some(live) = tune.live.take() else { return };
        tune.is_history_old = true;
        match ended {
            JobState::Done(run) => {
                let text = match &run.run.state {
                    RunState::Ended(Finish::Stopped) => {
                        format!("Fine-tuning stopped after step {}. It can go on later.", run.run.steps_done)
                    }
                    _ => format!("Fine-tuned in {}. The adapter is written.", words::duration(run.run.seconds)),
                };
                let folder = run.folder.clone();
                tune.shown = Some(Shown { run, steps: live.steps });
                self.say(&text);
                // Events may be lost when the window lags; the folder has them all.
                self.show_run(folder);
            }
            JobState::Failed(failed) => {
                tune.error = failure(failed);
                let folder = live.folder;
                if tune.error.is_some() {
                    self.complain("Fine-tuning failed. The Tune step says why.");
                }
                self.show_run(folder);
            }
            JobState::Running | JobState::Taken => {}
        }
    }

    fn poll_history(&mut self) {
        let (runs, wake) = (self.runs(), self.waker());
        let is_shown = matches!(self.step, Step::Tune | Step::Compare);
        let tune = &mut self.session.tune;
        if let Some(job) = &mut tune.listing {
            match job.poll() {
                JobState::Running => return,
                JobState::Done(list) => (tune.history, tune.history_error) = (list, None),
                JobState::Failed(failed) => tune.history_error = failure(failed),
                JobState::Taken => {}
            }
            tune.listing = None;
        } else if is_shown && std::mem::take(&mut tune.is_history_old) {
            tune.listing = Some(Job::spawn("Listing earlier runs", wake, move |_: &JobContext<()>| {
                runs.list().map_err(|error| error.to_string())
            }));
        }
        if let Some(job) = &mut tune.showing {
            match job.poll() {
                JobState::Running => return,
                JobState::Done(shown) => tune.shown = Some(shown),
                JobState::Failed(failed) => tune.history_error = failure(failed),
                JobState::Taken => {}
            }
            tune.showing = None;
        }
    }

    fn show_run(&mut self, folder: PathBuf) {
        let wake = self.waker();
        self.session.tune.showing = Some(Job::spawn("Reading a run", wake, move |_: &JobContext<()>| {
            let run = RunStore::read(&folder).map_err(|error| error.to_string())?;
            let steps = read_steps(&folder).map_err(|error| error.to_string())?;
            Ok::<_, String>(Shown { run, steps })
        }));
    }

    fn merge_run(&mut self, folder: &Path) {
        let Some(stored) = self.session.tune.run(folder).cloned() else { return };
        if self.session.tune.merging.is_some() {
            self.say("Another adapter is being merged.");
            return;
        }
        let job = Job::spawn("Merging", self.waker(), move |context: &JobContext<()>| {
            merge(&stored.run.base, &stored.adapter(), &stored.merged(), context).map_err(|error| error.to_string())
        });
        self.session.tune.merging = Some(Merging { folder: folder.to_owned(), job });
    }

    fn poll_merging(&mut self) {
        let Some(merging) = &mut self.session.tune.merging else { return };
        let ended = merging.job.poll();
        if matches!(ended, JobState::Running) {
            return;
        }
        let folder = merging.folder.clone();
        self.session.tune.merging = None;
        match ended {
            JobState::Done(merged) => {
                self.say(&format!("Merged: a model folder of {} that needs no adapter.", words::bytes(merged.bytes)));
                self.session.tune.is_history_old = true;
                self.show_run(folder);
            }
            JobState::Failed(failed) => {
                if let Some(error) = failure(failed) {
                    self.complain(&format!("The adapter was not merged: {error}"));
                }
            }
            JobState::Running | JobState::Taken => {}
        }
    }

    /// Lets a run that goes on write its checkpoint before the window is gone.
    pub(super) fn close_tune(&mut self) {
        let Some(live) = &mut self.session.tune.live else { return };
        live.stop();
        let began = Instant::now();
        while began.elapsed() < LAST_WORDS && matches!(live.job.poll(), JobState::Running) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Live {
    /// Ends the run after its last whole step; before the first there is nothing to keep, and it ends at once.
    fn stop(&self) {
        self.control.stop();
        if self.begun.is_none() {
            self.job.cancel();
        }
    }

    fn hear(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Begin { rows, held_out, steps, parameters, resumed_at, memory } => {
                self.begun = Some(Begun { rows, held_out, steps, parameters, resumed_at, memory });
                self.checkpoint = Some(resumed_at).filter(|step| *step > 0);
            }
            TrainEvent::Step(report) => self.steps.push(report),
            TrainEvent::Checkpoint { step } => self.checkpoint = Some(step),
            TrainEvent::Warning { message } => self.warnings.push(message),
            TrainEvent::End { .. } => {}
        }
    }
}

impl TuneState {
    /// True while a run is in the list that another window may end at any time.
    pub(super) fn stored_or_shown(&self, folder: &Path) -> Option<&StoredRun> {
        self.shown.as_ref().map(|shown| &shown.run).filter(|run| run.folder == folder).or_else(|| self.run(folder))
    }
}
