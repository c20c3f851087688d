//! Cuts a stream into blocks of whole records.
//!
//! Purpose: the one place that reads the file from end to end. A [`Splitter`] knows where records begin and end;
//! [`Blocks`] keeps the bytes, the offsets and the line numbers.
//! Constraints: at most one block and one record of the allowed size are held; a longer record is hashed while it
//! passes by and becomes a [`Piece::Oversized`].

use std::io::Read;

use super::buffer::Buffer;
use super::record::Issue;

/// What a splitter saw in the bytes it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record begins after this many bytes that belong to none.
    Begin(usize),
    /// The record ends before this byte, which is looked at again.
    End(usize),
    /// All bytes were taken.
    More,
}

/// Finds the borders of records. It is given every byte once, in order, except that the bytes from a border on
/// are given again.
pub(super) trait Splitter: Send {
    fn step(&mut self, bytes: &[u8]) -> Step;
    /// The byte that ends a line, for counting lines.
    fn line_end(&self) -> u8 {
        b'\n'
    }
    /// Records may go over several lines.
    fn spans_lines(&self) -> bool {
        true
    }
    /// Remarks about what lies between the records, once the end is reached.
    fn remarks(&self) -> Vec<Issue> {
        Vec::new()
    }
    /// Why a record that the end of the file cut off is broken, where the splitter knows better than its reader.
    fn cut_off(&self) -> Option<Issue> {
        None
    }
}

/// One record, or what is left of one that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Record {
        /// Place in [`Block::bytes`].
        start: usize,
        end: usize,
        /// 1-based line where it begins.
        line: u64,
    },
    Oversized(Box<Oversized>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Oversized {
    pub offset: u64,
    pub bytes: u64,
    pub line: u64,
    pub hash: blake3::Hash,
}

/// A run of whole records.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Offset of the first byte in the decompressed file.
    pub base: u64,
    pub bytes: Buffer,
    pub pieces: Vec<Piece>,
    /// The last piece is ended by the end of the file.
    pub ends_open: bool,
    /// What the splitter says of that last piece.
    pub cut_off: Option<Issue>,
}

struct Running {
    offset: u64,
    bytes: u64,
    line: u64,
    hasher: blake3::Hasher,
}

/// Reads a stream block by block.
pub(super) struct Blocks<R> {
    stream: R,
    splitter: Box<dyn Splitter>,
    block_bytes: usize,
    max_record_bytes: u64,
    /// Bytes of an unfinished record, the beginning of the next block.
    carry: Vec<u8>,
    /// Where in `carry` the unfinished record begins, when there is one.
    open: Option<usize>,
    open_line: u64,
    running: Option<Running>,
    /// Offset of the first byte of `carry`.
    base: u64,
    line: u64,
    ended: bool,
    failure: Option<std::io::Error>,
}

impl<R: Read> Blocks<R> {
    /// `offset` is the number of bytes of the file before the stream (a byte order mark).
    pub fn new(
        stream: R,
        splitter: Box<dyn Splitter>,
        block_bytes: usize,
        max_record_bytes: u64,
        offset: u64,
        line: u64,
    ) -> Self {
        Self {
            stream,
            splitter,
            block_bytes: block_bytes.max(1),
            max_record_bytes,
            carry: Vec::new(),
            open: None,
            open_line: line,
            running: None,
            base: offset,
            line,
            ended: false,
            failure: None,
        }
    }

    pub fn splitter(&self) -> &dyn Splitter {
        self.splitter.as_ref()
    }

