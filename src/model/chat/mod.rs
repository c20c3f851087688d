//! Rows as the model reads them: chat template, token numbers, and which tokens are supervised.
//!
//! Only what the assistant says is supervised, in every turn of a chat, and the token that ends it. Where the
//! assistant begins and ends is found by rendering the chat up to there: stock templates carry no marks. Constraints:
//! the rendered text is tokenised without special tokens, since templates write them; a row without a supervised
//! token is refused with the reason, never trained on.

mod spans;
mod template;

pub use template::Message;

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use self::spans::spans;
use self::template::Template;
use super::ModelError;
use super::decoder::gguf::Vocabulary;
use super::decoder::{DecoderSpec, is_gguf};
use super::folder::Folder;
use super::tokens::TOKENIZER;
use crate::data::{Row, Speaker};

/// A row's texts longer than this are cut before they are tokenised.
const MAX_BYTES: usize = 4 << 20;

/// The tokens of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTokens {
    pub tokens: Vec<u32>,
    /// Of each token, whether its loss counts.
    pub supervised: Vec<bool>,
    /// Tokens that were cut off at the maximum.
    pub cut: usize,
}

impl ChatTokens {
    pub fn supervised_tokens(&self) -> usize {
        self.supervised.iter().filter(|supervised| **supervised).count()
    }
}

/// Why a row cannot be trained on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// In the words of the template.
    #[error("{0}")]
    Template(String),
    #[error("the assistant says nothing in it")]
    NoAnswer,
    #[error("its answer begins behind the maximum of {0} tokens")]
    Cut(usize),
    #[error("the tokenizer fails: {0}")]
    Tokenizer(String),
}

/// A run of tokens that are all supervised or all not: what a preview shows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Piece {
    pub text: String,
    pub tokens: usize,
    pub supervised: bool,
}

/// Tokenizer and chat template of a model folder.
#[derive(Debug)]
pub struct ChatTokenizer {
    tokenizer: Tokenizer,
    template: Template,
    path: PathBuf,
    end: Vec<u32>,
    eos: Option<u32>,
}

impl ChatTokenizer {
    /// Of a Hugging Face directory, or of a GGUF file: the `tokenizer.json` beside it, else what the file carries.
    ///
    /// # Errors
    /// A file is missing or malformed, or the tokenizer does not fit the model.
    pub fn open(path: &Path, spec: &DecoderSpec) -> Result<Self, ModelError> {
        if is_gguf(path) {
            return Self::open_gguf(path, spec);
        }
        let folder = Folder(path);
        let bytes = folder.required(
            TOKENIZER,
            "save the model with a fast tokenizer (transformers' AutoTokenizer … save_pretrained writes it)",
        )?;
        Self::new(read_tokenizer(folder, &bytes)?, Template::open(folder)?, folder.path(TOKENIZER), spec)
    }

    fn open_gguf(path: &Path, spec: &DecoderSpec) -> Result<Self, ModelError> {
        let mut vocabulary = Vocabulary::open(path)?;
        let folder = Folder(path.parent().unwrap_or_else(|| Path::new("")));
        let (tokenizer, from) = match folder.bytes(TOKENIZER)? {
            Some(bytes) => {
                let tokenizer = read_tokenizer(folder, &bytes)?;
                vocabulary.check(&tokenizer).map_err(|reason| folder.malformed(TOKENIZER, reason))?;
                (tokenizer, folder.path(TOKENIZER))
            }
            None => {
                let made = vocabulary.tokenizer().map_err(|reason| ModelError::Unsupported {
                    path: path.to_owned(),
                    reason: format!("{reason}; put the tokenizer.json of the same model beside the file"),
                })?;
                (made, path.to_owned())
            }
        };
        let (bos, eos) = (vocabulary.special("bos"), vocabulary.special("eos"));
        Self::new(tokenizer, Template::from_text(path, vocabulary.template(), bos, eos)?, from, spec)
    }

