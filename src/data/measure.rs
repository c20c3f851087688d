//! Length of a text in characters and in words and punctuation marks, and the content hash.
//!
//! Constraint: one pass over the text as it stands in the file, 64 bytes at a time; nothing is decoded for it. The slow
//! oracle that reads character by character is in the tests.

use std::sync::LazyLock;

use super::escapes::{escape_at, hex4};
use super::lanes::{LANES, classes, escapes, letters_u};
use super::record::Parts;
use super::{ContentHash, Speaker};

/// Characters and tokens of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Length {
    pub chars: u64,
    pub tokens: u64,
}

/// What a character is for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Blank = 0,
    /// Part of a word; a run of these is one token.
    Word = 1,
    /// A token of its own: a punctuation mark, a symbol, a character of a script written without blanks.
    Mark = 2,
}

/// Counts characters and tokens of a text.
pub(super) fn measure(text: &str) -> Length {
    count::<false>(text)
}

/// Counts characters and tokens of the text that a JSON string stands for, given as it is between its quotes.
pub(super) fn measure_escaped(raw: &str) -> Length {
    count::<true>(raw)
}

#[inline(always)]
fn count<const ESCAPES: bool>(text: &str) -> Length {
    let bytes = text.as_bytes();
    let mut length = Length::default();
    let mut in_word = 0u64;
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let mut last = [0; LANES];
        let (lanes, mut size) = match rest.first_chunk() {
            Some(lanes) => (lanes, LANES),
            None if rest.is_empty() => return length,
            None => {
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                (&last, rest.len())
            }
        };
        let classes = classes(lanes);
        let (mut word, mut mark) = (classes.word, classes.visible & !classes.word);
        // Bytes that are not the first of their character.
        let mut behind = classes.behind;
        if ESCAPES && classes.slash != 0 {
            let (begin, escaped) = escapes(classes.slash);
            if size == LANES && begin >> (LANES - 1) == 1 {
                // The other half of this escape is not among these bytes.
                size -= 1;
            }
            // Behind a backslash, letters stand for blanks, and marks for themselves.
            (word, mark, behind) = (word & !escaped, mark & !begin, behind | escaped);
            let mut long = escaped & letters_u(lanes);
            while long != 0 {
                let first = (long.trailing_zeros() as usize).saturating_sub(1);
                let (bytes, class) = long_escape(&TABLE, rest, first);
                if first > 0 && first + bytes > size {
                    size = first;
                    break;
                }
                let span = span(first, bytes);
                long &= !span;
                behind |= span & (span - 1);
                (word, mark) = (word & !span, mark & !span);
                put(class, span, &mut word, &mut mark);
            }
        }
        let mut leads = classes.high & !classes.behind & span(0, size);
        if leads != 0 {
            let table = &*TABLE;
            let last = LANES - 1 - leads.leading_zeros() as usize;
            if last > 0 && last + length_of(rest.get(last).copied().unwrap_or_default()) > size {
                (size, leads) = (last, leads & !(1 << last));
            }
            while leads != 0 {
                let first = leads.trailing_zeros() as usize;
                leads &= leads - 1;
                let (bytes, class) = character(table, rest, first);
                put(class, span(first, bytes), &mut word, &mut mark);
            }
        }
        let kept = span(0, size);
        (word, mark) = (word & kept, mark & kept);
        length.chars += (size as u64).saturating_sub(u64::from((behind & kept).count_ones()));
        length.tokens += u64::from((mark | (word & !(word << 1 | in_word))).count_ones());
        in_word = word >> (size - 1) & 1;
        at += size;
    }
}

/// The bits of `count` bytes from `first` on.
#[inline(always)]
fn span(first: usize, count: usize) -> u64 {
    (u64::MAX >> (LANES - count.clamp(1, LANES))) << (first % LANES)
}

/// Gives the character that takes the bytes of `span` its class. No branch: texts do not let it be foretold.
#[inline(always)]
fn put(class: Class, span: u64, word: &mut u64, mark: &mut u64) {
    *word |= span & 0u64.wrapping_sub(u64::from(class == Class::Word));
    *mark |= (span & span.wrapping_neg()) & 0u64.wrapping_sub(u64::from(class == Class::Mark));
}

