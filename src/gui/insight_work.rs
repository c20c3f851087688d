//! The background work behind what is known of the ranking.
//!
//! Constraints: as in `work.rs`, jobs run on their own threads; this file only starts them and takes their results. None
//! begins while a run goes on. What is found out for a row waits until the row before it is answered, so that a held key
//! starts one job at a time.

use std::sync::Arc;

use super::app::App;
use super::backend::OpenSets;
use super::checks::aside;
use super::insight::{HealthKey, Insight, InsightAction, OfRow};
use super::state::Step;
use super::view::{Filter, Listed};
use super::words;
use crate::jobs::{Job, JobContext, JobFailure, JobState, Progress};
use crate::project::{Beside, Plan, Purified};
use crate::selection::Keep;
use crate::transport::Observer;

/// Hears a job that tells nothing but its progress.
struct Quiet<'a>(&'a JobContext<()>);

impl Progress for Quiet<'_> {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        self.0.tick(stage, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Observer for Quiet<'_> {}

/// What a finished job gave; `None` while it runs and where it was stopped.
enum Ended<T> {
    Running,
    Stopped,
    With(Result<T, String>),
}

fn ended<T>(state: JobState<T>) -> Ended<T> {
    match state {
        JobState::Running => Ended::Running,
        JobState::Taken | JobState::Failed(JobFailure::Cancelled) => Ended::Stopped,
        JobState::Done(found) => Ended::With(Ok(found)),
        JobState::Failed(failure) => Ended::With(Err(failure.to_string())),
    }
}

fn poll_row<K, T: Send + 'static>(of: &mut OfRow<K, T>) {
    let Some((key, mut job)) = of.job.take() else { return };
    match ended(job.poll()) {
        Ended::Running => of.job = Some((key, job)),
        Ended::Stopped => {}
        Ended::With(found) => of.known = Some((key, found.map(Arc::new))),
    }
}

impl App {
    pub(super) fn apply_insight(&mut self, action: InsightAction) {
        let insight = &mut self.session.insight;
        match action {
            InsightAction::ShowData(tab) => (insight.data, self.step) = (tab, Step::Data),
            InsightAction::ShowPurify(tab) => (insight.purify, self.step) = (tab, Step::Purify),
            InsightAction::CheckReferences => self.check_references(),
            InsightAction::StopChecking => {
                if let Some((_, job)) = &insight.health.job {
                    job.cancel();
                }
            }
            InsightAction::ShowUncovered => self.show_uncovered(),
            InsightAction::CompareRankings => self.compare_rankings(),
            InsightAction::StopComparing => {
                if let Some(job) = &insight.rankings.job {
                    job.cancel();
                }
            }
            InsightAction::ChoosePair(x, y) => insight.rankings.pair = Some((x, y)),
        }
    }

    /// Takes what has ended and starts what follows from it. Never waits.
    pub(super) fn poll_insight(&mut self) {
        self.take_insight();
        if self.session.run.job.is_some() {
            return;
        }
        self.follow_result();
        self.follow_cursor();
        self.follow_cut();
    }

    fn take_insight(&mut self) {
        let Insight { reasons, past, health, rankings, .. } = &mut self.session.insight;
        poll_row(&mut reasons.row);
        poll_row(past);
        if let Some(mut job) = reasons.job.take() {
            match ended(job.poll()) {
                Ended::Running => reasons.job = Some(job),
                Ended::Stopped => {}
                Ended::With(Ok(explain)) => reasons.ready = Some(explain),
                Ended::With(Err(error)) => reasons.error = Some(error),
            }
        }
        if let Some((key, mut job)) = health.job.take() {
            match ended(job.poll()) {
                Ended::Running => health.job = Some((key, job)),
                Ended::Stopped => health.stopped = Some(key),
                Ended::With(Ok(report)) => (health.report, health.error) = (Some((key, Arc::new(report))), None),
                Ended::With(Err(error)) => health.error = Some((key, error)),
            }
        }
        if let Some(mut job) = rankings.job.take() {
            match ended(job.poll()) {
                Ended::Running => rankings.job = Some(job),
                Ended::Stopped => rankings.asked = None,
                Ended::With(Ok(beside)) => {
                    // The result itself, and the strongest of the simple controls.
                    let control = beside.contenders.iter().position(|one| one.name == "centroid").unwrap_or(1);
                    let count = beside.contenders.len();
                    let valid = rankings.pair.filter(|(x, y)| *x < count && *y < count);
                    rankings.pair = Some(valid.unwrap_or((0, control)));
                    (rankings.beside, rankings.error) = (Some(Arc::new(beside)), None);
                    if let Some(asked) = rankings.asked.take() {
                        rankings.of = Some(asked);
                    }
                }
                Ended::With(Err(error)) => (rankings.error, rankings.asked) = (Some(error), None),
            }
        }
    }

