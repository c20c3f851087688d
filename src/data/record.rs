//! From one record to who says what: the one reading that the index, the table and the export share.
//!
//! Purpose: [`json_row`] and [`table_row`] turn a record into [`Parts`] or say why it cannot be a row.
//! Constraints: texts are borrowed from the record unless they hold escapes; the same record and plan always give
//! the same parts, because the content hash is computed from them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::cursor::{Cause, Cursor, SyntaxError, Token};
use super::detect::{Shape, detect_one};
use super::messages::{history, messages};
use super::{FieldRole, FindingKind, Mapping, Schema, Severity, Speaker};

/// One turn, its text borrowed where possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub speaker: Speaker,
    pub text: Cow<'a, str>,
}

/// The decoded content of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    fn role(&self, name: &str) -> Option<FieldRole> {
        let fields = self.mapping.as_ref()?.fields.as_slice();
        fields.iter().find(|(field, _)| field.as_str() == name).map(|(_, role)| *role)
    }

    fn name(&self, role: FieldRole) -> &str {
        self.mapping.as_ref().and_then(|mapping| mapping.field(role)).unwrap_or(role.name())
    }
}

/// True where there is nothing to read.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The value of one field with a role.
#[derive(Debug)]
enum Slot<'a> {
    Null,
    Text(Cow<'a, str>),
    Turns(Vec<Part<'a>>),
}

#[derive(Debug, Default)]
struct Slots<'a>([Option<Slot<'a>>; FieldRole::ALL.len()]);

impl<'a> Slots<'a> {
    fn put(&mut self, role: FieldRole, slot: Slot<'a>) {
        if let Some(place) = self.0.get_mut(role as usize) {
            *place = Some(slot);
        }
    }

    fn has(&self, role: FieldRole) -> bool {
        matches!(self.0.get(role as usize), Some(Some(_)))
    }

    fn take(&mut self, role: FieldRole) -> Option<Slot<'a>> {
        self.0.get_mut(role as usize)?.take()
    }
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
pub(super) fn json_row<'a>(
    record: &'a [u8],
    plan: &Plan,
    cut_off: bool,
    issues: &mut Issues,
) -> Result<Parts<'a>, Issue> {
    let text = text_of(record)?;
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
        Token::String(string) if !is_list => Slot::Text(string.decode()),
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

/// Reads a record of a table from its cells, one for each column of the plan's header.
pub(super) fn table_row<'a>(cells: &'a [Cow<'a, str>], plan: &Plan, issues: &mut Issues) -> Result<Parts<'a>, Issue> {
    let mut slots = Slots::default();
    for (name, cell) in plan.header.iter().zip(cells) {
        let Some(role) = plan.role(name) else { continue };
        slots.put(role, table_slot(cell, name, role, plan, issues));
    }
    if let Some(fault) = issues.take_fault() {
        return Err(fault);
    }
    let shape = || Some(Shape::of_cells(&plan.header, cells.iter().map(AsRef::as_ref)));
    assemble(slots, plan, issues, shape)
}

fn table_slot<'a>(cell: &'a str, name: &str, role: FieldRole, plan: &Plan, issues: &mut Issues) -> Slot<'a> {
    let schema = plan.mapping.as_ref().map_or(Schema::Messages, |mapping| mapping.schema);
    let is_list = matches!(role, FieldRole::Conversation | FieldRole::History);
    if role == FieldRole::History && is_blank(cell) {
        return Slot::Null;
    }
    let may_be_list = matches!(role, FieldRole::Prompt | FieldRole::Response | FieldRole::Chosen | FieldRole::Rejected)
        && cell.trim_start().strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{'));
    if is_list || may_be_list {
        let mut inner = Issues::default();
        let mut read = |cursor: &mut Cursor<'a>| {
            if cursor.value()? != Token::Array {
                return Ok(None);
            }
            let turns = if role == FieldRole::History {
                history(cursor, name, schema, &mut inner)?
            } else {
                messages(cursor, name, schema, &mut inner)?
            };
            cursor.finish().map(|()| Some(turns))
        };
        match read(&mut Cursor::new(cell)) {
            Ok(Some(turns)) if is_list || !inner.has_fault() => {
                issues.remarks.append(&mut inner.remarks);
                if let Some(Issue { kind, field, message, .. }) = inner.take_fault() {
                    issues.fault(kind, field.unwrap_or_else(|| shown(name)), message);
                }
                return Slot::Turns(turns);
            }
            _ if !is_list => {}
            Ok(_) => {
                issues.fault(FindingKind::WrongType, shown(name), "the cell is not a JSON list of messages");
                return Slot::Null;
            }
            Err(SyntaxError { cause: Cause::Unexpected(what), .. }) => {
                issues.fault(FindingKind::WrongType, shown(name), format!("the cell is not a JSON list: {what}"));
                return Slot::Null;
            }
            Err(_) => {
                issues.fault(FindingKind::WrongType, shown(name), "the cell is not a JSON list: its end is missing");
                return Slot::Null;
            }
        }
    }
    Slot::Text(Cow::Borrowed(cell))
}

