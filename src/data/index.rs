//! The columns beside the rows: where each record is, what identifies it, how long it is; and the records set aside.
//!
//! Constraint: about 60 bytes a row and 56 a quarantined record, no text; reasons are stored once however many
//! records share them, and their number is bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use super::findings::{Findings, general_sentence};
use super::record::Issue;
use super::{ContentHash, FindingKind, Quarantined, RowId, Stats};

/// What the index keeps of one readable row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub offset: u64,
    pub bytes: u32,
    pub line: u64,
    pub hash: ContentHash,
    pub chars: u32,
    pub tokens: u32,
}

/// What the index keeps of one record set aside.
#[derive(Debug, Clone, Copy)]
struct Aside {
    row: u64,
    line: u64,
    offset: u64,
    bytes: u64,
    kind: FindingKind,
    field: Option<u32>,
    reason: u32,
}

/// Strings stored once each, and no more than a bounded number.
#[derive(Debug, Default)]
struct Sentences {
    places: HashMap<String, u32>,
    texts: Vec<String>,
}

const MAX_SENTENCES: usize = 20_000;

impl Sentences {
    /// The place of `text`, or of `instead` when too many different ones were stored.
    fn place(&mut self, text: &str, instead: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        if self.texts.len() >= MAX_SENTENCES && text != instead {
            return self.place(instead, instead);
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }

    fn text(&self, place: u32) -> String {
        self.texts.get(place as usize).cloned().unwrap_or_default()
    }
}

/// Spreads numbers that are hashes already: one multiplication by a number of this process' own.
#[derive(Debug, Clone)]
struct Spread(u64);

impl Default for Spread {
    fn default() -> Self {
        Self(std::hash::RandomState::new().hash_one(0u8) | 1)
    }
}

impl BuildHasher for Spread {
    type Hasher = Spreading;

    fn build_hasher(&self) -> Spreading {
        Spreading { factor: self.0, state: 0 }
    }
}

struct Spreading {
    factor: u64,
    state: u64,
}

impl Hasher for Spreading {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.state ^ number) * u128::from(self.factor);
        self.state = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

/// Everything known of the records read so far.
#[derive(Debug, Default)]
pub(super) struct Index {
    offsets: Vec<u64>,
    bytes: Vec<u32>,
    lines: Vec<u32>,
    hashes: Vec<ContentHash>,
    chars: Vec<u32>,
    tokens: Vec<u32>,
    /// First 64 bits of the content hash → the first row that has them, and how many have.
    first: HashMap<u64, (u32, u32), Spread>,
    /// (row index, occurrence) of the rows whose 64 bits were seen before, ascending.
    repeats: Vec<(u32, u32)>,
    aside: Vec<Aside>,
    /// Hashes of the records set aside that are too long to be shown whole, by record number.
    aside_hashes: HashMap<u64, String>,
    sentences: Sentences,
    pub findings: Findings,
    pub stats: Stats,
}

impl Index {
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    pub fn push_row(&mut self, entry: Entry) {
        let index = u32::try_from(self.offsets.len()).unwrap_or(u32::MAX);
        self.offsets.push(entry.offset);
        self.bytes.push(entry.bytes);
        self.lines.push(u32::try_from(entry.line).unwrap_or(u32::MAX));
        self.hashes.push(entry.hash);
        self.chars.push(entry.chars);
        self.tokens.push(entry.tokens);
        let (first, count) = self.first.entry(prefix(&entry.hash)).or_insert((index, 0));
        if *count > 0 {
            self.repeats.push((index, *count));
            if self.hashes.get(*first as usize) == Some(&entry.hash) {
                self.stats.exact_duplicates += 1;
            }
        }
        *count += 1;
        self.stats.records += 1;
        self.stats.rows += 1;
        self.stats.chars += u64::from(entry.chars);
        self.stats.tokens += u64::from(entry.tokens);
        let bin = entry.tokens.max(1).ilog2() as usize;
        if self.stats.token_histogram.len() <= bin {
            self.stats.token_histogram.resize(bin + 1, 0);
        }
        if let Some(bin) = self.stats.token_histogram.get_mut(bin) {
            *bin += 1;
        }
    }

