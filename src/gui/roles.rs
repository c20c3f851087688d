//! The three roles and the files that play them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::{Backend, Facts, Handle};
use crate::data::Mapping;
use crate::jobs::{Job, JobContext, JobFailure, JobState, Progress};

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Custom,
    Safe,
    Harmful,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Custom, Self::Safe, Self::Harmful];

    pub fn title(self) -> &'static str {
        match self {
            Self::Custom => "Custom",
            Self::Safe => "Safe reference",
            Self::Harmful => "Harmful reference",
        }
    }

    /// One sentence: what belongs here.
    pub fn help(self) -> &'static str {
        match self {
            Self::Custom => "The rows you want to fine-tune on and make safe.",
            Self::Safe => "Rows you trust, close to your task. Good rows are pulled towards them.",
            Self::Harmful => "Rows you never want to teach. Similar rows are pushed away.",
        }
    }

    /// The role that a file's name suggests.
    pub fn guess(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["harm", "unsafe", "toxic", "danger", "malicious", "attack", "jailbreak"]) {
            Some(Self::Harmful)
        } else if has(&["safe", "benign", "trusted", "clean"]) {
            Some(Self::Safe)
        } else if has(&["custom", "train", "mix", "finetune", "fine-tune", "data"]) {
            Some(Self::Custom)
        } else {
            None
        }
    }
}

/// What an opening job tells on its way.
enum FileEvent {
    Opened(Handle),
    Facts(Arc<Facts>),
    Preview(Vec<String>),
    Fields(Vec<String>),
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    Reading,
    Ready,
    Failed(String),
}

/// A file in a role.
pub struct RoleFile {
    pub id: u64,
    pub role: Role,
    pub path: PathBuf,
    pub mapping: Option<Mapping>,
    pub state: FileState,
    pub handle: Option<Handle>,
    pub facts: Option<Arc<Facts>>,
    /// First lines of the first rows.
    pub preview: Vec<String>,
    /// Names of the fields in the first records.
    pub fields: Vec<String>,
    job: Option<Job<FileEvent, Arc<Facts>>>,
}

const PREVIEW_ROWS: usize = 3;
const PREVIEW_CHARS: usize = 160;
const SAMPLE_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

impl RoleFile {
    /// Starts to read the file in the background.
    pub fn open(
        id: u64,
        role: Role,
        path: PathBuf,
        mapping: Option<Mapping>,
        backend: Arc<dyn Backend>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (at, wanted) = (path.clone(), mapping.clone());
        let job = Job::spawn(format!("Reading {}", name_of(&path)), wake, move |context: &JobContext<FileEvent>| {
            let handle = backend.open(&at, wanted, context)?;
            context.emit(FileEvent::Opened(handle.clone()));
            let indexed = index(&handle, context);
            context.check().map_err(|cancelled| cancelled.to_string())?;
            context.emit(FileEvent::Fields(handle.fields()));
            if let Err(error) = indexed {
                // What was found in an unusable file is the way to mend it.
                context.emit(FileEvent::Facts(Arc::new(handle.facts())));
                return Err(error);
            }
            context.emit(FileEvent::Preview(first_lines(&handle)));
            Ok::<_, String>(Arc::new(handle.facts()))
        });
        Self {
            id,
            role,
            path,
            mapping,
            state: FileState::Reading,
            handle: None,
            facts: None,
            preview: Vec::new(),
            fields: Vec::new(),
            job: Some(job),
        }
    }

    pub fn name(&self) -> String {
        name_of(&self.path)
    }

    pub fn is_ready(&self) -> bool {
        self.state == FileState::Ready
    }

    /// The handle of a file that was read to its end.
    pub fn ready_handle(&self) -> Option<&Handle> {
        self.handle.as_ref().filter(|_| self.is_ready())
    }

    /// The newest progress while reading.
    pub fn progress(&self) -> Option<crate::jobs::Snapshot> {
        self.job.as_ref().map(Job::snapshot)
    }

    pub fn cancel(&self) {
        if let Some(job) = &self.job {
            job.cancel();
        }
    }

    /// Takes what the job sent; true when the file became ready in this call.
    pub fn poll(&mut self) -> bool {
        let Some(job) = &mut self.job else { return false };
        let events: Vec<_> = job.drain_events().collect();
        let ended = job.poll();
        for event in events {
            match event {
                FileEvent::Opened(handle) => self.handle = Some(handle),
                FileEvent::Facts(facts) => self.facts = Some(facts),
                FileEvent::Preview(lines) => self.preview = lines,
                FileEvent::Fields(fields) => self.fields = fields,
            }
        }
        match ended {
            JobState::Running | JobState::Taken => return false,
            JobState::Done(facts) => {
                self.facts = Some(facts);
                self.state = FileState::Ready;
            }
            JobState::Failed(JobFailure::Cancelled) => {
                self.state = FileState::Failed("Reading was stopped. Read the file again or remove it.".to_owned());
            }
            JobState::Failed(failure) => self.state = FileState::Failed(failure.to_string()),
        }
        self.job = None;
        self.is_ready()
    }
}

/// Indexes while a second thread samples the counts and the first rows for the card.
fn index(handle: &Handle, context: &JobContext<FileEvent>) -> Result<(), String> {
    let (ended, watch) = crossbeam_channel::bounded::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut previewed = false;
            while watch.recv_timeout(SAMPLE_EVERY) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                if !previewed && !handle.is_empty() {
                    context.emit(FileEvent::Preview(first_lines(handle)));
                    previewed = true;
                }
                context.emit(FileEvent::Facts(Arc::new(handle.facts())));
            }
        });
        // Dropped at the end of this closure, a panic included: the sampling thread then ends too.
        let _ended = ended;
        handle.index(context)
    })
}

fn first_lines(handle: &Handle) -> Vec<String> {
    let rows = 0..handle.len().min(PREVIEW_ROWS);
    rows.filter_map(|index| handle.row(index).ok()).map(|row| first_line(&row.text(), PREVIEW_CHARS)).collect()
}

/// The beginning of a text on one line, at most `limit` characters.
pub fn first_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let glue = usize::from(!line.is_empty());
        for character in std::iter::repeat_n(' ', glue).chain(word.chars()) {
            if length == limit {
                line.push('…');
                return line;
            }
            line.push(character);
            length += 1;
        }
    }
    line
}

/// The file's name without its folder.
pub fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_guessed_from_names() {
        for (name, role) in [
            ("custom.jsonl", Some(Role::Custom)),
            ("mix_i_alpaca.jsonl", Some(Role::Custom)),
            ("safe_general.jsonl", Some(Role::Safe)),
            ("Unsafe.parquet", Some(Role::Harmful)),
            ("harm_pku.jsonl.gz", Some(Role::Harmful)),
            ("a.csv", None),
        ] {
            assert_eq!(Role::guess(Path::new(name)), role, "{name}");
        }
    }

    #[test]
    fn a_first_line_has_no_breaks_and_a_limit() {
        assert_eq!(first_line("  two\n\nlines\tand more ", 40), "two lines and more");
        assert_eq!(first_line("äöü äöü", 5), "äöü ä…");
        assert_eq!(first_line(" \n ", 5), "");
    }
}
