//! What turns rows into vectors, and the cache on disk.
//!
//! Purpose: one call, [`embed`], from the texts of several sets to one matrix per set in one shared space.
//! Constraints: deterministic for any thread count; vectors are L2-normalised; texts are asked for in batches and
//! never all held at once.

mod cache;
mod choice;
mod encoder;
mod error;
mod language;
mod lexical;
mod matrix;
mod npy;
mod precomputed;
pub mod projection;
mod sentence;
mod texts;
mod vector_file;

pub use cache::{Cache, CacheSize};
pub use choice::{ChoiceError, EncoderChoice, LanguageChoice, Pool};
pub use encoder::{Encoder, Encoding};
pub use error::EmbeddingError;
pub use matrix::Embeddings;
pub use texts::{Joined, MemoryTexts, Texts};
pub use vector_file::{check_name, write_npy, write_vectors};

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
    /// [`crate::data::Row::prompt`].
    Prompt,
}

/// Which views are embedded; several are concatenated, each normalised, then the whole is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Views {
    #[serde(rename = "row")]
    Row,
    #[serde(rename = "row+response")]
    RowAndResponse,
    #[serde(rename = "row+response+prompt")]
    RowResponsePrompt,
}

impl Views {
    /// The views side by side.
    pub fn list(self) -> &'static [View] {
        match self {
            Self::Row => &[View::Row],
            Self::RowAndResponse => &[View::Row, View::Response],
            Self::RowResponsePrompt => &[View::Row, View::Response, View::Prompt],
        }
    }
}

impl std::fmt::Display for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Row => "row",
            Self::RowAndResponse => "row+response",
            Self::RowResponsePrompt => "row+response+prompt",
        })
    }
}

impl std::str::FromStr for Views {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "row" => Ok(Self::Row),
            "row+response" => Ok(Self::RowAndResponse),
            "row+response+prompt" => Ok(Self::RowResponsePrompt),
            other => Err(format!("{other:?} is no view; give row, row+response or row+response+prompt")),
        }
    }
}

/// What identifies the space the vectors live in; equal fingerprints and texts give equal vectors.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    /// Encoder family: `lexical`, `sentence`, `language`, `precomputed`.
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
    /// `None` takes the encoder's measured best: `row+response+prompt` for `sentence`, `row` for `lexical`.
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
    progress.check()?;
    if let Some(set) = sets.iter().find(|set| set.is_empty()) {
        return Err(EmbeddingError::Set {
            set: set.name(),
            reason: "it has no rows; give a file with rows".to_owned(),
        });
    }
    if sets.is_empty() {
        return Err(EmbeddingError::Set { set: "embedding".to_owned(), reason: "no set was given".to_owned() });
    }
    match &settings.encoder {
        EncoderChoice::Lexical => pool(settings.threads)?.install(|| lexical::embed(sets, settings, progress)),
        EncoderChoice::Sentence(folder) if language::is_language_model(folder)? => {
            let choice = LanguageChoice { folder: folder.clone(), pool: Pool::Last, layer: None };
            encoder::embed(&language::LanguageEncoder::open(&choice, progress)?, sets, settings, progress)
        }
        EncoderChoice::Language(choice) => {
            encoder::embed(&language::LanguageEncoder::open(choice, progress)?, sets, settings, progress)
        }
        EncoderChoice::Sentence(folder) => {
            let encoder = sentence::SentenceEncoder::open(folder, progress)?;
            encoder::embed(&encoder, sets, settings, progress)
        }
        EncoderChoice::Precomputed(files) => precomputed::embed(files, sets, progress),
    }
}

/// Threads of its own for one call; never more than 256.
fn pool(threads: usize) -> Result<rayon::ThreadPool, EmbeddingError> {
    rayon::ThreadPoolBuilder::new().num_threads(threads.clamp(1, 256)).build().map_err(|error| EmbeddingError::Set {
        set: "embedding".to_owned(),
        reason: format!("cannot start {threads} threads: {error}; ask for fewer"),
    })
}

/// Views side by side: each at unit length, then the whole. A zero part leaves the others alone.
fn concatenate(parts: &[Embeddings]) -> Embeddings {
    let dim = parts.iter().map(Embeddings::dim).sum();
    let rows = parts.iter().map(Embeddings::rows).min().unwrap_or(0);
    let data = (0..rows).flat_map(|i| parts.iter().flat_map(move |part| part.row(i))).copied().collect();
    let mut whole = Embeddings::new(rows, dim, data).unwrap_or_else(Embeddings::empty);
    whole.normalise();
    whole
}