    /// Sets a record aside. `hash` is given where only its beginning can be shown.
    pub fn push_aside(&mut self, place: (u64, u64, u64), issue: Issue, hash: Option<String>) {
        let (offset, bytes, line) = place;
        let row = self.stats.records;
        let general = general_sentence(issue.kind);
        let field = issue.field.as_deref().map(|field| self.sentences.place(field, "(several fields)"));
        let reason = self.sentences.place(&issue.message, general);
        self.aside.push(Aside { row, line, offset, bytes, kind: issue.kind, field, reason });
        if let Some(hash) = hash {
            self.aside_hashes.insert(row, hash);
        }
        self.findings.add(issue, row);
        self.stats.records += 1;
        self.stats.quarantined += 1;
    }

    /// 0-based record number of row `index`: its place among the rows plus the records set aside before it.
    pub fn number(&self, index: usize) -> Option<u64> {
        (index < self.len()).then(|| {
            let index = index as u64;
            // `row - place` of the records set aside counts the rows before each; it never falls.
            let (mut low, mut high) = (0, self.aside.len());
            while low < high {
                let middle = low + (high - low) / 2;
                let rows_before = self.aside.get(middle).map_or(u64::MAX, |aside| aside.row - middle as u64);
                if rows_before <= index { low = middle + 1 } else { high = middle }
            }
            index + low as u64
        })
    }

    pub fn hashes(&self) -> &[ContentHash] {
        &self.hashes
    }

    pub fn entry(&self, index: usize) -> Option<Entry> {
        Some(Entry {
            offset: *self.offsets.get(index)?,
            bytes: *self.bytes.get(index)?,
            line: u64::from(*self.lines.get(index)?),
            hash: *self.hashes.get(index)?,
            chars: *self.chars.get(index)?,
            tokens: *self.tokens.get(index)?,
        })
    }

    pub fn id(&self, index: usize) -> Option<RowId> {
        let prefix = prefix(self.hashes.get(index)?);
        let row = u32::try_from(index).ok()?;
        Some(RowId(match self.repeats.binary_search_by_key(&row, |(index, _)| *index) {
            Ok(place) => format!("{prefix:016x}-{}", self.repeats.get(place).map_or(0, |(_, count)| *count)),
            Err(_) => format!("{prefix:016x}"),
        }))
    }

    /// The `place`-th record set aside.
    pub fn quarantined(&self, place: usize) -> Option<Quarantined> {
        let aside = self.aside.get(place)?;
        Some(Quarantined {
            row: aside.row,
            line: aside.line,
            offset: aside.offset,
            bytes: aside.bytes,
            kind: aside.kind,
            field: aside.field.map(|field| self.sentences.text(field)),
            reason: self.sentences.text(aside.reason),
            hash: self.aside_hashes.get(&aside.row).cloned(),
        })
    }

    pub fn quarantine(&self) -> Vec<Quarantined> {
        (0..self.aside.len()).filter_map(|place| self.quarantined(place)).collect()
    }

    /// The reason of the first record set aside.
    pub fn first_reason(&self) -> Option<String> {
        self.aside.first().map(|aside| self.sentences.text(aside.reason))
    }
}

/// The first eight bytes of a hash as the number whose hexadecimal digits they are.
fn prefix(hash: &ContentHash) -> u64 {
    hash.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn entry(content: u8) -> Entry {
        let hash = ContentHash([content; 32]);
        Entry { offset: 0, bytes: 1, line: 1, hash, chars: 3, tokens: u32::from(content) }
    }

    #[test]
    fn record_numbers_count_what_was_set_aside() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut index = Index::default();
        let mut numbers = Vec::new();
        for number in 0..500 {
            if random.random_range(0..3) == 0 {
                let issue = Issue::fault(FindingKind::InvalidJson, None, format!("reason {number}"));
                index.push_aside((number, 1, 1), issue, None);
            } else {
                index.push_row(entry(1));
                numbers.push(number);
            }
        }
        let found: Vec<u64> = (0..index.len()).filter_map(|row| index.number(row)).collect();
        assert_eq!(found, numbers);
        assert_eq!(index.number(index.len()), None);
        assert_eq!(index.stats.rows + index.stats.quarantined, index.stats.records);
    }

    #[test]
    fn equal_rows_get_ids_of_their_own() {
        let mut index = Index::default();
        for content in [1, 2, 1, 1] {
            index.push_row(entry(content));
        }
        let ids: Vec<String> = (0..4).filter_map(|row| index.id(row)).map(|id| id.0).collect();
        assert_eq!(ids, ["0101010101010101", "0202020202020202", "0101010101010101-1", "0101010101010101-2"]);
        assert_eq!(index.stats.exact_duplicates, 2);
        assert_eq!(index.stats.token_histogram, [3, 1]);
    }
}
