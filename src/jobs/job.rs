//! One piece of work on its own thread.
//!
//! A job has a name, a cancel token, a bounded channel of typed events and a slot with the newest snapshot. A
//! panic inside becomes a failed job with its message; whoever polls lives on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::{CancelToken, Progress};

const EVENT_CAPACITY: usize = 4096;
const REPAINT_INTERVAL: Duration = Duration::from_millis(50);

/// The newest state of a running job.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What is being done, as given to [`Progress::tick`].
    pub stage: String,
    /// Units finished in this stage.
    pub done: u64,
    /// Units of this stage, when known.
    pub total: Option<u64>,
    /// Units that were done when this stage was first told of: work that goes on from before does not count as speed.
    pub from: u64,
    /// Seconds since this stage began.
    pub stage_seconds: f64,
}

impl Snapshot {
    /// Share of the stage done, in [0, 1], when the total is known.
    pub fn fraction(&self) -> Option<f32> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.done as f64 / total as f64).clamp(0.0, 1.0) as f32)
    }

    /// Seconds left in this stage, from the mean rate so far.
    pub fn seconds_left(&self) -> Option<f64> {
        let total = self.total?.checked_sub(self.from).filter(|total| *total > 0)?;
        let fraction = (self.done.saturating_sub(self.from) as f64 / total as f64).clamp(0.0, 1.0);
        (fraction > 0.01).then(|| self.stage_seconds * (1.0 - fraction) / fraction)
    }
}

/// Why a job ended without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobFailure {
    /// The user stopped it.
    Cancelled,
    /// It returned an error; the text is what the user reads.
    Failed(String),
    /// It panicked; the text is the panic message. A defect of ours.
    Panicked(String),
}

impl std::fmt::Display for JobFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Failed(message) => f.write_str(message),
            Self::Panicked(message) => write!(f, "internal error (please report it): {message}"),
        }
    }
}

/// What [`Job::poll`] found.
#[derive(Debug)]
pub enum JobState<T> {
    Running,
    Done(T),
    Failed(JobFailure),
    /// The result was already taken.
    Taken,
}

#[derive(Debug)]
struct Stage {
    snapshot: Snapshot,
    began: Instant,
    repainted: Option<Instant>,
}

/// The worker's side: it is the job's [`Progress`], and it sends events.
pub struct JobContext<E> {
    cancel: CancelToken,
    stage: Arc<Mutex<Stage>>,
    events: Sender<E>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl<E> JobContext<E> {
    /// Sends an event. When the window is 4,096 events behind, the event is lost: events inform, results decide.
    pub fn emit(&self, event: E) {
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            tracing::debug!("job event lost: the receiver is behind");
        }
        self.wake_at_most_20_times_a_second();
    }

    fn wake_at_most_20_times_a_second(&self) {
        let due = {
            let mut stage = self.stage.lock();
            let due = stage.repainted.is_none_or(|last| last.elapsed() >= REPAINT_INTERVAL);
            if due {
                stage.repainted = Some(Instant::now());
            }
            due
        };
        if due {
            (self.wake)();
        }
    }
}

impl<E: Send> Progress for JobContext<E> {
    fn tick(&self, name: &str, done: u64, total: Option<u64>) {
        {
            let mut stage = self.stage.lock();
            if stage.snapshot.stage != name {
                stage.snapshot.stage = name.to_owned();
                stage.snapshot.from = done;
                stage.began = Instant::now();
            }
            stage.snapshot.done = done;
            stage.snapshot.total = total;
        }
        self.wake_at_most_20_times_a_second();
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// The owner's side of background work. Dropping it cancels the work and does not wait.
pub struct Job<E, T> {
    name: String,
    cancel: CancelToken,
    stage: Arc<Mutex<Stage>>,
    events: Receiver<E>,
    result: Receiver<Result<T, JobFailure>>,
    taken: bool,
    started: Instant,
}

impl<E: Send + 'static, T: Send + 'static> Job<E, T> {
    /// Runs `work` on a new thread. `wake` is called from it at most 20 times a second and once at the end.
    ///
    /// An error of `work` after cancellation counts as [`JobFailure::Cancelled`].
    pub fn spawn<X: std::fmt::Display>(
        name: impl Into<String>,
        wake: impl Fn() + Send + Sync + 'static,
        work: impl FnOnce(&JobContext<E>) -> Result<T, X> + Send + 'static,
    ) -> Self {
        let name = name.into();
        let cancel = CancelToken::default();
        let now = Instant::now();
        let stage = Arc::new(Mutex::new(Stage { snapshot: Snapshot::default(), began: now, repainted: None }));
        let (event_sender, events) = bounded(EVENT_CAPACITY);
        let (result_sender, result) = bounded(1);
        let context =
            JobContext { cancel: cancel.clone(), stage: stage.clone(), events: event_sender, wake: Box::new(wake) };
        let failed_to_start = result_sender.clone();
        let spawned = std::thread::Builder::new().name(format!("job {name}")).spawn(move || {
            let outcome = match catch_unwind(AssertUnwindSafe(|| work(&context))) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(_)) if context.cancel.is_cancelled() => Err(JobFailure::Cancelled),
                Ok(Err(error)) => Err(JobFailure::Failed(error.to_string())),
                Err(panic) => Err(JobFailure::Panicked(panic_message(panic.as_ref()))),
            };
            // The owner may be gone: then nobody wants the result.
            let _ = result_sender.send(outcome);
            (context.wake)();
        });
        if let Err(error) = spawned {
            let _ = failed_to_start.send(Err(JobFailure::Failed(format!("cannot start a thread: {error}"))));
        }
        Self { name, cancel, stage, events, result, taken: false, started: now }
    }