    fn new(
        mut tokenizer: Tokenizer,
        template: Template,
        path: PathBuf,
        spec: &DecoderSpec,
    ) -> Result<Self, ModelError> {
        let bad = |reason: String| ModelError::Malformed { path: path.clone(), reason };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| bad(format!("it is no tokenizer: {error}")))?;
        let eos = tokenizer.token_to_id(&template.eos).or_else(|| spec.end_tokens.first().copied());
        let mut end = spec.end_tokens.clone();
        end.extend(eos);
        end.sort_unstable();
        end.dedup();
        end.retain(|token| (*token as usize) < spec.vocabulary);
        let eos = eos.filter(|eos| end.contains(eos));
        let this = Self { tokenizer, template, path: path.clone(), eos, end };
        let largest = this.encode("a").ok().and_then(|(ids, _)| ids.into_iter().max()).unwrap_or(0);
        if largest as usize >= spec.vocabulary {
            let most = spec.vocabulary;
            return Err(bad(format!(
                "it gives token {largest}, but the network has {most} tokens: the files are of different models"
            )));
        }
        Ok(this)
    }

    /// Tokens that end an answer.
    pub fn end_tokens(&self) -> &[u32] {
        &self.end
    }

    /// The model has no template, so a plain one stands in.
    pub fn has_built_in_template(&self) -> bool {
        self.template.built_in
    }

    /// A row for training, cut at `most` tokens.
    ///
    /// # Errors
    /// Why the row cannot be trained on.
    pub fn row(&self, row: &Row, most: usize) -> Result<ChatTokens, RowFault> {
        if row.turns.iter().all(|turn| turn.speaker == Speaker::None) {
            return self.plain(&row.text(), most);
        }
        let messages: Vec<Message> =
            row.turns.iter().map(|turn| Message::new(turn.speaker, bounded(&turn.text))).collect();
        self.chat(&messages, most)
    }

    /// A chat for training, cut at `most` tokens.
    ///
    /// # Errors
    /// As [`ChatTokenizer::row`].
    pub fn chat(&self, messages: &[Message], most: usize) -> Result<ChatTokens, RowFault> {
        if !messages.iter().any(|message| message.role == "assistant" && !message.content.trim().is_empty()) {
            return Err(RowFault::NoAnswer);
        }
        let (text, spans) = match spans(&self.template, messages) {
            Ok(found) => found,
            // Some templates know no system role: then its words go to the user.
            Err(reason) => match without_system(messages) {
                Some(merged) => spans(&self.template, &merged).map_err(|_| RowFault::Template(reason))?,
                None => return Err(RowFault::Template(reason)),
            },
        };
        let (ids, offsets) = self.encode(&text)?;
        let mut out = ChatTokens { tokens: Vec::with_capacity(ids.len() + 1), supervised: Vec::new(), cut: 0 };
        let mut spans = spans.into_iter().peekable();
        // Where the answer that is being read began among the tokens, and where its last token that is no blank is.
        let mut answer: Option<usize> = None;
        for (id, (start, end)) in ids.into_iter().zip(offsets) {
            while let Some(span) = spans.peek()
                && start >= span.end
            {
                self.end_answer(&mut out, answer.take());
                spans.next();
            }
            // A token may begin with the blank before the answer.
            let inside = spans.peek().is_some_and(|span| end > span.start);
            if inside && answer.is_none() {
                answer = Some(out.tokens.len());
            }
            out.tokens.push(id);
            out.supervised.push(inside);
        }
        self.end_answer(&mut out, answer);
        finish(out, most)
    }

    /// The prompt of a chat: it ends where the assistant begins to speak.
    ///
    /// # Errors
    /// What the template says of the chat.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, RowFault> {
        let text = match self.template.render(messages, true) {
            Ok(text) => text,
            Err(reason) => match without_system(messages) {
                Some(merged) => self.template.render(&merged, true).map_err(|_| RowFault::Template(reason))?,
                None => return Err(RowFault::Template(reason)),
            },
        };
        Ok(self.encode(&text)?.0)
    }

    /// A text as it stands, with the special tokens that the tokenizer puts around one; at most `most` tokens, and
    /// whether it was cut.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn text(&self, text: &str, most: usize) -> Result<(Vec<u32>, bool), RowFault> {
        let encoding = self.tokenizer.encode_fast(bounded(text), true);
        let mut ids = encoding.map_err(|error| RowFault::Tokenizer(error.to_string()))?.get_ids().to_vec();
        let cut = ids.len() > most || bounded(text).len() < text.len();
        ids.truncate(most);
        Ok((ids, cut))
    }

    /// Runs of tokens of a row as text: exactly what is trained on.
    pub fn preview(&self, row: &ChatTokens) -> Vec<Piece> {
        let mut pieces: Vec<(Vec<u32>, bool)> = Vec::new();
        for (&token, &supervised) in row.tokens.iter().zip(&row.supervised) {
            match pieces.last_mut() {
                Some((tokens, same)) if *same == supervised => tokens.push(token),
                _ => pieces.push((vec![token], supervised)),
            }
        }
        let piece = |(tokens, supervised): (Vec<u32>, bool)| Piece {
            text: self.tokenizer.decode(&tokens, false).unwrap_or_default(),
            tokens: tokens.len(),
            supervised,
        };
        pieces.into_iter().map(piece).collect()
    }

    /// Text of tokens, without the special ones.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.tokenizer.decode(tokens, true).unwrap_or_default()
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A row without speakers: all of it is supervised, and it ends.
    fn plain(&self, text: &str, most: usize) -> Result<ChatTokens, RowFault> {
        if text.trim().is_empty() {
            return Err(RowFault::NoAnswer);
        }
        let (mut tokens, _) = self.text(text, usize::MAX)?;
        if tokens.last().is_none_or(|last| !self.end.contains(last)) {
            tokens.extend(self.eos);
        }
        let supervised = vec![true; tokens.len()];
        finish(ChatTokens { tokens, supervised, cut: 0 }, most)
    }

    /// Token numbers and the bytes that each stands for.
    fn encode(&self, text: &str) -> Result<Encoded, RowFault> {
        let encoding = self.tokenizer.encode(text, false).map_err(|error| RowFault::Tokenizer(error.to_string()))?;
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()))
    }

    /// Ends the answer that began at token `start`: what stands behind its end token (a line break of the template)
    /// is not supervised, and an answer without an end token gets one.
    fn end_answer(&self, out: &mut ChatTokens, start: Option<usize>) {
        let Some(start) = start else { return };
        let special = |token: &u32| self.end.contains(token) || self.is_special(*token);
        let answer = out.tokens.get(start..).unwrap_or_default();
        let behind = match answer.iter().rposition(special) {
            Some(last) => {
                let rest = answer.get(last + 1..).unwrap_or_default();
                let blank = self.tokenizer.decode(rest, false).is_ok_and(|text| text.trim().is_empty());
                if blank { Some(start + last + 1) } else { None }
            }
            None => None,
        };
        match behind {
            Some(behind) => out.supervised.iter_mut().skip(behind).for_each(|supervised| *supervised = false),
            None => {
                if let Some(eos) = self.eos {
                    out.tokens.push(eos);
                    out.supervised.push(true);
                }
            }
        }
    }

    fn is_special(&self, token: u32) -> bool {
        self.tokenizer.get_added_tokens_decoder().get(&token).is_some_and(|token| token.special)
    }
}

