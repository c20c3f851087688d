//! The shape of a row: which fields hold which part of a training example.
//!
//! Constraint: a [`Mapping`] may come from the user; [`Mapping::validate`] is the one gate that checks it.

use indexmap::IndexMap;

/// The known layouts of fine-tuning rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schema {
    /// `instruction`, `input`, `output`, optionally `system` and `history` (pairs).
    Alpaca,
    /// `conversations`: list of `{from, value}`.
    ShareGpt,
    /// `messages`: list of `{role, content}`, tool calls included.
    Messages,
    /// `prompt`, `completion` (strings or message lists).
    PromptCompletion,
    /// `question`, `answer`.
    QuestionAnswer,
    /// `text`.
    Text,
    /// `chosen`, `rejected`, optionally `prompt` (strings or message lists).
    Preference,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldRole {
    System,
    /// The user's words (instruction, prompt, question).
    Prompt,
    /// More of the user's words (Alpaca's `input`).
    Input,
    /// The model's words (output, completion, answer).
    Response,
    /// Earlier turns as a list of pairs (Alpaca's `history`).
    History,
    /// A list of messages.
    Conversation,
    /// One text that is neither.
    Text,
    Chosen,
    Rejected,
}

/// A schema together with the field that plays each role.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mapping {
    pub schema: Schema,
    /// Field name → role. Fields not named here are carried along untouched.
    pub fields: IndexMap<String, FieldRole>,
}

/// A mapping does not hold together, or a role or schema has no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(pub String);

impl Schema {
    pub const ALL: [Self; 7] = [
        Self::Alpaca,
        Self::ShareGpt,
        Self::Messages,
        Self::PromptCompletion,
        Self::QuestionAnswer,
        Self::Text,
        Self::Preference,
    ];

    /// The name for machines, as serde writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alpaca => "alpaca",
            Self::ShareGpt => "share-gpt",
            Self::Messages => "messages",
            Self::PromptCompletion => "prompt-completion",
            Self::QuestionAnswer => "question-answer",
            Self::Text => "text",
            Self::Preference => "preference",
        }
    }

    /// The roles without which a row cannot be read.
    pub fn required(self) -> &'static [FieldRole] {
        match self {
            Self::Alpaca | Self::PromptCompletion | Self::QuestionAnswer => &[FieldRole::Prompt, FieldRole::Response],
            Self::ShareGpt | Self::Messages => &[FieldRole::Conversation],
            Self::Text => &[FieldRole::Text],
            Self::Preference => &[FieldRole::Chosen, FieldRole::Rejected],
        }
    }

    /// The roles a row may have besides.
    pub fn optional(self) -> &'static [FieldRole] {
        match self {
            Self::Alpaca | Self::PromptCompletion | Self::QuestionAnswer => {
                &[FieldRole::System, FieldRole::History, FieldRole::Input]
            }
            Self::ShareGpt | Self::Messages => &[FieldRole::System],
            Self::Text => &[],
            Self::Preference => &[FieldRole::System, FieldRole::History, FieldRole::Prompt, FieldRole::Input],
        }
    }

    fn allows(self, role: FieldRole) -> bool {
        self.required().contains(&role) || self.optional().contains(&role)
    }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Schema {
    type Err = MappingError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let wanted = plain(name);
        Self::ALL.into_iter().find(|schema| plain(schema.name()) == wanted).ok_or_else(|| {
            MappingError(format!("`{name}` is no schema; use one of {}", list(Self::ALL.map(Self::name).iter())))
        })
    }
}

impl FieldRole {
    pub const ALL: [Self; 9] = [
        Self::System,
        Self::Prompt,
        Self::Input,
        Self::Response,
        Self::History,
        Self::Conversation,
        Self::Text,
        Self::Chosen,
        Self::Rejected,
    ];

    /// The name for machines, as serde writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Prompt => "prompt",
            Self::Input => "input",
            Self::Response => "response",
            Self::History => "history",
            Self::Conversation => "conversation",
            Self::Text => "text",
            Self::Chosen => "chosen",
            Self::Rejected => "rejected",
        }
    }

    /// What the role means, for a sentence: "the field with …".
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::System => "the system prompt",
            Self::Prompt => "the prompt",
            Self::Input => "the input",
            Self::Response => "the answer",
            Self::History => "the earlier turns",
            Self::Conversation => "the conversation",
            Self::Text => "the text",
            Self::Chosen => "the chosen answer",
            Self::Rejected => "the rejected answer",
        }
    }
}

impl std::fmt::Display for FieldRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for FieldRole {
    type Err = MappingError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let wanted = plain(name);
        Self::ALL.into_iter().find(|role| role.name() == wanted).ok_or_else(|| {
            MappingError(format!(
                "`{name}` is no role of a field; use one of {}",
                list(Self::ALL.map(Self::name).iter())
            ))
        })
    }
}

impl Mapping {
    /// The field that plays `role`.
    pub fn field(&self, role: FieldRole) -> Option<&str> {
        self.fields.iter().find(|(_, played)| **played == role).map(|(name, _)| name.as_str())
    }