/// Length in bytes and class of the `\u` escape at `at`.
#[inline(always)]
fn long_escape(table: &Table, bytes: &[u8], at: usize) -> (usize, Class) {
    match hex4(bytes, at + 2) {
        Some(0xD800..=0xDBFF) | None => {
            let (character, length) = escape_at(bytes, at);
            (length, table.class(u32::from(character)))
        }
        Some(code) => (6, table.class(code)),
    }
}

/// Bytes of the character that begins with `lead`, which is none of ASCII.
#[inline(always)]
fn length_of(lead: u8) -> usize {
    2 + usize::from(lead >= 0xe0) + usize::from(lead >= 0xf0)
}

/// Length in bytes and class of the character beyond ASCII at `at`.
#[inline(always)]
fn character(table: &Table, bytes: &[u8], at: usize) -> (usize, Class) {
    let lead = bytes.get(at).copied().unwrap_or_default();
    let next = |by: usize| u32::from(bytes.get(at + by).copied().unwrap_or_default() & 0x3f);
    if lead >= 0xf0 {
        return (4, table.class(u32::from(lead & 0x07) << 18 | next(1) << 12 | next(2) << 6 | next(3)));
    }
    // Two and three bytes alternate in many texts: both codes are made, and one is chosen without a branch.
    let two = u32::from(lead & 0x1f) << 6 | next(1);
    let three = u32::from(lead & 0x0f) << 12 | next(1) << 6 | next(2);
    (length_of(lead), table.class(if lead >= 0xe0 { three } else { two }))
}

/// [`class_of`] by look-up: two bits a character, up to the planes that are all of one class.
struct Table(Vec<u8>);

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut bits = vec![0u8; TABLED as usize / 4];
    for character in (0..TABLED).filter_map(char::from_u32) {
        if let Some(four) = bits.get_mut(character as usize / 4) {
            *four |= (class_of(character) as u8) << (character as u32 % 4 * 2);
        }
    }
    Table(bits)
});

/// Characters below this stand in the table.
const TABLED: u32 = 0x2_0000;

impl Table {
    #[inline(always)]
    fn class(&self, code: u32) -> Class {
        match self.0.get(code as usize / 4) {
            Some(four) => {
                let bits = four >> (code % 4 * 2);
                // Two selections instead of three ways.
                let word = if bits & 1 == 1 { Class::Word } else { Class::Blank };
                if bits & 2 == 2 { Class::Mark } else { word }
            }
            None => char::from_u32(code).map_or(Class::Mark, classify),
        }
    }
}

/// The class of any character.
fn class_of(character: char) -> Class {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Class::Word,
        '!'..='~' => Class::Mark,
        _ if character.is_ascii() => Class::Blank,
        _ => classify(character),
    }
}

/// The class of a character beyond ASCII.
pub(super) fn classify(character: char) -> Class {
    match u32::from(character) {
        // Thai, Lao, Tibetan, Myanmar, Khmer; CJK, kana, Hangul and their marks.
        0x0E00..=0x0FFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x2FFF => Class::Mark,
        0x3000 => Class::Blank,
        0x3001..=0x9FFF | 0xA000..=0xA4CF | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF => Class::Mark,
        0x2_0000..=0x3_FFFF => Class::Mark,
        // Combining marks and the scripts whose vowel signs are not letters by category.
        0x0300..=0x036F | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x0900..=0x0DFF => Class::Word,
        // Joiners inside words, selectors behind symbols: no token of their own.
        0x200B..=0x200F | 0x2028..=0x202F | 0x2060..=0x2064 | 0xFE00..=0xFE0F | 0xFEFF => Class::Blank,
        _ if character.is_alphanumeric() => Class::Word,
        _ if character.is_whitespace() || character.is_control() => Class::Blank,
        _ => Class::Mark,
    }
}

/// Characters and tokens of [`super::Row::text`] of these parts.
pub(super) fn measure_parts(parts: &Parts<'_>) -> Length {
    let mut sum = Length::default();
    let mut texts = 0u64;
    for turn in parts.turns.iter().filter(|turn| !turn.text.is_empty()) {
        let length = turn.text.length();
        sum.chars += length.chars;
        sum.tokens += length.tokens;
        texts += 1;
    }
    // The line breaks that join the turns.
    sum.chars += texts.saturating_sub(1);
    sum
}

