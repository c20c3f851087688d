//! From one record to who says what: the one reading that the index, the table and the export share.
//!
//! Purpose: [`json_row`] turns a record into [`Parts`] or says why it cannot be a row; `table.rs` does it for tables.
//! Constraints: texts are borrowed from the record and decoded when somebody reads them; the same record and plan
//! always give the same parts, because the content hash is computed from them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::cursor::{Cause, Cursor, SyntaxError, Token};
use super::detect::Shape;
use super::messages::{history, messages};
use super::slots::{Slot, Slots, assemble};
use super::text::Text;
use super::{FieldRole, FindingKind, Mapping, Schema, Severity, Speaker};

/// One turn, its text borrowed where possible.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub speaker: Speaker,
    pub text: Text<'a>,
}

/// The decoded content of one record.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts<'a> {
    pub turns: Vec<Part<'a>>,
    pub rejected: Vec<Part<'a>>,
}

/// Something wrong with one record: a remark, or with [`Severity::Error`] the reason why it is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    pub kind: FindingKind,
    pub severity: Severity,
    pub field: Option<String>,
    pub message: String,
}

impl Issue {
    pub fn fault(kind: FindingKind, field: Option<String>, message: impl Into<String>) -> Self {
        Self { kind, severity: Severity::Error, field, message: message.into() }
    }

    pub fn warning(kind: FindingKind, field: Option<String>, message: impl Into<String>) -> Self {
        Self { kind, severity: Severity::Warning, field, message: message.into() }
    }
}

/// What was noticed while a record was read: remarks, and the first fault of its content. Reading goes on after
/// such a fault, because a syntax error further on would be the better reason.
#[derive(Debug, Default)]
pub(super) struct Issues {
    pub remarks: Vec<Issue>,
    fault: Option<Issue>,
}

impl Issues {
    pub fn warn(&mut self, kind: FindingKind, field: String, message: impl Into<String>) {
        // One record cannot fill the memory with remarks.
        if self.remarks.len() < 16 {
            self.remarks.push(Issue::warning(kind, Some(field), message));
        }
    }

    pub fn fault(&mut self, kind: FindingKind, field: String, message: impl Into<String>) {
        if self.fault.is_none() {
            self.fault = Some(Issue::fault(kind, Some(field), message));
        }
    }

    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// The fault so far, which is taken out.
    pub fn take_fault(&mut self) -> Option<Issue> {
        self.fault.take()
    }
}

/// How the records of a file are read: the mapping, and for tables the columns.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// `None` where no layout was recognised: then no record is a row.
    pub mapping: Option<Mapping>,
    /// The columns of a table, in order: no name is empty, none stands twice.
    pub header: Vec<String>,
    /// The same columns as the file spells them.
    pub spelled: Vec<String>,
}

impl Plan {
    /// A comparison with each of the few mapped names is faster than hashing every key of every record.
    pub fn role(&self, name: &str) -> Option<FieldRole> {
        let fields = self.mapping.as_ref()?.fields.as_slice();
        fields.iter().find(|(field, _)| field.as_str() == name).map(|(_, role)| *role)
    }

    pub fn name(&self, role: FieldRole) -> &str {
        self.mapping.as_ref().and_then(|mapping| mapping.field(role)).unwrap_or(role.name())
    }
}

/// True where there is nothing to read.
pub(super) fn is_blank(text: &str) -> bool {
    // Most texts are told by their first byte.
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && text.chars().all(char::is_whitespace)
}

/// Names of fields as they stand in sentences: bounded, no control characters.
pub(super) fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(60).flat_map(char::escape_debug).collect();
    if name.chars().nth(60).is_some() {
        text.push('…');
    }
    text
}

/// Reads a record as UTF-8.
pub(super) fn text_of(record: &[u8]) -> Result<&str, Issue> {
    std::str::from_utf8(record).map_err(|error| {
        Issue::fault(
            FindingKind::InvalidUtf8,
            None,
            format!("byte {} of the record is not UTF-8; save the file as UTF-8", error.valid_up_to() + 1),
        )
    })
}

/// Reads a JSON record. `cut_off` tells that the file ends right behind it, without a line break.
pub(super) fn json_row<'a>(text: &'a str, plan: &Plan, cut_off: bool, issues: &mut Issues) -> Result<Parts<'a>, Issue> {
    let slots = json_slots(text, plan, issues).map_err(|error| syntax_issue(text, error, cut_off))?;
    let slots = slots.ok_or_else(|| not_an_object(text))?;
    if let Some(fault) = issues.take_fault() {
        return Err(fault);
    }
    assemble(slots, plan, issues, || Shape::of_json(text))
}

