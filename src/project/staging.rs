//! Replaces a folder so that a crash leaves the old one or the new one, never half.
//!
//! The new content is written into a hidden folder beside the target, flushed, and moved into place: by one exchange
//! of names where the system has it (Linux), else by two renames, where an old folder that a crash left aside is put
//! back at the next export. Constraint: nothing that Dipole did not write is ever removed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{self, MANIFEST};
use super::{ProjectError, atomic};

/// A folder that may take an export.
#[derive(Debug)]
pub(super) struct Target {
    folder: PathBuf,
    parent: PathBuf,
    name: String,
}

impl Target {
    /// Checks that the folder can be replaced: it is not there, empty, or an export with nothing else in it, it holds
    /// none of `inputs`, and it is not where the program runs.
    pub(super) fn check(folder: &Path, inputs: &[PathBuf]) -> Result<Self, ProjectError> {
        let refused = |reason: &str| Err(ProjectError::refused(folder, reason));
        let absolute = match fs::canonicalize(folder) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::path::absolute(folder).map_err(ProjectError::io(folder))?
            }
            Err(source) => return Err(ProjectError::Io { path: folder.to_owned(), source }),
        };
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return refused("cannot be an export folder; name a folder inside it");
        };
        let Some(name) = name.to_str() else {
            return refused("has a name that is not UTF-8; choose another name");
        };
        fs::create_dir_all(parent).map_err(ProjectError::io(parent))?;
        let parent = fs::canonicalize(parent).map_err(ProjectError::io(parent))?;
        let target = Self { folder: parent.join(name), parent, name: name.to_owned() };
        target.recover()?;
        target.check_content()?;
        if fs::symlink_metadata(&target.folder).is_ok() {
            if std::env::current_dir()
                .and_then(fs::canonicalize)
                .is_ok_and(|current| current.starts_with(&target.folder))
            {
                return refused("is the folder that Dipole runs in; name a new folder inside it");
            }
            for input in inputs {
                if fs::canonicalize(input).is_ok_and(|input| input.starts_with(&target.folder)) {
                    let reason = format!(
                        "holds {}, which this export is made from; choose another folder",
                        input.file_name().unwrap_or_default().to_string_lossy()
                    );
                    return refused(&reason);
                }
            }
        }
        Ok(target)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn check_content(&self) -> Result<(), ProjectError> {
        let refused = |reason: String| Err(ProjectError::refused(&self.folder, reason));
        match fs::symlink_metadata(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(ProjectError::Io { path: self.folder.clone(), source }),
            Ok(meta) if !meta.is_dir() => return refused("is a file; choose a folder".to_owned()),
            Ok(_) => {}
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(ProjectError::io(&self.folder))? {
            let entry = entry.map_err(ProjectError::io(&self.folder))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        if names.is_empty() {
            return Ok(());
        }
        names.sort();
        let Ok(index) = manifest::read_index(&self.folder.join(MANIFEST)) else {
            return refused("is neither empty nor a Dipole export; choose another folder".to_owned());
        };
        match names.iter().find(|name| *name != MANIFEST && index.files.iter().all(|file| file.name != **name)) {
            Some(stranger) => refused(format!("holds {stranger}, which is not part of the export; move it away first")),
            None => Ok(()),
        }
    }

    /// Puts back or clears away what a crash left beside the target.
    fn recover(&self) -> Result<(), ProjectError> {
        let aside = format!(".{}.dipole-old-", self.name);
        let staged = format!(".{}.dipole-new-", self.name);
        for entry in fs::read_dir(&self.parent).map_err(ProjectError::io(&self.parent))? {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if name.starts_with(&aside) && fs::symlink_metadata(&self.folder).is_err() {
                tracing::warn!(folder = %self.folder.display(), "an export was interrupted; the old folder is put back");
                fs::rename(&path, &self.folder).map_err(ProjectError::io(&path))?;
            } else if (name.starts_with(&aside) || name.starts_with(&staged)) && is_abandoned(&path) {
                // What cannot be removed only takes space.
                let _ = fs::remove_dir_all(&path);
            }
        }
        Ok(())
    }
}

/// True when no running export holds the folder.
fn is_abandoned(folder: &Path) -> bool {
    if cfg!(unix) {
        return File::open(folder).is_ok_and(|handle| handle.try_lock().is_ok());
    }
    let age = fs::metadata(folder).and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age.as_secs() > 24 * 60 * 60)
}