    /// The next block with at least one piece, in the given buffers; `None` at the end.
    ///
    /// # Errors
    /// Reading failed. The blocks before held all whole records before the failure; [`Blocks::rest`] is the
    /// unfinished one.
    pub fn next(&mut self, mut block: Block) -> std::io::Result<Option<Block>> {
        block.bytes.clear();
        block.pieces.clear();
        (block.ends_open, block.cut_off) = (false, None);
        block.bytes.extend(&self.carry);
        self.carry.clear();
        block.base = self.base;
        while !self.ended {
            let scanned = block.bytes.len();
            self.fill(&mut block.bytes);
            self.scan(&mut block, scanned);
            if self.ended && self.failure.is_none() {
                self.finish(&mut block);
            }
            if !block.pieces.is_empty() {
                self.keep(&mut block);
                return Ok(Some(block));
            }
            if self.open.is_none() {
                // Nothing but filler, or a part of an oversized record.
                block.base += block.bytes.len() as u64;
                block.bytes.clear();
            }
        }
        self.keep(&mut block);
        self.failure.take().map_or(Ok(None), Err)
    }

    /// The unfinished record at the place where reading failed: offset, length so far, line.
    pub fn rest(&self) -> Option<(u64, u64, u64)> {
        if let Some(running) = &self.running {
            return Some((running.offset, running.bytes, running.line));
        }
        self.open.map(|_| (self.base, self.carry.len() as u64, self.open_line))
    }

    /// Appends up to a block; sets `ended` at the end of the stream, and `failure` if that is no proper end.
    fn fill(&mut self, bytes: &mut Buffer) {
        match bytes.read(&mut self.stream, self.block_bytes) {
            Ok(read) => self.ended = read < self.block_bytes,
            Err(error) => (self.ended, self.failure) = (true, Some(error)),
        }
    }

    /// Looks at the bytes from `from` on.
    fn scan(&mut self, block: &mut Block, from: usize) {
        let mut at = from;
        let (line_end, spans_lines) = (self.splitter.line_end(), self.splitter.spans_lines());
        loop {
            let rest = block.bytes.get(at..).unwrap_or_default();
            let step = self.splitter.step(rest);
            let taken = match step {
                Step::Begin(taken) | Step::End(taken) => taken.min(rest.len()),
                Step::More => rest.len(),
            };
            let passed = rest.get(..taken).unwrap_or_default();
            if let Some(running) = &mut self.running {
                running.hasher.update(passed);
                running.bytes += taken as u64;
            }
            let is_filler = self.open.is_none() && self.running.is_none();
            if is_filler || spans_lines {
                self.line += memchr::memchr_iter(line_end, passed).count() as u64;
            }
            at += taken;
            match step {
                Step::Begin(_) => {
                    self.open = Some(at);
                    self.open_line = self.line;
                }
                Step::End(_) => self.close(block, at),
                Step::More => {
                    self.outgrow(block);
                    return;
                }
            }
        }
    }

    fn close(&mut self, block: &mut Block, end: usize) {
        if let Some(running) = self.running.take() {
            block.pieces.push(Piece::Oversized(Box::new(Oversized {
                offset: running.offset,
                bytes: running.bytes,
                line: running.line,
                hash: running.hasher.finalize(),
            })));
        } else if let Some(start) = self.open {
            let bytes = block.bytes.get(start..end).unwrap_or_default();
            if bytes.len() as u64 > self.max_record_bytes {
                block.pieces.push(Piece::Oversized(Box::new(Oversized {
                    offset: block.base + start as u64,
                    bytes: bytes.len() as u64,
                    line: self.open_line,
                    hash: blake3::hash(bytes),
                })));
            } else {
                block.pieces.push(Piece::Record { start, end, line: self.open_line });
            }
        }
        self.open = None;
    }

    /// Stops keeping a record that is too long.
    fn outgrow(&mut self, block: &mut Block) {
        let Some(start) = self.open else { return };
        let bytes = block.bytes.get(start..).unwrap_or_default();
        if self.running.is_none() && bytes.len() as u64 > self.max_record_bytes {
            let mut hasher = blake3::Hasher::new();
            hasher.update(bytes);
            self.running = Some(Running {
                offset: block.base + start as u64,
                bytes: bytes.len() as u64,
                line: self.open_line,
                hasher,
            });
            self.open = None;
        }
    }

    /// Moves the unfinished record into the carry.
    fn keep(&mut self, block: &mut Block) {
        let start = match (self.running.is_some(), self.open) {
            (false, Some(start)) => start,
            _ => block.bytes.len(),
        };
        self.carry.extend_from_slice(block.bytes.get(start..).unwrap_or_default());
        self.base = block.base + start as u64;
        self.open = self.open.map(|_| 0);
        block.bytes.truncate(start);
    }

