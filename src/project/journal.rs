//! The reviewer's decisions on disk: an append-only file, one JSON line an event, flushed before the call returns.
//!
//! The first line names the format and its version. Every later line carries a running number, the time, who acted,
//! the event, and the BLAKE3 of the line before it, so that an auditor sees a line that was changed, removed or put
//! in. (Whoever rewrites the whole file can rebuild the chain; the head hash in an export's manifest shows that.)
//! Constraints: one writer at a time, by a lock file beside the journal; nothing is ever overwritten but a line
//! that a power cut tore, and that is first copied beside the journal.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::history::{Event, History};
use super::{ProjectError, atomic};
use crate::data::RowId;
use crate::selection::{Decisions, Verdict};

const VERSION: u32 = 1;
const HEADER_START: &[u8] = b"{\"dipole_journal\"";
const MAX_LINE_BYTES: u64 = 1 << 30;

/// An open journal and the decisions it amounts to, with undo and redo.
pub struct Journal {
    path: PathBuf,
    file: File,
    _lock: File,
    chain: Chain,
    history: History,
    actor: String,
    torn: Option<PathBuf>,
    /// A failed write could not be taken back: the end of the file is unknown until it is opened again.
    broken: bool,
}

/// Where the next line goes and what it must carry.
#[derive(Debug, Default)]
struct Chain {
    bytes: u64,
    lines: u64,
    head: String,
}

/// One decision on a row, as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// RFC 3339.
    pub at: String,
    pub actor: String,
    /// What held afterwards; `None` leaves the row to the machine.
    pub verdict: Option<Verdict>,
    pub note: Option<String>,
    pub how: PastHow,
}

/// What led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastHow {
    Decided,
    Undone,
    Repeated,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    dipole_journal: u32,
    created: String,
    writer: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Line {
    seq: u64,
    at: String,
    actor: String,
    #[serde(flatten)]
    event: Event,
    previous: String,
}

impl Journal {
    /// Opens or creates the journal and replays it. A torn last line (power cut) is set aside in a file of its own,
    /// which [`Journal::torn`] names.
    ///
    /// # Errors
    /// Another process or another part of this one has it open, a line is malformed or does not follow from the
    /// line before it (named), or the file cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, ProjectError> {
        let lock = lock(path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(ProjectError::io(path))?;
        let replay = replay(path, &file)?;
        let mut journal = Self {
            path: path.to_owned(),
            torn: None,
            _lock: lock,
            chain: replay.chain,
            history: replay.history,
            actor: user_name(),
            broken: false,
            file: file.try_clone().map_err(ProjectError::io(path))?,
        };
        if let Tail::Torn = replay.tail {
            journal.torn = Some(set_aside(path, &mut file, journal.chain.bytes)?);
            file.set_len(journal.chain.bytes).and_then(|()| file.sync_all()).map_err(ProjectError::io(path))?;
        }
        if let Tail::Unterminated = replay.tail {
            journal.write_at_end(b"\n")?;
        }
        if journal.chain.lines == 0 {
            let header = Header {
                dipole_journal: VERSION,
                created: atomic::now(),
                writer: format!("dipole {}", env!("CARGO_PKG_VERSION")),
            };
            journal.append(&header)?;
            atomic::sync_folder(atomic::parent(path))?;
        }
        Ok(journal)
    }

    /// The decisions that a journal file amounts to, without opening it for writing. A torn last line is not
    /// counted and stays where it is.
    ///
    /// # Errors
    /// The file cannot be read, or a line is malformed or does not follow from the line before it (named).
    pub fn read(path: &Path) -> Result<Decisions, ProjectError> {
        let file = File::open(path).map_err(ProjectError::io(path))?;
        let replay = replay(path, &file)?;
        if let Tail::Torn = replay.tail {
            tracing::warn!(path = %path.display(), "the last line of the journal is torn and was not read");
        }
        Ok(replay.history.decisions().clone())
    }

