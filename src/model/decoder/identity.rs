//! Which model lies in a folder.

use std::io::Read;
use std::path::Path;

use super::checkpoint::Checkpoint;
use super::{DecoderSpec, config};
use crate::jobs::Progress;
use crate::model::ModelError;
use crate::model::folder::Folder;
use crate::model::tokens::TOKENIZER;

/// True where `config.json` names a causal language model that is known.
///
/// # Errors
/// The file cannot be read. A folder without one is none.
pub fn is_decoder(path: &Path) -> Result<bool, ModelError> {
    let folder = Folder(path);
    match folder.bytes(config::CONFIG)? {
        Some(bytes) => Ok(folder.object(config::CONFIG, &bytes).is_ok_and(|config| DecoderSpec::is_known(&config))),
        None => Ok(false),
    }
}

/// Over everything that decides the states of a text: configuration, tokenizer, weights.
///
/// # Errors
/// A file is missing or cannot be read, or the user cancelled.
pub fn decoder_hash(path: &Path, progress: &dyn Progress) -> Result<blake3::Hash, ModelError> {
    let folder = Folder(path);
    let mut hash = blake3::Hasher::new();
    for name in [config::CONFIG, TOKENIZER] {
        let bytes = folder.required(name, "give the folder of a language model in Hugging Face layout")?;
        hash.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    let weights = Checkpoint::open(folder)?;
    let total = weights.files().len() as u64;
    for (number, file) in weights.files().iter().enumerate() {
        progress.tick("hashing the model", number as u64, Some(total));
        let io = |source| ModelError::Io { path: file.path().to_owned(), source };
        let mut file = std::fs::File::open(file.path()).map_err(io)?;
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            progress.check()?;
            let read = file.read(&mut buffer).map_err(io)?;
            if read == 0 {
                break;
            }
            hash.update(buffer.get(..read).unwrap_or_default());
        }
    }
    Ok(hash.finalize())
}
