//! Which model lies in a folder.

use std::io::Read;
use std::path::Path;

use super::checkpoint::Checkpoint;
use super::{DecoderSpec, config, is_gguf};
use crate::jobs::Progress;
use crate::model::ModelError;
use crate::model::folder::Folder;
use crate::model::tokens::TOKENIZER;

/// True where `config.json` names a causal language model that is known, and for GGUF files.
///
/// # Errors
/// The file cannot be read. A folder without one is none.
pub fn is_decoder(path: &Path) -> Result<bool, ModelError> {
    if is_gguf(path) {
        return Ok(true);
    }
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
    let mut hash = blake3::Hasher::new();
    if is_gguf(path) {
        // Its own vocabulary, or the tokenizer beside it, decides too.
        let beside = path.parent().map(Folder).and_then(|folder| folder.bytes(TOKENIZER).transpose()).transpose()?;
        let beside = beside.unwrap_or_default();
        hash.update(&(beside.len() as u64).to_le_bytes()).update(&beside);
        progress.tick("hashing the model", 0, Some(1));
        add_file(&mut hash, path, progress)?;
        return Ok(hash.finalize());
    }
    let folder = Folder(path);
    for name in [config::CONFIG, TOKENIZER] {
        let bytes = folder.required(name, "give the folder of a language model in Hugging Face layout")?;
        hash.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    let weights = Checkpoint::open(folder)?;
    let total = weights.files().len() as u64;
    for (number, file) in weights.files().iter().enumerate() {
        progress.tick("hashing the model", number as u64, Some(total));
        add_file(&mut hash, file.path(), progress)?;
    }
    Ok(hash.finalize())
}

fn add_file(hash: &mut blake3::Hasher, path: &Path, progress: &dyn Progress) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        progress.check()?;
        let read = file.read(&mut buffer).map_err(io)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}
