//! Vectors on disk, by encoder and text.
//!
//! One folder an encoder fingerprint, in it segment files that are only ever appended to, each by the one
//! process that created it. A segment is a run of blocks:
//!
//! ```text
//! "DPLVEC01"  count u32  dim u32  checksum of the keys (16 bytes)
//! count × key (32 bytes: BLAKE3 of the text)
//! count × [ dim × f32, flags u32, checksum (8 bytes) ]          all little-endian
//! ```
//!
//! Constraints: processes share the folder without locks, since nobody writes to another's segment; a crash
//! leaves at worst a torn last block, which is ignored; a vector that was damaged on disk fails its checksum and
//! counts as absent. Only keys are held in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{EmbeddingError, Encoding};

const MAGIC: &[u8; 8] = b"DPLVEC01";
const HEAD: usize = 32;
const KEY: usize = 32;
const CHECKSUM: usize = 8;
const MAX_BLOCK: u32 = 1 << 20;
const FOLDER: &str = "vectors";
const ENDING: &str = "dvec";
const TRUNCATED: u32 = 1;

/// What the cache takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheSize {
    pub bytes: u64,
    pub files: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u32,
    offset: u64,
}

/// The cached vectors of one encoder.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    dim: usize,
    segments: Vec<PathBuf>,
    index: HashMap<[u8; KEY], Place>,
    writer: Option<(u32, File, u64)>,
}

impl Cache {
    /// Opens the part of the cache at `root` that belongs to one encoder, and reads its keys.
    ///
    /// # Errors
    /// The folder cannot be made or listed. Damaged segments are read as far as they are whole.
    pub fn open(root: &Path, fingerprint: &str, dim: usize) -> Result<Self, EmbeddingError> {
        // The name of a folder must not come from outside: hash what was given.
        let name: String = blake3::hash(fingerprint.as_bytes()).to_hex().chars().take(32).collect();
        let folder = root.join(FOLDER).join(name);
        std::fs::create_dir_all(&folder).map_err(|source| EmbeddingError::Io { path: folder.clone(), source })?;
        let mut cache = Self { folder, dim, segments: Vec::new(), index: HashMap::new(), writer: None };
        for path in segments(&cache.folder)? {
            if let Err(error) = cache.load(&path) {
                tracing::warn!("{}: skipped in the vector cache: {error}", path.display());
            }
        }
        Ok(cache)
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What all encoders together take at `root`; zero where there is no cache.
    ///
    /// # Errors
    /// The folder is there and cannot be listed.
    pub fn size(root: &Path) -> Result<CacheSize, EmbeddingError> {
        let mut size = CacheSize::default();
        for path in all_segments(root)? {
            // Another process may clear the cache meanwhile.
            if let Ok(about) = std::fs::metadata(&path) {
                size.bytes += about.len();
                size.files += 1;
            }
        }
        Ok(size)
    }

    /// Deletes every vector at `root`, and says what that freed. Nothing but the cache's own files is touched.
    ///
    /// # Errors
    /// A file cannot be deleted; the others are.
    pub fn clear(root: &Path) -> Result<CacheSize, EmbeddingError> {
        let mut freed = CacheSize::default();
        let mut failed = None;
        for path in all_segments(root)? {
            let bytes = std::fs::metadata(&path).map_or(0, |about| about.len());
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    freed.bytes += bytes;
                    freed.files += 1;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => failed = Some(EmbeddingError::Io { path, source }),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(freed),
        }
    }

    /// The vectors that are there, of the keys asked for.
    pub fn find<'a>(&mut self, keys: impl Iterator<Item = &'a [u8; KEY]>) -> HashMap<[u8; KEY], Encoding> {
        let mut wanted: Vec<([u8; KEY], Place)> =
            keys.filter_map(|key| self.index.get(key).map(|&place| (*key, place))).collect();
        wanted.sort_unstable_by_key(|(_, place)| (place.segment, place.offset));
        let mut found = HashMap::with_capacity(wanted.len());
        let mut record = vec![0u8; self.record_bytes()];
        let mut open: Option<(u32, File)> = None;
        for (key, place) in wanted {
            if found.contains_key(&key) {
                continue;
            }
            if open.as_ref().is_none_or(|(segment, _)| *segment != place.segment) {
                let path = self.segments.get(place.segment as usize);
                open = path.and_then(|path| File::open(path).ok()).map(|file| (place.segment, file));
            }
            let Some((_, file)) = &mut open else {
                self.index.remove(&key);
                continue;
            };
            let read = file.seek(SeekFrom::Start(place.offset)).and_then(|_| file.read_exact(&mut record));
            match read.ok().and_then(|()| decode(&key, &record)) {
                Some(encoding) => {
                    found.insert(key, encoding);
                }
                None => {
                    self.index.remove(&key);
                }
            }
        }
        found
    }

    /// Appends a block to this process's own segment.
    ///
    /// # Errors
    /// The disk is full or the folder cannot be written. What was there before is unharmed.
    pub fn append<'a>(
        &mut self,
        encodings: impl Iterator<Item = ([u8; KEY], &'a Encoding)>,
    ) -> Result<(), EmbeddingError> {
        let encodings: Vec<_> = encodings.filter(|(_, encoding)| encoding.vector.len() == self.dim).collect();
        for block in encodings.chunks(MAX_BLOCK as usize) {
            self.append_block(block)?;
        }
        Ok(())
    }

