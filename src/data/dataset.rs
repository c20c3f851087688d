//! An opened file: its rows by number, their identity, and what was found wrong.
//!
//! Constraint: a `Dataset` is cheap to clone (shared inside), safe to use from many threads, and holds no row
//! text. While it is being indexed it can be looked at: [`Dataset::len`] grows.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};

use super::findings::general_sentence;
use super::index::{Entry, Index};
use super::reading;
use super::record::{Issue, Issues, Part, Parts, Plan};
use super::sniff::{self, Layout};
use super::source::{self, ReadAt, Stamp};
use super::{
    Compression, Container, ContentHash, DataError, Finding, FindingKind, Format, Mapping, Quarantined, Row, RowId,
    Schema, Severity, Turn, delimited,
};
use crate::jobs::{Progress, Silent};

/// No record is longer than this, whatever the options say; lengths are kept in 32 bits.
pub(super) const MAX_RECORD_BYTES: u64 = 1 << 30;

/// How to open a file. Validated by [`Dataset::open`].
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Corrects the detected schema; `None` detects.
    pub mapping: Option<Mapping>,
    /// Records longer than this are quarantined, in bytes (64 MiB).
    pub max_record_bytes: u64,
    /// Decompressed input larger than this is refused, in bytes (64 GiB).
    pub max_spool_bytes: u64,
    /// Where compressed and columnar input is unpacked; `None` is the system's temporary folder.
    pub spool_dir: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { mapping: None, max_record_bytes: 64 << 20, max_spool_bytes: 64 << 30, spool_dir: None }
    }
}

/// Counts over the readable rows of one file.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Stats {
    /// Records in the file = `rows` + `quarantined`.
    pub records: u64,
    pub rows: u64,
    pub quarantined: u64,
    /// Rows whose content hash was seen before in this file.
    pub exact_duplicates: u64,
    pub chars: u64,
    pub tokens: u64,
    /// Rows by token length: `histogram[k]` counts lengths in [2^k, 2^(k+1)), `[0]` counts 0 and 1.
    pub token_histogram: Vec<u64>,
}

