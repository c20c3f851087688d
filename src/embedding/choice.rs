//! The encoder as the user names it: on the command line and in a saved plan.

use std::path::{Path, PathBuf};
use std::str::FromStr;

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

/// The text names no encoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no encoder: {reason}. Give `lexical`, the folder of a sentence model, or FILE.npy[,FILE.npy,…] (.npy or .safetensors)"
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
            Self::Precomputed(files) => {
                for (i, file) in files.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { "," }, file.display())?;
                }
                Ok(())
            }
        }
    }
}