/// The values with a role; `None` if the record is JSON but no object.
fn json_slots<'a>(text: &'a str, plan: &Plan, issues: &mut Issues) -> Result<Option<Slots<'a>>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let root = cursor.value()?;
    if root != Token::Object {
        cursor.skip(root)?;
        cursor.finish()?;
        return Ok(None);
    }
    let mut slots = Slots::default();
    let mut seen = Seen::default();
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let key = key.decode();
        let role = plan.role(&key);
        match role {
            Some(role) => {
                if slots.has(role) {
                    issues.fault(
                        FindingKind::DuplicateKey,
                        shown(&key),
                        "the field stands in the record twice, and programs differ in which one they read; keep one",
                    );
                }
                let slot = json_slot(&mut cursor, &key, role, plan, issues)?;
                slots.put(role, slot);
            }
            None => {
                let token = cursor.value()?;
                cursor.skip(token)?;
                if seen.again(key.clone()) {
                    issues.warn(
                        FindingKind::DuplicateKey,
                        shown(&key),
                        "the field stands in the record twice; it is carried along as it is, keep one",
                    );
                }
            }
        }
    }
    cursor.finish()?;
    Ok(Some(slots))
}

/// The keys of an object so far: a list while short, a set when long.
#[derive(Default)]
struct Seen<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    fn again(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.contains(&key) {
            return true;
        }
        if self.few.len() < 32 {
            self.few.push(key);
            return false;
        }
        !self.many.insert(key)
    }
}

fn json_slot<'a>(
    cursor: &mut Cursor<'a>,
    name: &str,
    role: FieldRole,
    plan: &Plan,
    issues: &mut Issues,
) -> Result<Slot<'a>, SyntaxError> {
    let schema = plan.mapping.as_ref().map_or(Schema::Messages, |mapping| mapping.schema);
    let token = cursor.value()?;
    let is_list = matches!(role, FieldRole::Conversation | FieldRole::History);
    Ok(match token {
        Token::Null => Slot::Null,
        Token::String(string) if !is_list => Slot::Text(string.text()),
        Token::String(string) if role == FieldRole::History && string.raw.is_empty() => Slot::Null,
        Token::Array if role == FieldRole::History => Slot::Turns(history(cursor, name, schema, issues)?),
        Token::Array if !matches!(role, FieldRole::Text | FieldRole::Input | FieldRole::System) => {
            Slot::Turns(messages(cursor, name, schema, issues)?)
        }
        other => {
            cursor.skip(other)?;
            let needed = if is_list { "a list of messages" } else { "a text" };
            issues.fault(FindingKind::WrongType, shown(name), wrong_type(other, needed));
            Slot::Null
        }
    })
}

/// What a value is and what is needed instead.
pub(super) fn wrong_type(token: Token<'_>, needed: &str) -> String {
    match token {
        Token::Number | Token::Bool if needed == "a text" => {
            format!("{} stands where a text is needed; put it in quotes", name_of(token))
        }
        _ => format!("{} stands where {needed} is needed", name_of(token)),
    }
}

fn name_of(token: Token<'_>) -> &'static str {
    match token {
        Token::Null => "null",
        Token::Bool => "true or false",
        Token::Number => "a number",
        Token::String(_) => "a text",
        Token::Array => "a list",
        Token::Object => "an object",
    }
}

fn syntax_issue(text: &str, error: SyntaxError, cut_off: bool) -> Issue {
    let place = text.get(..error.at).map_or(error.at, |before| before.chars().count()) + 1;
    match error.cause {
        Cause::TooDeep => Issue::fault(
            FindingKind::NestedTooDeep,
            None,
            "lists and objects are nested more than 127 deep; flatten the record",
        ),
        Cause::End if cut_off => Issue::fault(
            FindingKind::Truncated,
            None,
            "the file ends in the middle of this record; fetch or write the file again",
        ),
        Cause::End => Issue::fault(
            FindingKind::InvalidJson,
            None,
            "the record ends too early: a quote or bracket is not closed, or a line break stands inside a text",
        ),
        Cause::Unexpected(what) => {
            Issue::fault(FindingKind::InvalidJson, None, format!("not valid JSON: at character {place} {what}"))
        }
    }
}

fn not_an_object(text: &str) -> Issue {
    let what = Cursor::new(text).value().map_or("a value", name_of);
    Issue::fault(
        FindingKind::NotAnObject,
        None,
        format!("the record is {what}; a row must be an object with named fields, such as {{\"text\": \"…\"}}"),
    )
}
