//! An opened file: its rows by number, their identity, and what was found wrong.
//!
//! Constraint: a `Dataset` is cheap to clone (shared inside), safe to use from many threads, and holds no row
//! text. While it is being indexed it can be looked at: [`Dataset::len`] grows.

use std::path::{Path, PathBuf};

use super::{ContentHash, DataError, Finding, Format, Mapping, Quarantined, Row, RowId};
use crate::jobs::Progress;

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
pub struct Dataset {}

impl Dataset {
    /// Opens and indexes the whole file. Progress is in bytes of the file on disk.
    ///
    /// # Errors
    /// The file cannot be read, or nothing in it is a usable row (then the reason says why and the findings
    /// are in the message).
    pub fn open(path: &Path, options: &OpenOptions, progress: &dyn Progress) -> Result<Self, DataError> {
        let dataset = Self::begin(path, options)?;
        dataset.index(progress)?;
        Ok(dataset)
    }

    /// Sniffs the format and returns a data set without rows; [`Dataset::index`] on another thread fills it.
    pub fn begin(path: &Path, options: &OpenOptions) -> Result<Self, DataError> {
        todo!()
    }

    /// Indexes to the end of the file. Rows become visible in batches while it runs.
    pub fn index(&self, progress: &dyn Progress) -> Result<(), DataError> {
        todo!()
    }

    /// True once [`Dataset::index`] reached the end.
    pub fn is_complete(&self) -> bool {
        todo!()
    }

    pub fn path(&self) -> &Path {
        todo!()
    }

    /// Size of the file on disk, in bytes.
    pub fn file_bytes(&self) -> u64 {
        todo!()
    }

    /// BLAKE3 of the file's bytes on disk (before decompression). Reads the file again.
    pub fn file_hash(&self, progress: &dyn Progress) -> Result<[u8; 32], DataError> {
        todo!()
    }

    pub fn format(&self) -> Format {
        todo!()
    }

    pub fn mapping(&self) -> Mapping {
        todo!()
    }

    /// Number of readable rows so far. Rows are addressed by `index` in `0..len()`.
    pub fn len(&self) -> usize {
        todo!()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// 0-based record number in the file of readable row `index` (quarantined records count).
    pub fn number(&self, index: usize) -> Option<u64> {
        todo!()
    }

    /// 1-based line of the decompressed file where the record begins.
    pub fn line(&self, index: usize) -> Option<u64> {
        todo!()
    }

    pub fn id(&self, index: usize) -> Option<RowId> {
        todo!()
    }

    pub fn content_hash(&self, index: usize) -> Option<ContentHash> {
        todo!()
    }

    /// Characters (Unicode scalar values) of [`Row::text`].
    pub fn chars(&self, index: usize) -> Option<u32> {
        todo!()
    }

    /// Words and punctuation marks of [`Row::text`]: an estimate of model tokens.
    pub fn tokens(&self, index: usize) -> Option<u32> {
        todo!()
    }

    /// Reads and decodes one row by position.
    ///
    /// # Errors
    /// `index` is out of range, the file changed on disk, or reading failed.
    pub fn row(&self, index: usize) -> Result<Row, DataError> {
        todo!()
    }

    /// The record as a JSON object text: the file's own bytes for JSON formats (key order and number spelling
    /// kept), an object of strings for CSV and TSV, the row as JSON for Parquet.
    pub fn record_json(&self, index: usize) -> Result<Vec<u8>, DataError> {
        todo!()
    }

    /// The CSV or TSV header, when the file has one.
    pub fn header(&self) -> Option<Vec<String>> {
        todo!()
    }

    pub fn stats(&self) -> Stats {
        todo!()
    }

    pub fn findings(&self) -> Vec<Finding> {
        todo!()
    }

    /// The records set aside, in file order.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        todo!()
    }

    /// The raw bytes of a quarantined record, at most its first MiB.
    pub fn quarantined_raw(&self, record: &Quarantined) -> Result<Vec<u8>, DataError> {
        todo!()
    }
}
