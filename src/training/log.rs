//! The events of a run on disk: one JSON line each, flushed.
//!
//! Constraint: when a run is resumed, steps after its checkpoint are taken out first, since they are done again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::{Listener, StepReport, TrainError, TrainEvent};

const NAME: &str = "events.jsonl";
/// A million steps have 300 MB; what stands behind is not read.
const MAX_BYTES: u64 = 512 << 20;

/// Writes events to the output folder and hands them on.
pub struct EventLog<'a> {
    path: PathBuf,
    file: Option<File>,
    next: &'a mut dyn Listener,
}

impl<'a> EventLog<'a> {
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: &Path, next: &'a mut dyn Listener) -> Result<Self, TrainError> {
        std::fs::create_dir_all(folder).map_err(|source| TrainError::Io { path: folder.to_owned(), source })?;
        Ok(Self { path: folder.join(NAME), file: None, next })
    }

    /// Keeps what was before step `upto`, and opens the file for more.
    fn open(&self, upto: u64) -> std::io::Result<File> {
        let before = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let kept = before.lines().filter(|line| match serde_json::from_str::<TrainEvent>(line) {
            Ok(TrainEvent::Step(report)) => report.step <= upto,
            Ok(TrainEvent::Checkpoint { step }) => step <= upto,
            Ok(TrainEvent::Begin { .. } | TrainEvent::Warning { .. }) => upto > 0,
            // The end comes again; a line that a kill cut short is none.
            Ok(TrainEvent::End { .. }) | Err(_) => false,
        });
        let mut text = kept.collect::<Vec<_>>().join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".dipole-").suffix(".tmp").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.path).map_err(|error| error.error)?;
        OpenOptions::new().append(true).open(&self.path)
    }

    fn write(&mut self, event: &TrainEvent) -> std::io::Result<()> {
        if let TrainEvent::Begin { resumed_at, .. } = event {
            self.file = Some(self.open(*resumed_at)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.flush()
    }
}

/// The steps that a run's folder tells of, in order; empty where it has no events yet. A line that a kill cut short
/// is none.
///
/// # Errors
/// The file cannot be read.
pub fn read_steps(folder: &Path) -> Result<Vec<StepReport>, TrainError> {
    let path = folder.join(NAME);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(TrainError::Io { path, source }),
    };
    let mut steps = Vec::new();
    for line in BufReader::new(file.take(MAX_BYTES)).lines() {
        let line = line.map_err(|source| TrainError::Io { path: path.clone(), source })?;
        if let Ok(TrainEvent::Step(report)) = serde_json::from_str(&line) {
            steps.push(report);
        }
    }
    Ok(steps)
}

impl Listener for EventLog<'_> {
    fn event(&mut self, event: &TrainEvent) {
        if let Err(error) = self.write(event) {
            // A full disk must not end a run that may still save its adapter elsewhere.
            tracing::warn!("{}: events are not written: {error}", self.path.display());
        }
        self.next.event(event);
    }
}
