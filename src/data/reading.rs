//! Indexes a file: one thread cuts the stream into blocks of records, the pool reads the records of a block, the
//! caller appends what came out, in file order.
//!
//! Constraint: the result does not depend on the number of threads; memory is a few blocks whatever the file's size.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use super::blocks::{Block, Blocks, Piece};
use super::buffer::Buffer;
use super::delimited;
use super::detect::{SAMPLE, Shape, detect};
use super::index::{Entry, Index};
use super::measure::{content_hash, measure_parts};
use super::record::{Issue, Issues, Parts, Plan, json_row, shown, text_of};
use super::sniff::{self, Layout};
use super::table::table_row;
use super::{ContentHash, FieldRole, FindingKind, Mapping};

/// Bytes that are read and indexed at a time.
pub(super) const BLOCK: usize = 4 << 20;

/// Bytes of records that one task reads.
const TASK: usize = 128 << 10;

/// Reads one record and gives its parts to `use_parts`.
pub(super) fn with_parts<T>(
    text: &str,
    plan: &Plan,
    layout: Layout,
    cut_off: bool,
    issues: &mut Issues,
    use_parts: impl FnOnce(&Parts<'_>) -> T,
) -> Result<T, Issue> {
    match layout {
        Layout::Table { delimiter, .. } => {
            if text.contains('\0') {
                return Err(Issue::fault(
                    FindingKind::InvalidUtf8,
                    None,
                    "the record holds a NUL byte, which is no text; remove it",
                ));
            }
            let cells = delimited::cells(text, delimiter);
            if cells.len() != plan.header.len() {
                return Err(Issue::fault(
                    FindingKind::FieldCount,
                    None,
                    format!(
                        "the record has {} cells, the header {}; put cells with a delimiter or line break in quotes",
                        cells.len(),
                        plan.header.len()
                    ),
                ));
            }
            table_row(&cells, plan, issues).map(|parts| use_parts(&parts))
        }
        _ => json_row(text, plan, cut_off, issues).map(|parts| use_parts(&parts)),
    }
}

/// What came out of one record.
pub(super) enum Outcome {
    Row(Entry),
    Aside(Box<SetAside>),
}

/// A record that is no row.
pub(super) struct SetAside {
    /// Offset, bytes, line.
    pub place: (u64, u64, u64),
    pub issue: Issue,
    /// The hash of records too long to be shown whole.
    pub hash: Option<String>,
}

/// The outcomes of some records in file order, and the remarks with the place of their record among them.
#[derive(Default)]
pub(super) struct Batch {
    pub outcomes: Vec<Outcome>,
    pub remarks: Vec<(usize, Issue)>,
}

/// The most bytes of a quarantined record that are shown.
pub(super) const SHOWN: u64 = 1 << 20;

/// Whether rows get their content hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Hash,
    /// For measuring: the hash is zero.
    None,
}

/// Reads the records of a block on the pool.
pub(super) fn read_block(
    block: &Block,
    plan: &Plan,
    layout: Layout,
    max_record_bytes: u64,
    identity: Identity,
) -> Vec<Batch> {
    let mut tasks: Vec<std::ops::Range<usize>> = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (place, piece) in block.pieces.iter().enumerate() {
        if let Piece::Record { start, end, .. } = piece {
            bytes += end - start;
        }
        if bytes >= TASK {
            tasks.push(from..place + 1);
            (from, bytes) = (place + 1, 0);
        }
    }
    tasks.push(from..block.pieces.len());
    tasks.into_par_iter().map(|task| read_task(block, task, plan, layout, max_record_bytes, identity)).collect()
}

