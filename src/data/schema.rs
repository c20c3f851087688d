//! The shape of a row: which fields hold which part of a training example.

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
