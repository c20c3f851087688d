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
    word: Word,
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
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push_ascii(c.to_ascii_lowercase() as u8);
        } else if c.is_alphanumeric() {
            c.to_lowercase().for_each(|c| word.push(c));
        } else if !word.is_empty() {
            previous = Some(word.add_to(columns, previous));
            word.clear();
        }
    }
    if !word.is_empty() {
        word.add_to(columns, previous);
    }
    columns.sort_unstable();
    let runs = || columns.chunk_by(|a, b| a == b);
    let mut entries: Vec<Entry> = Vec::with_capacity(runs().count());
    for run in runs() {
        if let Some(&column) = run.first() {
            entries.push(Entry::new(column, run.len().min(MAX_COUNT as usize) as u32));
        }
    }
    (entries, rest.next().is_some())
}

/// A word as UTF-8 between two blanks, so that beginnings and endings count.
#[derive(Debug, Default)]
struct Word {
    /// `␣word`; the closing blank is put by [`Word::add_to`].
    bytes: Vec<u8>,
    /// Where each character of `bytes` starts.
    starts: Vec<usize>,
}

impl Word {
    fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.push_ascii(b' ');
    }

    fn is_empty(&self) -> bool {
        self.starts.len() <= 1
    }

    fn push_ascii(&mut self, byte: u8) {
        self.starts.push(self.bytes.len());
        self.bytes.push(byte);
    }

    fn push(&mut self, c: char) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Adds the word, the pair it makes with the word before, and its n-grams; returns its hash.
    fn add_to(&mut self, columns: &mut Vec<u32>, previous: Option<u64>) -> u64 {
        let hash = fnv(FNV_START, self.bytes.get(1..).unwrap_or_default());
        columns.push(column(0, hash));
        if let Some(previous) = previous {
            columns.push(column(1, fnv(previous, &self.bytes)));
        }
        self.push_ascii(b' ');
        let ends = self.starts.get(GRAM..).unwrap_or_default().iter().copied().chain([self.bytes.len()]);
        for (start, end) in self.starts.iter().zip(ends) {
            columns.push(column(2, fnv(FNV_START, self.bytes.get(*start..end).unwrap_or_default())));
        }
        hash
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
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

    /// The same by strings and maps.
    fn plain(text: &str) -> Vec<Entry> {
        let lower: String = text.chars().flat_map(char::to_lowercase).collect();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        let hash = |text: &str| fnv(FNV_START, text.as_bytes());
        let mut counts = std::collections::BTreeMap::new();
        let mut add = |kind, text: &str| *counts.entry(column(kind, hash(text))).or_insert(0) += 1;
        for word in &words {
            add(0, word);
            let padded: Vec<char> = format!(" {word} ").chars().collect();
            padded.windows(GRAM.min(padded.len())).for_each(|gram| add(2, &gram.iter().collect::<String>()));
        }
        words.windows(2).for_each(|pair| add(1, &pair.join(" ")));
        counts.into_iter().map(|(column, count)| Entry::new(column, count)).collect()
    }

    #[test]
    fn features_are_those_of_plain_strings() {
        for text in [
            "",
            "a",
            "I am",
            "Straße, ÄRGER über_all 42x",
            "日本語 テキスト ελληνικά Ω",
            "x\u{301}y don't_stop",
            "a a a b",
        ] {
            assert_eq!(of(text), plain(text), "{text}");
        }
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
