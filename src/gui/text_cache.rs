//! Row texts for the table and the evidence, read in the background.
//!
//! Constraint: no frame reads a file. A frame asks for the rows that it shows; a thread reads them, newest request
//! first, and the window is repainted when they are there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::backend::Handle;
use super::roles::first_line;
use crate::data::{Row, Speaker, Turn};

const LINES: usize = 8192;
const ROWS: usize = 32;
const LINE_CHARS: usize = 400;
/// Whole rows larger than this are cut for display, in bytes.
const ROW_BYTES: usize = 1 << 20;

/// What is known of a text.
#[derive(Debug, Clone)]
pub enum Text<T> {
    Loading,
    Here(T),
    /// Why it cannot be read.
    Failed(Arc<str>),
}

/// The beginning of a row on one line, turn by turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(pub Vec<(Speaker, String)>);

impl Line {
    /// At most `limit` characters of the row; a turn that was cut ends in `…`. A system prompt is often the same in
    /// every row, so it is left out where somebody says more.
    fn of(row: &Row, limit: usize) -> Self {
        let mut left = limit;
        let mut parts = Vec::new();
        let speaks = |turn: &&Turn| turn.speaker != Speaker::System && !turn.text.trim().is_empty();
        let all_system = !row.turns.iter().any(|turn| speaks(&turn));
        for turn in row.turns.iter().filter(|turn| all_system || speaks(turn)) {
            if left == 0 {
                break;
            }
            let text = first_line(&turn.text, left);
            left = left.saturating_sub(text.chars().count());
            if !text.is_empty() {
                parts.push((turn.speaker, text));
            }
        }
        Self(parts)
    }

    /// The line as one plain text.
    pub fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

struct Entry<T> {
    text: Text<T>,
    used: u64,
}

#[derive(Default)]
struct State {
    lines: HashMap<u32, Entry<Arc<Line>>>,
    rows: HashMap<u32, Entry<Arc<Row>>>,
    wanted_lines: VecDeque<u32>,
    wanted_rows: VecDeque<u32>,
    clock: u64,
    reading: bool,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    wanted: Condvar,
}

/// The texts of one file.
pub struct TextCache {
    shared: Arc<Shared>,
}

impl TextCache {
    /// Starts the reader of `source`; `wake` is called when texts arrived.
    pub fn new(source: Handle, wake: impl Fn() + Send + 'static) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), wanted: Condvar::new() });
        let reader = shared.clone();
        let spawned = std::thread::Builder::new()
            .name("row texts".to_owned())
            .spawn(move || while serve(&reader, &source, &wake) {});
        if let Err(error) = spawned {
            tracing::error!("row texts cannot be read: {error}");
        }
        Self { shared }
    }

    /// The first line of a row, asked for when it is not here.
    pub fn line(&self, index: u32) -> Text<Arc<Line>> {
        let mut state = self.shared.state.lock();
        let now = tick(&mut state);
        if let Some(entry) = state.lines.get_mut(&index) {
            entry.used = now;
            return entry.text.clone();
        }
        if !state.wanted_lines.contains(&index) {
            state.wanted_lines.push_back(index);
            // A screenful is asked for at once; what has scrolled by is forgotten.
            if state.wanted_lines.len() > 256 {
                state.wanted_lines.pop_front();
            }
            self.shared.wanted.notify_one();
        }
        Text::Loading
    }

    /// A whole row, asked for when it is not here.
    pub fn row(&self, index: u32) -> Text<Arc<Row>> {
        let mut state = self.shared.state.lock();
        let now = tick(&mut state);
        if let Some(entry) = state.rows.get_mut(&index) {
            entry.used = now;
            return entry.text.clone();
        }
        if !state.wanted_rows.contains(&index) {
            state.wanted_rows.push_back(index);
            if state.wanted_rows.len() > 4 {
                state.wanted_rows.pop_front();
            }
            self.shared.wanted.notify_one();
        }
        Text::Loading
    }

    /// True when nothing is being read.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.state.lock();
        !state.reading && state.wanted_lines.is_empty() && state.wanted_rows.is_empty()
    }
}

impl Drop for TextCache {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.wanted.notify_one();
    }
}

fn tick(state: &mut State) -> u64 {
    state.clock += 1;
    state.clock
}