fn read_task(
    block: &Block,
    task: std::ops::Range<usize>,
    plan: &Plan,
    layout: Layout,
    max_record_bytes: u64,
    identity: Identity,
) -> Batch {
    let last = block.pieces.len().saturating_sub(1);
    let pieces = block.pieces.get(task.clone()).unwrap_or_default();
    let mut batch = Batch { outcomes: Vec::with_capacity(pieces.len()), remarks: Vec::new() };
    let mut scratch = Vec::new();
    let whole = text_of_task(block, pieces);
    for (place, piece) in pieces.iter().enumerate() {
        let ends_file = block.ends_open && task.start + place == last;
        let outcome = match piece {
            Piece::Oversized(long) => {
                let limit = max_record_bytes >> 20;
                let mut message =
                    format!("the record is {} bytes long, the limit is {limit} MiB; split it", long.bytes);
                if ends_file && let Some(cause) = &block.cut_off {
                    message = format!("{message} ({})", cause.message);
                }
                let issue = Issue::fault(FindingKind::RowTooLarge, None, message);
                let place = (long.offset, long.bytes, long.line);
                Outcome::Aside(Box::new(SetAside { place, issue, hash: Some(long.hash.to_hex().to_string()) }))
            }
            Piece::Record { start, end, line } => {
                let record = block.bytes.get(*start..*end).unwrap_or_default();
                // Blanks behind JSON mean nothing; in a table they belong to the last cell.
                let record = if matches!(layout, Layout::Table { .. }) { record } else { record.trim_ascii_end() };
                let text = || match whole {
                    Some((from, whole)) => whole
                        .get(start - from..)
                        .and_then(|text| text.get(..record.len()))
                        .map_or_else(|| text_of(record), Ok),
                    None => text_of(record),
                };
                let offset = block.base + *start as u64;
                let mut issues = Issues::default();
                let read = match (&block.cut_off, ends_file) {
                    (Some(issue), true) => Err(issue.clone()),
                    _ => text().and_then(|text| {
                        with_parts(text, plan, layout, ends_file, &mut issues, |parts| {
                            let hash = match identity {
                                Identity::Hash => content_hash(parts, &mut scratch),
                                Identity::None => ContentHash([0; 32]),
                            };
                            (hash, measure_parts(parts))
                        })
                    }),
                };
                match (read, u32::try_from(record.len())) {
                    (Ok((hash, length)), Ok(bytes)) => {
                        let place = batch.outcomes.len();
                        batch.remarks.extend(issues.remarks.into_iter().map(|issue| (place, issue)));
                        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
                        Outcome::Row(Entry {
                            offset,
                            bytes,
                            line: *line,
                            hash,
                            chars: clamp(length.chars),
                            tokens: clamp(length.tokens),
                        })
                    }
                    (read, _) => {
                        let issue = read.err().unwrap_or_else(|| {
                            Issue::fault(FindingKind::RowTooLarge, None, "the record is longer than 4 GiB; split it")
                        });
                        let hash = (record.len() as u64 > SHOWN).then(|| blake3::hash(record).to_hex().to_string());
                        let place = (offset, record.len() as u64, *line);
                        Outcome::Aside(Box::new(SetAside { place, issue, hash }))
                    }
                }
            }
        };
        batch.outcomes.push(outcome);
    }
    batch
}

/// The bytes from the first record to the last as text, and where they begin in the block; checked at once, which is
/// several times faster than record by record. `None` where some byte of them is not UTF-8.
fn text_of_task<'a>(block: &'a Block, pieces: &[Piece]) -> Option<(usize, &'a str)> {
    let place = |piece: &Piece| match piece {
        Piece::Record { start, end, .. } => Some((*start, *end)),
        Piece::Oversized(_) => None,
    };
    let (from, _) = pieces.iter().find_map(place)?;
    let (_, to) = pieces.iter().rev().find_map(place)?;
    simdutf8::basic::from_utf8(block.bytes.get(from..to)?).ok().map(|text| (from, text))
}

/// The content hash of one record, as the index computed it.
pub(super) fn hash_of(parts: &Parts<'_>) -> ContentHash {
    content_hash(parts, &mut Vec::new())
}

/// The plan that the beginning of a file suggests. `whole` tells that `head` is the whole file.
///
/// # Errors
/// The given mapping does not hold together or names fields that are not there.
pub(super) fn plan(head: &[u8], layout: Layout, whole: bool, given: Option<Mapping>) -> Result<Plan, String> {
    let mut records = sniff::sample(head, layout, SAMPLE + 1, whole).into_iter();
    let (mut header, mut spelled) = (Vec::new(), Vec::new());
    if let Layout::Table { delimiter, .. } = layout
        && let Some(first) = records.next()
    {
        // A header that cannot be read is told when the records are read.
        (header, spelled) = read_header(first, delimiter).unwrap_or_default();
    }
    let shapes = shapes(records, layout, &header);
    if let Some(mapping) = &given {
        mapping.validate().map_err(|error| error.to_string())?;
        check_fields(mapping, &shapes, &header)?;
    }
    Ok(Plan { mapping: given.or_else(|| detect_with_header(&shapes, &header)), header, spelled })
}

fn shapes<'a>(records: impl Iterator<Item = &'a [u8]>, layout: Layout, header: &[String]) -> Vec<Shape> {
    let texts = records.take(SAMPLE).filter_map(|record| std::str::from_utf8(record).ok());
    match layout {
        Layout::Table { delimiter, .. } => texts
            .map(|text| delimited::cells(text, delimiter))
            .filter(|cells| cells.len() == header.len())
            .map(|cells| Shape::of_cells(header, cells.iter().map(AsRef::as_ref)))
            .collect(),
        _ => texts.filter_map(Shape::of_json).collect(),
    }
}

/// A header without rows still names its columns.
fn detect_with_header(shapes: &[Shape], header: &[String]) -> Option<Mapping> {
    if shapes.is_empty() && !header.is_empty() {
        return detect(&[Shape::of_cells(header, header.iter().map(|_| ""))]);
    }
    detect(shapes)
}

