//! A text as it stands in a record.
//!
//! Purpose: indexing needs the length of a text and whether it is blank, not its words, so escapes are decoded only where
//! somebody reads them.

use std::borrow::Cow;

use super::escapes::{characters, unescape, unescape_into};
use super::measure::{Length, measure, measure_escaped};
use super::record::is_blank;

/// A text, decoded when asked for.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Plain(Cow<'a, str>),
    /// What stands between the quotes of a JSON string with escapes; the cursor checked it.
    Escaped(&'a str),
    /// Two texts with a line break between them.
    Lines(Box<[Text<'a>; 2]>),
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::Plain(Cow::Borrowed(""))
    }
}

impl<'a> Text<'a> {
    /// True where there is no character at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Plain(text) => text.is_empty(),
            Self::Escaped(raw) => raw.is_empty(),
            Self::Lines(_) => false,
        }
    }

    /// True where there is nothing to read.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Plain(text) => is_blank(text),
            Self::Escaped(raw) => {
                let first = raw.as_bytes().first();
                !first.is_some_and(|byte| byte.is_ascii_graphic() && *byte != b'\\')
                    && characters(raw).all(char::is_whitespace)
            }
            Self::Lines(texts) => texts.iter().all(Self::is_blank),
        }
    }

    /// Characters and tokens.
    pub fn length(&self) -> Length {
        match self {
            Self::Plain(text) => measure(text),
            Self::Escaped(raw) => measure_escaped(raw),
            Self::Lines(texts) => {
                let [first, second] = texts.each_ref().map(Self::length);
                Length { chars: first.chars + 1 + second.chars, tokens: first.tokens + second.tokens }
            }
        }
    }

    /// Appends the text in UTF-8.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Plain(text) => bytes.extend_from_slice(text.as_bytes()),
            Self::Escaped(raw) => unescape_into(raw, bytes),
            Self::Lines(texts) => {
                let [first, second] = &**texts;
                first.append_to(bytes);
                bytes.push(b'\n');
                second.append_to(bytes);
            }
        }
    }

    /// The text itself.
    pub fn decode(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(raw) => Cow::Owned(unescape(raw)),
            Self::Lines(texts) => {
                let [first, second] = texts.each_ref().map(Self::decode);
                Cow::Owned(format!("{first}\n{second}"))
            }
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Plain(text)
    }
}
