//! The model's own Jinja template: messages to text.
//!
//! Constraints: a template comes from outside, so its time is bounded (fuel), its nesting, and its output; there is
//! no clock (the date is fixed, so that equal rows give equal texts) and no file in reach. Jinja is minijinja with the
//! methods that Python strings, lists and dictionaries have.

use std::io::Write;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde_json::Value as Json;

use crate::data::Speaker;
use crate::model::ModelError;
use crate::model::folder::Folder;

const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";
const NAME: &str = "chat";
/// Steps of one rendering; the templates of published models need some hundred a message.
const FUEL: u64 = 4_000_000;
/// Bytes that a rendering may add to its messages.
const MAX_ADDED: usize = 1 << 20;
/// The date that templates see.
const DATE: &str = "26 Jul 2024";
/// For models without a template: roles as headings, the end token behind every answer.
const PLAIN: &str = "{{ bos_token }}{% for message in messages %}### {{ message.role | capitalize }}:\n{{ message.content }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}\n\n{% endfor %}{% if add_generation_prompt %}### Assistant:\n{% endif %}";

/// One message as templates see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Message {
    pub role: &'static str,
    pub content: String,
}

impl Message {
    pub fn new(speaker: Speaker, content: impl Into<String>) -> Self {
        let role = match speaker {
            Speaker::System => "system",
            Speaker::Assistant => "assistant",
            Speaker::Tool => "tool",
            Speaker::User | Speaker::None => "user",
        };
        Self { role, content: content.into() }
    }

    fn value(&self) -> Value {
        Value::from_pairs([("role", self.role), ("content", self.content.as_str())])
    }
}

/// A compiled template and the texts of the special tokens.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
    bos: String,
    pub(super) eos: String,
    pub(super) built_in: bool,
}

impl Template {
    pub(super) fn open(folder: Folder<'_>) -> Result<Self, ModelError> {
        let config = match folder.bytes(TOKENIZER_CONFIG)? {
            Some(bytes) => folder.object(TOKENIZER_CONFIG, &bytes)?,
            None => serde_json::Map::new(),
        };
        let (name, source) = match folder.bytes(TEMPLATE)? {
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => (TEMPLATE, Some(text)),
                Err(_) => return Err(folder.malformed(TEMPLATE, "it is not UTF-8")),
            },
            None => (TOKENIZER_CONFIG, named_template(config.get("chat_template"))),
        };
        let token = |key: &str| token_text(config.get(key));
        Self::from_text(&folder.path(name), source, token("bos_token"), token("eos_token"))
    }

    /// From a text that came in the file at `path`, `None` where there was none.
    pub(super) fn from_text(path: &Path, source: Option<String>, bos: String, eos: String) -> Result<Self, ModelError> {
        let built_in = source.is_none();
        let source = with_plain_tags(&source.unwrap_or_else(|| PLAIN.to_owned()));
        let environment = environment(source).map_err(|error| ModelError::Malformed {
            path: path.to_owned(),
            reason: format!("its chat template cannot be read: {error}"),
        })?;
        Ok(Self { environment, bos, eos, built_in })
    }

    /// The text of a chat. With `ask` it ends where the assistant begins to speak.
    ///
    /// # Errors
    /// What the template says of the chat (roles that must alternate), or that it takes too long.
    pub(super) fn render(&self, messages: &[Message], ask: bool) -> Result<String, String> {
        let most = messages.iter().map(|message| message.content.len()).sum::<usize>() * 2 + MAX_ADDED;
        let mut out = Bounded { bytes: Vec::new(), most };
        let values = context! {
            messages => messages.iter().map(Message::value).collect::<Vec<_>>(),
            add_generation_prompt => ask,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            date_string => DATE,
        };
        let template = self.environment.get_template(NAME).map_err(|error| error.to_string())?;
        template.render_captured_to(values, &mut out).map_err(|error| reason(&error))?;
        String::from_utf8(out.bytes).map_err(|_| "the chat template gives text that is not UTF-8".to_owned())
    }
}

fn reason(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the chat template takes too many steps".to_owned(),
        (ErrorKind::WriteFailure, _) => "the chat template writes too much".to_owned(),
        (_, Some(detail)) => format!("the chat template refuses it: {detail}"),
        _ => format!("the chat template fails: {error}"),
    }
}

/// The one that is called `default` where there are several.
fn named_template(value: Option<&Json>) -> Option<String> {
    match value? {
        Json::String(text) => Some(text.clone()),
        Json::Array(list) => {
            let named = |wanted: &str| list.iter().find(|item| item.get("name").and_then(Json::as_str) == Some(wanted));
            let chosen = named("default").or(list.first())?;
            chosen.get("template").and_then(Json::as_str).map(str::to_owned)
        }
        Json::Object(object) => object.get("default").and_then(Json::as_str).map(str::to_owned),
        _ => None,
    }
}

/// A special token as a text or as an object with its `content`.
pub(super) fn token_text(value: Option<&Json>) -> String {
    let text = value.and_then(|value| value.as_str().or_else(|| value.get("content").and_then(Json::as_str)));
    text.unwrap_or_default().to_owned()
}

/// Training frameworks mark what the assistant says by a tag that Jinja does not know; it becomes a condition that
/// always holds, so that its control of white space stays.
fn with_plain_tags(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        text.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
        match inner.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+') {
            "generation" => text.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => text.push_str(&tag.replace("endgeneration", "endif")),
            _ => text.push_str(tag),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn environment(source: String) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |_format: String| DATE);
    environment.add_filter("tojson", to_json);
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}

/// JSON with the separators that Python's `json.dumps` writes.
fn to_json(value: Value, options: minijinja::value::Kwargs) -> Result<Value, Error> {
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let indent: Option<usize> = options.get("indent").unwrap_or(None);
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let blanks = vec![b' '; width.min(16)];
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&blanks);
            let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
            serde::Serialize::serialize(&value, &mut writer).map_err(failed)?;
        }
        None => {
            let mut writer = serde_json::Serializer::with_formatter(&mut bytes, Python);
            serde::Serialize::serialize(&value, &mut writer).map_err(failed)?;
        }
    }
    Ok(Value::from_safe_string(String::from_utf8_lossy(&bytes).into_owned()))
}

struct Python;

impl serde_json::ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Refuses to grow beyond a bound.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(std::io::Error::other("too much"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
