//! What turns rows into vectors, and the cache on disk.
//!
//! Purpose: one call, [`embed`], from the texts of several sets to one matrix per set in one shared space.
//! Constraints: deterministic for any thread count; vectors are L2-normalised; texts are asked for in batches and
//! never all held at once.

mod error;
mod matrix;

pub use error::EmbeddingError;
pub use matrix::Embeddings;

use std::path::PathBuf;

use crate::jobs::Progress;

/// Which part of a row a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// [`crate::data::Row::text`].
    Row,
    /// [`crate::data::Row::response`].
    Response,
}

/// Which views are embedded; two views are concatenated, each normalised, then the whole is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Views {
    #[serde(rename = "row")]
    Row,
    #[serde(rename = "row+response")]
    RowAndResponse,
}

/// A set of texts, addressed by row index. [`crate::data::Dataset`] is one; so is `[String]` (one view).
pub trait Texts: Sync {
    /// How the set is called in errors (the file's name).
    fn name(&self) -> String;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The text of one row.
    fn text(&self, index: usize, view: View) -> Result<String, EmbeddingError>;
}

/// Which encoder, as the user named it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderChoice {
    /// The embedded default: hashed n-grams, TF-IDF, truncated SVD. No weights.
    Lexical,
    /// A BERT-family model in a local Hugging Face directory.
    Sentence(PathBuf),
    /// Vectors made elsewhere: one `.npy`/`.safetensors` file a set, or one file for all (rows stacked in the
    /// order of the sets, or safetensors tensors named `custom`, `safe`, `harmful`).
    Precomputed(Vec<PathBuf>),
}

/// What identifies the space the vectors live in; equal fingerprints and texts give equal vectors.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    /// Encoder family: `lexical`, `sentence`, `precomputed`.
    pub encoder: String,
    /// BLAKE3 over everything that decides the vectors (weights, configuration, settings), in hex.
    pub hash: String,
    /// Human-readable facts: model name, dimensions, pooling, maximum tokens, views.
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// The matrices of one [`embed`] call, in the order of the sets.
#[derive(Debug, Clone)]
pub struct Embedded {
    pub sets: Vec<Embeddings>,
    pub fingerprint: Fingerprint,
    /// Vectors computed now and vectors read from the cache.
    pub computed: u64,
    pub cached: u64,
    /// Rows whose text was longer than the encoder reads, per set.
    pub truncated: Vec<u64>,
}

/// Settings of [`embed`].
#[derive(Debug, Clone)]
pub struct EmbedSettings {
    pub encoder: EncoderChoice,
    /// `None` takes the encoder's measured best: `row+response` for `sentence`, `row` for `lexical`.
    pub views: Option<Views>,
    /// Folder of the vector cache; `None` keeps no cache.
    pub cache_dir: Option<PathBuf>,
    pub threads: usize,
    pub seed: u64,
}

/// Embeds several sets into one space. The lexical encoder is fitted on all of them together.
///
/// # Errors
/// A set is empty, a model file is missing or malformed (named), shapes do not fit (both shapes told), or the
/// user cancelled.
pub fn embed(
    sets: &[&dyn Texts],
    settings: &EmbedSettings,
    progress: &dyn Progress,
) -> Result<Embedded, EmbeddingError> {
    todo!()
}
