//! Reads a list of decisions that was made elsewhere.
//!
//! Three forms, told apart by content: a journal; JSON Lines with `row`, `decision` and optionally `id`, `note`
//! (what an export writes as `decisions.jsonl`); CSV with a header of the same names.
//! Constraint: a malformed entry is an error that names line and field, never a skipped decision.

use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use serde_json::Value;

use super::{Journal, ProjectError};
use crate::data::RowId;
use crate::selection::{Decision, Decisions, Verdict};

const MAX_LINE_BYTES: u64 = 16 << 20;

impl Decisions {
    /// Reads a journal, a JSON Lines list or a CSV list of decisions (columns `row,decision`, optionally `id` and
    /// `note`; `row` is the 0-based record number, `decision` is `keep` or `drop`).
    ///
    /// # Errors
    /// The file cannot be read; a line has no row, an unknown decision, a value of the wrong type or a row that was
    /// decided before in the file. The error names line and field.
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let mut file = File::open(path).map_err(ProjectError::io(path))?;
        let mut start = Vec::new();
        (&mut file).take(4096).read_to_end(&mut start).map_err(ProjectError::io(path))?;
        file.rewind().map_err(ProjectError::io(path))?;
        let content = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
        match content.first() {
            None => Ok(Self::default()),
            Some(b'{') if content.starts_with(b"{\"dipole_journal\"") => Journal::read(path),
            Some(b'{') => read_jsonl(path, file),
            Some(b'[') => {
                Err(ProjectError::malformed(path, "is a JSON array; write one JSON object a line, or a CSV file"))
            }
            Some(_) => read_csv(path, file),
        }
    }
}

fn read_jsonl(path: &Path, file: File) -> Result<Decisions, ProjectError> {
    let mut reader = BufReader::new(file);
    let mut list = List { path, decisions: Decisions::default(), line: 0 };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(ProjectError::io(path))?;
        if read == 0 {
            return Ok(list.decisions);
        }
        list.line += 1;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
        if text.is_empty() {
            continue;
        }
        if read as u64 == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            return Err(list.error("the line is longer than 16 MiB"));
        }
        let object: serde_json::Map<String, Value> =
            serde_json::from_slice(text).map_err(|error| list.error(format!("is no JSON object ({error})")))?;
        let row = match object.get("row") {
            Some(row) => row.as_u64().ok_or_else(|| list.field_error("row", WHOLE_NUMBER, &row.to_string()))?,
            None => return Err(list.error("field row: is missing")),
        };
        let verdict = list.string(&object, "decision")?.or(list.string(&object, "verdict")?);
        let id = list.string(&object, "id")?;
        let note = list.string(&object, "note")?;
        let at = list.string(&object, "at")?;
        list.add(row, verdict, id, note, at)?;
    }
}

fn read_csv(path: &Path, file: File) -> Result<Decisions, ProjectError> {
    let mut reader = csv::Reader::from_reader(BufReader::new(file));
    let mut list = List { path, decisions: Decisions::default(), line: 1 };
    let header = reader.headers().map_err(|error| list.csv_error(&error))?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}').trim() == name);
    let (row, decision) = (column("row"), column("decision").or_else(|| column("verdict")));
    for (name, place) in [("row", row), ("decision", decision)] {
        if place.is_none() {
            return Err(list.error(format!("field {name}: this column is missing from the header")));
        }
    }
    let (id, note) = (column("id"), column("note"));
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| list.csv_error(&error))? {
        list.line = record.position().map_or(0, csv::Position::line);
        let field = |place: Option<usize>| place.and_then(|place| record.get(place)).map(str::trim).unwrap_or_default();
        let number = field(row).parse().map_err(|_| list.field_error("row", WHOLE_NUMBER, field(row)))?;
        let optional = |place| Some(field(place)).filter(|text| !text.is_empty());
        list.add(number, optional(decision), optional(id), optional(note), None)?;
    }
    Ok(list.decisions)
}

const WHOLE_NUMBER: &str = "a whole number of at least 0";

struct List<'a> {
    path: &'a Path,
    decisions: Decisions,
    line: u64,
}

impl List<'_> {
    fn add(
        &mut self,
        row: u64,
        verdict: Option<&str>,
        id: Option<&str>,
        note: Option<&str>,
        at: Option<&str>,
    ) -> Result<(), ProjectError> {
        let verdict = match verdict {
            Some("keep") => Verdict::Keep,
            Some("drop") => Verdict::Drop,
            Some(other) => return Err(self.field_error("decision", "keep or drop", other)),
            None => return Err(self.error("field decision: is missing")),
        };
        let decision = Decision {
            row,
            id: RowId(id.unwrap_or_default().to_owned()),
            verdict,
            note: note.map(str::to_owned),
            at: at.unwrap_or_default().to_owned(),
        };
        match self.decisions.0.entry(row) {
            Entry::Vacant(entry) => {
                entry.insert(decision);
                Ok(())
            }
            Entry::Occupied(_) => Err(self.error(format!("field row: row {row} was decided before in this file"))),
        }
    }

    fn string<'v>(
        &self,
        object: &'v serde_json::Map<String, Value>,
        name: &str,
    ) -> Result<Option<&'v str>, ProjectError> {
        match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.field_error(name, "text", &other.to_string())),
        }
    }

    fn field_error(&self, field: &str, allowed: &str, found: &str) -> ProjectError {
        let found: String = found.chars().take(40).collect();
        self.error(format!("field {field}: must be {allowed}, not `{found}`"))
    }

    fn csv_error(&self, error: &csv::Error) -> ProjectError {
        ProjectError::malformed(self.path, error.to_string())
    }

    fn error(&self, reason: impl std::fmt::Display) -> ProjectError {
        ProjectError::malformed(self.path, format!("line {}: {reason}", self.line))
    }
}
