//! What only a look at every text shows: near-duplicates and languages of each file, and what a reference shares with
//! the custom set.
//!
//! Constraints: one job at a time, on a pool of half the cores, and none begins while a file is read or a run goes on;
//! files of more rows than a limit wait for the user, because every text is read again. Results are kept by the number
//! of an opened file, which is new at each reading, so none outlives what it was computed from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::backend::{Backend, Handle};
use super::roles::{Role, RoleFile};
use crate::data::analysis::{Analysis, Leakage};
use crate::jobs::{Job, JobContext, JobFailure, JobState, Snapshot};

/// Files of more rows are looked into when the user asks.
pub const UNASKED_ROWS: usize = 200_000;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// At a file alone.
    Into(u64),
    /// At a reference beside the custom set; `texts` is false where only contents are compared.
    Between { custom: u64, reference: u64, texts: bool },
}

impl Look {
    /// The file on whose card it is shown.
    pub fn file(self) -> u64 {
        match self {
            Self::Into(file) => file,
            Self::Between { reference, .. } => reference,
        }
    }
}

/// What a look brings back.
pub enum Seen {
    Set(Arc<Analysis>),
    Overlap(Arc<Leakage>),
}

type Result<T> = std::result::Result<T, String>;

/// What a comparison found.
struct Compared {
    /// Texts were compared, not contents alone.
    texts: bool,
    found: Result<Arc<Leakage>>,
}

/// Everything found so far, and the look that goes on.
#[derive(Default)]
pub struct Checks {
    job: Option<(Look, Job<(), Seen>)>,
    sets: HashMap<u64, Result<Arc<Analysis>>>,
    /// By custom file and reference.
    overlaps: HashMap<(u64, u64), Compared>,
    /// Files that the user asked to look into, whatever their size.
    asked: HashSet<u64>,
    /// Files that she told to leave alone.
    stopped: HashSet<u64>,
}

impl Checks {
    pub fn set(&self, file: u64) -> Option<&Result<Arc<Analysis>>> {
        self.sets.get(&file)
    }

    pub fn overlap(&self, custom: u64, reference: u64) -> Option<&Result<Arc<Leakage>>> {
        self.overlaps.get(&(custom, reference)).map(|compared| &compared.found)
    }

    /// The look that goes on, and how far it is.
    pub fn running(&self) -> Option<(Look, Snapshot)> {
        self.job.as_ref().map(|(look, job)| (*look, job.snapshot()))
    }

    /// Name and progress for the list of jobs.
    pub fn job(&self) -> Option<(String, Snapshot)> {
        self.job.as_ref().map(|(_, job)| (job.name().to_owned(), job.snapshot()))
    }

    /// Looks into a file, again where that failed or was stopped.
    pub fn ask(&mut self, file: u64) {
        self.asked.insert(file);
        self.stopped.remove(&file);
        if self.sets.get(&file).is_some_and(std::result::Result::is_err) {
            self.sets.remove(&file);
        }
        self.overlaps.retain(|(_, reference), compared| *reference != file || compared.found.is_ok());
    }

    /// Stops looking into a file.
    pub fn stop(&mut self, file: u64) {
        self.asked.remove(&file);
        self.stopped.insert(file);
        self.job.take_if(|(look, _)| look.file() == file);
    }

    /// True where every text of the file may be read.
    pub fn is_wanted(&self, file: &RoleFile, limit: usize) -> bool {
        let rows = file.handle.as_ref().map_or(0, |handle| handle.len());
        !self.stopped.contains(&file.id) && (rows <= limit || self.asked.contains(&file.id))
    }

    /// True where the texts of the reference may be compared with those of the custom set.
    pub fn is_comparison_wanted(&self, custom: &RoleFile, reference: &RoleFile, limit: usize) -> bool {
        self.is_wanted(reference, limit) && (self.asked.contains(&reference.id) || self.is_wanted(custom, limit))
    }