    /// Lets the named fields play the given roles, and chooses the schema that fits the result. A field that
    /// played one of these roles before loses it; roles that do not go with the new ones are taken back.
    ///
    /// # Errors
    /// A field is named twice, or a role that the schema needs is played by no field.
    pub fn with_overrides(&self, overrides: &[(String, FieldRole)]) -> Result<Self, MappingError> {
        for (place, (field, role)) in overrides.iter().enumerate() {
            let earlier = overrides.get(..place).unwrap_or_default();
            if earlier.iter().any(|(other, _)| other == field) {
                return Err(MappingError(format!("the field `{field}` is given two roles; name it once")));
            }
            if let Some((other, _)) = earlier.iter().find(|(_, other)| other == role) {
                return Err(MappingError(format!(
                    "the fields `{other}` and `{field}` are both given the role {role}; one field plays a role"
                )));
            }
        }
        let mut fields = self.fields.clone();
        fields.retain(|name, role| !overrides.iter().any(|(field, given)| field == name || given == role));
        for (field, role) in overrides {
            fields.insert(field.clone(), *role);
        }
        let schema = self.schema_for(overrides.iter().map(|(_, role)| *role));
        fields.retain(|_, role| schema.allows(*role));
        if let Some((field, role)) = overrides.iter().find(|(_, role)| !schema.allows(*role)) {
            return Err(MappingError(format!("`{field}={role}` does not go with the schema {schema}")));
        }
        let mapping = Self { schema, fields };
        mapping.validate()?;
        Ok(mapping)
    }

    /// The schema asked for by roles that the user gave; the most telling role decides.
    fn schema_for(&self, given: impl Iterator<Item = FieldRole> + Clone) -> Schema {
        let has = |role| given.clone().any(|other| other == role);
        if has(FieldRole::Chosen) || has(FieldRole::Rejected) {
            Schema::Preference
        } else if has(FieldRole::Conversation) {
            if self.schema == Schema::ShareGpt { Schema::ShareGpt } else { Schema::Messages }
        } else if has(FieldRole::Text) {
            Schema::Text
        } else if self.schema.required().contains(&FieldRole::Prompt) {
            self.schema
        } else if self.schema == Schema::Preference && !has(FieldRole::Response) {
            Schema::Preference
        } else if has(FieldRole::Prompt) || has(FieldRole::Response) {
            Schema::PromptCompletion
        } else {
            self.schema
        }
    }

    /// # Errors
    /// A required role is played by no field, a role by two, or a role does not belong to the schema.
    pub fn validate(&self) -> Result<(), MappingError> {
        for (place, (field, role)) in self.fields.iter().enumerate() {
            if !self.schema.allows(*role) {
                return Err(MappingError(format!("`{field}={role}` does not go with the schema {}", self.schema)));
            }
            if let Some((other, _)) = self.fields.iter().take(place).find(|(_, other)| *other == role) {
                return Err(MappingError(format!(
                    "the fields `{other}` and `{field}` both play the role {role}; one field plays a role"
                )));
            }
        }
        match self.schema.required().iter().find(|role| self.field(**role).is_none()) {
            Some(role) => Err(MappingError(format!(
                "no field holds {} (role {role}) that the schema {} needs; name it as FIELD={role}",
                role.meaning(),
                self.schema
            ))),
            None => Ok(()),
        }
    }
}

/// Lower case, without dashes and underscores.
fn plain(name: &str) -> String {
    name.trim().chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

fn list<'a>(names: impl Iterator<Item = &'a &'static str>) -> String {
    names.copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(schema: Schema, fields: &[(&str, FieldRole)]) -> Mapping {
        Mapping { schema, fields: fields.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect() }
    }

    fn overrides(pairs: &[(&str, FieldRole)]) -> Vec<(String, FieldRole)> {
        pairs.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
    }

    #[test]
    fn names_survive_the_round_trip_and_equal_serdes() {
        for schema in Schema::ALL {
            assert_eq!(schema.to_string().parse(), Ok(schema));
            assert_eq!(serde_json::to_string(&schema).expect("serialises"), format!("\"{schema}\""));
        }
        for role in FieldRole::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).expect("serialises"), format!("\"{role}\""));
        }
        assert_eq!("ShareGPT".parse(), Ok(Schema::ShareGpt));
        let error = "answr".parse::<FieldRole>().expect_err("unknown").to_string();
        assert!(error.contains("answr") && error.contains("response"), "{error}");
    }

    #[test]
    fn an_override_takes_the_role_from_the_field_that_had_it() {
        let alpaca = mapping(
            Schema::Alpaca,
            &[("instruction", FieldRole::Prompt), ("input", FieldRole::Input), ("output", FieldRole::Response)],
        );
        let changed = alpaca.with_overrides(&overrides(&[("answer", FieldRole::Response)])).expect("fits");
        assert_eq!(changed.schema, Schema::Alpaca);
        assert_eq!(changed.field(FieldRole::Response), Some("answer"));
        assert_eq!(changed.fields.get("output"), None);
        let text = alpaca.with_overrides(&overrides(&[("body", FieldRole::Text)])).expect("fits");
        assert_eq!((text.schema, text.fields.len()), (Schema::Text, 1));
        let chat = alpaca.with_overrides(&overrides(&[("chat", FieldRole::Conversation)])).expect("fits");
        assert_eq!((chat.schema, chat.fields.len()), (Schema::Messages, 1));
    }

    #[test]
    fn an_incomplete_or_double_override_is_refused_by_name() {
        let text = mapping(Schema::Text, &[("text", FieldRole::Text)]);
        let error = text.with_overrides(&overrides(&[("q", FieldRole::Prompt)])).expect_err("no answer").to_string();
        assert!(error.contains("=response"), "{error}");
        let error = text
            .with_overrides(&overrides(&[("q", FieldRole::Prompt), ("a", FieldRole::Prompt)]))
            .expect_err("twice")
            .to_string();
        assert!(error.contains("`q` and `a`"), "{error}");
        let error = text
            .with_overrides(&overrides(&[("q", FieldRole::Prompt), ("q", FieldRole::Response)]))
            .expect_err("twice")
            .to_string();
        assert!(error.contains("two roles"), "{error}");
    }
}
