//! The fields of one record that have a role, and how they become its parts.
//!
//! Constraint: the order is that of the roles, never that of the file, because the content hash is computed from it.

use super::detect::{Shape, detect_one};
use super::record::{Issue, Issues, Part, Parts, Plan, shown};
use super::text::Text;
use super::{FieldRole, FindingKind, Mapping, Schema, Speaker};

/// The value of one field with a role.
#[derive(Debug)]
pub(super) enum Slot<'a> {
    Null,
    Text(Text<'a>),
    Turns(Vec<Part<'a>>),
}

#[derive(Debug, Default)]
pub(super) struct Slots<'a>([Option<Slot<'a>>; FieldRole::ALL.len()]);

impl<'a> Slots<'a> {
    pub fn put(&mut self, role: FieldRole, slot: Slot<'a>) {
        if let Some(place) = self.0.get_mut(role as usize) {
            *place = Some(slot);
        }
    }

    pub fn has(&self, role: FieldRole) -> bool {
        matches!(self.0.get(role as usize), Some(Some(_)))
    }

    pub fn take(&mut self, role: FieldRole) -> Option<Slot<'a>> {
        self.0.get_mut(role as usize)?.take()
    }
}

/// Puts the fields in their canonical order.
pub(super) fn assemble<'a>(
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
        && !text.is_blank()
    {
        parts.turns.push(Part { speaker: Speaker::System, text });
    }
    for role in [FieldRole::History, FieldRole::Conversation] {
        if let Some(Slot::Turns(turns)) = slots.take(role) {
            parts.turns.extend(turns);
        }
    }
    let input = match slots.take(FieldRole::Input) {
        Some(Slot::Text(text)) if !text.is_blank() => Some(text),
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
                    turn.text = Text::Lines(Box::new([std::mem::take(&mut turn.text), input.clone()]));
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
    if parts.turns.iter().all(|turn| turn.text.is_blank()) {
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
            if text.is_blank() {
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
