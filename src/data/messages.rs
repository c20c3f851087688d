//! Lists of messages: ShareGPT's `from`/`value`, OpenAI's `role`/`content` with parts and tool calls, and pairs.
//!
//! Constraint: what cannot be read as a message is a fault of the record, never a silent gap, because a text that
//! is not read is a text that nobody reviews.

use std::borrow::Cow;

use super::cursor::{Cursor, JsonStr, SyntaxError, Token};
use super::record::{Issues, Part, shown, wrong_type};
use super::text::Text;
use super::{FindingKind, Schema, Speaker};

/// The message keys that are read, in the order of their places in [`Message`].
const KEYS: [&str; 6] = ["from", "role", "value", "content", "tool_calls", "function_call"];

#[derive(Default)]
struct Message<'a> {
    seen: [bool; KEYS.len()],
    from: Option<JsonStr<'a>>,
    role: Option<JsonStr<'a>>,
    value: Option<Text<'a>>,
    content: Option<Text<'a>>,
    calls: Vec<String>,
}

/// Reads a list of messages; the cursor stands behind its opening bracket. A list of plain texts is read as
/// user and assistant in turn.
pub(super) fn messages<'a>(
    cursor: &mut Cursor<'a>,
    base: &str,
    schema: Schema,
    issues: &mut Issues,
) -> Result<Vec<Part<'a>>, SyntaxError> {
    let mut turns = Vec::new();
    let mut first = true;
    let mut index = 0usize;
    while cursor.item(&mut first)? {
        let token = cursor.value()?;
        let path = |key: &str| {
            if key.is_empty() { format!("{}[{index}]", shown(base)) } else { format!("{}[{index}].{key}", shown(base)) }
        };
        match token {
            Token::Object => {
                let message = read_message(cursor, &path, issues)?;
                if let Some(turn) = turn_of(message, schema, &path, issues) {
                    turns.push(turn);
                }
            }
            Token::String(string) => {
                let speaker = if index.is_multiple_of(2) { Speaker::User } else { Speaker::Assistant };
                turns.push(Part { speaker, text: string.text() });
            }
            other => {
                cursor.skip(other)?;
                issues.fault(FindingKind::WrongType, path(""), wrong_type(other, "a message (an object)"));
            }
        }
        index += 1;
    }
    Ok(turns)
}

/// Reads earlier turns: pairs of user and assistant texts, or messages.
pub(super) fn history<'a>(
    cursor: &mut Cursor<'a>,
    base: &str,
    schema: Schema,
    issues: &mut Issues,
) -> Result<Vec<Part<'a>>, SyntaxError> {
    let mut ahead = *cursor;
    let mut first = true;
    if ahead.item(&mut first)? && matches!(ahead.value()?, Token::Object) {
        return messages(cursor, base, schema, issues);
    }
    let mut turns = Vec::new();
    first = true;
    let mut index = 0usize;
    while cursor.item(&mut first)? {
        let token = cursor.value()?;
        let mut texts = 0usize;
        let mut sound = token == Token::Array;
        if sound {
            let mut first_text = true;
            while cursor.item(&mut first_text)? {
                match cursor.value()? {
                    Token::String(string) => {
                        let speaker = if texts == 0 { Speaker::User } else { Speaker::Assistant };
                        turns.push(Part { speaker, text: string.text() });
                        texts += 1;
                    }
                    other => {
                        cursor.skip(other)?;
                        sound = false;
                    }
                }
            }
        } else {
            cursor.skip(token)?;
        }
        if !sound || texts != 2 {
            issues.fault(
                FindingKind::WrongType,
                format!("{}[{index}]", shown(base)),
                "an earlier turn must be a pair of texts: what the user said and the answer",
            );
        }
        index += 1;
    }
    Ok(turns)
}

