//! The encoder as the user names it: on the command line and in a saved plan.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::is_gguf;

/// Which encoder, as the user named it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderChoice {
    /// The embedded default: hashed n-grams, TF-IDF, truncated SVD. No weights.
    Lexical,
    /// A model in a local Hugging Face directory: a BERT-family sentence encoder, or a causal language model, of
    /// which the last token's last state is taken.
    Sentence(PathBuf),
    /// A causal language model with another pooling or layer.
    Language(LanguageChoice),
    /// Vectors made elsewhere: one `.npy`/`.safetensors` file a set, or one file for all (rows stacked in the
    /// order of the sets, or safetensors tensors named `custom`, `safe`, `harmful`).
    Precomputed(Vec<PathBuf>),
}

/// What is taken of the hidden states of a causal language model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LanguageChoice {
    /// Or a GGUF file.
    pub folder: PathBuf,
    pub pool: Pool,
    /// States behind so many layers; `None` is behind the last and the final norm.
    pub layer: Option<usize>,
}

/// From the states of all tokens to one vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    #[default]
    Last,
    Mean,
}

impl LanguageChoice {
    /// `DIR#last`, `DIR#mean`, `DIR#last:12` or `DIR#mean:12`; `None` for every other text.
    fn parse(given: &str) -> Option<Self> {
        let (folder, how) = given.rsplit_once('#')?;
        let (pool, layer) = how.split_once(':').map_or((how, None), |(pool, layer)| (pool, Some(layer)));
        let pool = match pool {
            "last" => Pool::Last,
            "mean" => Pool::Mean,
            _ => return None,
        };
        let layer = match layer {
            None => None,
            Some(layer) => Some(layer.parse().ok()?),
        };
        (Path::new(folder).is_dir() || is_gguf(Path::new(folder))).then(|| Self { folder: folder.into(), pool, layer })
    }
}

impl std::fmt::Display for LanguageChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pool = if self.pool == Pool::Mean { "mean" } else { "last" };
        write!(f, "{}#{pool}", self.folder.display())?;
        self.layer.map_or(Ok(()), |layer| write!(f, ":{layer}"))
    }
}

/// The text names no encoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no encoder: {reason}. Give `lexical`, the folder of a sentence model or a language model (DIR or FILE.gguf, DIR#mean, DIR#last:LAYER), or FILE.npy[,FILE.npy,…] (.npy or .safetensors)"
)]
pub struct ChoiceError {
    pub given: String,
    pub reason: String,
}

impl EncoderChoice {
    /// True for file names that hold vectors.
    pub fn is_vector_file(path: &Path) -> bool {
        path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy") || end.eq_ignore_ascii_case("safetensors"))
    }
}

impl FromStr for EncoderChoice {
    type Err = ChoiceError;

    /// `lexical`, a directory that exists, or vector files separated by commas. Whether the files fit is
    /// checked by [`super::embed`].
    fn from_str(given: &str) -> Result<Self, ChoiceError> {
        let fail = |reason: String| ChoiceError { given: given.to_owned(), reason };
        if given == "lexical" {
            return Ok(Self::Lexical);
        }
        if given.is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        let whole = Path::new(given);
        if whole.is_dir() {
            return Ok(Self::Sentence(whole.to_owned()));
        }
        if is_gguf(whole) {
            return Ok(Self::Language(LanguageChoice { folder: whole.to_owned(), pool: Pool::Last, layer: None }));
        }
        if let Some(language) = LanguageChoice::parse(given) {
            return Ok(Self::Language(language));
        }
        // A file whose own name holds a comma wins over a list.
        if whole.is_file() && Self::is_vector_file(whole) {
            return Ok(Self::Precomputed(vec![whole.to_owned()]));
        }
        let parts: Vec<PathBuf> = given.split(',').map(PathBuf::from).collect();
        if let Some(part) = parts.iter().find(|part| !Self::is_vector_file(part)) {
            return Err(fail(match (parts.len(), part.is_file()) {
                (1, true) => "it is a file, but neither .npy nor .safetensors".to_owned(),
                (1, false) => "there is no such folder".to_owned(),
                _ => format!("{:?} is neither .npy nor .safetensors", part.display().to_string()),
            }));
        }
        Ok(Self::Precomputed(parts))
    }
}

impl std::fmt::Display for EncoderChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lexical => f.write_str("lexical"),
            Self::Sentence(folder) => write!(f, "{}", folder.display()),
            Self::Language(language) => language.fmt(f),
            Self::Precomputed(files) => {
                for (i, file) in files.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { "," }, file.display())?;
                }
                Ok(())
            }
        }
    }
}
