//! Which schema the first records of a file have.
//!
//! Constraint: names and kinds of values decide, never their content; ties go to the layout seen first.

use std::collections::HashMap;

use super::cursor::{Cursor, SyntaxError, Token};
use super::{FieldRole, Mapping, Schema};

/// How many records the detection looks at.
pub(super) const SAMPLE: usize = 1000;

/// What sort of value a root field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    /// A number or a boolean.
    Scalar,
    Text,
    Object,
    /// A list, by its first item.
    List(Item),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    None,
    FromValue,
    RoleContent,
    Text,
    List,
    Other,
}

impl Kind {
    fn is_text(self) -> bool {
        matches!(self, Self::Text)
    }

    /// A list that can be read as messages.
    fn is_messages(self) -> bool {
        matches!(self, Self::List(Item::FromValue | Item::RoleContent))
    }

    fn is_text_or_messages(self) -> bool {
        self.is_text() || self.is_messages()
    }

    /// Names fit and the value may be repaired: the row will be quarantined with its reason.
    fn may_stand_for_text(self) -> bool {
        matches!(self, Self::Text | Self::Null | Self::Scalar)
    }
}

/// The root fields of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape(pub Vec<(String, Kind)>);

/// Root fields beyond these are not looked at.
const MAX_FIELDS: usize = 256;