    /// Takes what has ended. Never waits.
    pub fn poll(&mut self) {
        let Some((look, job)) = &mut self.job else { return };
        let look = *look;
        let result = match job.poll() {
            JobState::Running => return,
            JobState::Done(seen) => Ok(seen),
            JobState::Failed(JobFailure::Cancelled) | JobState::Taken => {
                self.job = None;
                return;
            }
            JobState::Failed(failure) => Err(failure.to_string()),
        };
        self.job = None;
        match (look, result) {
            (Look::Into(file), Ok(Seen::Set(found))) => drop(self.sets.insert(file, Ok(found))),
            (Look::Into(file), Err(error)) => drop(self.sets.insert(file, Err(error))),
            (Look::Between { custom, reference, texts }, Ok(Seen::Overlap(found))) => {
                self.overlaps.insert((custom, reference), Compared { texts, found: Ok(found) });
            }
            (Look::Between { custom, reference, texts }, Err(error)) => {
                self.overlaps.insert((custom, reference), Compared { texts, found: Err(error) });
            }
            (look, Ok(_)) => tracing::error!("{look:?} brought back something else"),
        }
    }

    /// Forgets what belongs to files that are gone, and their look with it.
    pub fn keep_only(&mut self, files: &[RoleFile]) {
        let is = |id: &u64, role: fn(Role) -> bool| files.iter().any(|file| file.id == *id && role(file.role));
        let any = |_| true;
        self.sets.retain(|id, _| is(id, any));
        self.asked.retain(|id| is(id, any));
        self.stopped.retain(|id| is(id, any));
        let pair = |custom: &u64, reference: &u64| {
            is(custom, |role| role == Role::Custom) && is(reference, |role| role != Role::Custom)
        };
        self.overlaps.retain(|(custom, reference), _| pair(custom, reference));
        self.job.take_if(|(look, _)| match look {
            Look::Into(file) => !is(file, any),
            Look::Between { custom, reference, .. } => !pair(custom, reference),
        });
    }

    /// What is to be looked at next: the custom set first, then each reference beside it and alone.
    fn next(&self, files: &[RoleFile], limit: usize) -> Option<Look> {
        let custom = files.iter().find(|file| file.role == Role::Custom);
        let references = files.iter().filter(|file| file.role != Role::Custom);
        for file in custom.into_iter().chain(references).filter(|file| file.is_ready()) {
            if let Some(custom) = custom.filter(|custom| custom.id != file.id && custom.is_ready()) {
                let texts = self.is_comparison_wanted(custom, file, limit);
                let known = self.overlaps.get(&(custom.id, file.id));
                if known.is_none_or(|known| known.found.is_ok() && texts && !known.texts) {
                    return Some(Look::Between { custom: custom.id, reference: file.id, texts });
                }
            }
            if !self.sets.contains_key(&file.id) && self.is_wanted(file, limit) {
                return Some(Look::Into(file.id));
            }
        }
        None
    }

    /// Starts the next look where none goes on.
    pub fn start_next(
        &mut self,
        files: &[RoleFile],
        limit: usize,
        backend: &Arc<dyn Backend>,
        wake: impl Fn() + Send + Sync + 'static,
    ) {
        if self.job.is_some() {
            return;
        }
        let Some(look) = self.next(files, limit) else { return };
        let handle = |id: u64| {
            files.iter().find(|file| file.id == id).and_then(|file| Some((file.name(), file.ready_handle()?)))
        };
        let backend = backend.clone();
        let job = match look {
            Look::Into(file) => {
                let Some((name, set)) = handle(file) else { return };
                let set: Handle = set.clone();
                let name = format!("Looking for near-duplicates in {name}");
                Job::spawn(name, wake, move |context: &JobContext<()>| {
                    aside(|| Ok(Seen::Set(Arc::new(backend.analyse(&set, context)?))))
                })
            }
            Look::Between { custom, reference, texts } => {
                let (Some((_, custom)), Some((name, reference))) = (handle(custom), handle(reference)) else { return };
                let (custom, reference): (Handle, Handle) = (custom.clone(), reference.clone());
                let name = format!("Comparing {name} with the custom set");
                Job::spawn(name, wake, move |context: &JobContext<()>| {
                    aside(|| Ok(Seen::Overlap(Arc::new(backend.overlap(&custom, &reference, texts, context)?))))
                })
            }
        };
        self.job = Some((look, job));
    }
}

/// Runs on half the cores, so that a run, a search or a reading that begins meanwhile has the others.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores.div_ceil(2)).build();
    pool.map_err(|error| format!("no threads to compare rows with: {error}"))?.install(work)
}
