//! Records of tables: CSV and TSV as RFC 4180 has them, and as the `csv` crate reads what the RFC leaves open.
//!
//! Constraint: splitting and cutting into cells follow the same rules, so a record read again by position gives the
//! same cells; a test compares both with the `csv` crate.

use std::borrow::Cow;
use std::collections::HashMap;

use super::FindingKind;
use super::blocks::{Splitter, Step};
use super::record::Issue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// At the beginning of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    Quoted,
    /// Behind a quote inside a quoted cell: its end, or half of a doubled quote.
    Quote,
}

/// Splits a table into its records. Line breaks inside quotes belong to the cell; empty lines are no records.
pub(super) struct Records {
    delimiter: u8,
    line_end: u8,
    state: State,
}

impl Records {
    /// `line_end` is what lines are counted by.
    pub fn new(delimiter: u8, line_end: u8) -> Self {
        Self { delimiter, line_end, state: State::Between }
    }
}

impl Splitter for Records {
    fn step(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        loop {
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return Step::More };
            match self.state {
                State::Between => match rest.iter().position(|b| !matches!(b, b'\r' | b'\n')) {
                    Some(start) => {
                        self.state = State::Start;
                        return Step::Begin(at + start);
                    }
                    None => return Step::More,
                },
                State::Start => {
                    if rest.first() == Some(&b'"') {
                        self.state = State::Quoted;
                        at += 1;
                    } else {
                        self.state = State::Plain;
                    }
                }
                State::Plain => match memchr::memchr3(self.delimiter, b'\n', b'\r', rest) {
                    Some(place) if rest.get(place) == Some(&self.delimiter) => {
                        self.state = State::Start;
                        at += place + 1;
                    }
                    Some(place) => {
                        self.state = State::Between;
                        return Step::End(at + place);
                    }
                    None => return Step::More,
                },
                State::Quoted => match memchr::memchr(b'"', rest) {
                    Some(place) => {
                        self.state = State::Quote;
                        at += place + 1;
                    }
                    None => return Step::More,
                },
                State::Quote if rest.first() == Some(&b'"') => {
                    self.state = State::Quoted;
                    at += 1;
                }
                State::Quote => self.state = State::Plain,
            }
        }
    }

    fn line_end(&self) -> u8 {
        self.line_end
    }

    fn cut_off(&self) -> Option<Issue> {
        (self.state == State::Quoted).then(|| {
            Issue::fault(
                FindingKind::Truncated,
                None,
                "a quote that opens a cell here is never closed, so the rest of the file belongs to this record; \
                 close it, or write a quote inside a cell twice",
            )
        })
    }
}

/// Cuts one record into its cells; borrowed unless quotes have to be taken out.
pub(super) fn cells(record: &str, delimiter: u8) -> Vec<Cow<'_, str>> {
    let bytes = record.as_bytes();
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        let end;
        if bytes.get(at) == Some(&b'"') {
            let mut text: Option<String> = None;
            let mut start = at + 1;
            let slice = |from: usize, to: usize| record.get(from..to).unwrap_or_default();
            loop {
                let Some(quote) = bytes.get(start..).and_then(|rest| memchr::memchr(b'"', rest)).map(|at| at + start)
                else {
                    // Never closed: the rest is the cell.
                    cells.push(join(text, slice(start, bytes.len())));
                    return cells;
                };
                if bytes.get(quote + 1) == Some(&b'"') {
                    text.get_or_insert_default().push_str(slice(start, quote + 1));
                    start = quote + 2;
                    continue;
                }
                end = next(bytes, quote + 1, delimiter);
                let tail = slice(quote + 1, end);
                let cell = slice(start, quote);
                cells.push(if tail.is_empty() {
                    join(text, cell)
                } else {
                    Cow::Owned(format!("{}{cell}{tail}", text.unwrap_or_default()))
                });
                break;
            }
        } else {
            end = next(bytes, at, delimiter);
            cells.push(Cow::Borrowed(record.get(at..end).unwrap_or_default()));
        }
        if end >= bytes.len() {
            return cells;
        }
        at = end + 1;
    }
}

fn join(before: Option<String>, cell: &str) -> Cow<'_, str> {
    match before {
        Some(mut text) => {
            text.push_str(cell);
            Cow::Owned(text)
        }
        None => Cow::Borrowed(cell),
    }
}

fn next(bytes: &[u8], from: usize, delimiter: u8) -> usize {
    bytes.get(from..).and_then(|rest| memchr::memchr(delimiter, rest)).map_or(bytes.len(), |place| from + place)
}

/// The names of the columns: as they stand, but none empty and none twice.
pub(super) fn header(cells: Vec<Cow<'_, str>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(cells.len());
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (place, cell) in cells.into_iter().enumerate() {
        let plain = match cell.trim() {
            "" => format!("column_{}", place + 1),
            name => name.to_owned(),
        };
        let mut name = plain.clone();
        while taken.contains_key(&name) {
            // The counter goes on where it stopped, so that a thousand equal names stay cheap.
            let copies = taken.entry(plain.clone()).or_insert(1);
            *copies += 1;
            name = format!("{plain}_{copies}");
        }
        taken.insert(name.clone(), 1);
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::blocks::{Block, Blocks, Piece};
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn ours(text: &str) -> Vec<Vec<String>> {
        let mut blocks = Blocks::new(text.as_bytes(), Box::new(Records::new(b',', b'\n')), 16, 1 << 20, 0, 1);
        let mut found = Vec::new();
        while let Some(block) = blocks.next(Block::default()).expect("reads") {
            for piece in &block.pieces {
                let Piece::Record { start, end, .. } = piece else { panic!("too long") };
                let record = std::str::from_utf8(&block.bytes[*start..*end]).expect("text");
                found.push(cells(record, b',').into_iter().map(Cow::into_owned).collect());
            }
        }
        found
    }

    #[test]
    fn reads_what_the_csv_crate_reads() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for _ in 0..20_000 {
            let length = random.random_range(0..24);
            let text: String =
                (0..length).map(|_| ['a', 'é', ',', '"', '"', '\n', '\r', ' '][random.random_range(0..8)]).collect();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let oracle: Vec<Vec<String>> =
                reader.records().map(|record| record.expect("text").iter().map(str::to_owned).collect()).collect();
            assert_eq!(ours(&text), oracle, "{text:?}");
        }
    }

    #[test]
    fn columns_get_names_of_their_own() {
        assert_eq!(header(cells("a,,a, b ,a_2", b',')), ["a", "column_2", "a_2", "b", "a_2_2"]);
    }
}
