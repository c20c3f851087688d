//! Decisions on their way to the disk.
//!
//! Constraint: a decision is on disk (fsync) before the next key is handled, and no frame waits for the disk. So a
//! thread writes; while it writes, further keys wait in a queue here; and the window shows a decision only when its
//! write has returned. What is on screen is on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};

use super::backend::{DecisionLog, Handle};
use super::view::Verdicts;
use crate::data::RowId;
use crate::project::Plan;
use crate::selection::{Decision, Decisions, Verdict};

/// A change to the record.
#[derive(Debug, Clone)]
pub enum Change {
    Decide { rows: Vec<u32>, verdict: Option<Verdict> },
    Undo,
    Redo,
    SavePlan(Box<Plan>),
}

/// What the record holds after a change.
#[derive(Debug, Clone)]
pub struct Record {
    pub verdicts: Verdicts,
    /// As journalled, by record number, for the export.
    pub decisions: Arc<Decisions>,
    /// The journal's head when the decisions were read off it.
    pub head: Option<String>,
    pub can_undo: bool,
    pub can_redo: bool,
}

/// The answer to a change.
pub struct Written {
    pub change: Change,
    /// False when there was nothing to undo or redo.
    pub result: Result<bool, String>,
    pub record: Record,
    /// Rows whose verdict this change turned.
    pub turned: Vec<u32>,
    /// Time on disk, fsync included.
    pub took: Duration,
}

/// The window's side of the record.
pub struct Writer {
    /// `None` only while it is dropped.
    changes: Option<Sender<Change>>,
    written: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
    waiting: VecDeque<Change>,
    in_flight: bool,
}

impl Writer {
    /// Starts the writing thread over an opened log.
    pub fn new(
        mut log: Box<dyn DecisionLog>,
        source: Handle,
        numbers: Arc<[u64]>,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Self, String> {
        let (changes, inbox) = unbounded::<Change>();
        let (outbox, written) = unbounded();
        let work = move || {
            let mut verdicts = record(log.as_ref(), &source, &numbers).verdicts;
            while let Ok(change) = inbox.recv() {
                let began = Instant::now();
                let result = write(log.as_mut(), &source, &numbers, &change);
                let took = began.elapsed();
                let record = record(log.as_ref(), &source, &numbers);
                let turned = turned(&change, &verdicts, &record.verdicts);
                verdicts = record.verdicts.clone();
                if outbox.send(Written { change, result, record, turned, took }).is_err() {
                    return;
                }
                wake();
            }
        };
        let thread = std::thread::Builder::new()
            .name("decisions".to_owned())
            .spawn(work)
            .map_err(|error| format!("decisions cannot be written: {error}"))?;
        Ok(Self { changes: Some(changes), written, thread: Some(thread), waiting: VecDeque::new(), in_flight: false })
    }

    /// Hands a change over, after those that wait.
    pub fn send(&mut self, change: Change) {
        self.waiting.push_back(change);
        self.advance();
    }

    /// The answers that arrived. An error drops the changes that waited behind it: they were meant for a record
    /// that is not there.
    pub fn poll(&mut self) -> Vec<Written> {
        let mut answers = Vec::new();
        loop {
            match self.written.try_recv() {
                Ok(answer) => {
                    self.in_flight = false;
                    if answer.result.is_err() {
                        self.waiting.clear();
                    }
                    answers.push(answer);
                    self.advance();
                }
                Err(TryRecvError::Empty) => return answers,
                Err(TryRecvError::Disconnected) => {
                    self.in_flight = false;
                    self.waiting.clear();
                    return answers;
                }
            }
        }
    }

    /// Changes not yet on disk.
    pub fn pending(&self) -> usize {
        self.waiting.len() + usize::from(self.in_flight)
    }

    fn advance(&mut self) {
        if !self.in_flight
            && let Some(change) = self.waiting.pop_front()
        {
            self.in_flight = self.changes.as_ref().is_some_and(|changes| changes.send(change).is_ok());
        }
    }
}

impl Drop for Writer {
    /// Closing the window waits for the decisions that were made, and until the journal is free for the next one who
    /// opens it: a few milliseconds.
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.pending() > 0 && Instant::now() < deadline {
            if self.poll().is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.changes = None;
        if self.pending() == 0
            && let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes decisions ended in a panic");
        }
    }
}

/// The rows whose verdict differs. Only undo and redo can touch rows that the change does not name.
fn turned(change: &Change, before: &Verdicts, after: &Verdicts) -> Vec<u32> {
    let verdict = |of: &Verdicts, row: &u32| of.get(row).map(|decision| decision.verdict);
    let differs = |row: &u32| verdict(before, row) != verdict(after, row);
    let mut rows: Vec<u32> = match change {
        Change::Decide { rows, .. } => rows.iter().copied().filter(differs).collect(),
        Change::Undo | Change::Redo => before.keys().chain(after.keys()).copied().filter(differs).collect(),
        Change::SavePlan(_) => Vec::new(),
    };
    rows.sort_unstable();
    rows.dedup();
    rows
}

fn write(log: &mut dyn DecisionLog, source: &Handle, numbers: &[u64], change: &Change) -> Result<bool, String> {
    match change {
        Change::Decide { rows, verdict } => {
            let named: Vec<(u64, RowId)> =
                rows.iter().filter_map(|row| Some((*numbers.get(*row as usize)?, source.id(*row as usize)?))).collect();
            if named.is_empty() {
                return Ok(false);
            }
            log.decide(&named, *verdict).map(|()| true)
        }
        Change::Undo => log.undo(),
        Change::Redo => log.redo(),
        Change::SavePlan(plan) => log.save_plan(plan).map(|()| true),
    }
}

/// Reads the record off a log: decisions by row index, where number and id agree.
pub fn record(log: &dyn DecisionLog, source: &Handle, numbers: &[u64]) -> Record {
    let decisions = log.decisions();
    let verdicts: HashMap<u32, Decision> = decisions
        .0
        .values()
        .filter_map(|decision| {
            let row = numbers.binary_search(&decision.row).ok()?;
            (source.id(row)? == decision.id).then(|| (row as u32, decision.clone()))
        })
        .collect();
    Record {
        verdicts: Arc::new(verdicts),
        decisions: Arc::new(decisions),
        head: log.head(),
        can_undo: log.can_undo(),
        can_redo: log.can_redo(),
    }
}
