//! One decoded row: who says what.

/// BLAKE3 of the canonical content of a row: what is said and by whom, whatever the schema and spelling in the file.
///
/// The bytes hashed are `dipole row 1\n`, then the turns and the rejected turns, each list as its length (u64, little
/// endian) and for every turn one byte for the speaker (`s`, `u`, `a`, `t`, `-`), the length of its text in bytes
/// (u64, little endian) and the text in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

/// Stable identity of a row: the first 16 hex digits of its content hash, and an occurrence number for exact
/// duplicates (`3f1c…` for the first, `3f1c…-1` for the second). It survives re-ordering of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RowId(pub String);

/// Whose words a turn holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    System,
    User,
    Assistant,
    Tool,
    /// A text row has no speaker.
    None,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Turn {
    pub speaker: Speaker,
    pub text: String,
}

/// One decoded row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// 0-based record number in the file.
    pub number: u64,
    /// 1-based line where the record begins.
    pub line: u64,
    /// The turns in order. A preference row holds its prompt and the chosen answer.
    pub turns: Vec<Turn>,
    /// The rejected answer of a preference row.
    pub rejected: Vec<Turn>,
}

impl Row {
    /// The whole row as one plain text: the turns' texts in order, joined by a line break. No JSON, no role
    /// names. This is what is embedded as the view `row`.
    pub fn text(&self) -> String {
        join(self.turns.iter())
    }

    /// Every assistant turn, joined by a line break; the whole row where there is none. The view `response`.
    pub fn response(&self) -> String {
        if self.turns.iter().any(|turn| turn.speaker == Speaker::Assistant) {
            join(self.turns.iter().filter(|turn| turn.speaker == Speaker::Assistant))
        } else {
            self.text()
        }
    }

    /// Everything before the first assistant turn, joined by a line break.
    pub fn prompt(&self) -> String {
        join(self.turns.iter().take_while(|turn| turn.speaker != Speaker::Assistant))
    }
}

fn join<'a>(turns: impl Iterator<Item = &'a Turn>) -> String {
    let mut text = String::new();
    for turn in turns.filter(|turn| !turn.text.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&turn.text);
    }
    text
}
