//! Where Dipole keeps its own files for this user.

use std::path::PathBuf;

/// The user's folders, by the convention of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Vectors that can be made again; `None` where the platform names no place.
    pub cache: Option<PathBuf>,
    /// Projects with their journals.
    pub projects: PathBuf,
    /// The unpacked sample data.
    pub demo: PathBuf,
    /// The unpacked starter model.
    pub starter: PathBuf,
}

impl Folders {
    /// `DIPOLE_HOME` puts everything under one folder; otherwise the platform's cache and data folders, and the
    /// temporary folder where there is no home.
    pub fn of_user() -> Self {
        if let Some(home) = std::env::var_os("DIPOLE_HOME").filter(|home| !home.is_empty()) {
            return Self::under(PathBuf::from(home));
        }
        match directories::ProjectDirs::from("io.github", "dipole", "Dipole") {
            Some(dirs) => Self {
                cache: Some(dirs.cache_dir().to_owned()),
                projects: dirs.data_dir().join("projects"),
                demo: dirs.data_dir().join("demo"),
                starter: dirs.data_dir().join("models").join("starter"),
            },
            None => Self::under(std::env::temp_dir().join("dipole")),
        }
    }

    fn under(home: PathBuf) -> Self {
        Self {
            cache: Some(home.join("cache")),
            projects: home.join("projects"),
            demo: home.join("demo"),
            starter: home.join("models").join("starter"),
        }
    }
}