fn read_message<'a>(
    cursor: &mut Cursor<'a>,
    path: &dyn Fn(&str) -> String,
    issues: &mut Issues,
) -> Result<Message<'a>, SyntaxError> {
    let mut message = Message::default();
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let key = key.decode();
        let token = cursor.value()?;
        let Some(place) = KEYS.iter().position(|known| *known == key) else {
            cursor.skip(token)?;
            continue;
        };
        if let Some(seen) = message.seen.get_mut(place)
            && std::mem::replace(seen, true)
        {
            issues.fault(
                FindingKind::DuplicateKey,
                path(&key),
                "the field stands in the message twice, and programs differ in which one they read; keep one",
            );
        }
        match (&*key, token) {
            ("from", Token::String(string)) => message.from = Some(string),
            ("role", Token::String(string)) => message.role = Some(string),
            ("value", Token::String(string)) => message.value = Some(string.text()),
            ("content", Token::String(string)) => message.content = Some(string.text()),
            ("value" | "content" | "tool_calls" | "function_call", Token::Null) => {}
            ("value" | "content", Token::Array) => {
                let text = content_parts(cursor, &path(&key), issues)?;
                if key == "value" { message.value = Some(text) } else { message.content = Some(text) }
            }
            ("tool_calls", Token::Array) => {
                let mut first_call = true;
                while cursor.item(&mut first_call)? {
                    call(cursor, &path(&key), &mut message.calls, issues)?;
                }
            }
            ("function_call", Token::Object) => call_object(cursor, &path(&key), &mut message.calls, issues)?,
            (_, other) => {
                cursor.skip(other)?;
                let needed = if matches!(&*key, "tool_calls" | "function_call") { "a call" } else { "a text" };
                issues.fault(FindingKind::WrongType, path(&key), wrong_type(other, needed));
            }
        }
    }
    Ok(message)
}

/// A list of content parts: the texts of the text parts, joined by a line break.
fn content_parts<'a>(cursor: &mut Cursor<'a>, path: &str, issues: &mut Issues) -> Result<Text<'a>, SyntaxError> {
    let mut text = String::new();
    let mut add = |piece: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(piece);
    };
    let mut first = true;
    while cursor.item(&mut first)? {
        match cursor.value()? {
            Token::String(string) => add(&string.decode()),
            Token::Object => {
                let mut found = false;
                let mut first_key = true;
                while let Some(key) = cursor.key(&mut first_key)? {
                    match (&*key.decode(), cursor.value()?) {
                        ("text", Token::String(string)) => {
                            found = true;
                            add(&string.decode());
                        }
                        (_, other) => cursor.skip(other)?,
                    }
                }
                if !found {
                    issues.warn(
                        FindingKind::WrongType,
                        path.to_owned(),
                        "a part of the message is not text (such as an image) and is not read",
                    );
                }
            }
            other => {
                cursor.skip(other)?;
                issues.fault(FindingKind::WrongType, path.to_owned(), wrong_type(other, "a text"));
            }
        }
    }
    Ok(Text::Plain(Cow::Owned(text)))
}

/// One item of `tool_calls`.
fn call(cursor: &mut Cursor<'_>, path: &str, calls: &mut Vec<String>, issues: &mut Issues) -> Result<(), SyntaxError> {
    match cursor.value()? {
        Token::Object => call_object(cursor, path, calls, issues),
        other => {
            cursor.skip(other)?;
            issues.fault(FindingKind::WrongType, path.to_owned(), wrong_type(other, "a call (an object)"));
            Ok(())
        }
    }
}

/// `{"name": …, "arguments": …}`, or the same inside `"function"`; becomes "name arguments".
fn call_object(
    cursor: &mut Cursor<'_>,
    path: &str,
    calls: &mut Vec<String>,
    issues: &mut Issues,
) -> Result<(), SyntaxError> {
    let before = calls.len();
    read_call(cursor, calls)?;
    if calls.len() == before {
        issues.warn(
            FindingKind::WrongType,
            path.to_owned(),
            "a call has neither a name nor arguments that can be read; write both as texts",
        );
    }
    Ok(())
}

