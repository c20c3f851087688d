//! Length of a text in characters and in words and punctuation marks, and the content hash.
//!
//! Constraint: one pass over the text; runs of ASCII are counted with vector instructions. The slow oracle that
//! reads character by character is in the tests.

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
    Blank,
    /// Part of a word; a run of these is one token.
    Word,
    /// A token of its own: a punctuation mark, a symbol, a character of a script written without blanks.
    Mark,
}

/// Counts characters and tokens.
pub(super) fn measure(text: &str) -> Length {
    let bytes = text.as_bytes();
    let mut length = Length::default();
    let mut in_word = false;
    let mut at = 0;
    while at < bytes.len() {
        let run = ascii_run(bytes, at);
        if run > at {
            let ascii = bytes.get(at..run).unwrap_or_default();
            length.chars += ascii.len() as u64;
            length.tokens += ascii_tokens(ascii, in_word);
            in_word = ascii.last().is_some_and(|&b| is_word(b));
            at = run;
        }
        // Letters beyond ASCII come in runs too.
        for character in text.get(at..).unwrap_or_default().chars().take_while(|c| !c.is_ascii()) {
            at += character.len_utf8();
            length.chars += 1;
            let class = classify(character);
            length.tokens += u64::from(class == Class::Mark || (class == Class::Word && !in_word));
            in_word = class == Class::Word;
        }
    }
    length
}

/// End of the run of ASCII bytes that begins at `at`.
fn ascii_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 32) {
        if chunk.iter().fold(0, |all, &b| all | b) >= 0x80 {
            break;
        }
        at += 32;
    }
    at + bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii()).count()
}

#[inline]
fn is_word(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10)
}

/// 1 where `byte` begins a token.
#[inline]
fn begins(previous: u8, byte: u8) -> u8 {
    let word = is_word(byte);
    let mark = (byte > b' ') & (byte < 0x7f) & !word;
    u8::from(mark | (word & !is_word(previous)))
}

fn ascii_tokens(bytes: &[u8], in_word: bool) -> u64 {
    let Some((&first, rest)) = bytes.split_first() else { return 0 };
    let mut tokens = u64::from(begins(if in_word { b'a' } else { b' ' }, first));
    // 128 sums of at most 1 fit a byte, which keeps the inner loop in byte lanes.
    for (previous, current) in bytes.chunks(128).zip(rest.chunks(128)) {
        let sum = previous.iter().zip(current).fold(0u8, |sum, (&p, &c)| sum.wrapping_add(begins(p, c)));
        tokens += u64::from(sum);
    }
    tokens
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
        let length = measure(&turn.text);
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
            buffer.extend_from_slice(&(turn.text.len() as u64).to_le_bytes());
            buffer.extend_from_slice(turn.text.as_bytes());
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
        let class = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => Class::Word,
            '!'..='~' => Class::Mark,
            c if c.is_ascii() => Class::Blank,
            c => classify(c),
        };
        let mut length = Length::default();
        let mut before = Class::Blank;
        for character in text.chars() {
            let now = class(character);
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
        let alphabet: Vec<char> = "aZ09 _-,.\n\t\0~\u{7f}é日ก한\u{301}\u{200d}😀अ\u{a0}\u{3000}“”".chars().collect();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2_000 {
            let ascii_only = random.random_range(0..3) == 0;
            let text: String = (0..random.random_range(0..400))
                .map(|_| alphabet[random.random_range(0..if ascii_only { 14 } else { alphabet.len() })])
                .collect();
            assert_eq!(measure(&text), slow(&text), "{text:?}");
        }
    }
}
