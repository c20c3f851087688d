//! Tokenizer and chat template that a GGUF file carries.
//!
//! candle makes byte-level tokenizers from the metadata. Constraint: a way of splitting words that is not known is
//! refused, since another one would give other tokens without a word.

use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::{AddedToken, Tokenizer};

use super::Gguf;
use crate::model::ModelError;

const PREFIX: &str = "tokenizer.ggml.";
/// Ways of splitting words that are known; llama.cpp's name, and candle's.
const SPLITS: [(&str, &str); 5] =
    [("qwen2", "qwen2"), ("llama-bpe", "llama3"), ("llama3", "llama3"), ("smaug-bpe", "smaug-bpe"), ("gpt-2", "gpt-2")];
/// llama.cpp's kinds of tokens.
const NORMAL: i32 = 1;
const USER_DEFINED: i32 = 4;
/// Share of a tokenizer's texts that may differ from the file's: padding and renamed tokens.
const MOST_OTHERS: f64 = 0.01;

/// What a GGUF file says of texts.
pub(crate) struct Vocabulary {
    content: Content,
    /// Tokens of the user's own that were taken out of the metadata.
    own: Vec<String>,
}

impl Vocabulary {
    /// # Errors
    /// As [`Gguf::open`].
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        Ok(Self { content: Gguf::open(path)?.content, own: Vec::new() })
    }

    /// The tokenizer that the metadata describe.
    ///
    /// # Errors
    /// It is of a kind that is not known; in words that end a sentence about the file.
    pub(crate) fn tokenizer(&mut self) -> Result<Tokenizer, String> {
        let model = self.text("model").unwrap_or_default();
        if model != "gpt2" {
            return Err(format!("its tokenizer is of kind {model:?}, of which no tokenizer can be made"));
        }
        let split = self.text("pre").unwrap_or_default();
        let Some((_, known)) = SPLITS.iter().find(|(name, _)| *name == split) else {
            return Err(format!("its tokenizer splits words by {split:?}, which is not known"));
        };
        self.set("pre", Value::String((*known).to_owned()));
        if *known == "llama3" {
            // llama.cpp knows these by the name of the split.
            self.set("ignore_merges", Value::Bool(true));
            if !self.content.metadata.contains_key(&format!("{PREFIX}add_bos_token")) {
                self.set("add_bos_token", Value::Bool(true));
            }
        }
        let cannot = |error: &dyn std::fmt::Display| format!("its tokenizer cannot be made: {error}");
        let found = self.take_user_defined();
        self.own.extend(found);
        let mut tokenizer = Tokenizer::from_gguf(&self.content).map_err(|error| cannot(&error))?;
        let own = self.own.iter().cloned().map(|text| AddedToken::from(text, false).normalized(false));
        tokenizer.add_tokens(own).map_err(|error| cannot(&error))?;
        Ok(tokenizer)
    }

    /// The tokens that are never cut and still belong to the text (`<think>`); to candle they become common ones, which
    /// would take them for special and leave them out of answers.
    fn take_user_defined(&mut self) -> Vec<String> {
        let tokens = self.tokens().cloned().unwrap_or_default();
        let Some(Value::Array(kinds)) = self.content.metadata.get_mut(&format!("{PREFIX}token_type")) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (kind, token) in kinds.iter_mut().zip(tokens) {
            let is_own = match kind {
                Value::I32(kind) => *kind == USER_DEFINED,
                Value::U32(kind) => *kind == USER_DEFINED as u32,
                _ => false,
            };
            if let (true, Value::String(text)) = (is_own, token) {
                *kind = Value::I32(NORMAL);
                found.push(text);
            }
        }
        found
    }

    /// Whether a tokenizer from elsewhere gives the numbers that the file means.
    ///
    /// # Errors
    /// In words, with the first token that differs.
    pub(crate) fn check(&self, tokenizer: &Tokenizer) -> Result<(), String> {
        let Some(tokens) = self.tokens() else { return Ok(()) };
        let mut first = None;
        let mut others = 0usize;
        for (number, token) in tokens.iter().enumerate() {
            let (Value::String(token), Some(theirs)) = (token, tokenizer.id_to_token(number as u32)) else { continue };
            if theirs != *token {
                others += 1;
                first.get_or_insert((number, theirs));
            }
        }
        match first {
            Some((number, theirs)) if others as f64 > MOST_OTHERS * tokens.len() as f64 => Err(format!(
                "{others} of its tokens are others than in the .gguf file (token {number} is {theirs:?}): the files are of different models"
            )),
            _ => Ok(()),
        }
    }

    /// The model's own template.
    pub(crate) fn template(&self) -> Option<String> {
        match self.content.metadata.get("tokenizer.chat_template") {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// The text of the special token `kind` (`bos`, `eos`), empty where there is none.
    pub(crate) fn special(&self, kind: &str) -> String {
        let number = self.content.metadata.get(&format!("{PREFIX}{kind}_token_id")).and_then(|id| id.to_u64().ok());
        let token = number.and_then(|number| self.tokens()?.get(usize::try_from(number).ok()?));
        match token {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        }
    }

    fn tokens(&self) -> Option<&Vec<Value>> {
        self.content.metadata.get(&format!("{PREFIX}tokens"))?.to_vec().ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.content.metadata.get(&format!("{PREFIX}{name}"))?.to_string().ok().cloned()
    }

    fn set(&mut self, name: &str, value: Value) {
        self.content.metadata.insert(format!("{PREFIX}{name}"), value);
    }
}
