//! Hashes, sizes and row counts of files on disk, for writing a manifest and for checking one.
//!
//! Constraint: files are read in pieces; what is counted is what is on disk, never what was meant to be written.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use sha2::Digest as _;

use super::ProjectError;
use crate::data::Container;
use crate::jobs::Progress;

const PIECE: usize = 1 << 20;

/// What identifies the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) bytes: u64,
    /// In hex.
    pub(super) blake3: String,
    /// In hex; Croissant asks for it.
    pub(super) sha256: String,
}

/// Reads a file once and hashes it.
pub(super) fn digest(path: &Path, progress: &dyn Progress) -> Result<Digest, ProjectError> {
    let mut blake3 = blake3::Hasher::new();
    let mut sha256 = sha2::Sha256::new();
    let bytes = in_pieces(path, "hashing", progress, |piece| {
        blake3.update(piece);
        sha256.update(piece);
    })?;
    let sha256 = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Digest { bytes, blake3: blake3.finalize().to_hex().to_string(), sha256 })
}

/// Counts the records of a file: lines that are not blank, entries of a JSON array, CSV records after the header,
/// or the rows that a Parquet file's footer tells.
pub(super) fn count_rows(path: &Path, container: Container, progress: &dyn Progress) -> Result<u64, ProjectError> {
    progress.check()?;
    match container {
        Container::Jsonl => count_lines(path, progress),
        Container::Json => count_entries(path),
        Container::Csv => count_records(path, b',', progress),
        Container::Tsv => count_records(path, b'\t', progress),
        Container::Parquet => count_parquet(path),
    }
}

fn count_lines(path: &Path, progress: &dyn Progress) -> Result<u64, ProjectError> {
    let (mut lines, mut is_blank) = (0, true);
    in_pieces(path, "counting", progress, |piece| {
        for byte in piece {
            if *byte == b'\n' {
                lines += u64::from(!is_blank);
                is_blank = true;
            } else if !byte.is_ascii_whitespace() {
                is_blank = false;
            }
        }
    })?;
    Ok(lines + u64::from(!is_blank))
}

fn count_entries(path: &Path) -> Result<u64, ProjectError> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<u64, A::Error> {
            let mut count = 0;
            while entries.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }
    let file = BufReader::with_capacity(PIECE, File::open(path).map_err(ProjectError::io(path))?);
    let mut json = serde_json::Deserializer::from_reader(file);
    let counted = json.deserialize_seq(Entries).and_then(|count| json.end().map(|()| count));
    counted.map_err(|error| ProjectError::malformed(path, error.to_string()))
}

fn count_records(path: &Path, delimiter: u8, progress: &dyn Progress) -> Result<u64, ProjectError> {
    let file = File::open(path).map_err(ProjectError::io(path))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(file);
    let mut record = csv::ByteRecord::new();
    let mut records = 0_u64;
    while reader.read_byte_record(&mut record).map_err(|error| ProjectError::malformed(path, error.to_string()))? {
        records += 1;
        if records.is_multiple_of(65_536) {
            progress.check()?;
        }
    }
    Ok(records)
}

fn count_parquet(path: &Path) -> Result<u64, ProjectError> {
    use parquet::file::reader::FileReader;
    let file = File::open(path).map_err(ProjectError::io(path))?;
    let reader = parquet::file::reader::SerializedFileReader::new(file)
        .map_err(|error| ProjectError::malformed(path, error.to_string()))?;
    Ok(u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0))
}

fn in_pieces(
    path: &Path,
    verb: &str,
    progress: &dyn Progress,
    mut each: impl FnMut(&[u8]),
) -> Result<u64, ProjectError> {
    let mut file = File::open(path).map_err(ProjectError::io(path))?;
    let total = file.metadata().map_err(ProjectError::io(path))?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stage = format!("{verb} {name}");
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    loop {
        progress.check()?;
        progress.tick(&stage, done, Some(total));
        match file.read(&mut buffer) {
            Ok(0) => return Ok(done),
            Ok(read) => {
                each(buffer.get(..read).unwrap_or_default());
                done += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(ProjectError::Io { path: path.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Silent;

    fn count(content: &str, container: Container) -> Result<u64, ProjectError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), content).expect("writes");
        count_rows(file.path(), container, &Silent)
    }

    #[test]
    fn rows_are_counted_in_each_container() {
        for (content, container, rows) in [
            ("", Container::Jsonl, 0),
            ("{}\n\n  \r\n{}\n", Container::Jsonl, 2),
            ("{}\n{}", Container::Jsonl, 2),
            ("[]", Container::Json, 0),
            ("[{\"a\": [1, 2]},\n {}]\n", Container::Json, 2),
            ("a,b\n", Container::Csv, 0),
            ("a,b\n1,\"x\ny\"\n2,z\n", Container::Csv, 2),
            ("a\tb\n1\tx,y\n", Container::Tsv, 1),
        ] {
            assert_eq!(count(content, container).expect("counts"), rows, "{content:?}");
        }
        assert!(count("[{}, {}", Container::Json).is_err());
        assert!(count("{}", Container::Json).is_err());
        assert!(count("PAR1", Container::Parquet).is_err());
    }

    #[test]
    fn hashes_are_those_of_the_standards() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "abc").expect("writes");
        let digest = digest(file.path(), &Silent).expect("hashes");
        assert_eq!(digest.bytes, 3);
        assert_eq!(digest.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }
}