/// The new content while it is written. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    /// Held so that another export does not take the folder for abandoned.
    _lock: Option<File>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Staging {
    pub(super) fn create(target: &Target) -> Result<Self, ProjectError> {
        for attempt in 0..1000 {
            let name = format!(".{}.dipole-new-{}-{attempt}", target.name, std::process::id());
            let folder = target.parent.join(name);
            match fs::create_dir(&folder) {
                Ok(()) => {
                    let lock = File::open(&folder).ok().filter(|handle| handle.try_lock().is_ok());
                    return Ok(Self { folder, _lock: lock });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(ProjectError::Io { path: folder, source }),
            }
        }
        Err(ProjectError::refused(&target.folder, "has too many abandoned exports beside it; remove them"))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Moves the new content into place and removes the old. The files in it must be on disk already.
    pub(super) fn commit(self, target: &Target) -> Result<(), ProjectError> {
        self.commit_by(target, exchange, &mut |_| Ok(()))
    }

    fn commit_by(
        self,
        target: &Target,
        exchange: impl Fn(&Path, &Path) -> io::Result<()>,
        after: &mut dyn FnMut(Step) -> Result<(), ProjectError>,
    ) -> Result<(), ProjectError> {
        atomic::sync_folder(&self.folder)?;
        after(Step::Flushed)?;
        // The user may have put a file there while the export was written.
        target.check_content()?;
        if fs::symlink_metadata(&target.folder).is_err() {
            fs::rename(&self.folder, &target.folder).map_err(ProjectError::io(&target.folder))?;
            after(Step::InPlace)?;
            return atomic::sync_folder(&target.parent);
        }
        if exchange(&self.folder, &target.folder).is_ok() {
            after(Step::InPlace)?;
            // What is in the staging folder now is the old content; dropping `self` removes it.
            return atomic::sync_folder(&target.parent);
        }
        let aside = target.parent.join(format!(".{}.dipole-old-{}", target.name, std::process::id()));
        fs::rename(&target.folder, &aside).map_err(ProjectError::io(&target.folder))?;
        after(Step::Aside)?;
        if let Err(source) = fs::rename(&self.folder, &target.folder) {
            let _ = fs::rename(&aside, &target.folder);
            return Err(ProjectError::Io { path: target.folder.clone(), source });
        }
        after(Step::InPlace)?;
        atomic::sync_folder(&target.parent)?;
        fs::remove_dir_all(&aside).map_err(ProjectError::io(&aside))
    }
}

/// Points where a crash is tried in the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Flushed,
    Aside,
    InPlace,
}

/// Exchanges the names of two folders in one step, where the system can.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(io::Error::from)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old";
    const NEW: &str = "new";

    fn fill(folder: &Path, content: &str) {
        fs::create_dir_all(folder).expect("creates");
        let manifest = serde_json::json!({
            "dipole_export": 1,
            "counts": { "records": 1, "readable": 1, "kept": 1, "removed": 0, "quarantined": 0 },
            "files": [{ "name": "a", "role": "purified", "bytes": 3, "blake3": "", "sha256": "" }],
        });
        fs::write(folder.join(MANIFEST), manifest.to_string()).expect("writes");
        fs::write(folder.join("a"), content).expect("writes");
    }

    fn content(folder: &Path) -> String {
        assert_eq!(fs::read_dir(folder).expect("lists").count(), 2);
        fs::read_to_string(folder.join("a")).expect("reads")
    }

    fn beside(folder: &Path) -> usize {
        fs::read_dir(folder.parent().expect("a parent")).expect("lists").count() - 1
    }

    /// Replaces the folder and crashes after `step`: nothing is cleaned up.
    fn crash_after(folder: &Path, step: Step, can_exchange: bool) {
        let target = Target::check(folder, &[]).expect("may be replaced");
        let staging = Staging::create(&target).expect("stages");
        fill(&staging.folder, NEW);
        let left = staging.folder.clone();
        let kept_from_drop = left.with_extension("crash");
        let swap =
            |one: &Path, other: &Path| if can_exchange { exchange(one, other) } else { Err(io::Error::other("no")) };
        let crashed = staging.commit_by(&target, swap, &mut |at| {
            if at != step {
                return Ok(());
            }
            // Dropping the staging folder is what a crash would not do.
            let _ = fs::rename(&left, &kept_from_drop);
            Err(ProjectError::Inconsistent("crash".to_owned()))
        });
        assert!(matches!(crashed, Err(ProjectError::Inconsistent(_))), "{step:?} was not reached");
        let _ = fs::rename(&kept_from_drop, &left);
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new() {
        let mut cases = vec![(Step::Flushed, false, OLD), (Step::Aside, false, OLD), (Step::InPlace, false, NEW)];
        if cfg!(target_os = "linux") {
            cases.extend([(Step::Flushed, true, OLD), (Step::InPlace, true, NEW)]);
        }
        for (step, can_exchange, expected) in cases {
            let root = tempfile::tempdir().expect("a folder");
            let folder = root.path().join("out");
            fill(&folder, OLD);
            crash_after(&folder, step, can_exchange);
            let target = Target::check(&folder, &[]).expect("recovers");
            assert_eq!(content(target.folder()), expected, "{step:?}, exchange {can_exchange}");
            assert_eq!(beside(target.folder()), 0, "{step:?}, exchange {can_exchange}: something is left over");
        }
    }

    #[test]
    fn a_crash_into_a_new_folder_leaves_nothing_or_all() {
        for (step, is_there) in [(Step::Flushed, false), (Step::InPlace, true)] {
            let root = tempfile::tempdir().expect("a folder");
            let folder = root.path().join("out");
            crash_after(&folder, step, true);
            assert_eq!(folder.exists(), is_there);
            Target::check(&folder, &[]).expect("recovers");
            assert_eq!(fs::read_dir(root.path()).expect("lists").count(), usize::from(is_there));
        }
    }

    #[test]
    fn another_export_in_progress_is_left_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("out");
        let target = Target::check(&folder, &[]).expect("is new");
        let staging = Staging::create(&target).expect("stages");
        Target::check(&folder, &[]).expect("is new");
        assert!(staging.folder.is_dir());
    }

    #[test]
    fn a_file_put_there_meanwhile_stops_the_commit() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("out");
        fill(&folder, OLD);
        let target = Target::check(&folder, &[]).expect("may be replaced");
        let staging = Staging::create(&target).expect("stages");
        fill(&staging.folder, NEW);
        fs::write(folder.join("notes.txt"), "mine").expect("writes");
        let error = staging.commit(&target).expect_err("must stop").to_string();
        assert!(error.contains("holds notes.txt"), "{error}");
        assert_eq!(fs::read_to_string(folder.join("a")).expect("reads"), OLD);
        assert_eq!(beside(&folder), 0);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let refused =
            |folder: &Path, inputs: &[PathBuf]| Target::check(folder, inputs).expect_err("must be refused").to_string();
        let full = root.path().join("full");
        fs::create_dir(&full).expect("creates");
        Target::check(&full, &[]).expect("is empty");
        let input = full.join("custom.jsonl");
        fs::write(&input, "{}").expect("writes");
        assert!(refused(&full, &[]).contains("neither empty nor a Dipole export"));
        assert!(refused(&input, &[]).contains("is a file"));
        let export = root.path().join("export");
        fill(&export, OLD);
        assert!(refused(&export, &[export.join("a")]).contains("holds a, which this export is made from"));
        fs::create_dir(export.join("sub")).expect("creates");
        assert!(refused(&export, &[]).contains("holds sub, which is not part of the export"));
        assert!(refused(Path::new("/"), &[]).contains("cannot be an export folder"));
        let here = std::env::current_dir().expect("a folder");
        assert!(Target::check(&here, &[]).is_err());
    }
}