impl Shape {
    /// The root fields of a JSON object; `None` if the text is no valid object.
    pub fn of_json(text: &str) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        if !matches!(cursor.value(), Ok(Token::Object)) {
            return None;
        }
        let mut fields = Vec::new();
        let mut first = true;
        while let Some(key) = cursor.key(&mut first).ok()? {
            let kind = kind(&mut cursor).ok()?;
            if fields.len() < MAX_FIELDS {
                fields.push((key.decode().into_owned(), kind));
            }
        }
        Some(Self(fields))
    }

    /// Columns of a table: every cell is text, but lists in JSON may stand in it.
    pub fn of_cells<'a>(header: &[String], cells: impl Iterator<Item = &'a str>) -> Self {
        let cell_kind = |cell: &str| {
            let mut cursor = Cursor::new(cell);
            match (cell.trim_start().starts_with('['), kind(&mut cursor)) {
                (true, Ok(kind @ Kind::List(_))) if cursor.finish().is_ok() => kind,
                _ => Kind::Text,
            }
        };
        Self(header.iter().take(MAX_FIELDS).cloned().zip(cells.map(cell_kind)).collect())
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, kind)| *kind)
    }

    fn find(&self, names: &[&'static str], fits: impl Fn(Kind) -> bool) -> Option<&'static str> {
        names.iter().copied().find(|name| self.kind(name).is_some_and(&fits))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

fn kind(cursor: &mut Cursor<'_>) -> Result<Kind, SyntaxError> {
    let token = cursor.value()?;
    Ok(match token {
        Token::Null => Kind::Null,
        Token::Bool | Token::Number => Kind::Scalar,
        Token::String(_) => Kind::Text,
        Token::Object => {
            cursor.skip(token)?;
            Kind::Object
        }
        Token::Array => {
            let mut item = Item::None;
            let mut first = true;
            while cursor.item(&mut first)? {
                let inner = cursor.value()?;
                let kind = match inner {
                    Token::Object => object_item(cursor)?,
                    Token::String(_) => Item::Text,
                    Token::Array => {
                        cursor.skip(inner)?;
                        Item::List
                    }
                    _ => Item::Other,
                };
                if item == Item::None {
                    item = kind;
                }
            }
            Kind::List(item)
        }
    })
}

fn object_item(cursor: &mut Cursor<'_>) -> Result<Item, SyntaxError> {
    let (mut from, mut role) = (false, false);
    let mut first = true;
    while let Some(key) = cursor.key(&mut first)? {
        let token = cursor.value()?;
        cursor.skip(token)?;
        match key.raw {
            "from" | "value" => from = true,
            "role" | "content" => role = true,
            _ => {}
        }
    }
    Ok(match (from, role) {
        (_, true) => Item::RoleContent,
        (true, _) => Item::FromValue,
        _ => Item::Other,
    })
}

const CONVERSATION: &[&str] =
    &["messages", "conversations", "conversation", "dialog", "dialogue", "dialogs", "turns", "chat"];
const SYSTEM: &[&str] = &["system", "system_prompt", "system_message"];
const RESPONSE: &[&str] =
    &["completion", "response", "output", "answer", "target", "generation", "assistant", "reply", "solution"];
const PROMPT: &[&str] = &["prompt", "goal", "query", "user", "request", "input"];
const TEXT: &[&str] = &[
    "text",
    "content",
    "document",
    "body",
    "sentence",
    "prompt",
    "instruction",
    "question",
    "goal",
    "query",
    "request",
    "input",
];

/// The mapping of one record, with the optional fields it has.
pub(super) fn detect_one(shape: &Shape, strict: bool) -> Option<Mapping> {
    let text = |kind: Kind| if strict { kind.is_text() } else { kind.may_stand_for_text() };
    let rich = |kind: Kind| kind.is_text_or_messages() || (!strict && kind.may_stand_for_text());
    let list = |kind: Kind| matches!(kind, Kind::List(_)) && (!strict || kind != Kind::List(Item::None));
    let found = |schema: Schema, roles: &[(Option<&'static str>, FieldRole)]| {
        let fields = roles.iter().filter_map(|(name, role)| Some(((*name)?.to_owned(), *role))).collect();
        Some(Mapping { schema, fields })
    };
    let optional = |kind: Kind| kind.is_text() || kind == Kind::Null;
    let system = shape.find(SYSTEM, optional);

    if let (Some(chosen), Some(rejected)) = (shape.find(&["chosen"], rich), shape.find(&["rejected"], rich)) {
        let prompt = shape.find(&["prompt", "instruction", "question", "query", "input"], Kind::is_text_or_messages);
        return found(
            Schema::Preference,
            &[
                (system, FieldRole::System),
                (prompt, FieldRole::Prompt),
                (Some(chosen), FieldRole::Chosen),
                (Some(rejected), FieldRole::Rejected),
            ],
        );
    }
    let readable = |kind: Kind| kind.is_messages() || kind == Kind::List(Item::Text);
    if let Some(name) = shape.find(CONVERSATION, readable).or_else(|| shape.find(CONVERSATION, list)) {
        let schema = match shape.kind(name) {
            Some(Kind::List(Item::RoleContent)) => Schema::Messages,
            Some(Kind::List(Item::FromValue | Item::Text)) => Schema::ShareGpt,
            _ if name == "messages" => Schema::Messages,
            _ => Schema::ShareGpt,
        };
        if !strict || shape.kind(name).is_some_and(readable) {
            return found(schema, &[(system, FieldRole::System), (Some(name), FieldRole::Conversation)]);
        }
    }
    let history = shape.find(&["history"], |kind| matches!(kind, Kind::List(_) | Kind::Null));
    if let (Some(instruction), Some(output)) =
        (shape.find(&["instruction"], text), shape.find(&["output", "response", "completion", "answer"], text))
    {
        return found(
            Schema::Alpaca,
            &[
                (system, FieldRole::System),
                (history, FieldRole::History),
                (Some(instruction), FieldRole::Prompt),
                (shape.find(&["input", "context"], optional), FieldRole::Input),
                (Some(output), FieldRole::Response),
            ],
        );
    }
    if let (Some(question), Some(answer)) = (
        shape.find(&["question", "problem"], text),
        shape.find(&["answer", "solution", "response", "output", "completion"], text),
    ) {
        return found(
            Schema::QuestionAnswer,
            &[(system, FieldRole::System), (Some(question), FieldRole::Prompt), (Some(answer), FieldRole::Response)],
        );
    }
    if let (Some(prompt), Some(response)) = (shape.find(PROMPT, rich), shape.find(RESPONSE, rich)) {
        return found(
            Schema::PromptCompletion,
            &[
                (system, FieldRole::System),
                (history, FieldRole::History),
                (Some(prompt), FieldRole::Prompt),
                (Some(response), FieldRole::Response),
            ],
        );
    }
    found(Schema::Text, &[(Some(shape.find(TEXT, text)?), FieldRole::Text)])
}

/// The only text of the record, whatever its name.
fn only_text(shape: &Shape) -> Option<Mapping> {
    let mut texts = shape.0.iter().filter(|(_, kind)| kind.is_text());
    match (texts.next(), texts.next()) {
        (Some((name, _)), None) => {
            Some(Mapping { schema: Schema::Text, fields: [(name.clone(), FieldRole::Text)].into_iter().collect() })
        }
        _ => None,
    }
}

/// The mapping that most records have. Records whose values have the wrong type count only where no others do,
/// and unknown names only where no known ones are.
pub(super) fn detect(shapes: &[Shape]) -> Option<Mapping> {
    majority(shapes, |shape| detect_one(shape, true))
        .or_else(|| majority(shapes, |shape| detect_one(shape, false)))
        .or_else(|| majority(shapes, only_text))
}

fn majority(shapes: &[Shape], one: impl Fn(&Shape) -> Option<Mapping>) -> Option<Mapping> {
    let required = |mapping: &Mapping| -> Vec<Option<String>> {
        mapping.schema.required().iter().map(|role| mapping.field(*role).map(str::to_owned)).collect()
    };
    let mut groups: Vec<(usize, Vec<Mapping>)> = Vec::new();
    let mut places: HashMap<(Schema, Vec<Option<String>>), usize> = HashMap::new();
    for mapping in shapes.iter().take(SAMPLE).filter_map(one) {
        let place = *places.entry((mapping.schema, required(&mapping))).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((count, mappings)) => {
                *count += 1;
                if !mappings.contains(&mapping) {
                    mappings.push(mapping);
                }
            }
            None => groups.push((1, vec![mapping])),
        }
    }
    let best = groups.iter().map(|(count, _)| *count).max()?;
    let (_, mappings) = groups.into_iter().find(|(count, _)| *count == best)?;
    let mut mappings = mappings.into_iter();
    let mut merged = mappings.next()?;
    for (name, role) in mappings.flat_map(|mapping| mapping.fields) {
        if merged.field(role).is_none() && !merged.fields.contains_key(&name) {
            merged.fields.insert(name, role);
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> String {
        let Some(mapping) = detect(&[Shape::of_json(json).expect("an object")]) else { return "none".to_owned() };
        let fields: Vec<String> = mapping.fields.iter().map(|(name, role)| format!("{name}={role}")).collect();
        format!("{}: {}", mapping.schema, fields.join(" "))
    }

    #[test]
    fn knows_the_layouts_and_their_usual_names() {
        for (json, expected) in [
            (
                r#"{"instruction":"a","input":"","output":"b","system":"s","history":[["q","a"]]}"#,
                "alpaca: system=system history=history instruction=prompt input=input output=response",
            ),
            (
                r#"{"instruction":"a","context":"c","response":"b","category":"x"}"#,
                "alpaca: instruction=prompt context=input response=response",
            ),
            (r#"{"id":"1","conversations":[{"from":"human","value":"a"}]}"#, "share-gpt: conversations=conversation"),
            (r#"{"conversations":["a","b"]}"#, "share-gpt: conversations=conversation"),
            (
                r#"{"prompt":"a","messages":[{"role":"user","content":"a"}],"tools":[]}"#,
                "messages: messages=conversation",
            ),
            (r#"{"conversations":[{"role":"user","content":"a"}]}"#, "messages: conversations=conversation"),
            (r#"{"prompt":"a","completion":"b"}"#, "prompt-completion: prompt=prompt completion=response"),
            (r#"{"goal":"a","target":"b"}"#, "prompt-completion: goal=prompt target=response"),
            (
                r#"{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]}"#,
                "prompt-completion: prompt=prompt completion=response",
            ),
            (r#"{"question":"a","answer":"b"}"#, "question-answer: question=prompt answer=response"),
            (r#"{"text":"a","label":1}"#, "text: text=text"),
            (r#"{"prompt":"a","id":7}"#, "text: prompt=text"),
            (r#"{"utterance":"a","id":7}"#, "text: utterance=text"),
            (
                r#"{"prompt":"q","chosen":"a","rejected":"b","messages":[{"role":"user","content":"q"}]}"#,
                "preference: prompt=prompt chosen=chosen rejected=rejected",
            ),
            (r#"{"instruction":3,"output":"b"}"#, "alpaca: instruction=prompt output=response"),
            (r#"{"a":1,"b":2}"#, "none"),
            (r#"{"a":"x","b":"y"}"#, "none"),
        ] {
            assert_eq!(one(json), expected, "{json}");
        }
    }

    #[test]
    fn the_majority_decides_and_optional_fields_are_united() {
        let shapes: Vec<Shape> = [
            r#"{"text":"x"}"#,
            r#"{"instruction":"a","output":"b"}"#,
            r#"{"instruction":"a","input":"i","output":"b"}"#,
        ]
        .iter()
        .filter_map(|json| Shape::of_json(json))
        .collect();
        let mapping = detect(&shapes).expect("detected");
        assert_eq!(mapping.schema, Schema::Alpaca);
        assert_eq!(mapping.field(FieldRole::Input), Some("input"));
    }
}
