//! What a study has finished, on disk, so that a study that was ended goes on where it was.
//!
//! Constraint: a finished measurement is on disk before the next begins, with a hash of everything it was made from; one
//! made from anything else is never taken.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{StudySettings, Trial, stem};
use crate::embedding::EncoderChoice;
use crate::project::{ProjectError, atomic};

/// A measurement on disk and what it was made from.
#[derive(serde::Serialize, serde::Deserialize)]
struct Record<T> {
    /// Hash over the files, the encoder, the settings and the program's version.
    made_from: String,
    measurement: T,
}

/// The finished measurements of a study, one file each.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// `folder` is made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: PathBuf) -> Result<Self, ProjectError> {
        std::fs::create_dir_all(&folder).map_err(ProjectError::io(&folder))?;
        Ok(Self { folder })
    }

    /// Takes the measurement that is there, if it was made from the same; else makes and saves it. The flag says whether
    /// it was there.
    pub(super) fn keep<T: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        made_from: String,
        make: impl FnOnce() -> Result<T, ProjectError>,
    ) -> Result<(T, bool), ProjectError> {
        let path = self.folder.join(format!("{}.json", made_from.get(..24).unwrap_or(&made_from)));
        // What cannot be read back was not finished or is not ours: it is measured again.
        let found = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Record<T>>(&bytes).ok());
        if let Some(found) = found.filter(|found| found.made_from == made_from) {
            return Ok((found.measurement, true));
        }
        let record = Record { made_from, measurement: make()? };
        let bytes = serde_json::to_vec_pretty(&record)
            .map_err(|error| ProjectError::Inconsistent(format!("a measurement cannot be written as JSON: {error}")))?;
        atomic::write(&path, &bytes)?;
        Ok((record.measurement, false))
    }
}

/// A hash over everything that decides what `study` measures on a trial, and over the program's version.
pub(super) fn identity(kind: &str, trial: &Trial, study: &StudySettings) -> Result<String, ProjectError> {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("dipole {kind} {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    file(&mut hash, "custom", &trial.custom)?;
    file(&mut hash, "labels", &trial.labels)?;
    trial.safe.iter().try_for_each(|path| file(&mut hash, "safe", path))?;
    file(&mut hash, "harmful", &trial.harmful)?;
    match &study.encoder {
        EncoderChoice::Lexical => {}
        EncoderChoice::Precomputed(files) => files.iter().try_for_each(|path| file(&mut hash, "vectors", path))?,
        EncoderChoice::Sentence(folder) => model(&mut hash, folder)?,
        EncoderChoice::Language(choice) => model(&mut hash, &choice.folder)?,
    }
    let how = match &study.encoder {
        EncoderChoice::Language(choice) => format!("{:?} {:?}", choice.pool, choice.layer),
        _ => String::new(),
    };
    // The number of threads changes no figure.
    let settings = crate::transport::Settings { threads: 0, ..study.settings.clone() };
    hash.update(format!("{} {how} {:?} {settings:?}", study.encoder_name, study.selection).as_bytes());
    Ok(hash.finalize().to_hex().to_string())
}

/// A file's name without endings and its content.
fn file(hash: &mut blake3::Hasher, role: &str, path: &Path) -> Result<(), ProjectError> {
    let mut content = blake3::Hasher::new();
    let opened = File::open(path).map_err(ProjectError::io(path))?;
    content.update_reader(opened).map_err(ProjectError::io(path))?;
    hash.update(format!("{role} {} {}\n", stem(path), content.finalize().to_hex()).as_bytes());
    Ok(())
}

/// The plain files of a model's folder by name, or a model of one file.
pub(super) fn model(hash: &mut blake3::Hasher, folder: &Path) -> Result<(), ProjectError> {
    files_of(folder)?.iter().try_for_each(|path| file(hash, "model", path))
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    if folder.is_file() {
        // A GGUF file, and the tokenizer that is taken from beside it.
        let tokenizer = folder.with_file_name("tokenizer.json");
        return Ok(std::iter::once(folder.to_owned()).chain(Some(tokenizer).filter(|path| path.is_file())).collect());
    }
    let entries = std::fs::read_dir(folder).map_err(ProjectError::io(folder))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(ProjectError::io(folder))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