/// An opened, indexed file.
#[derive(Clone)]
pub struct Dataset(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) path: PathBuf,
    pub(super) options: OpenOptions,
    pub(super) file: Arc<File>,
    pub(super) stamp: Stamp,
    pub(super) format: Format,
    pub(super) layout: Layout,
    /// Bytes of the byte order mark.
    pub(super) mark: usize,
    pub(super) random: Arc<dyn ReadAt>,
    /// `random` is the file itself, which others may write to.
    pub(super) reads_file: bool,
    pub(super) consumed: Arc<AtomicU64>,
    /// What [`Dataset::index`] reads; taken by it.
    pub(super) stream: Mutex<Option<Box<dyn Read + Send>>>,
    pub(super) plan: RwLock<Arc<Plan>>,
    pub(super) index: RwLock<Index>,
    pub(super) complete: AtomicBool,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("path", &self.0.path).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Dataset {
    /// Opens and indexes the whole file. Progress is in bytes of the file on disk.
    ///
    /// # Errors
    /// The file cannot be read, or nothing in it is a usable row (then the reason says why and the findings
    /// are in the message).
    pub fn open(path: &Path, options: &OpenOptions, progress: &dyn Progress) -> Result<Self, DataError> {
        let dataset = Self::begin_watched(path, options, progress)?;
        dataset.index(progress)?;
        Ok(dataset)
    }

    /// Sniffs format and schema from the first MiB and returns a data set without rows; [`Dataset::index`] on
    /// another thread fills it.
    ///
    /// # Errors
    /// The file cannot be opened, is in a format that cannot be read (the reason says which and what to do), or the
    /// mapping of the options names fields that are not there.
    pub fn begin(path: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        Self::begin_watched(path, options, &Silent)
    }

    /// [`Dataset::begin`] that tells how far it is and can be stopped: packed Parquet is read from its end, so it is
    /// unpacked whole before anything is known of it.
    ///
    /// # Errors
    /// As [`Dataset::begin`], and the user cancelled.
    pub fn begin_watched(path: &Path, options: &OpenOptions, progress: &dyn Progress) -> Result<Self, DataError> {
        Self::begin_with(path, source::open_file(path)?, options, progress)
    }

    /// [`Dataset::begin_watched`] with the open file; `path` is what messages call it.
    pub(super) fn begin_with(
        path: &Path,
        file: File,
        options: &OpenOptions,
        progress: &dyn Progress,
    ) -> Result<Self, DataError> {
        let failed = |source| DataError::Io { path: path.to_owned(), source };
        let unusable = |reason| DataError::Unusable { path: path.to_owned(), reason };
        let file = Arc::new(file);
        let stamp = Stamp::of(&file).map_err(failed)?;
        let source = source::open(path, &file, options, progress)?;
        let mark = sniff::encoding(&source.head).map_err(unusable)?;
        let text = source.head.get(mark..).unwrap_or_default();
        let is_parquet = source.wrapping.is_parquet;
        let layout = if is_parquet {
            Layout::Lines(b'\n')
        } else {
            sniff::layout(text, source.head_is_all).map_err(unusable)?
        };
        let plan = reading::plan(text, layout, source.head_is_all, options.mapping.clone())
            .map_err(|reason| DataError::Mapping { path: path.to_owned(), reason })?;
        let mut index = Index::default();
        if mark > 0 {
            index.findings.add_for_file(Issue {
                kind: FindingKind::ByteOrderMark,
                severity: Severity::Info,
                field: None,
                message: general_sentence(FindingKind::ByteOrderMark).to_owned(),
            });
        }
        let container = if is_parquet { Container::Parquet } else { layout.container() };
        let compression = source.wrapping.compression;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            options: options.clone(),
            file,
            stamp,
            format: Format { container, compression },
            layout,
            mark,
            random: source.random,
            reads_file: compression == Compression::None && !is_parquet,
            consumed: source.consumed,
            stream: Mutex::new(Some(source.stream)),
            plan: RwLock::new(Arc::new(plan)),
            index: RwLock::new(index),
            complete: AtomicBool::new(false),
        })))
    }

    pub(super) fn unusable(&self, reason: &str) -> DataError {
        DataError::Unusable { path: self.0.path.clone(), reason: reason.to_owned() }
    }

    pub(super) fn failed(&self, source: std::io::Error) -> DataError {
        DataError::Io { path: self.0.path.clone(), source }
    }

    pub(super) fn name(&self) -> String {
        self.0.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// True once [`Dataset::index`] reached the end.
    pub fn is_complete(&self) -> bool {
        self.0.complete.load(Ordering::Acquire)
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Size of the file on disk when it was opened, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.0.stamp.bytes
    }

    /// BLAKE3 of the file's bytes on disk (before decompression). Reads the file again.
    ///
    /// # Errors
    /// Reading failed, the file changed since it was opened, or the user cancelled.
    pub fn file_hash(&self, progress: &dyn Progress) -> Result<[u8; 32], DataError> {
        let stage = format!("hashing {}", self.name());
        let consumed = Arc::new(AtomicU64::new(0));
        let mut reader = source::Positioned::new(self.0.file.clone(), consumed.clone());
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            progress.check()?;
            progress.tick(&stage, consumed.load(Ordering::Relaxed), Some(self.0.stamp.bytes));
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => drop(hasher.update(buffer.get(..read).unwrap_or_default())),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        self.unchanged()?;
        Ok(*hasher.finalize().as_bytes())
    }

    fn unchanged(&self) -> Result<(), DataError> {
        self.is_stamped(&self.0.file)
    }

    /// A handle of its own on the file, which is still the one that was indexed.
    pub(super) fn reopened(&self) -> Result<File, DataError> {
        let file = source::open_file(&self.0.path)?;
        self.is_stamped(&file)?;
        Ok(file)
    }

    pub(super) fn is_stamped(&self, file: &File) -> Result<(), DataError> {
        match Stamp::of(file) {
            Ok(stamp) if stamp == self.0.stamp => Ok(()),
            Ok(_) => Err(DataError::Changed { path: self.0.path.clone() }),
            Err(source) => Err(self.failed(source)),
        }
    }

    pub fn format(&self) -> Format {
        self.0.format
    }

    /// The schema and which field plays which role; a text schema without fields while none was recognised.
    pub fn mapping(&self) -> Mapping {
        let plan = self.0.plan.read();
        plan.mapping.clone().unwrap_or_else(|| Mapping { schema: Schema::Text, fields: IndexMap::new() })
    }

    /// Number of readable rows so far. Rows are addressed by `index` in `0..len()`.
    pub fn len(&self) -> usize {
        self.0.index.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// 0-based record number in the file of readable row `index` (quarantined records count).
    pub fn number(&self, index: usize) -> Option<u64> {
        self.0.index.read().number(index)
    }

    /// 1-based line of the decompressed file where the record begins.
    pub fn line(&self, index: usize) -> Option<u64> {
        self.0.index.read().entry(index).map(|entry| entry.line)
    }

    pub fn id(&self, index: usize) -> Option<RowId> {
        self.0.index.read().id(index)
    }

    pub fn content_hash(&self, index: usize) -> Option<ContentHash> {
        self.0.index.read().entry(index).map(|entry| entry.hash)
    }

    /// The content hash of every row so far.
    pub(super) fn content_hashes(&self) -> Vec<ContentHash> {
        self.0.index.read().hashes().to_vec()
    }

    /// Characters (Unicode scalar values) of [`Row::text`].
    pub fn chars(&self, index: usize) -> Option<u32> {
        self.0.index.read().entry(index).map(|entry| entry.chars)
    }

    /// Words and punctuation marks of [`Row::text`]: an estimate of model tokens.
    pub fn tokens(&self, index: usize) -> Option<u32> {
        self.0.index.read().entry(index).map(|entry| entry.tokens)
    }

    /// Reads and decodes one row by position.
    ///
    /// # Errors
    /// `index` is out of range, the file changed on disk, or reading failed.
    pub fn row(&self, index: usize) -> Result<Row, DataError> {
        let (number, entry, record) = self.record(index)?;
        self.with_parts(&record, entry.hash, |parts| {
            let owned = |turns: &[Part<'_>]| {
                turns.iter().map(|turn| Turn { speaker: turn.speaker, text: turn.text.decode().into_owned() }).collect()
            };
            Row { number, line: entry.line, turns: owned(&parts.turns), rejected: owned(&parts.rejected) }
        })
    }

    /// The record as a JSON object text: the file's own bytes for JSON formats (key order and number spelling
    /// kept), an object of strings for CSV and TSV, the row as JSON for Parquet.
    ///
    /// # Errors
    /// As [`Dataset::row`].
    pub fn record_json(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let (_, entry, record) = self.record(index)?;
        self.with_parts(&record, entry.hash, |_| ())?;
        let Layout::Table { delimiter, .. } = self.0.layout else { return Ok(record) };
        let text = std::str::from_utf8(&record).unwrap_or_default();
        let plan = self.0.plan.read().clone();
        let object: serde_json::Map<String, serde_json::Value> =
            plan.header.iter().cloned().zip(delimited::cells(text, delimiter).into_iter().map(Into::into)).collect();
        serde_json::to_vec(&object).map_err(|error| self.failed(error.into()))
    }

    /// The cells of one CSV or TSV record in the order of [`Dataset::header`].
    ///
    /// # Errors
    /// As [`Dataset::row`].
    pub(super) fn record_cells(&self, index: usize) -> Result<Vec<String>, DataError> {
        let (_, entry, record) = self.record(index)?;
        self.with_parts(&record, entry.hash, |_| ())?;
        let text = std::str::from_utf8(&record).unwrap_or_default();
        let cells = delimited::cells(text, self.delimiter().unwrap_or(b','));
        Ok(cells.into_iter().map(std::borrow::Cow::into_owned).collect())
    }

    /// What stands between the cells of a table.
    pub(super) fn delimiter(&self) -> Option<u8> {
        match self.0.layout {
            Layout::Table { delimiter, .. } => Some(delimiter),
            _ => None,
        }
    }

    /// The bytes of one readable record, from a file that is still the one that was indexed.
    fn record(&self, index: usize) -> Result<(u64, Entry, Vec<u8>), DataError> {
        let place = {
            let columns = self.0.index.read();
            columns.number(index).zip(columns.entry(index)).ok_or_else(|| columns.len())
        };
        let (number, entry) = place.map_err(|rows| DataError::Row {
            path: self.0.path.clone(),
            row: index as u64,
            reason: format!("there is no such row; the file has {rows} so far"),
        })?;
        Ok((number, entry, self.bytes(entry.offset, u64::from(entry.bytes))?))
    }

    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, DataError> {
        if self.0.reads_file {
            self.unchanged()?;
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(MAX_RECORD_BYTES as usize)];
        match self.0.random.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(DataError::Changed { path: self.0.path.clone() })
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Reads a record again; anything but the content that was indexed means that the file changed.
    fn with_parts<T>(
        &self,
        record: &[u8],
        hash: ContentHash,
        use_parts: impl FnOnce(&Parts<'_>) -> T,
    ) -> Result<T, DataError> {
        let plan = self.0.plan.read().clone();
        let changed = || DataError::Changed { path: self.0.path.clone() };
        let text = std::str::from_utf8(record).map_err(|_| changed())?;
        reading::with_parts(text, &plan, self.0.layout, false, &mut Issues::default(), |parts| {
            (reading::hash_of(parts) == hash).then(|| use_parts(parts))
        })
        .map_err(|_| changed())?
        .ok_or_else(changed)
    }

    /// The CSV or TSV header, when the file has one: the names of the columns, empty and repeated ones numbered.
    pub fn header(&self) -> Option<Vec<String>> {
        matches!(self.0.layout, Layout::Table { .. }).then(|| self.0.plan.read().header.clone())
    }

    /// [`Dataset::header`] as the file spells it.
    pub(super) fn spelled_header(&self) -> Vec<String> {
        self.0.plan.read().spelled.clone()
    }

    pub fn stats(&self) -> Stats {
        self.0.index.read().stats.clone()
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.0.index.read().findings.list()
    }

    /// The `place`-th record set aside, in file order, `place` in `0..stats().quarantined`.
    pub fn quarantined(&self, place: usize) -> Option<Quarantined> {
        self.0.index.read().quarantined(place)
    }

    /// Every record set aside, in file order: some 300 bytes each, so [`Dataset::quarantined`] is better where there
    /// may be a million.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        self.0.index.read().quarantine()
    }

    /// The raw bytes of a quarantined record, at most its first MiB.
    ///
    /// # Errors
    /// The file changed on disk, or reading failed.
    pub fn quarantined_raw(&self, record: &Quarantined) -> Result<Vec<u8>, DataError> {
        self.bytes(record.offset, record.bytes.min(reading::SHOWN))
    }
}
