//! Parquet as a stream of JSON lines, one row a line.
//!
//! Purpose: columnar input takes the same way as every other file. Columns keep their order, nulls are written, binary
//! values become hexadecimal text.
//! Constraints: batches are small, so memory is bounded by a few rows; the footer's claims are checked against the file's
//! size before anything is allocated; a panic of the Parquet library on a malformed file becomes an error.

use std::cell::Cell;
use std::fs::File;
use std::io::{Error, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use arrow_array::RecordBatch;
use arrow_json::writer::{LineDelimited, WriterBuilder};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::DataError;
use super::source::ReadAt;
use super::timestamps::NamedZones;

const BATCH_ROWS: usize = 256;
/// `PAR1` at both ends and the footer's length.
const SMALLEST: u64 = 12;

/// Opens a Parquet file for reading in batches of `rows`.
pub(super) fn open(path: &Path, file: File, rows: usize) -> Result<ParquetRecordBatchReaderBuilder<File>, DataError> {
    let unusable = |reason: String| DataError::Unusable { path: path.to_owned(), reason };
    let bytes = file.metadata().map_err(|source| DataError::Io { path: path.to_owned(), source })?.len();
    check_footer(&file, bytes).map_err(|reason| unusable(format!("is no readable Parquet file: {reason}")))?;
    guarded(|| ParquetRecordBatchReaderBuilder::try_new(file))
        .map(|builder| builder.with_batch_size(rows))
        .map_err(|reason| unusable(format!("is no readable Parquet file: {reason}")))
}

/// The rows of a Parquet file as JSON lines. `consumed` follows the share of rows read, in bytes of the file.
pub(super) fn parquet_as_jsonl(
    path: &Path,
    file: File,
    consumed: Arc<AtomicU64>,
) -> Result<Box<dyn Read + Send>, DataError> {
    let bytes = file.metadata().map_err(|source| DataError::Io { path: path.to_owned(), source })?.len();
    let builder = open(path, file, BATCH_ROWS)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let batches = guarded(|| builder.build()).map_err(|reason| DataError::Unusable {
        path: path.to_owned(),
        reason: format!("is no readable Parquet file: {reason}"),
    })?;
    Ok(Box::new(Lines { batches: Some(batches), ready: Vec::new(), at: 0, done: 0, rows, bytes, consumed }))
}

/// One batch as JSON lines.
pub(super) fn lines_of(batch: &RecordBatch) -> Result<Vec<u8>, String> {
    guarded(|| {
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_encoder_factory(Arc::new(NamedZones))
            .build::<_, LineDelimited>(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        Ok::<_, arrow_schema::ArrowError>(writer.into_inner())
    })
}

fn check_footer(file: &File, bytes: u64) -> Result<(), String> {
    if bytes < SMALLEST {
        return Err(format!("it has only {bytes} bytes"));
    }
    let mut tail = [0; 8];
    file.read_exact_at(&mut tail, bytes - 8).map_err(|error| error.to_string())?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic == b"PARE" {
        return Err("it is encrypted; decrypt it first".to_owned());
    }
    if &magic != b"PAR1" {
        return Err("its end is missing; download or write it again".to_owned());
    }
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if footer > bytes - SMALLEST { Err(format!("its footer claims {footer} bytes of {bytes}")) } else { Ok(()) }
}

thread_local! {
    static IN_LIBRARY: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call into the Parquet library; its errors and panics become text. Such a panic is told as an error, so it
/// is not printed besides; panics elsewhere reach the hook that was set before.
pub(super) fn guarded<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IN_LIBRARY.get() {
                before(info);
            }
        }));
    });
    let was_inside = IN_LIBRARY.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IN_LIBRARY.set(was_inside);
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("its content contradicts itself".to_owned()),
    }
}

struct Lines {
    batches: Option<ParquetRecordBatchReader>,
    ready: Vec<u8>,
    at: usize,
    done: u64,
    rows: u64,
    bytes: u64,
    consumed: Arc<AtomicU64>,
}

impl Lines {
    /// Fetches the next batch; false at the end.
    fn refill(&mut self) -> std::io::Result<bool> {
        let Some(batches) = self.batches.as_mut() else { return Ok(false) };
        let next = guarded(|| batches.next().transpose());
        let batch = match next {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.batches = None;
                self.consumed.store(self.bytes, Ordering::Relaxed);
                return Ok(false);
            }
            Err(reason) => {
                self.batches = None;
                return Err(damaged(self.done, &reason));
            }
        };
        self.ready = lines_of(&batch).map_err(|reason| damaged(self.done, &reason))?;
        self.at = 0;
        self.done += batch.num_rows() as u64;
        let share = self.done as f64 / self.rows.max(1) as f64;
        self.consumed.store((self.bytes as f64 * share.min(1.0)) as u64, Ordering::Relaxed);
        Ok(true)
    }
}

fn damaged(row: u64, reason: &str) -> Error {
    Error::other(format!("the Parquet file cannot be read past row {row}: {reason}"))
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let left = self.ready.get(self.at..).unwrap_or_default();
            if !left.is_empty() || buffer.is_empty() {
                let read = left.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..read), left.get(..read)) {
                    to.copy_from_slice(from);
                }
                self.at += read;
                return Ok(read);
            }
            if !self.refill()? {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_library_is_an_error_and_only_it_is_silent() {
        let inside = guarded(|| {
            let nested = guarded(|| -> Result<(), String> { panic!("on purpose") });
            assert_eq!(nested, Err("its content contradicts itself".to_owned()));
            Ok::<_, String>(IN_LIBRARY.get())
        });
        assert_eq!(inside, Ok(true));
        assert!(!IN_LIBRARY.get());
        assert_eq!(guarded(|| Err::<(), _>("no column")), Err("no column".to_owned()));
    }
}
