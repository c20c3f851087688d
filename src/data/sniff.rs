//! What a file is, told from its first bytes; its name is never asked.
//!
//! Constraint: what is not a data file gets a sentence with the way out, not a guess.

use std::borrow::Cow;

use super::blocks::{Block, Blocks, Piece, Splitter, Step};
use super::cursor::Cursor;
use super::detect::{Shape, detect};
use super::json_array::Items;
use super::jsonl::Lines;
use super::{Compression, Container, delimited};

/// How many bytes of the decompressed file are looked at.
pub(super) const HEAD: usize = 1 << 20;

/// The wrapping of the file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub compression: Compression,
    pub is_parquet: bool,
}

/// How the records of the decompressed text follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One record a line, with this line end.
    Lines(u8),
    /// Items of a JSON list.
    List,
    /// JSON values one after another over several lines.
    Stream,
    /// A table: delimiter and the byte that lines are counted by.
    Table { delimiter: u8, line_end: u8 },
}

impl Layout {
    pub fn container(self) -> Container {
        match self {
            Self::Lines(_) => Container::Jsonl,
            Self::List | Self::Stream => Container::Json,
            Self::Table { delimiter: b'\t', .. } => Container::Tsv,
            Self::Table { .. } => Container::Csv,
        }
    }

    pub fn splitter(self) -> Box<dyn Splitter> {
        match self {
            Self::Lines(line_end) => Box::new(Lines::new(line_end)),
            Self::List => Box::new(Items::list()),
            Self::Stream => Box::new(Items::stream()),
            Self::Table { delimiter, line_end } => Box::new(delimited::Records::new(delimiter, line_end)),
        }
    }
}

/// Compression and Parquet by magic number; a format that cannot be read gives the reason.
pub(super) fn wrapping(head: &[u8]) -> Result<Wrapping, String> {
    let compression = match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A frame, or a skippable one before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    };
    let foreign: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "is a ZIP archive or a spreadsheet; unpack it, or save the sheet as CSV"),
        (b"BZh", "is compressed with bzip2; unpack it, or pack it with gzip or zstd"),
        (b"\xfd7zXZ\0", "is compressed with xz; unpack it, or pack it with gzip or zstd"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it"),
        (b"Rar!", "is a RAR archive; unpack it"),
        (b"ARROW1", "is an Arrow file; save it as Parquet or JSON lines"),
        (b"\xff\xff\xff\xff", "is an Arrow stream or no text; save it as Parquet or JSON lines"),
        (b"SQLite format 3", "is an SQLite database; export the table as CSV or JSON lines"),
        (b"%PDF", "is a PDF document; give JSON lines, a JSON list, CSV, TSV or Parquet"),
        (b"\x89HDF", "is an HDF5 file; save the rows as Parquet or JSON lines"),
    ];
    if let Some((_, reason)) = foreign.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err((*reason).to_owned());
    }
    Ok(Wrapping { compression, is_parquet: head.starts_with(b"PAR1") })
}

/// Length of the UTF-8 byte order mark, or the reason why the text cannot be read.
pub(super) fn encoding(head: &[u8]) -> Result<usize, String> {
    let utf16 = || Err("is text in UTF-16 or UTF-32; save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`)".to_owned());
    match head {
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..] => utf16(),
        // Without a mark, ASCII text in UTF-16 has every other byte zero.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => utf16(),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => utf16(),
        _ => Ok(0),
    }
}

/// The layout of a text. `whole` tells that `head` is all of it.
pub(super) fn layout(head: &[u8], whole: bool) -> Result<Layout, String> {
    // A file of carriage returns only comes from old programs; else a carriage return is a blank.
    let line_end = if !head.contains(&b'\n') && head.contains(&b'\r') { b'\r' } else { b'\n' };
    let Some(start) = head.iter().position(|b| !b.is_ascii_whitespace()) else { return Ok(Layout::Lines(line_end)) };
    let text = head.get(start..).unwrap_or_default();
    match text.first() {
        Some(b'{') => return Ok(object_layout(text, line_end, whole)),
        Some(b'[') => return Ok(list_layout(text, line_end)),
        _ => {}
    }
    let lines: Vec<&[u8]> = lines(text, line_end).take(50).collect();
    let objects = lines.iter().filter(|line| line.starts_with(b"{")).count();
    if objects > 0 && objects * 2 >= lines.len() {
        return Ok(Layout::Lines(line_end));
    }
    let strange = |b: &&u8| (**b < 0x20 && !b.is_ascii_whitespace()) || **b == 0x7f;
    let invalid = text.utf8_chunks().map(|chunk| chunk.invalid().len()).sum::<usize>();
    if (text.iter().filter(strange).count() + invalid) * 10 > text.len() {
        return Err("is not text; give JSON lines, a JSON list, CSV, TSV or Parquet".to_owned());
    }
    table_layout(text, line_end)
}

