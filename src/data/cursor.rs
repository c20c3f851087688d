//! A JSON reader that walks one record without building a tree.
//!
//! Purpose: everything the index needs of a record comes from one pass; values nobody asked for are checked and
//! skipped. It accepts what RFC 8259 allows, and what it accepts `serde_json` accepts as a raw value.
//! Constraints: nesting is limited to [`MAX_DEPTH`], so recursion is bounded; half surrogate pairs are refused,
//! because they are not text; no call panics on any input.

use std::borrow::Cow;

use super::escapes::{hex4, unescape};
use super::lanes::{LANES, specials, specials_16};
use super::text::Text;

/// Deepest nesting of lists and objects that is read: the limit of `serde_json`.
pub(super) const MAX_DEPTH: usize = 127;

/// Why a record is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Byte offset in the record.
    pub at: usize,
    pub cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The record ends too early.
    End,
    TooDeep,
    /// What was expected or is not allowed, as the end of the sentence "at character 7 …".
    Unexpected(&'static str),
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JsonStr<'a> {
    pub raw: &'a str,
    pub escaped: bool,
}

impl<'a> JsonStr<'a> {
    /// The text it stands for; borrowed unless it has escapes.
    pub fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// The same, decoded later.
    pub fn text(self) -> Text<'a> {
        if self.escaped { Text::Escaped(self.raw) } else { Text::Plain(Cow::Borrowed(self.raw)) }
    }
}

/// A value, or the beginning of one: after `Array` and `Object` the cursor stands behind the bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Null,
    Bool,
    Number,
    String(JsonStr<'a>),
    Array,
    Object,
}

