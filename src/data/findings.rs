//! Counts what was noticed, one line a kind and field, with the first places.
//!
//! Constraint: bounded, however many different fields a hostile file names.

use std::collections::HashMap;

use super::record::Issue;
use super::{Finding, FindingKind, Severity};

const MAX_FINDINGS: usize = 500;
const MAX_ROWS: usize = 8;

type Key = (FindingKind, Severity, Option<String>);

/// The findings so far, in the order in which they were first met.
#[derive(Debug, Default)]
pub(super) struct Findings {
    places: HashMap<Key, usize>,
    list: Vec<Finding>,
}

impl Findings {
    /// Adds what was noticed in one record.
    pub fn add(&mut self, issue: Issue, row: u64) {
        if let Some(finding) = self.place(issue)
            && finding.rows.len() < MAX_ROWS
            && finding.rows.last() != Some(&row)
        {
            finding.rows.push(row);
        }
    }

    /// Adds what was noticed about the file; each remark stands for itself.
    pub fn add_for_file(&mut self, issue: Issue) {
        let Issue { kind, severity, field, message } = issue;
        self.list.push(Finding { kind, severity, field, count: 1, rows: Vec::new(), message });
    }

    fn place(&mut self, issue: Issue) -> Option<&mut Finding> {
        let mut key = (issue.kind, issue.severity, issue.field.as_deref().map(without_numbers));
        if self.list.len() >= MAX_FINDINGS && !self.places.contains_key(&key) {
            key.2 = None;
        }
        let place = *self.places.entry(key.clone()).or_insert(self.list.len());
        if place == self.list.len() {
            self.list.push(Finding {
                kind: issue.kind,
                severity: issue.severity,
                field: key.2.and(issue.field),
                count: 1,
                rows: Vec::new(),
                message: issue.message,
            });
            return self.list.get_mut(place);
        }
        let finding = self.list.get_mut(place)?;
        finding.count += 1;
        if finding.field != issue.field {
            finding.field = key.2;
        }
        if finding.message != issue.message {
            general_sentence(issue.kind).clone_into(&mut finding.message);
        }
        Some(finding)
    }

    pub fn list(&self) -> Vec<Finding> {
        self.list.clone()
    }
}

/// `conversations[2].value` as `conversations[].value`.
fn without_numbers(field: &str) -> String {
    let mut path = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('[') {
        path.push_str(before);
        path.push('[');
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    path.push_str(rest);
    path
}

/// The sentence for several records whose own sentences differ.
pub(super) fn general_sentence(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::ByteOrderMark => "the file begins with a byte order mark, which was skipped",
        FindingKind::InvalidUtf8 => "the records hold bytes that are not UTF-8; save the file as UTF-8",
        FindingKind::InvalidJson => "the records are not valid JSON; the quarantine names the place in each",
        FindingKind::NestedTooDeep => "lists and objects are nested more than 127 deep; flatten the records",
        FindingKind::NotAnObject => "the records are not objects; a row must be an object with named fields",
        FindingKind::RowTooLarge => "the records are too long; split them, or raise the limit",
        FindingKind::MissingField => {
            "a field that the layout needs is missing; add it, or map another field to its role"
        }
        FindingKind::WrongType => "a value is not of the kind that belongs there; the quarantine names each",
        FindingKind::EmptyText => "the text is empty; fill it if one belongs there",
        FindingKind::DuplicateKey => "a field stands twice in a record; keep one",
        FindingKind::FieldCount => {
            "the number of cells is not that of the header; put cells with a delimiter or line break in quotes"
        }
        FindingKind::Truncated => "the file ends too early; fetch or write it again",
        FindingKind::MixedSchema => "the records have another layout than most of the file; put each in its own file",
        FindingKind::DecompressionFailed => "the compressed data is damaged; fetch the file again",
        FindingKind::Layout => "the records do not follow each other as they should, but could be told apart",
        FindingKind::Leakage => "rows of the custom set stand in a reference too; take them out of it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_by_kind_and_field() {
        let mut findings = Findings::default();
        for row in 0..20u64 {
            let field = Some(format!("conversations[{}].value", row % 3));
            findings.add(Issue::warning(FindingKind::EmptyText, field, "empty"), row);
        }
        findings.add(Issue::fault(FindingKind::InvalidJson, None, "at character 3"), 7);
        findings.add(Issue::fault(FindingKind::InvalidJson, None, "at character 9"), 8);
        let list = findings.list();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].count, list[0].rows.len()), (20, 8));
        assert_eq!(list[0].field.as_deref(), Some("conversations[].value"));
        assert_eq!(list[1].rows, [7, 8]);
        assert_eq!(list[1].message, general_sentence(FindingKind::InvalidJson));
    }

    #[test]
    fn a_hostile_number_of_fields_stays_bounded() {
        let mut findings = Findings::default();
        for row in 0..10_000u64 {
            findings.add(Issue::warning(FindingKind::DuplicateKey, Some(format!("k{row}")), "twice"), row);
        }
        let list = findings.list();
        assert!(list.len() <= MAX_FINDINGS + 16);
        assert_eq!(list.iter().map(|finding| finding.count).sum::<u64>(), 10_000);
    }
}
