//! From text to token numbers.
//!
//! Constraints: what `tokenizer.json` says of padding and truncation is overridden by the model's own maximum;
//! of a long text only a prefix is looked at, so a row of many megabytes costs no more than a short one.

use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::ModelError;
use super::folder::Folder;

pub(super) const TOKENIZER: &str = "tokenizer.json";

/// Of a text, at first so many bytes for each token that the model reads are tokenised.
const BYTES_A_TOKEN: usize = 32;
/// Tokens beyond the maximum that must be there before the end of a prefix is believed not to matter.
const MARGIN: usize = 128;
/// No more of a text than this is ever looked at.
const MAX_PREFIX: usize = 1 << 20;

/// Token numbers of one text, special tokens included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    truncated: bool,
}

impl Tokens {
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The text has more tokens than the model reads.
    pub fn truncated(&self) -> bool {
        self.truncated
    }
}

#[derive(Debug)]
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    max_tokens: usize,
    vocabulary: usize,
    prompt: String,
    path: std::path::PathBuf,
}

impl TextTokenizer {
    /// `bytes` of tokenizer.json; `prompt` is put before every text.
    pub(super) fn new(
        folder: Folder<'_>,
        bytes: &[u8],
        max_tokens: usize,
        vocabulary: usize,
        prompt: String,
        lower_case: bool,
    ) -> Result<Self, ModelError> {
        let bad = |error: tokenizers::Error| folder.malformed(TOKENIZER, format!("it is no tokenizer: {error}"));
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(bad)?;
        tokenizer.with_padding(None);
        // Checked here because `with_truncation` subtracts without asking.
        let added = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if added >= max_tokens {
            return Err(folder.malformed(
                TOKENIZER,
                format!(
                    "it puts {added} special tokens around a text, but the model reads at most {max_tokens} tokens"
                ),
            ));
        }
        let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(bad)?;
        if lower_case {
            // In the tokenizer, so that special tokens within a text are still recognised.
            let mut steps = vec![NormalizerWrapper::from(Lowercase)];
            steps.extend(tokenizer.get_normalizer().cloned());
            tokenizer.with_normalizer(Some(Sequence::new(steps))).map_err(bad)?;
        }
        let this = Self { tokenizer, max_tokens, vocabulary, prompt, path: folder.path(TOKENIZER) };
        // An unusable combination shows on the first text: better now than after an hour.
        this.tokens("a")?;
        Ok(this)
    }

    /// # Errors
    /// The tokenizer gives a number that the network has no vector for, none at all, or fails.
    pub(super) fn tokens(&self, text: &str) -> Result<Tokens, ModelError> {
        let mut limit = self.max_tokens.saturating_mul(BYTES_A_TOKEN).clamp(4096, MAX_PREFIX);
        loop {
            let (part, cut) = prefix(text, limit);
            let part = format!("{}{part}", self.prompt);
            let bad = |reason: String| ModelError::Malformed { path: self.path.clone(), reason };
            let encoding = self.tokenizer.encode_fast(part, true).map_err(|error| bad(format!("it fails: {error}")))?;
            let beyond: usize = encoding.get_overflowing().iter().map(|more| more.len()).sum();
            if cut && beyond < MARGIN && limit < MAX_PREFIX {
                limit = (limit * 4).min(MAX_PREFIX);
                continue;
            }
            let ids = encoding.get_ids().to_vec();
            if let Some(id) = ids.iter().find(|&&id| id as usize >= self.vocabulary) {
                return Err(bad(format!(
                    "it gives token {id}, but the network has {} tokens: the files are of different models",
                    self.vocabulary
                )));
            }
            if ids.is_empty() || ids.len() > self.max_tokens {
                let (got, most) = (ids.len(), self.max_tokens);
                return Err(bad(format!("it gives {got} tokens for a text; from 1 to {most} are needed")));
            }
            return Ok(Tokens { ids, truncated: cut || beyond > 0 });
        }
    }
}

/// At most `limit` bytes, ending before white space where there is some, and whether anything is left out.
fn prefix(text: &str, limit: usize) -> (&str, bool) {
    if text.len() <= limit {
        return (text, false);
    }
    let part = text.get(..text.floor_char_boundary(limit)).unwrap_or(text);
    match part.rfind(char::is_whitespace).filter(|&end| end > 0) {
        Some(end) => (part.get(..end).unwrap_or(part), true),
        None => (part, true),
    }
}