/// Stands somewhere in a JSON text. `Copy`, so that a caller can look ahead and come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Byte offset where the cursor stands.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The text from `start` up to the cursor.
    pub fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, SyntaxError> {
        let cause = if self.at >= self.text.len() { Cause::End } else { Cause::Unexpected(message) };
        Err(SyntaxError { at: self.at.min(self.text.len()), cause })
    }

    pub fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// Only blanks may follow.
    pub fn finish(&mut self) -> Result<(), SyntaxError> {
        self.skip_blanks();
        if self.at < self.text.len() { self.fail("there is more text after the end of the record") } else { Ok(()) }
    }

    /// Reads a scalar, or steps into a list or an object.
    #[inline]
    pub fn value(&mut self) -> Result<Token<'a>, SyntaxError> {
        self.skip_blanks();
        match self.byte() {
            Some(b'"') => self.string().map(Token::String),
            Some(b'{') => self.step_in(Token::Object),
            Some(b'[') => self.step_in(Token::Array),
            Some(b't') => self.literal("true", Token::Bool),
            Some(b'f') => self.literal("false", Token::Bool),
            Some(b'n') => self.literal("null", Token::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'N' | b'I') => self.fail("`NaN` and `Infinity` are not JSON; write null instead"),
            Some(b'\'') => self.fail("single quotes are not JSON; this may be Python text, write it with json.dumps"),
            Some(b'T' | b'F') => self.fail("`True`, `False` and `None` are Python, not JSON"),
            _ => self.fail("a value is missing"),
        }
    }

    fn step_in(&mut self, token: Token<'a>) -> Result<Token<'a>, SyntaxError> {
        if self.depth >= MAX_DEPTH {
            return Err(SyntaxError { at: self.at, cause: Cause::TooDeep });
        }
        self.depth += 1;
        self.at += 1;
        Ok(token)
    }

    /// The next key of the object stepped into, standing before its value; `None` after the closing brace.
    /// `first` is true for the first call and set to false.
    #[inline]
    pub fn key(&mut self, first: &mut bool) -> Result<Option<JsonStr<'a>>, SyntaxError> {
        self.skip_blanks();
        match self.byte() {
            Some(b'}') => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(None);
            }
            Some(b',') if !*first => {
                self.at += 1;
                self.skip_blanks();
            }
            _ if !*first => return self.fail("a `,` or `}` is missing"),
            _ => {}
        }
        *first = false;
        match self.byte() {
            Some(b'"') => {}
            Some(b'\'') => {
                return self.fail("single quotes are not JSON; this may be Python text, write it with json.dumps");
            }
            Some(b'}') => return self.fail("there is a `,` before the `}`"),
            _ => return self.fail("a field name in double quotes is missing"),
        }
        let key = self.string()?;
        self.skip_blanks();
        if self.byte() != Some(b':') {
            return self.fail("a `:` is missing after the field name");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// True while another item of the list stepped into follows; false after the closing bracket.
    pub fn item(&mut self, first: &mut bool) -> Result<bool, SyntaxError> {
        self.skip_blanks();
        match self.byte() {
            Some(b']') => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(false);
            }
            Some(b',') if !*first => {
                self.at += 1;
                self.skip_blanks();
                if self.byte() == Some(b']') {
                    return self.fail("there is a `,` before the `]`");
                }
            }
            _ if !*first => return self.fail("a `,` or `]` is missing"),
            _ => {}
        }
        *first = false;
        Ok(true)
    }

    /// Walks over what `token` began.
    pub fn skip(&mut self, token: Token<'a>) -> Result<(), SyntaxError> {
        let mut first = true;
        match token {
            Token::Array => {
                while self.item(&mut first)? {
                    let inner = self.value()?;
                    self.skip(inner)?;
                }
            }
            Token::Object => {
                while self.key(&mut first)?.is_some() {
                    let inner = self.value()?;
                    self.skip(inner)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn literal(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, SyntaxError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(token);
        }
        if word.as_bytes().starts_with(rest) {
            self.at = self.text.len();
        }
        self.fail("a value is missing")
    }

    fn number(&mut self) -> Result<Token<'a>, SyntaxError> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(b'I') => return self.fail("`NaN` and `Infinity` are not JSON; write null instead"),
            _ => return self.fail("this is not a number"),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(Token::Number)
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), SyntaxError> {
        let before = self.at;
        self.digits();
        if self.at == before { self.fail("this is not a number") } else { Ok(()) }
    }

    /// Reads a string; the cursor stands on its opening quote.
    fn string(&mut self) -> Result<JsonStr<'a>, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            let (from, to, mut hits) = special(bytes, self.at);
            if hits == 0 {
                self.at = bytes.len();
                return self.fail("");
            }
            // All of these bytes are looked at before the next ones are, because escapes come in runs.
            while hits != 0 {
                self.at = from + hits.trailing_zeros() as usize;
                match self.byte() {
                    Some(b'"') => {
                        let raw = self.text.get(start..self.at).unwrap_or_default();
                        self.at += 1;
                        return Ok(JsonStr { raw, escaped });
                    }
                    Some(b'\\') => {
                        escaped = true;
                        self.escape()?;
                        let passed = (self.at - from) as u32;
                        hits = u64::MAX.checked_shl(passed).map_or(0, |behind| hits & behind);
                    }
                    _ => return self.fail(CONTROL),
                }
            }
            self.at = self.at.max(to);
        }
    }

    /// Checks one escape; the cursor stands on its backslash.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let Some(code) = hex4(bytes, self.at + 2) else {
                    return self.bad_escape("`\\u` needs four hexadecimal digits");
                };
                match code {
                    0xD800..=0xDBFF => {
                        let low = (bytes.get(self.at + 6) == Some(&b'\\') && bytes.get(self.at + 7) == Some(&b'u'))
                            .then(|| hex4(bytes, self.at + 8))
                            .flatten();
                        if !matches!(low, Some(0xDC00..=0xDFFF)) {
                            return self.bad_escape(HALF_PAIR);
                        }
                        self.at += 12;
                    }
                    0xDC00..=0xDFFF => return self.bad_escape(HALF_PAIR),
                    _ => self.at += 6,
                }
                Ok(())
            }
            Some(_) => self.fail("a backslash must be written twice in a text"),
            None => {
                self.at = self.text.len();
                self.fail("")
            }
        }
    }

    fn bad_escape(&mut self, message: &'static str) -> Result<(), SyntaxError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        // An escape cut off by the end of the file is a cut-off record, not a wrong escape.
        if rest.len() < 12 && !rest.contains(&b'"') && rest.iter().skip(2).all(|b| b.is_ascii_hexdigit()) {
            self.at = self.text.len();
        }
        self.fail(message)
    }
}

const CONTROL: &str = "a text holds a control character (such as a line break or a NUL byte); write it as an escape";

const HALF_PAIR: &str = "`\\ud800` to `\\udfff` stand for half a character; remove it or write the whole pair";