/// Reads one wanted text; false when the cache is gone.
fn serve(shared: &Shared, source: &Handle, wake: &impl Fn()) -> bool {
    let (whole, index) = {
        let mut state = shared.state.lock();
        loop {
            if state.closed {
                return false;
            }
            if let Some(index) = state.wanted_rows.pop_back() {
                state.reading = true;
                break (true, index);
            }
            // From the front: a screenful fills from the top.
            if let Some(index) = state.wanted_lines.pop_front() {
                state.reading = true;
                break (false, index);
            }
            shared.wanted.wait(&mut state);
        }
    };
    let row = source.row(index as usize);
    let mut state = shared.state.lock();
    let used = tick(&mut state);
    let failed = |error: String| Text::Failed(error.into());
    if whole {
        let text = row.map_or_else(failed, |row| Text::Here(Arc::new(cut(row))));
        state.rows.insert(index, Entry { text, used });
        forget_oldest(&mut state.rows, ROWS);
    } else {
        let line = |row: Row| Text::Here(Arc::new(Line::of(&row, LINE_CHARS)));
        state.lines.insert(index, Entry { text: row.map_or_else(|error| Text::Failed(error.into()), line), used });
        forget_oldest(&mut state.lines, LINES);
    }
    state.reading = false;
    let done = state.wanted_lines.is_empty() && state.wanted_rows.is_empty();
    drop(state);
    // One repaint a screenful, not one a line.
    if done || whole {
        wake();
    }
    true
}

fn forget_oldest<T>(entries: &mut HashMap<u32, Entry<T>>, limit: usize) {
    if entries.len() > limit {
        let mut ages: Vec<u64> = entries.values().map(|entry| entry.used).collect();
        let middle = ages.len() / 2;
        let (_, oldest_kept, _) = ages.select_nth_unstable(middle);
        let oldest_kept = *oldest_kept;
        entries.retain(|_, entry| entry.used >= oldest_kept);
    }
}

/// Cuts turns so that a row of many megabytes does not stay in memory.
fn cut(mut row: Row) -> Row {
    let mut left = ROW_BYTES;
    for turn in row.turns.iter_mut().chain(&mut row.rejected) {
        if turn.text.len() > left {
            let mut end = left;
            while !turn.text.is_char_boundary(end) {
                end -= 1;
            }
            let hidden = turn.text.len() - end;
            turn.text.truncate(end);
            turn.text.push_str(&format!("\n… {hidden} more bytes are not shown."));
        }
        left = left.saturating_sub(turn.text.len());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_are_cut_at_a_character() {
        let text = "é".repeat(ROW_BYTES);
        let row = cut(Row {
            number: 0,
            line: 1,
            turns: vec![
                Turn { speaker: Speaker::User, text: text.clone() },
                Turn { speaker: Speaker::Assistant, text },
            ],
            rejected: Vec::new(),
        });
        assert!(row.turns[0].text.len() < ROW_BYTES + 64);
        assert!(row.turns[1].text.ends_with("more bytes are not shown."));
    }

    #[test]
    fn a_line_names_who_speaks_and_has_a_limit() {
        let turn = |speaker, text: &str| Turn { speaker, text: text.to_owned() };
        let row = Row {
            number: 0,
            line: 1,
            turns: vec![
                turn(Speaker::System, "be kind"),
                turn(Speaker::User, "two\nlines"),
                turn(Speaker::Assistant, "an answer"),
                turn(Speaker::User, "more"),
            ],
            rejected: Vec::new(),
        };
        let all = Line::of(&row, 400);
        assert_eq!(all.text(), "two lines an answer more");
        assert_eq!(all.0[1].0, Speaker::Assistant);
        let alone = Row { turns: row.turns[..1].to_vec(), ..row.clone() };
        assert_eq!(Line::of(&alone, 400).0, [(Speaker::System, "be kind".to_owned())]);
        assert_eq!(
            Line::of(&row, 11).0,
            [(Speaker::User, "two lines".to_owned()), (Speaker::Assistant, "an…".to_owned())]
        );
    }

    #[test]
    fn the_oldest_half_is_forgotten() {
        let mut entries: HashMap<u32, Entry<u32>> =
            (0..11).map(|i| (i, Entry { text: Text::Here(i), used: u64::from(i) })).collect();
        forget_oldest(&mut entries, 10);
        let mut left: Vec<_> = entries.into_keys().collect();
        left.sort_unstable();
        assert_eq!(left, [5, 6, 7, 8, 9, 10]);
    }
}
