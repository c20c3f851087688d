//! Where runs live on disk, and which of them goes on.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{RunState, TuneRun};
use crate::project::{ProjectError, atomic};
use crate::training::{Finish, checkpoint_step};

const RUN: &str = "run.json";
const LOCK: &str = "run.lock";
const ADAPTER: &str = "adapter";
const MERGED: &str = "merged";
/// No description of a run is larger.
const MAX_BYTES: u64 = 1 << 20;

/// The folder that holds all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStore {
    pub root: PathBuf,
}

/// A run on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    pub folder: PathBuf,
    pub run: TuneRun,
    /// Somebody trains it now.
    pub is_live: bool,
    /// The step of its checkpoint.
    pub checkpoint: Option<u64>,
    pub has_adapter: bool,
    pub has_merged: bool,
}

impl StoredRun {
    /// True where it ended before it was complete, and can go on; without a checkpoint from the beginning.
    pub fn can_resume(&self) -> bool {
        !self.is_live && !matches!(self.run.state, RunState::Ended(Finish::Complete | Finish::EarlyStop))
    }

    /// Where the adapter lies.
    pub fn adapter(&self) -> PathBuf {
        self.folder.join(ADAPTER)
    }

    /// Where the merged model goes.
    pub fn merged(&self) -> PathBuf {
        self.folder.join(MERGED)
    }
}

/// Held while a run goes on; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "its life is its use")] File);

impl RunLock {
    /// # Errors
    /// Another Dipole trains this run, or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self, ProjectError> {
        // Whoever lists the runs holds the lock for a moment.
        for _ in 0..10 {
            match Self::try_take(folder) {
                Err(ProjectError::Busy { .. }) => std::thread::sleep(Duration::from_millis(20)),
                taken => return taken,
            }
        }
        Self::try_take(folder)
    }

    fn try_take(folder: &Path) -> Result<Self, ProjectError> {
        let path = folder.join(LOCK);
        let file = File::create(&path).map_err(ProjectError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(ProjectError::Busy { path: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(ProjectError::Io { path, source }),
        }
    }
}

impl RunStore {
    /// The runs lie beside the projects.
    pub fn beside(projects: &Path) -> Self {
        Self { root: projects.with_file_name("runs") }
    }

    /// A new folder for a run that begins now; `name` only makes it readable.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(&self, name: &str) -> Result<PathBuf, ProjectError> {
        fs::create_dir_all(&self.root).map_err(ProjectError::io(&self.root))?;
        let stamp: String = atomic::now().chars().filter(char::is_ascii_digit).take(14).collect();
        let name = readable(name);
        for again in 0..1000 {
            let end = if again == 0 { String::new() } else { format!("-{again}") };
            let folder = self.root.join(format!("{stamp}-{name}{end}"));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(folder),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(ProjectError::Io { path: folder, source }),
            }
        }
        Err(ProjectError::refused(&self.root, "there are too many runs of this second; try again"))
    }

    /// All runs, the newest first. What cannot be read is left out and told in the log.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn list(&self) -> Result<Vec<StoredRun>, ProjectError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ProjectError::Io { path: self.root.clone(), source }),
        };
        let mut runs = Vec::new();
        for folder in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join(RUN).is_file()) {
            match Self::read(&folder) {
                Ok(run) => runs.push(run),
                Err(error) => tracing::warn!("a run is left out: {error}"),
            }
        }
        runs.sort_by(|a, b| b.folder.cmp(&a.folder));
        Ok(runs)
    }

    /// One run.
    ///
    /// # Errors
    /// Its `run.json` is missing or malformed.
    pub fn read(folder: &Path) -> Result<StoredRun, ProjectError> {
        let path = folder.join(RUN);
        let bytes = fs::metadata(&path).map_err(ProjectError::io(&path))?.len();
        if bytes > MAX_BYTES {
            return Err(ProjectError::malformed(&path, "is larger than 1 MiB; it is no description of a run"));
        }
        let text = fs::read(&path).map_err(ProjectError::io(&path))?;
        let run: TuneRun = serde_json::from_slice(&text)
            .map_err(|error| ProjectError::malformed(&path, format!("describes no run: {error}")))?;
        let is_live = matches!(RunLock::try_take(folder), Err(ProjectError::Busy { .. }));
        let has = |name: &str, file: &str| folder.join(name).join(file).is_file();
        Ok(StoredRun {
            is_live,
            checkpoint: checkpoint_step(folder),
            has_adapter: has(ADAPTER, "adapter_config.json"),
            has_merged: has(MERGED, "config.json"),
            folder: folder.to_owned(),
            run,
        })
    }
}

/// Replaces the description of a run.
pub(super) fn save(folder: &Path, run: &TuneRun) -> Result<(), ProjectError> {
    let path = folder.join(RUN);
    let mut bytes = serde_json::to_vec_pretty(run)
        .map_err(|error| ProjectError::malformed(&path, format!("cannot be saved: {error}")))?;
    bytes.push(b'\n');
    atomic::write(&path, &bytes)
}

fn readable(name: &str) -> String {
    let short: String =
        name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    if short.trim_matches('-').is_empty() { "run".to_owned() } else { short.trim_matches('-').to_owned() }
}
