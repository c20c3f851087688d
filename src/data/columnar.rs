//! Placeholder.
use std::sync::{Arc, atomic::AtomicU64};
pub(super) fn parquet_as_jsonl(
    path: &std::path::Path,
    _file: std::fs::File,
    _consumed: Arc<AtomicU64>,
) -> Result<Box<dyn std::io::Read + Send>, super::DataError> {
    Err(super::DataError::Io { path: path.to_owned(), source: std::io::ErrorKind::Unsupported.into() })
}
