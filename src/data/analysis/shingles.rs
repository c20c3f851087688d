//! A text as a set of shingles: runs of consecutive words, as 64-bit hashes.
//!
//! Words are runs of letters and digits in lower case; in scripts written without blanks each character is a word.
//! Punctuation, blanks, case and who speaks make no difference. A system prompt is left out where there is other text:
//! it is often the same in every row and would make all of them alike.
//! Constraint: at most [`MAX_WORDS`] words of a row are looked at, so a row of any size takes bounded memory.

use crate::data::measure::{Class, classify};
use crate::data::{Row, Speaker, Turn};

/// Two texts of more words are compared by their beginnings.
pub(super) const MAX_WORDS: usize = 1 << 18;

/// Folds the 128-bit product of two numbers, neither of which can make it vanish alone (as in wyhash).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0xA076_1D64_78BD_642F) * u128::from(b ^ 0xE703_7ED1_A0B4_28DB);
    (product >> 64) as u64 ^ product as u64
}

/// FNV-1a over the letters of a word.
struct Word(Option<u64>);

impl Word {
    fn push(&mut self, letter: char) {
        let state = self.0.unwrap_or(0xCBF2_9CE4_8422_2325);
        self.0 = Some((state ^ u64::from(u32::from(letter))).wrapping_mul(0x0000_0100_0000_01B3));
    }

    fn end(&mut self, words: &mut Vec<u64>) {
        if let Some(state) = self.0.take()
            && words.len() < MAX_WORDS
        {
            words.push(mix(state, 0));
        }
    }
}

/// Appends the hashes of the words of `text`.
fn push_words(text: &str, words: &mut Vec<u64>) {
    let mut word = Word(None);
    for character in text.chars() {
        if words.len() >= MAX_WORDS {
            return;
        }
        if character.is_ascii() {
            if character.is_ascii_alphanumeric() {
                word.push(character.to_ascii_lowercase());
            } else {
                word.end(words);
            }
            continue;
        }
        match classify(character) {
            Class::Word => character.to_lowercase().for_each(|letter| word.push(letter)),
            class => {
                word.end(words);
                if class == Class::Mark && character.is_alphanumeric() {
                    word.push(character);
                    word.end(words);
                }
            }
        }
    }
    word.end(words);
}

/// The turns that are compared.
pub(super) fn spoken(row: &Row) -> impl Iterator<Item = &Turn> {
    let only_system = row.turns.iter().all(|turn| turn.speaker == Speaker::System || turn.text.trim().is_empty());
    row.turns.iter().filter(move |turn| only_system || turn.speaker != Speaker::System)
}

/// The shingles of a row: sorted, none twice.
pub(super) fn of_row(row: &Row, words_each: usize) -> Vec<u64> {
    let mut words = Vec::new();
    for turn in spoken(row) {
        push_words(&turn.text, &mut words);
    }
    let mut shingles = of_words(&words, words_each);
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

fn of_words(words: &[u64], words_each: usize) -> Vec<u64> {
    let one = |words: &[u64]| words.iter().fold(0, |state, word| mix(state, *word));
    if words.len() <= words_each {
        return if words.is_empty() { Vec::new() } else { vec![one(words)] };
    }
    words.windows(words_each).map(one).collect()
}

/// A hash of all the words before the first answer; `None` where there are none.
pub(super) fn of_prompt(row: &Row) -> Option<u64> {
    let mut words = Vec::new();
    for turn in spoken(row).take_while(|turn| turn.speaker != Speaker::Assistant) {
        push_words(&turn.text, &mut words);
    }
    (!words.is_empty()).then(|| words.iter().fold(words.len() as u64, |state, word| mix(state, *word)))
}

/// Jaccard similarity of two sorted sets; two empty ones have nothing in common.
pub(super) fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let mut common = 0_usize;
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => drop(left.next()),
            std::cmp::Ordering::Greater => drop(right.next()),
            std::cmp::Ordering::Equal => {
                common += 1;
                left.next();
                right.next();
            }
        }
    }
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(turns: &[(Speaker, &str)]) -> Row {
        let turns = turns.iter().map(|(speaker, text)| Turn { speaker: *speaker, text: (*text).to_owned() }).collect();
        Row { number: 0, line: 1, turns, rejected: Vec::new() }
    }

    fn alike(a: &str, b: &str) -> f64 {
        jaccard(&of_row(&row(&[(Speaker::None, a)]), 2), &of_row(&row(&[(Speaker::None, b)]), 2))
    }

    #[test]
    fn only_words_and_their_order_count() {
        assert_eq!(alike("Hello, World! It's me.", "hello world\nit s (ME)"), 1.0);
        assert_eq!(alike("ÄRGER über Größe", "ärger  ÜBER größe"), 1.0);
        assert_eq!(alike("one two three", "one two four"), 1.0 / 3.0);
        assert_eq!(alike("one two", "two one"), 0.0);
        assert_eq!(alike("日本語を話す", "日本語を 話す。"), 1.0);
        assert_eq!(alike("...", "!!!"), 0.0);
        assert_eq!(alike("yes", "Yes."), 1.0);
    }

    #[test]
    fn a_shared_system_prompt_makes_nothing_alike() {
        let with = |question| row(&[(Speaker::System, "you are a very helpful friend"), (Speaker::User, question)]);
        assert_eq!(jaccard(&of_row(&with("what is rust"), 2), &of_row(&with("how are you"), 2)), 0.0);
        let only = row(&[(Speaker::System, "be brief now")]);
        assert_eq!(of_row(&only, 2).len(), 2);
    }

    #[test]
    fn the_prompt_ends_where_the_answer_begins() {
        let answered = |prompt, answer| of_prompt(&row(&[(Speaker::User, prompt), (Speaker::Assistant, answer)]));
        assert_eq!(answered("What is 2?", "a"), answered("what is  2", "something else"));
        assert_ne!(answered("What is 2?", "a"), answered("What is 3?", "a"));
        assert_eq!(answered("?", "a"), None);
    }

    #[test]
    fn a_row_of_any_size_is_bounded() {
        assert_eq!(of_row(&row(&[(Speaker::None, &"ab ".repeat(MAX_WORDS + 9))]), 2).len(), 1);
        let mut words = Vec::new();
        push_words(&"a b ".repeat(MAX_WORDS), &mut words);
        assert_eq!(words.len(), MAX_WORDS);
    }
}