fn check_fields(mapping: &Mapping, shapes: &[Shape], header: &[String]) -> Result<(), String> {
    let has = |field: &str| {
        header.iter().any(|name| name == field) || shapes.iter().any(|shape| shape.names().any(|name| name == field))
    };
    if shapes.is_empty() && header.is_empty() {
        return Ok(());
    }
    let needed = |role: &FieldRole| !header.is_empty() || mapping.schema.required().contains(role);
    match mapping.fields.iter().find(|(field, role)| needed(role) && !has(field)) {
        Some((field, role)) => {
            let mut names: Vec<String> = Vec::new();
            for name in header.iter().map(String::as_str).chain(shapes.iter().flat_map(Shape::names)) {
                if names.len() < 12 && !names.iter().any(|other| *other == shown(name)) {
                    names.push(shown(name));
                }
            }
            Err(format!("no field is called `{}` (role {role}); the fields are {}", shown(field), names.join(", ")))
        }
        None => Ok(()),
    }
}

/// Takes the header off the first block of a table, and detects the mapping where the beginning of the file did not
/// show a whole record.
pub(super) fn complete_plan(
    plan: &Plan,
    block: &mut Block,
    layout: Layout,
    given: Option<&Mapping>,
) -> Result<Plan, Issue> {
    let mut plan = plan.clone();
    let text = |piece: &Piece| match piece {
        Piece::Record { start, end, .. } => block.bytes.get(*start..*end),
        Piece::Oversized(_) => None,
    };
    if let Layout::Table { delimiter, .. } = layout {
        let record = block.pieces.first().and_then(text);
        let too_long = || Issue::fault(FindingKind::RowTooLarge, None, "it is longer than a record may be");
        (plan.header, plan.spelled) = read_header(record.ok_or_else(too_long)?, delimiter)?;
    }
    let header_pieces = usize::from(matches!(layout, Layout::Table { .. }));
    if plan.mapping.is_none() {
        let records = block.pieces.iter().skip(header_pieces).filter_map(text);
        let shapes = shapes(records, layout, &plan.header);
        plan.mapping = given.cloned().or_else(|| detect_with_header(&shapes, &plan.header));
    }
    block.pieces.drain(..header_pieces.min(block.pieces.len()));
    Ok(plan)
}

/// Appends what came out of some records.
pub(super) fn append(index: &mut Index, batch: Batch) {
    let mut remarks = batch.remarks.into_iter().peekable();
    for (place, outcome) in batch.outcomes.into_iter().enumerate() {
        while let Some((_, remark)) = remarks.next_if(|(of, _)| *of == place) {
            let row = index.stats.records;
            index.findings.add(remark, row);
        }
        match outcome {
            Outcome::Row(entry) => index.push_row(entry),
            Outcome::Aside(aside) => index.push_aside(aside.place, aside.issue, aside.hash),
        }
    }
}

/// The header of a table from its first record: names to tell columns by, and the cells as they stand.
pub(super) fn read_header(record: &[u8], delimiter: u8) -> Result<(Vec<String>, Vec<String>), Issue> {
    let cells = delimited::cells(text_of(record)?, delimiter);
    let spelled: Vec<String> = cells.iter().map(|cell| cell.as_ref().to_owned()).collect();
    let header = delimited::header(cells);
    if header.len() > MAX_COLUMNS {
        let first = header.first().map(|name| shown(name)).unwrap_or_default();
        return Err(Issue::fault(
            FindingKind::FieldCount,
            None,
            format!("the header has {} columns, beginning with `{first}`; the limit is {MAX_COLUMNS}", header.len()),
        ));
    }
    Ok((header, spelled))
}

const MAX_COLUMNS: usize = 10_000;

/// What the cutting thread sends.
pub(super) enum Cut {
    Block(Block),
    /// The end; remarks on what lies between records.
    End(Vec<Issue>),
    /// Reading failed; the unfinished record: offset, bytes, line.
    Failed(std::io::Error, Option<(u64, u64, u64)>),
}

/// A stream that ends when it is told to, so that a record of many GiB does not outlive its cancellation.
pub(super) struct Stoppable<R> {
    pub stream: R,
    pub stop: Arc<AtomicBool>,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // A bounded read, so that the flag is looked at often.
        let end = buffer.len().min(1 << 20);
        if self.stop.load(Ordering::Relaxed) {
            Ok(0)
        } else {
            self.stream.read(buffer.get_mut(..end).unwrap_or_default())
        }
    }
}

/// Cuts the next block, in the given buffers.
pub(super) fn next_cut(blocks: &mut Blocks<impl Read>, mut block: Block) -> Cut {
    if block.bytes.held() > 3 * BLOCK {
        block.bytes = Buffer::default();
    }
    match blocks.next(block) {
        Ok(Some(block)) => Cut::Block(block),
        Ok(None) => Cut::End(blocks.splitter().remarks()),
        Err(error) => Cut::Failed(error, blocks.rest()),
    }
}

/// Cuts the stream until its end, or until nobody listens any more. Used blocks come back to be filled again.
pub(super) fn cut(mut blocks: Blocks<impl Read>, cuts: &Sender<Cut>, used: &Receiver<Block>) {
    loop {
        let cut = next_cut(&mut blocks, used.try_recv().unwrap_or_default());
        let is_last = !matches!(cut, Cut::Block(_));
        if cuts.send(cut).is_err() || is_last {
            return;
        }
    }
}

/// A channel for one block on its way, besides the one being cut and the one being read.
pub(super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    bounded(1)
}