    /// The plan of the result, with its vectors and the open files, where these are still those of the result.
    fn result(&self) -> Option<(OpenSets, Plan, Arc<Purified>)> {
        let solved = self.session.solved.as_ref()?;
        let now = self.session.plan(&self.state.run, self.options.threads)?;
        let then = &solved.plan;
        // A file that was read again may hold other rows under the same name.
        let same = solved.files == self.session.file_keys()
            && now.custom == then.custom
            && now.mapping == then.mapping
            && now.safe == then.safe
            && now.harmful == then.harmful;
        same.then(|| Some((self.session.open_sets()?, then.clone(), solved.purified.clone())))?
    }

    /// A new result is explained, and its references are looked at, one after the other.
    fn follow_result(&mut self) {
        let files = self.session.file_keys();
        if self.session.insight.health.job.as_ref().is_some_and(|(key, _)| key.files != files) {
            // Dropped and so cancelled: its files are no longer those of the window.
            self.session.insight.health.job = None;
        }
        let Some((sets, plan, purified)) = self.result() else { return };
        if !self.session.insight.reasons.are_of(&purified) {
            let backend = self.backend.clone();
            let (of, seed) = (purified.clone(), plan.settings.seed);
            let job = Job::spawn("Reading reasons off the plan", self.waker(), move |context: &JobContext<()>| {
                backend.explain(&sets, &of, seed, context)
            });
            self.session.insight.reasons =
                super::insight::Reasons { job: Some(job), of: Some(purified), ..Default::default() };
            return;
        }
        let Some(key) = self.health_key() else { return };
        let health = &self.session.insight.health;
        let known = health.report.as_ref().is_some_and(|(of, _)| *of == key)
            || health.error.as_ref().is_some_and(|(of, _)| *of == key)
            || health.stopped.as_ref() == Some(&key);
        let fits = key.encoder == plan.encoder && key.views == plan.views;
        if self.session.insight.reasons.job.is_none() && health.job.is_none() && !known && fits {
            self.start_health(key, sets, plan, Some(purified));
        }
    }

    /// What a look at the references would belong to now; `None` while a role is empty or a file is not read.
    pub(super) fn health_key(&self) -> Option<HealthKey> {
        self.session.open_sets()?;
        let files = self.session.file_keys();
        let run = &self.state.run;
        Some(HealthKey { files, encoder: run.encoder.clone(), views: run.views })
    }

    pub(super) fn can_check_references(&self) -> Result<(), String> {
        if self.session.run.job.is_some() {
            return Err("Wait until the run has ended.".to_owned());
        }
        match self.session.missing_for_run() {
            Some(missing) => Err(missing),
            None if self.session.insight.health.job.is_some() => Err("They are being checked.".to_owned()),
            None => Ok(()),
        }
    }

    fn check_references(&mut self) {
        if let Err(reason) = self.can_check_references() {
            self.say(&reason);
            return;
        }
        let plan = self.session.plan(&self.state.run, self.options.threads);
        let (Some(key), Some(sets), Some(plan)) = (self.health_key(), self.session.open_sets(), plan) else { return };
        let of_result = self.result().filter(|(_, then, _)| then.encoder == plan.encoder && then.views == plan.views);
        self.start_health(key, sets, plan, of_result.map(|(_, _, purified)| purified));
    }

    fn start_health(&mut self, key: HealthKey, sets: OpenSets, plan: Plan, of: Option<Arc<Purified>>) {
        let backend = self.backend.clone();
        let job = Job::spawn("Checking the references", self.waker(), move |context: &JobContext<()>| {
            let vectors = of.as_ref().map(|of| of.vectors.clone());
            aside(|| backend.health(&sets, &plan, vectors, &Quiet(context)))
        });
        (self.session.insight.health.error, self.session.insight.health.stopped) = (None, None);
        self.session.insight.health.job = Some((key, job));
    }

