//! Hashed words, word pairs and character n-grams of one text.
//!
//! The hash is fixed for good: FNV-1a (64 bit, over UTF-8 bytes) followed by the finaliser of MurmurHash3; the
//! bucket is the top bits. No sign is hashed: counts that collide add up. Words, word pairs and character
//! n-grams have buckets of their own, so that rare pairs cannot bury frequent words.

/// log₂ of the buckets of each kind.
const BITS: u32 = 17;
/// Buckets of each kind.
pub(super) const BUCKETS: usize = 1 << BITS;
/// Kinds: words, word pairs, character n-grams.
pub(super) const KINDS: usize = 3;
/// Columns of the feature matrix.
pub(super) const COLUMNS: usize = BUCKETS * KINDS;
/// Length of the character n-grams, word boundaries included.
pub(super) const GRAM: usize = 4;
/// Characters of a text that are read; the rest is cut and the row counted as truncated.
pub(super) const MAX_CHARS: usize = 1 << 16;

/// Low bits of a packed feature: how often it occurs, capped.
const COUNT_BITS: u32 = 13;
pub(super) const MAX_COUNT: u32 = (1 << COUNT_BITS) - 1;

/// A matrix entry: index in the high 19 bits, count in the low 13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u32);

impl Entry {
    /// The largest index that fits.
    pub(super) const MAX_INDEX: u32 = (1 << (32 - COUNT_BITS)) - 1;

    pub(super) fn new(index: u32, count: u32) -> Self {
        Self(index.min(Self::MAX_INDEX) << COUNT_BITS | count.min(MAX_COUNT))
    }

    pub(super) fn index(self) -> usize {
        (self.0 >> COUNT_BITS) as usize
    }

    pub(super) fn count(self) -> u32 {
        self.0 & MAX_COUNT
    }
}

/// Working memory of [`features`], reused from text to text.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    columns: Vec<u32>,
    word: Vec<char>,
}

/// The features of one text in order of column, and whether the text was cut.
///
/// A word is a maximal run of letters, digits and underscores, in lower case.
pub(super) fn features(text: &str, scratch: &mut Scratch) -> (Vec<Entry>, bool) {
    let Scratch { columns, word } = scratch;
    columns.clear();
    word.clear();
    let mut previous = None;
    let mut rest = text.chars();
    for c in rest.by_ref().take(MAX_CHARS) {
        if c.is_alphanumeric() || c == '_' {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            previous = Some(add_word(word, previous, columns));
            word.clear();
        }
    }
    if !word.is_empty() {
        add_word(word, previous, columns);
    }
    columns.sort_unstable();
    let mut entries: Vec<Entry> = Vec::with_capacity(columns.len());
    for run in columns.chunk_by(|a, b| a == b) {
        if let Some(&column) = run.first() {
            entries.push(Entry::new(column, run.len().min(MAX_COUNT as usize) as u32));
        }
    }
    (entries, rest.next().is_some())
}

fn add_word(word: &[char], previous: Option<u64>, columns: &mut Vec<u32>) -> u64 {
    let hash = fnv(FNV_START, word.iter().copied());
    columns.push(column(0, hash));
    if let Some(previous) = previous {
        columns.push(column(1, fnv(previous, std::iter::once(' ').chain(word.iter().copied()))));
    }
    // "word" is seen as "␣word␣", so that beginnings and endings count.
    let padded = word.len() + 2;
    let at = |i: usize| if i == 0 || i + 1 == padded { ' ' } else { word.get(i - 1).copied().unwrap_or(' ') };
    for start in 0..=padded.saturating_sub(GRAM) {
        columns.push(column(2, fnv(FNV_START, (start..(start + GRAM).min(padded)).map(at))));
    }
    hash
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(mut hash: u64, chars: impl Iterator<Item = char>) -> u64 {
    let mut buffer = [0u8; 4];
    for c in chars {
        for &byte in c.encode_utf8(&mut buffer).as_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

fn column(kind: u32, hash: u64) -> u32 {
    let mut h = hash;
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^= h >> 33;
    (kind << BITS) | (h >> (64 - BITS)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Entry> {
        features(text, &mut Scratch::default()).0
    }

    #[test]
    fn the_hash_never_changes() {
        let columns: Vec<usize> = of("a B").iter().map(|e| e.index()).collect();
        assert_eq!(columns.len(), 5, "two words, one pair, one n-gram of each padded word");
        assert_eq!(columns, GOLDEN);
    }

    const GOLDEN: [usize; 5] = [56_526, 66_885, 173_972, 319_770, 371_181];

    #[test]
    fn words_are_counted_without_case_and_punctuation() {
        let entries = of("The cat, the CAT; THE cat!");
        let words: Vec<u32> = entries.iter().filter(|e| e.index() < BUCKETS).map(|e| e.count()).collect();
        assert_eq!(words, [3, 3]);
        assert_eq!(of("the cat"), of("  THE -- cat\n"));
        assert!(of("… ,; ").is_empty());
    }

    #[test]
    fn very_long_texts_are_cut_and_said_to_be() {
        let long = "word ".repeat(MAX_CHARS / 5 + 1);
        let (entries, cut) = features(&long, &mut Scratch::default());
        assert!(cut);
        assert!(entries.iter().all(|e| e.count() <= MAX_COUNT));
        assert!(!features("short", &mut Scratch::default()).1);
    }
}
