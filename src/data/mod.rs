//! Rows, schemas, readers, writers, and the quarantine of bad rows.
//!
//! Purpose: turn an untrusted file into rows with an identity, and never lose one: every record of the file is
//! either a readable row or quarantined with its raw text and the reason.
//! Constraints: row text is never kept in memory, it is read again by position when looked at; no file is
//! memory-mapped; sizes are checked before allocation; nothing here panics on any input.

pub mod analysis;
mod blocks;
mod buffer;
mod columnar;
mod cursor;
mod dataset;
mod delimited;
mod detect;
mod error;
mod escapes;
mod finding;
mod findings;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod indexing;
mod json_array;
mod jsonl;
mod lanes;
mod measure;
mod messages;
mod reading;
mod record;
mod row;
mod schema;
mod slots;
mod sniff;
mod source;
mod spool;
mod table;
mod text;
mod timestamps;
mod unpack;
mod writer;

pub use dataset::{Dataset, OpenOptions, Stats};
pub use error::DataError;
pub use finding::{Finding, FindingKind, Quarantined, Severity};
pub use format::{Compression, Container, Format};
pub use row::{ContentHash, Row, RowId, Speaker, Turn};
pub use schema::{FieldRole, Mapping, MappingError, Schema};
pub use writer::{WeightedRow, write_quarantine, write_rows};
