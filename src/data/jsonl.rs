//! Records that are lines.

use super::blocks::{Splitter, Step};

/// Splits at line ends; blank lines are no records. Blanks behind a record stay with it, JSON allows them.
pub(super) struct Lines {
    line_end: u8,
    inside: bool,
}

impl Lines {
    /// `line_end` is a line feed, or a carriage return in files that have only those.
    pub fn new(line_end: u8) -> Self {
        Self { line_end, inside: false }
    }
}

impl Splitter for Lines {
    fn step(&mut self, bytes: &[u8]) -> Step {
        if self.inside {
            match memchr::memchr(self.line_end, bytes) {
                Some(end) => {
                    self.inside = false;
                    Step::End(end)
                }
                None => Step::More,
            }
        } else {
            match bytes.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
                Some(start) => {
                    self.inside = true;
                    Step::Begin(start)
                }
                None => Step::More,
            }
        }
    }

    fn line_end(&self) -> u8 {
        self.line_end
    }

    fn spans_lines(&self) -> bool {
        false
    }
}
