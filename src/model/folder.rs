//! The small files of a model folder.
//!
//! Constraints: a file is read only up to a bound; JSON that is no object is refused; a missing file is named
//! with the way out.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ModelError;

/// A tokenizer with 250,000 pieces has 17 MB.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// A Hugging Face directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folder<'a>(pub &'a Path);

impl Folder<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The bytes of a file, `None` where there is none.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ModelError::Io { path, source }),
        };
        let io = |source| ModelError::Io { path: path.clone(), source };
        let mut bytes = Vec::new();
        file.by_ref().take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            let reason = format!("it is larger than {} MiB, which no such file is", MAX_TEXT_BYTES >> 20);
            return Err(ModelError::Malformed { path, reason });
        }
        Ok(Some(bytes))
    }

    /// The bytes of a file that must be there.
    pub(crate) fn required(&self, name: &str, way_out: &str) -> Result<Vec<u8>, ModelError> {
        self.bytes(name)?.ok_or_else(|| ModelError::Missing { path: self.path(name), way_out: way_out.to_owned() })
    }

    pub(crate) fn malformed(&self, name: &str, reason: impl Into<String>) -> ModelError {
        ModelError::Malformed { path: self.path(name), reason: reason.into() }
    }

    pub(crate) fn unsupported(&self, name: &str, reason: impl Into<String>) -> ModelError {
        ModelError::Unsupported { path: self.path(name), reason: reason.into() }
    }

    /// `bytes` of the file `name` as a JSON object.
    pub(crate) fn object(&self, name: &str, bytes: &[u8]) -> Result<Map<String, Value>, ModelError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(self.malformed(name, "it is JSON, but no object")),
            Err(error) => Err(self.malformed(name, format!("it is not JSON: {error}"))),
        }
    }
}
