//! The reviewer's word, which overrules the machine.

use std::collections::BTreeMap;

use crate::data::RowId;

/// What the reviewer decided for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Keep,
    Drop,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// 0-based record number in the file.
    pub row: u64,
    /// Identity of the row: a decision is applied only where number and id agree.
    pub id: RowId,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    pub at: String,
}

/// The decisions in force, by record number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions(pub BTreeMap<u64, Decision>);
