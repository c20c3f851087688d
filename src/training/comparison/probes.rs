//! Prompts that a model is probed with: a short list of our own, or the user's.
//!
//! Constraint: a probe is a question, never an answer; the harmful ones of the list ask for harm in general words and
//! teach nothing.

use std::path::Path;

use indexmap::IndexMap;

use crate::data::{DataError, Dataset, FieldRole, Mapping, OpenOptions, Schema, Speaker};
use crate::jobs::Progress;
use crate::model::Message;
use crate::training::TrainError;

const HARMFUL: &str = include_str!("../../../assets/probes/harmful.jsonl");
const HARMLESS: &str = include_str!("../../../assets/probes/harmless.jsonl");
/// Larger text files are no lists of prompts.
const MAX_BYTES: u64 = 16 << 20;
/// Fields that may hold a prompt where a file has no answers.
const PROMPT_FIELDS: [&str; 5] = ["prompt", "instruction", "question", "goal", "behavior"];

/// What should happen to a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// It should be refused.
    Harmful,
    /// It should be answered.
    Harmless,
    #[default]
    Unlabelled,
}

impl ProbeKind {
    /// From a word in a file.
    fn named(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "harmful" | "unsafe" => Some(Self::Harmful),
            "harmless" | "benign" | "safe" => Some(Self::Harmless),
            _ => None,
        }
    }
}

/// One question to a model, with what was said before it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Probe {
    pub kind: ProbeKind,
    /// Who said what; the last turn is the question.
    pub turns: Vec<(Speaker, String)>,
}

impl Probe {
    pub fn new(kind: ProbeKind, prompt: impl Into<String>) -> Self {
        Self { kind, turns: vec![(Speaker::User, prompt.into())] }
    }

    /// The question itself.
    pub fn prompt(&self) -> &str {
        self.turns.last().map_or("", |(_, text)| text)
    }

    /// As a chat template takes it.
    pub fn messages(&self) -> Vec<Message> {
        self.turns.iter().map(|(speaker, text)| Message::new(*speaker, text.as_str())).collect()
    }

    /// The list inside the program: harmful requests, then harmless ones, of which many sound dangerous.
    pub fn built_in() -> Vec<Self> {
        #[derive(serde::Deserialize)]
        struct Line {
            prompt: String,
        }
        let of = |text: &'static str, kind: ProbeKind| {
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
            lines.map(move |line| Self::new(kind, line.prompt))
        };
        of(HARMFUL, ProbeKind::Harmful).chain(of(HARMLESS, ProbeKind::Harmless)).collect()
    }

    /// One prompt a line; empty lines are left out.
    pub fn lines(text: &str, kind: ProbeKind) -> Vec<Self> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| Self::new(kind, line)).collect()
    }

    /// The first `most` prompts of a file: `.txt` with one a line, or any file of rows that Dipole reads, with or
    /// without answers (in a chat, what is said before the last answer is asked again). A row's own word `kind`
    /// (`harmful`, `harmless`) wins over the given one.
    ///
    /// # Errors
    /// The file cannot be read, or there is no prompt in it.
    pub fn read(path: &Path, kind: ProbeKind, most: usize, progress: &dyn Progress) -> Result<Vec<Self>, TrainError> {
        let mut probes = if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("txt")) {
            Self::lines(&text(path)?, kind)
        } else {
            rows(path, kind, most, progress)?
        };
        probes.truncate(most);
        if probes.is_empty() {
            let path = path.display();
            return Err(TrainError::Rows(format!("{path}: there is no prompt in it; give one a line, or rows")));
        }
        Ok(probes)
    }
}

fn text(path: &Path) -> Result<String, TrainError> {
    let io = |source| TrainError::Io { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_BYTES {
        let path = path.display();
        return Err(TrainError::Rows(format!(
            "{path}: it has {bytes} bytes; a list of prompts has at most {MAX_BYTES}"
        )));
    }
    std::fs::read_to_string(path).map_err(io)
}

fn rows(path: &Path, kind: ProbeKind, most: usize, progress: &dyn Progress) -> Result<Vec<Probe>, TrainError> {
    let data = open(path, progress)?;
    let mut probes = Vec::new();
    for index in 0..data.len() {
        if probes.len() == most {
            break;
        }
        progress.check()?;
        let row = data.row(index)?;
        let last = row.turns.iter().rposition(|turn| turn.speaker == Speaker::Assistant).unwrap_or(row.turns.len());
        let asked = row.turns.iter().take(last).filter(|turn| !turn.text.trim().is_empty());
        let turns: Vec<(Speaker, String)> = asked.map(|turn| (turn.speaker, turn.text.clone())).collect();
        if turns.is_empty() {
            continue;
        }
        probes.push(Probe { kind: own_kind(&data, index).unwrap_or(kind), turns });
    }
    Ok(probes)
}

/// Rows as they are, or those of a field with prompts alone.
fn open(path: &Path, progress: &dyn Progress) -> Result<Dataset, TrainError> {
    let first = match Dataset::open(path, &OpenOptions::default(), progress) {
        Ok(data) => return Ok(data),
        Err(error @ (DataError::Cancelled(_) | DataError::Io { .. })) => return Err(error.into()),
        Err(error) => error,
    };
    for field in PROMPT_FIELDS {
        let fields = IndexMap::from([(field.to_owned(), FieldRole::Text)]);
        let options = OpenOptions { mapping: Some(Mapping { schema: Schema::Text, fields }), ..OpenOptions::default() };
        match Dataset::open(path, &options, progress) {
            Ok(data) => return Ok(data),
            Err(DataError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(_) => {}
        }
    }
    Err(first.into())
}

fn own_kind(data: &Dataset, index: usize) -> Option<ProbeKind> {
    #[derive(serde::Deserialize)]
    struct Kinded {
        kind: String,
    }
    let record = data.record_json(index).ok()?;
    ProbeKind::named(&serde_json::from_slice::<Kinded>(&record).ok()?.kind)
}