/// Hashes the canonical content (see [`ContentHash`]) of these parts; `buffer` is scratch space.
pub(super) fn content_hash(parts: &Parts<'_>, buffer: &mut Vec<u8>) -> ContentHash {
    buffer.clear();
    buffer.extend_from_slice(b"dipole row 1\n");
    for turns in [&parts.turns, &parts.rejected] {
        buffer.extend_from_slice(&(turns.len() as u64).to_le_bytes());
        for turn in turns {
            buffer.push(speaker_tag(turn.speaker));
            // The length in bytes is known when the text is decoded.
            let place = buffer.len();
            buffer.extend_from_slice(&[0; 8]);
            turn.text.append_to(buffer);
            let bytes = (buffer.len() - place - 8) as u64;
            if let Some(length) = buffer.get_mut(place..place + 8) {
                length.copy_from_slice(&bytes.to_le_bytes());
            }
        }
    }
    ContentHash(*blake3::hash(buffer).as_bytes())
}

fn speaker_tag(speaker: Speaker) -> u8 {
    match speaker {
        Speaker::System => b's',
        Speaker::User => b'u',
        Speaker::Assistant => b'a',
        Speaker::Tool => b't',
        Speaker::None => b'-',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn slow(text: &str) -> Length {
        let mut length = Length::default();
        let mut before = Class::Blank;
        for character in text.chars() {
            let now = class_of(character);
            length.chars += 1;
            length.tokens += u64::from(now == Class::Mark || (now == Class::Word && before != Class::Word));
            before = now;
        }
        length
    }

    #[test]
    fn counts_words_and_marks() {
        assert_eq!(measure(""), Length::default());
        assert_eq!(measure("Hello, world!"), Length { chars: 13, tokens: 4 });
        assert_eq!(measure("日本語 ok"), Length { chars: 6, tokens: 4 });
        assert_eq!(measure("Größe café"), Length { chars: 10, tokens: 2 });
    }

    #[test]
    fn agrees_with_the_slow_count_on_random_texts() {
        let alphabet: Vec<char> =
            "aZ09 _-,.\n\t\0~\u{7f}\"\\/é×日ก한\u{301}\u{200d}😀अ\u{a0}\u{3000}“”жπ𝒳𠀀".chars().collect();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..4_000 {
            let ascii_only = random.random_range(0..3) == 0;
            let some = random.random_range(1..=if ascii_only { 17 } else { alphabet.len() });
            let text: String =
                (0..random.random_range(0..400)).map(|_| alphabet[random.random_range(0..some)]).collect();
            let expected = slow(&text);
            assert_eq!(measure(&text), expected, "{text:?}");
            let escaped: String = text.chars().map(|c| escaped(c, random.random_range(0..3))).collect();
            let decoded: String = serde_json::from_str(&format!("\"{escaped}\"")).expect("a JSON string");
            assert_eq!((decoded.as_str(), measure_escaped(&escaped)), (text.as_str(), expected), "{escaped}");
        }
    }

    /// One of the ways to write a character in JSON.
    fn escaped(character: char, way: u32) -> String {
        let named = match character {
            '\n' => 'n',
            '\t' => 't',
            '"' | '\\' | '/' => character,
            _ if way > 0 && !character.is_control() => return character.to_string(),
            _ => 'u',
        };
        if named != 'u' && (way > 0 || character != '/') {
            return format!("\\{named}");
        }
        character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    }

    #[test]
    fn the_table_holds_the_class_of_every_character() {
        for character in ('\0'..=char::MAX).filter(|c| u32::from(*c) < TABLED + 0x400 || u32::from(*c) > 0xF_0000) {
            let text = character.to_string();
            let class = class_of(character);
            assert_eq!(TABLE.class(u32::from(character)), class, "{character:?}");
            if !character.is_ascii() {
                assert_eq!(super::character(&TABLE, text.as_bytes(), 0), (text.len(), class), "{character:?}");
            }
        }
    }
}