    fn append_block(&mut self, block: &[([u8; KEY], &Encoding)]) -> Result<(), EmbeddingError> {
        let mut bytes = Vec::with_capacity(HEAD + block.len() * (KEY + self.record_bytes()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.dim as u32).to_le_bytes());
        let mut of_keys = blake3::Hasher::new();
        of_keys.update(&bytes);
        block.iter().for_each(|(key, _)| {
            of_keys.update(key);
        });
        bytes.extend(of_keys.finalize().as_bytes().iter().take(16));
        block.iter().for_each(|(key, _)| bytes.extend_from_slice(key));
        let records = bytes.len() as u64;
        block.iter().for_each(|(key, encoding)| encode(key, encoding, &mut bytes));

        let (segment, file, end) = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let (path, file) = new_segment(&self.folder)?;
                self.segments.push(path);
                self.writer.insert((self.segments.len() as u32 - 1, file, 0))
            }
        };
        file.write_all(&bytes).map_err(|source| EmbeddingError::Io { path: self.folder.clone(), source })?;
        let (segment, start) = (*segment, *end);
        *end += bytes.len() as u64;
        let record = self.record_bytes() as u64;
        for (i, (key, _)) in block.iter().enumerate() {
            self.index.insert(*key, Place { segment, offset: start + records + i as u64 * record });
        }
        Ok(())
    }

    /// Reads the keys of a segment's whole blocks.
    fn load(&mut self, path: &Path) -> std::io::Result<()> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut reader = BufReader::new(file);
        self.segments.push(path.to_owned());
        let segment = self.segments.len() as u32 - 1;
        let mut offset = 0u64;
        while offset + HEAD as u64 <= size {
            let mut head = [0u8; HEAD];
            reader.read_exact(&mut head)?;
            let (what, checksum) = head.split_at(16);
            let number = |at: usize| what.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
            let (count, dim) = (number(8), number(12));
            let keys_bytes = u64::from(count) * KEY as u64;
            let block = HEAD as u64 + keys_bytes + u64::from(count) * self.record_bytes() as u64;
            let whole = what.starts_with(MAGIC) && dim as usize == self.dim && (1..=MAX_BLOCK).contains(&count);
            if !whole || offset + block > size {
                break;
            }
            let mut keys = vec![0u8; keys_bytes as usize];
            reader.read_exact(&mut keys)?;
            let mut of_keys = blake3::Hasher::new();
            of_keys.update(what).update(&keys);
            if of_keys.finalize().as_bytes().get(..16) != Some(checksum) {
                break;
            }
            let records = offset + HEAD as u64 + keys_bytes;
            for (i, key) in keys.as_chunks::<KEY>().0.iter().enumerate() {
                let offset = records + i as u64 * self.record_bytes() as u64;
                self.index.insert(*key, Place { segment, offset });
            }
            offset += block;
            reader.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }

    fn record_bytes(&self) -> usize {
        self.dim * 4 + 4 + CHECKSUM
    }
}

fn encode(key: &[u8; KEY], encoding: &Encoding, out: &mut Vec<u8>) {
    let start = out.len();
    encoding.vector.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
    out.extend_from_slice(&(if encoding.truncated { TRUNCATED } else { 0 }).to_le_bytes());
    let mut checksum = blake3::Hasher::new();
    checksum.update(key).update(out.get(start..).unwrap_or(&[]));
    out.extend(checksum.finalize().as_bytes().iter().take(CHECKSUM));
}

fn decode(key: &[u8; KEY], record: &[u8]) -> Option<Encoding> {
    let (body, checksum) = record.split_at_checked(record.len().checked_sub(CHECKSUM)?)?;
    let mut hash = blake3::Hasher::new();
    hash.update(key).update(body);
    if hash.finalize().as_bytes().get(..CHECKSUM)? != checksum {
        return None;
    }
    let (vector, flags) = body.split_at_checked(body.len().checked_sub(4)?)?;
    let vector = vector.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let flags = u32::from_le_bytes(flags.try_into().ok()?);
    Some(Encoding { vector, truncated: flags & TRUNCATED != 0 })
}

fn new_segment(folder: &Path) -> Result<(PathBuf, File), EmbeddingError> {
    // Unique between processes and machines that share the folder; `create_new` settles the rest.
    let mut attempt = 0u32;
    loop {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let path = folder.join(format!("{:x}-{:x}-{attempt:x}.{ENDING}", since.as_nanos(), std::process::id()));
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
            Err(source) => return Err(EmbeddingError::Io { path, source }),
        }
    }
}

/// Files of one folder that are ours, in order of name. Links are not followed.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, EmbeddingError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EmbeddingError::Io { path: folder.to_owned(), source }),
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .collect();
    files.sort();
    Ok(files)
}

fn all_segments(root: &Path) -> Result<Vec<PathBuf>, EmbeddingError> {
    let top = root.join(FOLDER);
    let entries = match std::fs::read_dir(&top) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EmbeddingError::Io { path: top, source }),
    };
    let mut files = Vec::new();
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        files.extend(segments(&entry.path())?);
    }
    Ok(files)
}
