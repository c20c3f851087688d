//! Bytes read from a stream, in memory that is used again.
//!
//! Constraint: memory is cleared only when it is new, not for every block that is read into it.

use std::io::{ErrorKind, Read, Result};

/// The first bytes of a piece of memory.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    filled: usize,
}

/// The least that is asked of a stream at a time.
const STEP: usize = 64 << 10;

impl Buffer {
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    pub fn truncate(&mut self, length: usize) {
        self.filled = self.filled.min(length);
    }

    /// Bytes of memory held.
    pub fn held(&self) -> usize {
        self.memory.capacity()
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        if let Some(place) = self.memory.get_mut(self.filled..self.filled + bytes.len()) {
            place.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
    }

    /// Appends up to `most` bytes of `stream`; fewer are its end.
    ///
    /// # Errors
    /// Reading failed; what was read before is kept.
    pub fn read(&mut self, stream: &mut impl Read, most: usize) -> Result<usize> {
        let mut read = 0;
        while read < most {
            // Little memory for little input, and all at once where it was asked for before.
            self.room((most - read).min(STEP.max(read)));
            let end = self.memory.len().min(self.filled + most - read);
            match stream.read(self.memory.get_mut(self.filled..end).unwrap_or_default()) {
                Ok(0) => break,
                Ok(new) => {
                    let new = new.min(end - self.filled);
                    read += new;
                    self.filled += new;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    /// Makes room for `more` bytes.
    fn room(&mut self, more: usize) {
        let needed = self.filled + more;
        if self.memory.len() < needed {
            self.memory.resize(needed, 0);
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.get(..self.filled).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_is_not_seen() {
        let mut buffer = Buffer::default();
        buffer.extend(b"ab");
        assert_eq!(buffer.read(&mut &b"cdefgh"[..], 4).expect("memory"), 4);
        assert_eq!(*buffer, *b"abcdef");
        buffer.truncate(1);
        assert_eq!(buffer.read(&mut &b"xy"[..], 200_000).expect("memory"), 2);
        assert_eq!(*buffer, *b"axy");
        buffer.clear();
        assert!(buffer.is_empty());
        buffer.extend(b"z");
        assert_eq!(*buffer, *b"z");
        let long = vec![7; 300_000];
        assert_eq!(buffer.read(&mut long.as_slice(), 1 << 20).expect("memory"), long.len());
        assert_eq!((buffer.len(), buffer.last()), (300_001, Some(&7)));
    }
}
