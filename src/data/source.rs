//! Where bytes come from: the file itself, or the spool it is unpacked into.
//!
//! Constraint: the file is opened once, and everything (sniffing, indexing, rows, the hash) reads that one open file
//! by position; a file that is replaced under the same name is not mixed with the one that was opened.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::sniff::{self, Wrapping};
use super::{Compression, DataError, OpenOptions, columnar, spool, unpack};
use crate::jobs::Progress;

/// Reads at a position without moving a cursor.
pub(super) trait ReadAt: Send + Sync {
    /// Fills `buffer` from `offset` on.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()>;
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> std::io::Result<()> {
        while !buffer.is_empty() {
            match read_at(self, buffer, offset) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = buffer.get_mut(read..).unwrap_or_default();
                    offset += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// The decompressed records of a file.
pub(super) struct Source {
    /// The records in order, read once.
    pub stream: Box<dyn Read + Send>,
    /// Positioned reads of the same bytes, as far as they were streamed.
    pub random: Arc<dyn ReadAt>,
    /// Bytes of the file on disk consumed so far, for progress.
    pub consumed: Arc<AtomicU64>,
    /// The first bytes of `stream`, which are still to come in it; at most [`sniff::HEAD`].
    pub head: Vec<u8>,
    /// `head` is the whole stream.
    pub head_is_all: bool,
    pub wrapping: Wrapping,
}

/// Size and time of change of a file, to notice that it was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// Reads a file from a position on and counts.
pub(super) struct Positioned {
    file: Arc<File>,
    at: u64,
    consumed: Arc<AtomicU64>,
}

impl Positioned {
    pub fn new(file: Arc<File>, consumed: Arc<AtomicU64>) -> Self {
        Self { file, at: 0, consumed }
    }
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = read_at(&self.file, buffer, self.at)?;
        self.at += read as u64;
        self.consumed.store(self.at, Ordering::Relaxed);
        Ok(read)
    }
}

/// Opens a regular file; everything else gets a reason.
pub(super) fn open_file(path: &Path) -> Result<File, DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let unusable = |reason: &str| DataError::Unusable { path: path.to_owned(), reason: reason.to_owned() };
    // Asked before opening: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(unusable("is a folder; give one of the files in it"));
    }
    if !metadata.is_file() {
        return Err(unusable("is a device or a pipe; save its content to a file first"));
    }
    File::open(path).map_err(failed)
}

/// How many bytes are unpacked between two looks at the user's wish to stop.
const UNPACKED_AT_A_TIME: u64 = 4 << 20;

/// Opens the stream of records of an open file.
pub(super) fn open(
    path: &Path,
    file: &Arc<File>,
    options: &OpenOptions,
    progress: &dyn Progress,
) -> Result<Source, DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let unusable = |reason: String| DataError::Unusable { path: path.to_owned(), reason };
    let consumed = Arc::new(AtomicU64::new(0));
    let raw = || Positioned::new(file.clone(), consumed.clone());
    let mut magic = Vec::new();
    raw().take(16).read_to_end(&mut magic).map_err(failed)?;
    let mut wrapping = sniff::wrapping(&magic).map_err(unusable)?;

    let spool = |reader| spool::tee(reader, options.spool_dir.as_deref(), options.max_spool_bytes).map_err(failed);
    let (mut stream, random): (Box<dyn Read + Send>, Arc<dyn ReadAt>) = if wrapping.is_parquet {
        let handle = file.try_clone().map_err(failed)?;
        let (stream, file) = spool(columnar::parquet_as_jsonl(path, handle, consumed.clone())?)?;
        (stream, file)
    } else if wrapping.compression == Compression::None {
        (Box::new(raw()), file.clone())
    } else {
        let (mut stream, unpacked) = spool(unpack::decompress(Box::new(raw()), wrapping.compression).map_err(failed)?)?;
        let mut inner = Vec::new();
        if let Err(error) = (&mut stream).take(16).read_to_end(&mut inner) {
            stream = Box::new(Broken(Some(error)));
        }
        if sniff::wrapping(&inner).is_ok_and(|inner| inner.compression != Compression::None) {
            return Err(unusable(
                "is packed twice (compressed data inside compressed data); unpack it once".to_owned(),
            ));
        }
        if inner.starts_with(b"PAR1") {
            // Parquet is read from its end, so it has to be unpacked whole first.
            wrapping.is_parquet = true;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let total = file.metadata().map_err(failed)?.len();
            while std::io::copy(&mut (&mut stream).take(UNPACKED_AT_A_TIME), &mut std::io::sink()).map_err(failed)? > 0
            {
                progress.check()?;
                progress.tick(&format!("unpacking {name}"), consumed.load(Ordering::Relaxed).min(total), Some(total));
            }
            drop(stream);
            let handle = unpacked.try_clone().map_err(failed)?;
            let (stream, file) = spool(columnar::parquet_as_jsonl(path, handle, Arc::new(AtomicU64::new(0)))?)?;
            (stream, file)
        } else {
            (Box::new(Cursor::new(inner).chain(stream)), unpacked)
        }
    };
    let mut head = Vec::new();
    let head_is_all = match (&mut stream).take(sniff::HEAD as u64).read_to_end(&mut head) {
        Ok(read) => read < sniff::HEAD,
        Err(error) if wrapping.compression == Compression::None && !wrapping.is_parquet => return Err(failed(error)),
        // What could be unpacked is shown; the damage is met again at its place.
        Err(error) => {
            stream = Box::new(Broken(Some(error)));
            false
        }
    };
    let stream = Box::new(Cursor::new(head.clone()).chain(stream));
    Ok(Source { stream, random, consumed, head, head_is_all, wrapping })
}

/// Fails once with the error it holds, then ends.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