fn read_tokenizer(folder: Folder<'_>, bytes: &[u8]) -> Result<Tokenizer, ModelError> {
    let bad = |error: tokenizers::Error| folder.malformed(TOKENIZER, format!("it is no tokenizer: {error}"));
    Tokenizer::from_bytes(bytes).map_err(bad)
}

/// Token numbers, and the first byte and the end of each in the text.
type Encoded = (Vec<u32>, Vec<(usize, usize)>);

fn finish(mut row: ChatTokens, most: usize) -> Result<ChatTokens, RowFault> {
    // The first token is predicted from nothing.
    if let Some(first) = row.supervised.first_mut() {
        *first = false;
    }
    if row.supervised_tokens() == 0 {
        return Err(RowFault::NoAnswer);
    }
    row.cut = row.tokens.len().saturating_sub(most);
    row.tokens.truncate(most);
    row.supervised.truncate(most);
    if row.supervised_tokens() == 0 {
        return Err(RowFault::Cut(most));
    }
    Ok(row)
}

fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_BYTES)).unwrap_or(text)
}

/// System words put before the first user's; `None` where there are none.
fn without_system(messages: &[Message]) -> Option<Vec<Message>> {
    let (system, mut rest): (Vec<Message>, Vec<Message>) =
        messages.iter().cloned().partition(|message| message.role == "system");
    if system.is_empty() {
        return None;
    }
    let words: Vec<String> = system.into_iter().map(|message| message.content).collect();
    let user = rest.iter_mut().find(|message| message.role == "user")?;
    user.content = format!("{}\n\n{}", words.join("\n\n"), user.content);
    Some(rest)
}
