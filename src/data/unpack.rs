//! Placeholder.
use std::io::{Error, ErrorKind, Read, Result};
pub(super) fn decompress(_reader: Box<dyn Read + Send>, _: super::Compression) -> Result<Box<dyn Read + Send>> {
    Err(Error::from(ErrorKind::Unsupported))
}