/// Lines that are not blank, without blanks around them.
fn lines(text: &[u8], line_end: u8) -> impl Iterator<Item = &[u8]> {
    text.split(move |b| *b == line_end).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn is_json(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let mut cursor = Cursor::new(text);
    cursor.value().and_then(|token| cursor.skip(token)).and_then(|()| cursor.finish()).is_ok()
}

/// Length of the first value, when it ends in `text`.
fn first_value(text: &[u8]) -> Option<usize> {
    let mut splitter = Items::stream();
    match splitter.step(text) {
        Step::Begin(0) => {}
        _ => return None,
    }
    match splitter.step(text) {
        Step::End(end) => Some(end),
        _ => None,
    }
}

fn object_layout(text: &[u8], line_end: u8, whole: bool) -> Layout {
    let first_line = lines(text, line_end).next().unwrap_or_default();
    if is_json(first_line) {
        return Layout::Lines(line_end);
    }
    match first_value(text).and_then(|end| text.get(..end)) {
        Some(value) if value.contains(&line_end) && is_json(value) => Layout::Stream,
        // An object too long to be seen whole, whose first line is only its beginning.
        None if !whole && first_line == b"{" => Layout::Stream,
        _ => Layout::Lines(line_end),
    }
}

fn list_layout(text: &[u8], line_end: u8) -> Layout {
    let several_lists = first_value(text).is_some_and(|end| {
        let rest = text.get(end..).unwrap_or_default();
        let ends_line = rest.iter().find(|b| !matches!(b, b' ' | b'\t')).is_some_and(|b| matches!(b, b'\r' | b'\n'));
        ends_line && rest.trim_ascii_start().starts_with(b"[")
    });
    if several_lists { Layout::Lines(line_end) } else { Layout::List }
}

/// The first records of `text` under `layout`, at most `most`; the last is left out unless `whole`, because it may
/// be cut off.
pub(super) fn sample(text: &[u8], layout: Layout, most: usize, whole: bool) -> Vec<&[u8]> {
    let mut blocks = Blocks::new(text, layout.splitter(), text.len() + 1, u64::MAX, 0, 1);
    let Ok(Some(block)) = blocks.next(Block::default()) else { return Vec::new() };
    let skip_last = usize::from(block.ends_open && !whole);
    let records = block.pieces.len() - skip_last;
    let range = |piece: &Piece| match piece {
        Piece::Record { start, end, .. } => text.get(*start..*end),
        Piece::Oversized(_) => None,
    };
    block.pieces.iter().take(records.min(most)).filter_map(range).collect()
}

fn table_layout(text: &[u8], line_end: u8) -> Result<Layout, String> {
    // (score, layout): a header whose names are known counts most, then how even the rows are.
    let mut best: Option<(u64, Layout)> = None;
    for delimiter in [b',', b'\t', b';', b'|'] {
        let layout = Layout::Table { delimiter, line_end };
        let rows: Vec<Vec<Cow<'_, str>>> = sample(text, layout, 21, true)
            .into_iter()
            .filter_map(|record| std::str::from_utf8(record).ok())
            .map(|record| delimited::cells(record, delimiter))
            .collect();
        let Some((first, rest)) = rows.split_first() else { continue };
        let columns = first.len();
        let header = delimited::header(first.clone());
        let shapes: Vec<Shape> =
            rest.iter().map(|row| Shape::of_cells(&header, row.iter().map(AsRef::as_ref))).collect();
        let names: Vec<Shape> = vec![Shape::of_cells(&header, header.iter().map(|_| "x"))];
        let known = detect(if shapes.is_empty() { &names } else { &shapes }).is_some_and(|mapping| {
            // A single unknown column counts as text only when nothing else is possible.
            columns > 1 || mapping.fields.keys().all(|name| KNOWN_SINGLE.contains(&name.as_str()))
        });
        let even = rest.iter().filter(|row| row.len() == columns).count() as u64;
        if columns < 2 && !known {
            continue;
        }
        let score = u64::from(known) * 1000 + even * 10 * u64::from(columns > 1) + columns.min(9) as u64;
        if best.is_none_or(|(other, _)| score > other) {
            best = Some((score, layout));
        }
    }
    best.map(|(_, layout)| layout).ok_or_else(|| {
        "is neither JSON lines nor a JSON list, and its first line does not name the columns of a table (CSV, TSV)"
            .to_owned()
    })
}

/// Names that make a table of one column a data file.
const KNOWN_SINGLE: &[&str] = &[
    "text",
    "content",
    "document",
    "body",
    "sentence",
    "prompt",
    "instruction",
    "question",
    "goal",
    "query",
    "request",
    "input",
    "messages",
    "conversations",
    "conversation",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_layouts_apart() {
        for (text, expected) in [
            ("", Layout::Lines(b'\n')),
            ("  \n\t", Layout::Lines(b'\n')),
            ("{\"a\":1}\n{\"a\":2}\n", Layout::Lines(b'\n')),
            ("{\"a\":1}\r{\"a\":2}\r", Layout::Lines(b'\r')),
            ("{\"a\":1}", Layout::Lines(b'\n')),
            ("{\"a\": \n{\"a\":2}\n", Layout::Lines(b'\n')),
            ("oops\"}\n{\"a\":2}\n{\"a\":2}\n{\"a\":2}", Layout::Lines(b'\n')),
            ("{\n \"a\": [\n {}\n]}\n", Layout::Stream),
            ("\n[{\"a\":1}]", Layout::List),
            ("[\n{\"a\":1},\n{\"a\":2}\n]", Layout::List),
            ("[1,2]\n[3,4]\n", Layout::Lines(b'\n')),
            ("text\nhello\n", Layout::Table { delimiter: b',', line_end: b'\n' }),
            ("prompt,completion\na,b\n", Layout::Table { delimiter: b',', line_end: b'\n' }),
            ("prompt\tcompletion\na, b, c\td\n", Layout::Table { delimiter: b'\t', line_end: b'\n' }),
            ("question;answer\n\"a;b\";c,d\n", Layout::Table { delimiter: b';', line_end: b'\n' }),
            ("a,b\n1,2\n3,4\n", Layout::Table { delimiter: b',', line_end: b'\n' }),
        ] {
            assert_eq!(layout(text.as_bytes(), true), Ok(expected), "{text:?}");
        }
        assert!(layout(b"Once upon a time there was\na king.\n", true).is_err());
        assert!(layout(&[1, 2, 3, 0xff, 0, 7, 9, 200], true).is_err());
    }

    #[test]
    fn a_sample_leaves_out_what_may_be_cut_off() {
        let text = b"{\"a\":1}\n{\"a\":2}\n{\"a\"";
        assert_eq!(sample(text, Layout::Lines(b'\n'), 9, false).len(), 2);
        assert_eq!(sample(text, Layout::Lines(b'\n'), 9, true).len(), 3);
        assert_eq!(sample(text, Layout::Lines(b'\n'), 1, false), [b"{\"a\":1}"]);
    }

    #[test]
    fn foreign_formats_are_named() {
        assert!(wrapping(b"PK\x03\x04...").expect_err("zip").contains("ZIP"));
        assert_eq!(wrapping(b"\x1f\x8b\x08").expect("gzip").compression, Compression::Gzip);
        assert!(wrapping(b"PAR1").expect("parquet").is_parquet);
        assert!(encoding(b"\xff\xfe{\0").expect_err("utf-16").contains("UTF-8"));
        assert!(encoding(b"{\0\"\0a\0").is_err());
        assert_eq!(encoding(b"\xef\xbb\xbf{}"), Ok(3));
        assert_eq!(encoding(b"{}"), Ok(0));
    }
}
