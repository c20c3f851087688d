//! Reads a record of a table: a text in each cell, or a list of messages written as JSON.

use std::borrow::Cow;

use super::cursor::{Cause, Cursor, SyntaxError, Token};
use super::detect::Shape;
use super::messages::{history, messages};
use super::record::{Issue, Issues, Parts, Plan, is_blank, shown};
use super::slots::{Slot, Slots, assemble};
use super::text::Text;
use super::{FieldRole, FindingKind, Schema};

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
    Slot::Text(Text::Plain(Cow::Borrowed(cell)))
}