    /// What was decided on one row, in order, by every sitting. A torn last line is not counted.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn past(path: &Path, row: u64) -> Result<Vec<Past>, ProjectError> {
        let file = File::open(path).map_err(ProjectError::io(path))?;
        let mut past = Vec::new();
        let mut watch = |line: &Line, decisions: &Decisions| {
            let now = decisions.get(row);
            let before = past.last().and_then(|past: &Past| past.verdict);
            let named =
                matches!(&line.event, Event::Decide { rows, .. } if rows.iter().any(|(named, _)| *named == row));
            if named || now.map(|decision| decision.verdict) != before {
                past.push(Past {
                    at: line.at.clone(),
                    actor: line.actor.clone(),
                    verdict: now.map(|decision| decision.verdict),
                    note: now.and_then(|decision| decision.note.clone()),
                    how: match &line.event {
                        Event::Decide { .. } => PastHow::Decided,
                        Event::Undo => PastHow::Undone,
                        Event::Redo => PastHow::Repeated,
                    },
                });
            }
        };
        replay_watched(path, &file, Some(&mut watch))?;
        Ok(past)
    }

    /// The decisions in force.
    pub fn decisions(&self) -> &Decisions {
        self.history.decisions()
    }

    /// Records one user action on one or many rows; `None` takes decisions back. One call is one undo step. On
    /// disk (fsync) when it returns. An action that changes nothing is not recorded.
    ///
    /// # Errors
    /// Writing failed: the decision is neither on disk nor in force.
    pub fn decide(
        &mut self,
        rows: &[(u64, RowId)],
        verdict: Option<Verdict>,
        note: Option<&str>,
    ) -> Result<(), ProjectError> {
        if self.history.is_idle(rows, verdict, note) {
            return Ok(());
        }
        self.record(Event::Decide { verdict, note: note.map(str::to_owned), rows: rows.to_vec() })
    }

    /// Takes the last action back; false when there is none. Journalled too.
    ///
    /// # Errors
    /// Writing failed: the action stays in force.
    pub fn undo(&mut self) -> Result<bool, ProjectError> {
        if !self.can_undo() {
            return Ok(false);
        }
        self.record(Event::Undo).map(|()| true)
    }

    /// Repeats the last action taken back; false when there is none. Journalled too.
    ///
    /// # Errors
    /// Writing failed: the action stays taken back.
    pub fn redo(&mut self) -> Result<bool, ProjectError> {
        if !self.can_redo() {
            return Ok(false);
        }
        self.record(Event::Redo).map(|()| true)
    }

    pub fn can_undo(&self) -> bool {
        self.history.can_undo()
    }

    pub fn can_redo(&self) -> bool {
        self.history.can_redo()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the last line, in hex. It fixes every line of the journal.
    pub fn head(&self) -> &str {
        &self.chain.head
    }

    /// Who acts, as recorded with every event; the system's user name until set.
    pub fn set_actor(&mut self, actor: &str) {
        actor.clone_into(&mut self.actor);
    }

    /// Where a torn last line was set aside when the journal was opened. Tell the user.
    pub fn torn(&self) -> Option<&Path> {
        self.torn.as_deref()
    }

    fn record(&mut self, event: Event) -> Result<(), ProjectError> {
        let at = atomic::now();
        let line = Line {
            seq: self.chain.lines,
            at: at.clone(),
            actor: self.actor.clone(),
            event,
            previous: self.chain.head.clone(),
        };
        self.append(&line)?;
        self.history.apply(line.event, &at).map_err(|reason| ProjectError::malformed(&self.path, reason))
    }

    fn append(&mut self, line: &impl serde::Serialize) -> Result<(), ProjectError> {
        let mut bytes =
            serde_json::to_vec(line).map_err(|error| ProjectError::malformed(&self.path, error.to_string()))?;
        let head = blake3::hash(&bytes).to_hex().to_string();
        bytes.push(b'\n');
        self.write_at_end(&bytes)?;
        self.chain.lines += 1;
        self.chain.head = head;
        Ok(())
    }

    fn write_at_end(&mut self, bytes: &[u8]) -> Result<(), ProjectError> {
        if self.broken {
            let reason = "an earlier write failed and could not be taken back; open the project again";
            return Err(ProjectError::malformed(&self.path, reason));
        }
        let written = self
            .file
            .seek(SeekFrom::Start(self.chain.bytes))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Half a line must not stay in the way of the next one.
            self.broken = self.file.set_len(self.chain.bytes).and_then(|()| self.file.sync_data()).is_err();
            return Err(ProjectError::Io { path: self.path.clone(), source });
        }
        self.chain.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File, ProjectError> {
    let lock_path = beside(path, ".lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(ProjectError::io(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ProjectError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
            tracing::warn!(path = %path.display(), "this file system has no locks; keep the project open only once");
        }
        Err(TryLockError::Error(error)) => return Err(ProjectError::Io { path: lock_path, source: error }),
    }
    Ok(lock)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn user_name() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("USERNAME"));
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn set_aside(path: &Path, file: &mut File, from: u64) -> Result<PathBuf, ProjectError> {
    for attempt in 1..10_000 {
        let torn_path = beside(path, &format!(".torn-{attempt}"));
        let mut torn = match OpenOptions::new().write(true).create_new(true).open(&torn_path) {
            Ok(torn) => torn,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(source) => return Err(ProjectError::Io { path: torn_path, source }),
        };
        file.seek(SeekFrom::Start(from))
            .and_then(|_| std::io::copy(file, &mut torn))
            .and_then(|_| torn.sync_all())
            .map_err(ProjectError::io(&torn_path))?;
        atomic::sync_folder(atomic::parent(path))?;
        tracing::warn!(path = %torn_path.display(), "the last line of the journal was torn and is set aside");
        return Ok(torn_path);
    }
    Err(ProjectError::malformed(path, "10,000 torn lines lie beside it; move them away"))
}