    fn finish(&mut self, block: &mut Block) {
        block.ends_open = self.open.is_some() || self.running.is_some();
        block.cut_off = block.ends_open.then(|| self.splitter.cut_off()).flatten();
        self.close(block, block.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{delimited, json_array, jsonl};
    use super::*;

    /// Gives `chunk` bytes a read.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(self.1).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    /// Text or hash, offset and line of every record.
    fn records(text: &str, splitter: Box<dyn Splitter>, block: usize, max: u64) -> Vec<(String, u64, u64)> {
        let mut blocks = Blocks::new(Slow(text.as_bytes(), 7), splitter, block, max, 0, 1);
        let mut found = Vec::new();
        while let Some(block) = blocks.next(Block::default()).expect("reads") {
            for piece in &block.pieces {
                found.push(match piece {
                    Piece::Record { start, end, line } => (
                        String::from_utf8_lossy(&block.bytes[*start..*end]).into_owned(),
                        block.base + *start as u64,
                        *line,
                    ),
                    Piece::Oversized(long) => {
                        let start = long.offset as usize;
                        let whole = &text.as_bytes()[start..start + long.bytes as usize];
                        assert_eq!(long.hash, blake3::hash(whole));
                        (format!("long {}", long.bytes), long.offset, long.line)
                    }
                });
            }
        }
        found
    }

    #[test]
    fn any_block_size_gives_the_same_records() {
        let jsonl_text = "\n{\"a\":1}\r\n  \n{\"long\":\"0123456789012345678901234567890\"}\n{\"b\":2}";
        let json_text = "\n[ {\"a\":\"]}\\\"\"},\n\n{\"b\":[1,{\"c\":2}]}, 3 , \"x,y\",[4]\n]\n";
        let csv_text = "a,\"b\nc\"\n\n\"d\"\"e\",f\r\ng,h";
        for (text, make, expected) in [
            (
                jsonl_text,
                (|| Box::new(jsonl::Lines::new(b'\n')) as Box<dyn Splitter>) as fn() -> Box<dyn Splitter>,
                vec![("{\"a\":1}\r", 1, 2), ("long 42", 13, 4), ("{\"b\":2}", 56, 5)],
            ),
            (
                json_text,
                || Box::new(json_array::Items::list()),
                vec![
                    ("{\"a\":\"]}\\\"\"}", 3, 2),
                    ("{\"b\":[1,{\"c\":2}]}", 18, 4),
                    ("3", 37, 4),
                    ("\"x,y\"", 41, 4),
                    ("[4]", 47, 4),
                ],
            ),
            (
                csv_text,
                || Box::new(delimited::Records::new(b',', b'\n')),
                vec![("a,\"b\nc\"", 0, 1), ("\"d\"\"e\",f", 9, 4), ("g,h", 19, 5)],
            ),
        ] {
            let expected: Vec<(String, u64, u64)> =
                expected.into_iter().map(|(text, offset, line)| (text.to_owned(), offset, line)).collect();
            for block in 1..80 {
                assert_eq!(records(text, make(), block, 30), expected, "block of {block}");
            }
        }
    }

    #[test]
    fn a_failing_stream_gives_the_whole_records_and_the_rest() {
        struct Failing<'a>(&'a [u8]);
        impl Read for Failing<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let n = self.0.len().min(buffer.len());
                if n == 0 {
                    return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "damaged"));
                }
                buffer[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let splitter = Box::new(jsonl::Lines::new(b'\n'));
        let mut blocks = Blocks::new(Failing(b"{}\n{}\n{\"a"), splitter, 64, 100, 0, 1);
        let block = blocks.next(Block::default()).expect("whole records first").expect("two records");
        assert_eq!(block.pieces.len(), 2);
        assert!(blocks.next(block).is_err());
        assert_eq!(blocks.rest(), Some((6, 3, 3)));
    }
}