/// Puts the fields in their canonical order.
fn assemble<'a>(
    mut slots: Slots<'a>,
    plan: &Plan,
    issues: &mut Issues,
    shape: impl FnOnce() -> Option<Shape>,
) -> Result<Parts<'a>, Issue> {
    let Some(mapping) = &plan.mapping else {
        return Err(unknown_layout(shape()));
    };
    for role in mapping.schema.required() {
        match slots.0.get(*role as usize) {
            Some(Some(Slot::Null)) => {
                return Err(Issue::fault(
                    FindingKind::MissingField,
                    Some(shown(plan.name(*role))),
                    format!("{} is null; write a text, or an empty one", role.meaning()),
                ));
            }
            Some(Some(_)) => {}
            _ => return Err(missing(*role, mapping, shape())),
        }
    }
    let mut parts = Parts { turns: Vec::with_capacity(3), rejected: Vec::new() };
    let chosen_holds_prompt = matches!(
        slots.0.get(FieldRole::Chosen as usize),
        Some(Some(Slot::Turns(turns))) if turns.iter().any(|turn| turn.speaker == Speaker::User)
    );
    if let Some(Slot::Text(text)) = slots.take(FieldRole::System)
        && !is_blank(&text)
    {
        parts.turns.push(Part { speaker: Speaker::System, text });
    }
    for role in [FieldRole::History, FieldRole::Conversation] {
        if let Some(Slot::Turns(turns)) = slots.take(role) {
            parts.turns.extend(turns);
        }
    }
    let input = match slots.take(FieldRole::Input) {
        Some(Slot::Text(text)) if !is_blank(&text) => Some(text),
        _ => None,
    };
    for (role, speaker) in [
        (FieldRole::Prompt, Speaker::User),
        (FieldRole::Response, Speaker::Assistant),
        (FieldRole::Text, Speaker::None),
        (FieldRole::Chosen, Speaker::Assistant),
    ] {
        let slot = slots.take(role);
        // A chosen conversation that begins with the user's words holds the prompt already.
        if role == FieldRole::Prompt && chosen_holds_prompt {
            continue;
        }
        let before = parts.turns.len();
        put(slot, speaker, plan.name(role), &mut parts.turns, issues);
        if role == FieldRole::Prompt
            && let Some(input) = &input
        {
            match parts.turns.get_mut(before..).and_then(<[Part<'_>]>::last_mut) {
                Some(turn) if turn.speaker == Speaker::User && !turn.text.is_empty() => {
                    turn.text = Cow::Owned(format!("{}\n{input}", turn.text));
                }
                _ => parts.turns.push(Part { speaker: Speaker::User, text: input.clone() }),
            }
        }
    }
    let slot = slots.take(FieldRole::Rejected);
    put(slot, Speaker::Assistant, plan.name(FieldRole::Rejected), &mut parts.rejected, issues);
    if let Some(last) = parts.rejected.iter().rposition(|turn| turn.speaker == Speaker::User) {
        parts.rejected.drain(..=last);
    }
    if parts.turns.iter().all(|turn| is_blank(&turn.text)) {
        return Err(Issue::fault(
            FindingKind::EmptyText,
            None,
            "there is no text in any field that is read; remove the record or fill it",
        ));
    }
    Ok(parts)
}

fn put<'a>(slot: Option<Slot<'a>>, speaker: Speaker, name: &str, turns: &mut Vec<Part<'a>>, issues: &mut Issues) {
    match slot {
        Some(Slot::Text(text)) => {
            if is_blank(&text) {
                issues.warn(FindingKind::EmptyText, shown(name), "the text is empty; fill it if one belongs there");
            }
            turns.push(Part { speaker, text });
        }
        Some(Slot::Turns(list)) => turns.extend(list),
        Some(Slot::Null) | None => {}
    }
}

fn missing(role: FieldRole, mapping: &Mapping, shape: Option<Shape>) -> Issue {
    let name = mapping.field(role).unwrap_or(role.name());
    if let Some(other) = shape.as_ref().and_then(|shape| detect_one(shape, true))
        && other.schema != mapping.schema
        && !(other.schema == Schema::Text && mapping.schema.required().contains(&FieldRole::Prompt))
    {
        return Issue::fault(
            FindingKind::MixedSchema,
            Some(shown(name)),
            format!(
                "the record has the layout {}, but most of the file has {}; put each layout in a file of its own",
                other.schema, mapping.schema
            ),
        );
    }
    Issue::fault(
        FindingKind::MissingField,
        Some(shown(name)),
        format!("the field with {} is missing; add it, or map another field to the role {role}", role.meaning()),
    )
}

fn unknown_layout(shape: Option<Shape>) -> Issue {
    let names: Vec<String> =
        shape.iter().flat_map(Shape::names).take(12).map(|name| format!("`{}`", shown(name))).collect();
    let names =
        if names.is_empty() { "it has no fields".to_owned() } else { format!("its fields are {}", names.join(", ")) };
    Issue::fault(
        FindingKind::MissingField,
        None,
        format!("the layout is not known: {names}; say which field holds what, such as FIELD=text"),
    )
}
