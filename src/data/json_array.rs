//! Records that are items of one JSON list, or JSON objects one after another without regard to lines.
//!
//! Constraint: iterative and of constant memory, whatever the nesting. Only the brackets of the kind that began an
//! item are counted, so that one broken item does not take the following ones with it.

use super::FindingKind;
use super::blocks::{Splitter, Step};
use super::record::Issue;

/// The brackets that began an item, and how many of them are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Nest {
    open: u8,
    close: u8,
    depth: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the list's opening bracket.
    Before,
    Between,
    Nested(Nest),
    /// In a text inside an object or list, or in a text that is an item itself. `opened` is false before its
    /// opening quote.
    Text {
        opened: bool,
        escaped: bool,
        outer: Option<Nest>,
    },
    /// In a number or a word; its first byte is always taken, whatever it is.
    Bare {
        started: bool,
    },
}

/// Splits a JSON list into its items.
pub(super) struct Items {
    state: State,
    is_list: bool,
    /// The list's closing bracket was seen.
    closed: bool,
    records: u64,
    /// Commas since the last item.
    commas: u64,
    extra_commas: u64,
    missing_commas: u64,
    after_end: u64,
}

impl Items {
    /// The items of one list.
    pub fn list() -> Self {
        Self::new(State::Before, true)
    }

    /// Values one after another.
    pub fn stream() -> Self {
        Self::new(State::Between, false)
    }

    fn new(state: State, is_list: bool) -> Self {
        Self { state, is_list, closed: false, records: 0, commas: 0, extra_commas: 0, missing_commas: 0, after_end: 0 }
    }

    fn begin(&mut self, byte: u8) {
        self.state = match byte {
            b'{' => State::Nested(Nest { open: b'{', close: b'}', depth: 0 }),
            b'[' => State::Nested(Nest { open: b'[', close: b']', depth: 0 }),
            b'"' => State::Text { opened: false, escaped: false, outer: None },
            _ => State::Bare { started: false },
        };
        self.missing_commas += u64::from(self.is_list && self.records > 0 && self.commas == 0 && !self.closed);
        self.after_end += u64::from(self.closed);
        self.records += 1;
        self.commas = 0;
    }

    /// Skips what lies between items.
    fn between(&mut self, bytes: &[u8]) -> Step {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'[' if self.state == State::Before => self.state = State::Between,
                b']' if self.is_list && !self.closed => {
                    self.closed = true;
                    self.extra_commas += u64::from(self.commas > 0);
                    self.commas = 0;
                }
                b',' => {
                    self.commas += 1;
                    self.extra_commas += u64::from(self.commas > 1 || self.records == 0 || !self.is_list);
                }
                _ => {
                    self.begin(byte);
                    return Step::Begin(at);
                }
            }
        }
        Step::More
    }
}

impl Splitter for Items {
    fn step(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        loop {
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return Step::More };
            match self.state {
                State::Before | State::Between => return self.between(rest),
                State::Nested(mut nest) => {
                    let Some(place) = memchr::memchr3(b'"', nest.open, nest.close, rest) else { return Step::More };
                    at += place + 1;
                    let byte = rest.get(place).copied().unwrap_or_default();
                    if byte == b'"' {
                        self.state = State::Text { opened: true, escaped: false, outer: Some(nest) };
                        continue;
                    }
                    nest.depth = if byte == nest.open { nest.depth + 1 } else { nest.depth.saturating_sub(1) };
                    if nest.depth == 0 {
                        self.state = State::Between;
                        return Step::End(at);
                    }
                    self.state = State::Nested(nest);
                }
                State::Text { opened, escaped, outer } if escaped || !opened => {
                    at += 1;
                    self.state = State::Text { opened: true, escaped: false, outer };
                }
                State::Text { outer, .. } => {
                    let Some(place) = memchr::memchr2(b'"', b'\\', rest) else { return Step::More };
                    at += place + 1;
                    if rest.get(place) == Some(&b'\\') {
                        self.state = State::Text { opened: true, escaped: true, outer };
                        continue;
                    }
                    match outer {
                        Some(nest) => self.state = State::Nested(nest),
                        None => {
                            self.state = State::Between;
                            return Step::End(at);
                        }
                    }
                }
                State::Bare { started } => {
                    let ends = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'"' | b'{' | b'[');
                    let from = usize::from(!started);
                    self.state = State::Bare { started: true };
                    match rest.iter().skip(from).position(ends) {
                        Some(place) => {
                            self.state = State::Between;
                            return Step::End(at + from + place);
                        }
                        None => return Step::More,
                    }
                }
            }
        }
    }

    fn remarks(&self) -> Vec<Issue> {
        let mut remarks = Vec::new();
        let mut remark = |kind, message: String| remarks.push(Issue::warning(kind, None, message));
        let inside = !matches!(self.state, State::Before | State::Between);
        if self.is_list && !self.closed && !inside {
            remark(
                FindingKind::Truncated,
                "the list has no closing `]`: the file may be cut off; compare its row count with the source"
                    .to_owned(),
            );
        }
        if self.extra_commas > 0 || self.missing_commas > 0 {
            remark(
                FindingKind::Layout,
                format!(
                    "{} commas between the records are missing and {} are too many; the records were told apart all \
                     the same",
                    self.missing_commas, self.extra_commas
                ),
            );
        }
        if self.after_end > 0 {
            remark(
                FindingKind::Layout,
                format!("{} records stand behind the end of the list; they were read too", self.after_end),
            );
        }
        if !self.is_list && self.records > 0 {
            remark(
                FindingKind::Layout,
                format!(
                    "the file is {} JSON values written over several lines, not a list and not one a line; each was \
                     read as a record",
                    self.records
                ),
            );
        }
        remarks
    }
}
