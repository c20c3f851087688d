//! The private temporary file that compressed and columnar input is unpacked into, so that rows can be read by
//! position.
//!
//! Constraints: only this user can read it, it has no name and vanishes with the program; it never grows past its limit.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::Path;
use std::sync::Arc;

/// Everything read through the returned reader stands in the returned file first.
///
/// # Errors
/// The file cannot be made. Reading fails past `max_bytes` and when the disk is full; both say what to do.
pub(super) fn tee(
    reader: Box<dyn Read + Send>,
    dir: Option<&Path>,
    max_bytes: u64,
) -> Result<(Box<dyn Read + Send>, Arc<File>)> {
    let folder = dir.map_or_else(std::env::temp_dir, Path::to_owned);
    let file = tempfile::tempfile_in(&folder).map_err(|error| {
        Error::new(error.kind(), format!("cannot make a temporary file in {}: {error}", folder.display()))
    })?;
    let file = Arc::new(file);
    let tee = Tee { reader, file: file.clone(), written: 0, max_bytes, folder: folder.display().to_string() };
    Ok((Box::new(tee), file))
}

struct Tee {
    reader: Box<dyn Read + Send>,
    file: Arc<File>,
    written: u64,
    max_bytes: u64,
    folder: String,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.reader.read(buffer)?;
        if self.written.saturating_add(read as u64) > self.max_bytes {
            return Err(Error::new(
                ErrorKind::FileTooLarge,
                format!(
                    "unpacks to more than the limit of {} bytes; unpack it yourself and open the result if you trust it",
                    self.max_bytes
                ),
            ));
        }
        let new = buffer.get(..read).unwrap_or_default();
        (&*self.file).write_all(new).map_err(|error| {
            Error::new(
                error.kind(),
                format!("cannot unpack into {}: {error}; free space there or set TMPDIR to a larger disk", self.folder),
            )
        })?;
        self.written += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::ReadAt;
    use super::*;

    #[test]
    fn what_was_read_stands_in_the_file() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (mut reader, file) = tee(Box::new(std::io::Cursor::new(text.clone())), None, u64::MAX).expect("spool");
        let mut part = vec![0; 1000];
        reader.read_exact(&mut part).expect("bytes");
        let mut seen = vec![0; 500];
        file.as_ref().read_exact_at(&mut seen, 500).expect("already there");
        assert_eq!(seen, text[500..1000]);
        std::io::copy(&mut reader, &mut std::io::sink()).expect("the rest");
        assert_eq!(file.metadata().expect("file").len(), text.len() as u64);
    }

    #[test]
    fn the_limit_holds() {
        let (mut reader, file) = tee(Box::new(std::io::repeat(7).take(10_000)), None, 4_096).expect("spool");
        let error = std::io::copy(&mut reader, &mut std::io::sink()).expect_err("too much").to_string();
        assert!(error.contains("limit of 4096 bytes"), "{error}");
        assert!(file.metadata().expect("file").len() <= 4_096);
    }
}