fn read_call(cursor: &mut Cursor<'_>, calls: &mut Vec<String>) -> Result<(), SyntaxError> {
    let (mut name, mut arguments) = (String::new(), String::new());
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let key = key.decode();
        cursor.skip_blanks();
        let start = cursor.offset();
        match (&*key, cursor.value()?) {
            ("name", Token::String(string)) => name = string.decode().into_owned(),
            ("arguments", Token::String(string)) => arguments = string.decode().into_owned(),
            ("arguments", token) => {
                cursor.skip(token)?;
                arguments = cursor.since(start).to_owned();
            }
            // Nesting is bounded by the cursor, so this recursion is too.
            ("function", Token::Object) => read_call(cursor, calls)?,
            (_, token) => cursor.skip(token)?,
        }
    }
    let text = [name, arguments].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if !text.is_empty() {
        calls.push(text);
    }
    Ok(())
}

fn turn_of<'a>(
    message: Message<'a>,
    schema: Schema,
    path: &dyn Fn(&str) -> String,
    issues: &mut Issues,
) -> Option<Part<'a>> {
    let from_first = schema == Schema::ShareGpt;
    let (speaker_key, text_key) = match &message {
        Message { from: Some(_), role: None, .. } => ("from", "value"),
        Message { from: None, role: Some(_), .. } => ("role", "content"),
        _ if from_first => ("from", "value"),
        _ => ("role", "content"),
    };
    let named = if from_first { message.from.or(message.role) } else { message.role.or(message.from) };
    let text = if from_first { message.value.or(message.content) } else { message.content.or(message.value) };
    let Some(named) = named else {
        issues.fault(FindingKind::MissingField, path(speaker_key), "the message does not say who speaks; add it");
        return None;
    };
    let Some(speaker) = speaker(&named.decode()) else {
        issues.fault(
            FindingKind::WrongType,
            path(speaker_key),
            format!("`{}` is no known speaker; use system, user, assistant or tool", shown(&named.decode())),
        );
        return None;
    };
    let has_key = message.seen.get(2..4).is_some_and(|seen| seen.contains(&true));
    let text = match text {
        None if message.calls.is_empty() && !has_key => {
            issues.fault(FindingKind::MissingField, path(text_key), "the message has no text; add it");
            return None;
        }
        text => text.unwrap_or_default(),
    };
    let text = if message.calls.is_empty() {
        text
    } else {
        let words = text.decode();
        let pieces = std::iter::once(&*words).chain(message.calls.iter().map(String::as_str));
        let pieces: Vec<&str> = pieces.filter(|piece| !piece.is_empty()).collect();
        Text::Plain(Cow::Owned(pieces.join("\n")))
    };
    if text.is_blank() && speaker != Speaker::System {
        issues.warn(FindingKind::EmptyText, path(text_key), "the text is empty; fill it if one belongs there");
    }
    Some(Part { speaker, text })
}

/// The speaker that a data set's word stands for.
fn speaker(name: &str) -> Option<Speaker> {
    known_speaker(name).or_else(|| known_speaker(&name.trim().to_ascii_lowercase()))
}

fn known_speaker(name: &str) -> Option<Speaker> {
    Some(match name {
        "user" | "human" | "prompter" | "question" | "customer" | "instruction" => Speaker::User,
        "assistant" | "gpt" | "chatgpt" | "bot" | "model" | "bard" | "bing" | "claude" | "ai" | "chatbot"
        | "function_call" | "tool_call" | "agent" | "answer" => Speaker::Assistant,
        "system" | "developer" => Speaker::System,
        "tool" | "function" | "observation" | "function_response" | "tool_response" | "function-response"
        | "ipython" | "environment" => Speaker::Tool,
        _ => return None,
    })
}