enum Tail {
    Whole,
    /// The last line is whole but for its line break.
    Unterminated,
    Torn,
}

struct Replay {
    chain: Chain,
    history: History,
    tail: Tail,
}

fn replay(path: &Path, file: &File) -> Result<Replay, ProjectError> {
    replay_watched(path, file, None)
}

/// Sees a line and the decisions after it.
type Watch<'a> = &'a mut dyn FnMut(&Line, &Decisions);

/// Reads every line; the watcher sees each event and the decisions after it.
fn replay_watched(path: &Path, file: &File, mut watch: Option<Watch<'_>>) -> Result<Replay, ProjectError> {
    let mut reader = BufReader::new(file);
    let mut replay = Replay { chain: Chain::default(), history: History::default(), tail: Tail::Whole };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(ProjectError::io(path))?;
        if read == 0 {
            return Ok(replay);
        }
        let terminated = line.pop_if(|last| *last == b'\n').is_some();
        let is_last = !terminated || reader.fill_buf().map_err(ProjectError::io(path))?.is_empty();
        match accept(&line, &mut replay, &mut watch) {
            Ok(()) => {}
            Err(Fault::Unreadable(_)) if is_last => {
                replay.tail = Tail::Torn;
                return Ok(replay);
            }
            Err(Fault::Unreadable(reason) | Fault::Wrong(reason)) => {
                let reason = format!("line {}: {reason}", replay.chain.lines + 1);
                return Err(ProjectError::malformed(path, reason));
            }
        }
        replay.chain.head = blake3::hash(&line).to_hex().to_string();
        replay.chain.lines += 1;
        replay.chain.bytes += line.len() as u64 + u64::from(terminated);
        if !terminated {
            replay.tail = Tail::Unterminated;
            return Ok(replay);
        }
    }
}

enum Fault {
    /// No JSON line of a journal: torn when it is the last.
    Unreadable(String),
    /// A well-formed line that cannot follow what was before it.
    Wrong(String),
}

fn accept(line: &[u8], replay: &mut Replay, watch: &mut Option<Watch<'_>>) -> Result<(), Fault> {
    if replay.chain.lines == 0 {
        let header: Header = serde_json::from_slice(line).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => not_a_journal(),
            // A torn header is a prefix of one; anything else is someone's other file.
            _ if line.starts_with(HEADER_START)
                || HEADER_START.starts_with(line)
                || line.iter().all(|byte| *byte == 0) =>
            {
                Fault::Unreadable("the header is torn".to_owned())
            }
            _ => not_a_journal(),
        })?;
        if header.dipole_journal != VERSION {
            return Err(Fault::Wrong(format!(
                "this journal has version {} and this Dipole reads version {VERSION}; use a newer Dipole",
                header.dipole_journal
            )));
        }
        return Ok(());
    }
    let line: Line = serde_json::from_slice(line)
        .map_err(|error| Fault::Unreadable(format!("is no journal line ({error}); the file was changed or damaged")))?;
    if line.seq != replay.chain.lines {
        return Err(Fault::Wrong(format!(
            "field seq: is {} where {} is next; a line was added or removed outside Dipole",
            line.seq, replay.chain.lines
        )));
    }
    if line.previous != replay.chain.head {
        return Err(Fault::Wrong(
            "field previous: does not match the line before, which was changed outside Dipole".to_owned(),
        ));
    }
    let wrong = |reason| Fault::Wrong(format!("field event: {reason}"));
    match watch {
        // A step over a million rows is not copied for nothing.
        None => replay.history.apply(line.event, &line.at).map_err(wrong)?,
        Some(watch) => {
            replay.history.apply(line.event.clone(), &line.at).map_err(wrong)?;
            watch(&line, replay.history.decisions());
        }
    }
    Ok(())
}

fn not_a_journal() -> Fault {
    Fault::Wrong("this is not a Dipole journal; give another file or move it away".to_owned())
}
