//! Small files and folders on disk so that a power cut leaves the old state or the new one.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::ProjectError;

/// Replaces `path` by a file with these bytes, flushed to disk together with its folder.
///
/// # Errors
/// The folder is missing or cannot be written; the earlier file is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ProjectError> {
    let folder = parent(path);
    let mut file = tempfile::Builder::new()
        .prefix(".dipole-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(ProjectError::io(folder))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(ProjectError::io(path))?;
    file.persist(path).map_err(|error| ProjectError::Io { path: path.to_owned(), source: error.error })?;
    sync_folder(folder)
}

/// The folder that holds `path`; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Flushes the names in a folder. Only Unix can, and only there it is needed.
pub(super) fn sync_folder(folder: &Path) -> Result<(), ProjectError> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(ProjectError::io(folder))?;
    }
    Ok(())
}

/// Now, as RFC 3339 in UTC with milliseconds.
pub(super) fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    let now = now.replace_millisecond(now.millisecond()).unwrap_or(now);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