    fn show_uncovered(&mut self) {
        let Some((_, report)) = &self.session.insight.health.report else { return };
        let rows: Arc<[u32]> = report.uncovered().into();
        let listed = Listed { name: "No reference near", rows };
        self.step = Step::Review;
        self.session.table.filter = Filter { only: Some(listed), ..Filter::default() };
        self.session.table.cursor = None;
        self.session.table.selected.clear();
        self.refresh_view();
    }

    pub(super) fn can_compare_rankings(&self) -> Result<(), String> {
        if self.session.solved.is_none() {
            return Err("Purify first: there is no ranking to compare yet.".to_owned());
        }
        if self.session.run.job.is_some() {
            return Err("Wait until the run has ended.".to_owned());
        }
        if self.session.insight.rankings.job.is_some() {
            return Err("They are being compared.".to_owned());
        }
        match self.result() {
            Some(_) => Ok(()),
            None => Err("The files of this result are no longer open. Purify again.".to_owned()),
        }
    }

    fn compare_rankings(&mut self) {
        if let Err(reason) = self.can_compare_rankings() {
            self.say(&reason);
            return;
        }
        let Some((sets, mut plan, purified)) = self.result() else { return };
        plan.selection = self.state.run.selection;
        let (backend, of) = (self.backend.clone(), purified.clone());
        let job = Job::spawn("Comparing rankings", self.waker(), move |context: &JobContext<()>| {
            backend.compare(&sets, &plan, &of, &Quiet(context))
        });
        let rankings = &mut self.session.insight.rankings;
        rankings.error = None;
        (rankings.job, rankings.asked) = (Some(job), Some(purified));
    }

    /// The row under the cursor: its reasons, and what was decided on it.
    fn follow_cursor(&mut self) {
        let Some(row) = self.session.table.cursor.filter(|_| self.step == Step::Review) else { return };
        let wake = self.waker();
        let insight = &mut self.session.insight;
        let is_explained = self.session.solved.as_ref().is_some_and(|solved| insight.reasons.are_of(&solved.purified));
        if is_explained
            && let Some(explain) = insight.reasons.ready.clone()
            && insight.reasons.row.job.is_none()
            && insight.reasons.row.of(&row).is_none()
        {
            let work = move |_: &JobContext<()>| explain.row(row);
            insight.reasons.row.job = Some((row, Job::spawn("Reading reasons", wake, work)));
        }
        let number = self.session.numbers.as_ref().and_then(|numbers| numbers.get(row as usize)).copied();
        let (Some(journal), Some(number)) = (insight.journal.clone(), number) else { return };
        let key = (row, self.session.record.head.clone());
        if insight.past.job.is_none() && insight.past.of(&key).is_none() {
            let (backend, wake) = (self.backend.clone(), self.waker());
            let work = move |_: &JobContext<()>| backend.past(&journal, number);
            self.session.insight.past.job = Some((key, Job::spawn("Reading past decisions", wake, work)));
        }
    }

    /// Where the cut was moved, the rankings are compared there.
    fn follow_cut(&mut self) {
        let keep = self.state.run.selection.keep;
        let wake = self.waker();
        let rankings = &mut self.session.insight.rankings;
        let shown = self.step == Step::Purify && self.session.insight.purify == super::insight::PurifyTab::Rankings;
        let Some(beside) = rankings.beside.clone().filter(|beside| shown && differs(beside, keep)) else { return };
        if rankings.job.is_none() && rankings.error.is_none() {
            let work = move |_: &JobContext<()>| Beside::at(beside.contenders.clone(), keep);
            rankings.job = Some(Job::spawn("Comparing at the new cut", wake, work));
        }
    }

    /// What a comparison is called that belongs to an older result or cut.
    pub(super) fn rankings_stale(&self) -> Option<String> {
        let rankings = &self.session.insight.rankings;
        rankings.beside.as_ref()?;
        let solved = self.session.solved.as_ref()?;
        let is_same = rankings.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &solved.purified));
        (!is_same).then(|| "This compares the result before.".to_owned())
    }
}

fn differs(beside: &Beside, keep: Keep) -> bool {
    let rows = beside.contenders.first().map_or(0, |first| first.score.len());
    beside.keep.of(rows).ok() != keep.of(rows).ok()
}

/// `3 warnings`, `1 warning`, or that there is none.
pub(super) fn warnings_words(warnings: usize) -> String {
    match warnings {
        0 => "no warning".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{} warnings", words::count(many as u64)),
    }
}