    /// The name shown to the user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks the work to stop; [`Job::poll`] tells when it has.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// True once cancellation was asked for.
    pub fn is_cancelling(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Time since the job began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The newest progress.
    pub fn snapshot(&self) -> Snapshot {
        let stage = self.stage.lock();
        Snapshot { stage_seconds: stage.began.elapsed().as_secs_f64(), ..stage.snapshot.clone() }
    }

    /// The events that arrived since the last call.
    pub fn drain_events(&self) -> impl Iterator<Item = E> + '_ {
        self.events.try_iter()
    }

    /// Looks for the result without waiting.
    pub fn poll(&mut self) -> JobState<T> {
        if self.taken {
            return JobState::Taken;
        }
        match self.result.try_recv() {
            Ok(result) => self.take(result),
            Err(crossbeam_channel::TryRecvError::Empty) => JobState::Running,
            Err(crossbeam_channel::TryRecvError::Disconnected) => self.take(Err(lost_worker())),
        }
    }

    /// Waits for the result. For the command line and tests, never for the window.
    pub fn wait(mut self) -> Result<T, JobFailure> {
        self.taken = true;
        self.result.recv().unwrap_or_else(|_| Err(lost_worker()))
    }

    fn take(&mut self, result: Result<T, JobFailure>) -> JobState<T> {
        self.taken = true;
        match result {
            Ok(value) => JobState::Done(value),
            Err(failure) => JobState::Failed(failure),
        }
    }
}

impl<E, T> Drop for Job<E, T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn lost_worker() -> JobFailure {
    JobFailure::Panicked("the worker ended without a result".to_owned())
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failed_job() {
        let job: Job<(), ()> = Job::spawn("boom", || {}, |_| -> Result<(), String> { panic!("row 7") });
        assert_eq!(job.wait(), Err(JobFailure::Panicked("row 7".to_owned())));
    }

    #[test]
    fn cancelling_ends_the_work_and_is_reported_as_such() {
        let job: Job<(), ()> = Job::spawn(
            "wait",
            || {},
            |context| {
                loop {
                    context.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                #[expect(unreachable_code)]
                Ok::<(), super::super::Cancelled>(())
            },
        );
        job.cancel();
        assert_eq!(job.wait(), Err(JobFailure::Cancelled));
    }

    #[test]
    fn what_was_done_before_is_no_speed() {
        let resumed =
            Snapshot { stage: "training".to_owned(), done: 60, total: Some(100), from: 50, stage_seconds: 10.0 };
        assert_eq!((resumed.fraction(), resumed.seconds_left()), (Some(0.6), Some(40.0)));
        let begun = Snapshot { from: 0, ..resumed.clone() };
        assert!(begun.seconds_left().is_some_and(|left| (left - 20.0 / 3.0).abs() < 1e-9));
        assert_eq!(Snapshot { done: 50, ..resumed.clone() }.seconds_left(), None);
        assert_eq!(Snapshot { total: Some(50), done: 50, ..resumed }.seconds_left(), None);
    }

    #[test]
    fn events_and_progress_arrive_in_order() {
        let (go, gate) = bounded::<()>(1);
        let mut job: Job<u32, &str> = Job::spawn(
            "count",
            || {},
            move |context| {
                (0..3).for_each(|i| context.emit(i));
                context.tick("counting", 3, Some(4));
                let _ = gate.recv();
                Ok::<_, String>("done")
            },
        );
        while job.snapshot().stage != "counting" {
            std::thread::yield_now();
        }
        assert_eq!(job.drain_events().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(job.snapshot().fraction(), Some(0.75));
        assert!(matches!(job.poll(), JobState::Running));
        go.send(()).expect("the worker waits");
        loop {
            match job.poll() {
                JobState::Running => std::thread::yield_now(),
                JobState::Done(value) => break assert_eq!(value, "done"),
                other => unreachable!("{other:?}"),
            }
        }
        assert!(matches!(job.poll(), JobState::Taken));
    }
}
