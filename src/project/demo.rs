//! The sample data inside the program, unpacked to files so that it takes the same way as anybody's data.

use std::path::{Path, PathBuf};

use super::{Plan, ProjectError};
use crate::embedding::EncoderChoice;
use crate::selection::SelectionSettings;
use crate::transport::Settings;

const FILES: [(&str, &[u8]); 5] = [
    ("custom.jsonl", include_bytes!("../../assets/demo/custom.jsonl")),
    ("safe.jsonl", include_bytes!("../../assets/demo/safe.jsonl")),
    ("harmful.jsonl", include_bytes!("../../assets/demo/harmful.jsonl")),
    ("custom.labels.csv", include_bytes!("../../assets/demo/custom.labels.csv")),
    ("README.md", include_bytes!("../../assets/demo/README.md")),
];

/// The unpacked sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    pub custom: PathBuf,
    pub safe: PathBuf,
    pub harmful: PathBuf,
    pub labels: PathBuf,
}

impl Demo {
    /// Writes the sample files into `folder`, each atomically and only where its content differs.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn unpack(folder: &Path) -> Result<Self, ProjectError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ProjectError::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        for (name, content) in FILES {
            let path = folder.join(name);
            if std::fs::read(&path).is_ok_and(|present| present == content) {
                continue;
            }
            let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed(folder))?;
            std::io::Write::write_all(&mut file, content).map_err(failed(&path))?;
            file.persist(&path).map_err(|error| failed(&path)(error.error))?;
        }
        let path = |name| folder.join(name);
        Ok(Self {
            custom: path("custom.jsonl"),
            safe: path("safe.jsonl"),
            harmful: path("harmful.jsonl"),
            labels: path("custom.labels.csv"),
        })
    }

    /// The plan of the sample: every default.
    pub fn plan(&self) -> Plan {
        Plan {
            custom: self.custom.clone(),
            safe: vec![self.safe.clone()],
            harmful: vec![self.harmful.clone()],
            mapping: None,
            encoder: EncoderChoice::Lexical,
            views: None,
            settings: Settings::default(),
            calibration: None,
            selection: SelectionSettings::default(),
        }
    }
}