/// The bytes from `at` on that end a run of plain text (a quote, a backslash or a control character): the first place of
/// at most 64 bytes that hold some, the place behind these bytes, and one bit for each; no bit where none follows.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> (usize, usize, u64) {
    let rest = |at: usize| bytes.get(at..).unwrap_or_default();
    // Most names are short.
    if let Some(few) = rest(at).first_chunk() {
        let hits = u64::from(specials_16(few));
        if hits != 0 {
            return (at, at + few.len(), hits);
        }
        at += few.len();
    }
    while let Some(many) = rest(at).first_chunk() {
        let hits = specials(many);
        if hits != 0 {
            return (at, at + LANES, hits);
        }
        at += LANES;
    }
    let mut last = [b' '; LANES];
    last.iter_mut().zip(rest(at)).for_each(|(to, from)| *to = *from);
    (at, bytes.len(), specials(&last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn accepts(text: &str) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::new(text);
        let token = cursor.value()?;
        cursor.skip(token)?;
        cursor.finish()
    }

    #[test]
    fn agrees_with_serde_json_on_mutated_texts() {
        let seeds = [
            r#"{"a":"x\n\"y\"","b":[1,-2.5e+3,true,null,{"c":"é日本\u00e9\ud83d\ude00"}],"d":{}}"#,
            r#"[ "long enough to leave the first chunk of thirty-two bytes \\ behind", 0, [], {"k" : false} ]"#,
        ];
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let mut valid = 0;
        for round in 0..40_000 {
            let mut bytes = seeds[round % 2].as_bytes().to_vec();
            for _ in 0..random.random_range(0..3) {
                let at = random.random_range(0..bytes.len());
                let alphabet = br#""\{}[],:0123eE+-.tfnu dDcC8"#;
                match random.random_range(0..3) {
                    0 => bytes[at] = alphabet[random.random_range(0..alphabet.len())],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, alphabet[random.random_range(0..alphabet.len())]),
                }
            }
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            // Numbers out of range are valid JSON but no `Value`: compare without them.
            let oracle = serde_json::from_str::<serde_json::Value>(text);
            if oracle.as_ref().is_err_and(|error| error.to_string().contains("out of range")) {
                continue;
            }
            valid += usize::from(oracle.is_ok());
            assert_eq!(accepts(text).is_ok(), oracle.is_ok(), "{text}: {oracle:?}");
        }
        assert!(valid > 5_000);
    }

    #[test]
    fn decodes_strings_as_serde_json_does() {
        for text in [r#""""#, r#""plain""#, r#""\"\\\/\b\f\n\r\t""#, r#""\u0041\ud83d\ude00é\u0000z""#] {
            let Ok(Token::String(string)) = Cursor::new(text).value() else { panic!("{text}") };
            let expected = serde_json::from_str::<String>(text).expect("valid");
            assert_eq!(string.decode(), expected);
            let mut bytes = Vec::new();
            string.text().append_to(&mut bytes);
            assert_eq!(bytes, expected.as_bytes());
        }
    }

    #[test]
    fn names_the_cause() {
        let cause = |text: &str| accepts(text).expect_err(text).cause;
        assert_eq!(cause(r#"{"a":"b"#), Cause::End);
        assert_eq!(cause(r#"{"a":"\u00"#), Cause::End);
        assert_eq!(cause(r#"{"a":tr"#), Cause::End);
        assert_eq!(cause(&"[".repeat(10_000)), Cause::TooDeep);
        assert_eq!(cause(r#"{"a":"\ud800"}"#), Cause::Unexpected(HALF_PAIR));
        assert!(matches!(cause("{'a':1}"), Cause::Unexpected(m) if m.contains("Python")));
        assert!(matches!(cause("{\"a\":\"\0\"}"), Cause::Unexpected(m) if m.contains("control character")));
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(accepts(&deep), Ok(()));
        assert!(serde_json::from_str::<serde_json::Value>(&deep).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&format!("[{deep}]")).is_err());
    }

    #[test]
    fn finds_the_special_bytes_at_every_place() {
        for length in 0..150 {
            for at in 0..=length {
                let mut bytes = vec![b'a'; length];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [b'"', b'\\', 0x1f][at % 3];
                }
                let (from, to, hits) = special(&bytes, 0);
                let found = (hits != 0).then(|| from + hits.trailing_zeros() as usize);
                assert_eq!(found, (at < length).then_some(at));
                assert!(hits.count_ones() <= 1 && from <= to && to <= length);
            }
        }
    }
}
