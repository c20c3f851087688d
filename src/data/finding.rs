//! What was noticed about a file or a row, and the rows set aside.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    /// The record is in quarantine.
    Error,
}

/// The sort of a finding; stable names for machines (`kebab-case`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    ByteOrderMark,
    InvalidUtf8,
    InvalidJson,
    NestedTooDeep,
    NotAnObject,
    RowTooLarge,
    MissingField,
    WrongType,
    EmptyText,
    DuplicateKey,
    FieldCount,
    Truncated,
    MixedSchema,
    DecompressionFailed,
    /// The records do not follow each other as they should, but could be told apart.
    Layout,
    /// Rows of the custom set stand in a reference too.
    Leakage,
}

/// One kind of finding in one field, counted, with the first places.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    pub severity: Severity,
    /// Field path such as `conversations[2].value`, when one field is to blame.
    pub field: Option<String>,
    /// How many records have it.
    pub count: u64,
    /// The first record numbers (0-based) that have it, at most 8.
    pub rows: Vec<u64>,
    /// One plain sentence for the user, without file name or row number.
    pub message: String,
}

/// A record that cannot be used as a row, kept visible.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Quarantined {
    /// 0-based record number in the file (counting readable and quarantined records).
    pub row: u64,
    /// 1-based line in the decompressed file where the record begins.
    pub line: u64,
    /// Byte offset of the record in the decompressed file.
    pub offset: u64,
    /// Length of the record in bytes.
    pub bytes: u64,
    pub kind: FindingKind,
    /// Field path such as `conversations[2].value`, when one field is to blame.
    pub field: Option<String>,
    /// One plain sentence: what is wrong and what would mend it.
    pub reason: String,
    /// BLAKE3 of the whole record in hex, where [`super::Dataset::quarantined_raw`] shows only its beginning.
    pub hash: Option<String>,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Info => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
