//! What is known of the selected row: its figures in words, its whole conversation, what was decided.
//!
//! Constraints: a long turn is laid out piece by piece at the reader's wish, so that no frame lays out a megabyte;
//! a covered text shows only under the pointer; what the machine does not know is said, not left out.

use egui::{
    Align, Button, Color32, FontId, Frame, Layout, Margin, Rect, RichText, ScrollArea, Sense, Stroke, Ui, vec2,
};

use super::{Cx, Pane, reasons, row_widgets, widgets};
use crate::data::{Row, Speaker, Turn};
use crate::gui::action::{Action, hint};
use crate::gui::session::Session;
use crate::gui::solved::{RowFigures, Solved};
use crate::gui::text_cache::Text;
use crate::gui::theme::{self, icons, palette, tokens};
use crate::gui::words;
use crate::project::{Past, PastHow};
use crate::selection::Verdict;

/// Characters of a turn shown at first, and more with each wish.
const PIECE: usize = 6000;
/// Decisions on a row that are listed.
const PAST: usize = 30;
/// Rows of a selection that a frame counts by fate.
const COUNTED: usize = 20_000;

/// The row and the pieces of its turns that are open.
#[derive(Default)]
pub struct EvidencePane {
    row: Option<u32>,
    /// Pieces shown of each turn; one where nothing is noted.
    open: Vec<usize>,
}

impl Pane for EvidencePane {
    fn title(&self) -> &'static str {
        "evidence"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(row) = cx.app.session().table.cursor else {
            let text = "Select a row to read it here and to see how it lies between the references.";
            widgets::empty(ui, icons::INFO, "No row selected", text, |_| ());
            return;
        };
        if self.row != Some(row) {
            self.row = Some(row);
            self.open.clear();
        }
        ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
        if cx.app.session().table.selected.len() > 1 {
            selection_head(ui, cx.app.session());
        } else {
            head(ui, cx.app.session(), row);
        }
        ui.add_space(4.0);
        buttons(ui, cx);
        ui.add_space(8.0);
        let known = reasons::known(cx, row);
        // The text is scrolled to its top when another row is selected.
        ScrollArea::vertical().id_salt(("evidence", row)).auto_shrink(false).show(ui, |ui| {
            ui.set_width(ui.available_width());
            if cx.app.session().table.selected.len() > 1 {
                let number = words::count(row_widgets::number(cx.app.session(), row));
                widgets::caption(ui, &format!("Row {number}, the one under the cursor"));
            }
            match cx.app.session().solved.clone() {
                Some(solved) => figures(ui, cx.app.session(), &solved, row, &known),
                None => {
                    widgets::muted(ui, "No score yet: purify to see how this row lies between the references.");
                }
            }
            ui.add_space(12.0);
            self.conversation(ui, cx, row);
            reasons::details(ui, cx, &known);
            history(ui, cx.app.session(), row);
            if cx.app.session().solved.is_some() {
                ui.add_space(8.0);
                let text = "The score says how a row lies between your references. It does not know what is harmful.";
                widgets::muted(ui, text);
            }
        });
    }
}

/// Number, line and fate of the row.
fn head(ui: &mut Ui, session: &Session, row: u32) {
    let colours = palette(ui.style());
    let fate = session.fate(row);
    ui.horizontal(|ui| {
        ui.label(
            RichText::new(format!("Row {}", words::count(row_widgets::number(session, row))))
                .font(theme::heading_font()),
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let ink = if fate.by_hand { *colours.by_hand } else { *colours.muted };
            ui.label(RichText::new(row_widgets::fate_words(fate)).color(ink));
            if fate.known || fate.by_hand {
                let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
                widgets::fate_mark(ui, rect.center(), fate.kept, fate.by_hand);
            }
        });
    });
}

/// What is selected besides the row shown below.
fn selection_head(ui: &mut Ui, session: &Session) {
    let selected = &session.table.selected;
    ui.label(RichText::new(format!("{} selected", words::rows(selected.len() as u64))).font(theme::heading_font()));
    if selected.len() > COUNTED {
        widgets::muted(ui, "Too many to sum up here. A decision holds for all of them, and is one step to undo.");
        return;
    }
    let (mut kept, mut by_hand) = (0, 0);
    for row in selected.iter() {
        let fate = session.fate(row);
        kept += u64::from(fate.kept);
        by_hand += u64::from(fate.by_hand);
    }
    let dropped = selected.len() as u64 - kept;
    let fates = if session.solved.is_some() {
        format!("{} kept · {} dropped · {} by hand", words::count(kept), words::count(dropped), words::count(by_hand))
    } else {
        format!("{} decided by hand", words::count(by_hand))
    };
    widgets::muted(ui, format!("{fates}. A decision holds for all of them, and is one step to undo."));
}

/// Keep, drop, leave to the machine. The one in force is marked.
fn buttons(ui: &mut Ui, cx: &mut Cx<'_>) {
    let colours = palette(ui.style());
    let session = cx.app.session();
    let single = (session.table.selected.len() <= 1).then_some(session.table.cursor).flatten();
    let now = single.and_then(|row| session.decision(row)).map(|decision| decision.verdict);
    let enabled = cx.app.can_decide();
    let narrow = ui.available_width() < 300.0;
    let width = ((ui.available_width() - 16.0) / 3.0).max(48.0);
    ui.horizontal(|ui| {
        for (icon, name, short, verdict) in [
            (icons::CHECK, "Keep", "K", Some(Verdict::Keep)),
            (icons::CLOSE, "Drop", "X", Some(Verdict::Drop)),
            (icons::UNDO, "Leave to the machine", "U", None),
        ] {
            let chosen = now.is_some() && now == verdict;
            let action = Action::Decide(verdict);
            let help = hint(ui.ctx(), &action);
            let label = match (verdict, narrow) {
                (_, true) => icon.to_owned(),
                (Some(_), false) => format!("{icon}  {name}"),
                (None, false) => format!("{icon}  Leave"),
            };
            let keys = RichText::new(short).size(tokens().sizes.small).color(*colours.muted);
            let mut button = Button::new(label).right_text(keys).min_size(vec2(width, 32.0)).selected(chosen);
            if chosen {
                button = button.stroke(Stroke::new(1.5, *colours.by_hand));
            }
            let response = ui.add_enabled(enabled.is_ok(), button).accessible_name(name);
            let response = match &enabled {
                Ok(()) => response.on_hover_text(help),
                Err(reason) => response.on_disabled_hover_text(reason),
            };
            if response.clicked() {
                cx.send(action);
            }
        }
    });
}

/// Score, weight and rank with their meaning; the two forces as bars.
fn figures(ui: &mut Ui, session: &Session, solved: &Solved, row: u32, known: &reasons::Known) {
    let Some(figures) = solved.figures(row) else {
        widgets::muted(ui, "This row has no score: the result was made for fewer rows. Purify again.");
        return;
    };
    let rows = solved.ranking.len();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 24.0;
        widgets::stat(ui, &words::signed(figures.score), "score", "0 is the average row; higher is more suspicious.");
        let help = "How much this row counts in training: 1 is an average row.";
        widgets::stat(ui, &words::weight(figures.weight), "weight", help);
        let rank = words::count(u64::from(figures.rank));
        widgets::stat(ui, &rank, &format!("rank of {}", words::count(rows as u64)), "1 is the most suspicious row.");
    });
    ui.add_space(4.0);
    let meaning =
        format!("{}, {}.", capital(&words::rank_meaning(figures.rank, rows)), words::weight_meaning(figures.weight));
    ui.label(meaning);
    ui.add_space(8.0);
    forces(ui, solved, figures);
    ui.add_space(4.0);
    let lambda = solved.plan.settings.lambda;
    reasons::sentence(ui, known, words::main_force(figures.pull, figures.push, lambda));
    if let Some(by) = near_cut(session, solved, figures) {
        widgets::muted(ui, by);
    }
}

fn forces(ui: &mut Ui, solved: &Solved, figures: RowFigures) {
    let colours = palette(ui.style());
    let cloud = &solved.cloud;
    let scale = |axis: usize| cloud.low[axis].abs().max(cloud.high[axis].abs()).max(f32::MIN_POSITIVE);
    // Both bars point to the right where they make the row more suspicious.
    for (name, value, unit, colour, meaning) in [
        ("Pull", figures.pull, figures.pull as f32 / scale(0), *colours.pull, row_widgets::pull_meaning(figures.pull)),
        ("Push", figures.push, -figures.push as f32 / scale(1), *colours.push, row_widgets::push_meaning(figures.push)),
    ] {
        let line = ui.horizontal(|ui| {
            let (label, _) = ui.allocate_exact_size(vec2(40.0, 16.0), Sense::hover());
            let font = FontId::proportional(tokens().sizes.body);
            widgets::paint_text(ui, label, egui::Align2::LEFT_CENTER, name, font, colour, false);
            let width = (ui.available_width() - 64.0).max(40.0);
            widgets::force_bar(ui, unit, colour, vec2(width, 16.0));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| ui.label(words::signed(value)));
        });
        line.response.on_hover_text(meaning);
    }
    ui.horizontal(|ui| {
        ui.add_space(48.0);
        let width = (ui.available_width() - 64.0).max(40.0);
        let (rect, _) = ui.allocate_exact_size(vec2(width, 14.0), Sense::hover());
        let small = FontId::proportional(11.0);
        for (align, text) in
            [(egui::Align2::LEFT_CENTER, "less suspicious"), (egui::Align2::RIGHT_CENTER, "more suspicious")]
        {
            widgets::paint_text(ui, rect, align, text, small.clone(), *colours.muted, false);
        }
    });
}

/// How many places the row is from the other side of the cut.
fn near_cut(session: &Session, solved: &Solved, figures: RowFigures) -> Option<String> {
    let dropped = (solved.ranking.len() - session.counts.machine_keep.min(solved.ranking.len())) as i64;
    let away = i64::from(figures.rank) - dropped;
    Some(match away {
        1.. => format!("The machine keeps it. It would drop it with {} fewer kept.", words::count(away as u64)),
        _ => format!("The machine drops it. It would keep it with {} more kept.", words::count((1 - away) as u64)),
    })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl EvidencePane {
    fn conversation(&mut self, ui: &mut Ui, cx: &Cx<'_>, row: u32) {
        let session = cx.app.session();
        let text = session.texts.as_ref().map_or(Text::Loading, |texts| texts.row(row));
        match text {
            Text::Loading => {
                widgets::muted(ui, "Reading the row…");
            }
            Text::Failed(reason) => {
                widgets::banner(ui, widgets::Tone::Error, &format!("This row cannot be read: {reason}"), |_| ());
            }
            Text::Here(found) => self.turns(ui, &found, cx.app.state().cover_texts),
        }
    }

    fn turns(&mut self, ui: &mut Ui, row: &Row, covered: bool) {
        let title = if row.rejected.is_empty() { "Conversation" } else { "Conversation with the chosen answer" };
        ui.horizontal(|ui| {
            widgets::caption(ui, title);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                widgets::muted(ui, format!("line {}", words::count(row.line)))
                    .on_hover_text("Where the row begins in the file.");
            });
        });
        self.open.resize(row.turns.len() + row.rejected.len(), 1);
        for (turn, open) in row.turns.iter().zip(&mut self.open) {
            show_turn(ui, turn, open, covered);
        }
        if row.turns.iter().all(|turn| turn.text.trim().is_empty()) {
            widgets::muted(ui, "This row holds no text.");
        }
        if !row.rejected.is_empty() {
            ui.add_space(4.0);
            widgets::caption(ui, "Rejected answer");
            for (turn, open) in row.rejected.iter().zip(self.open.iter_mut().skip(row.turns.len())) {
                show_turn(ui, turn, open, covered);
            }
        }
    }
}

/// One turn under its speaker's name, in the speaker's colour at the edge.
fn show_turn(ui: &mut Ui, turn: &Turn, open: &mut usize, covered: bool) {
    let colours = palette(ui.style());
    if turn.text.is_empty() {
        return;
    }
    let edge = match turn.speaker {
        Speaker::Assistant => *colours.accent,
        Speaker::User | Speaker::None => *colours.border_strong,
        Speaker::System | Speaker::Tool => *colours.border,
    };
    let frame = Frame::new().fill(*colours.raised).corner_radius(6).inner_margin(Margin {
        left: 14,
        right: 12,
        top: 8,
        bottom: 8,
    });
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        widgets::caption(ui, row_widgets::speaker_name(turn.speaker));
        let (piece, rest) = piece(&turn.text, *open * PIECE);
        if covered {
            covered_text(ui, piece);
        } else {
            ui.add(egui::Label::new(piece).wrap());
        }
        if rest > 0 {
            let text = format!("Show more ({} left)", words::bytes(rest as u64));
            if ui.button(text).clicked() {
                *open += 1;
            }
        }
    });
    let rect = shown.response.rect;
    let bar = Rect::from_min_max(rect.min, egui::pos2(rect.left() + 3.0, rect.bottom()));
    let rounding = egui::CornerRadius { nw: 6, sw: 6, ne: 0, se: 0 };
    ui.painter().rect_filled(bar, rounding, edge);
}

/// The first `limit` characters of a text and the bytes behind them.
fn piece(text: &str, limit: usize) -> (&str, usize) {
    match text.char_indices().nth(limit) {
        Some((end, _)) => (text.get(..end).unwrap_or(text), text.len() - end),
        None => (text, 0),
    }
}

/// A text that shows only while the pointer is on it.
pub(super) fn covered_text(ui: &mut Ui, text: &str) {
    let colours = palette(ui.style());
    let font = FontId::proportional(tokens().sizes.body);
    let galley = ui.painter().layout(text.to_owned(), font, *colours.text, ui.available_width());
    let size = vec2(ui.available_width(), galley.size().y);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    if response.contains_pointer() {
        ui.painter().galley(rect.min, galley, Color32::PLACEHOLDER);
    } else {
        row_widgets::cover(ui, rect);
        let small = FontId::proportional(tokens().sizes.small);
        if rect.height() >= 14.0 {
            widgets::paint_text(
                ui,
                rect.shrink(2.0),
                egui::Align2::CENTER_CENTER,
                "point here to read",
                small,
                *colours.text,
                false,
            );
        }
    }
}

/// What was decided on this row by every sitting, the newest first.
fn history(ui: &mut Ui, session: &Session, row: u32) {
    let decision = session.decision(row);
    let key = (row, session.record.head.clone());
    let past = session.insight.past.of(&key);
    if decision.is_none() && !past.is_some_and(|past| past.as_ref().is_ok_and(|past| !past.is_empty())) {
        return;
    }
    ui.add_space(8.0);
    widgets::caption(ui, "Decisions");
    match past {
        Some(Ok(past)) if !past.is_empty() => {
            for one in past.iter().rev().take(PAST) {
                widgets::muted(ui, past_words(one));
                if let Some(note) = &one.note {
                    widgets::muted(ui, format!("Note: {note}"));
                }
            }
            if past.len() > PAST {
                widgets::muted(ui, format!("… and {} before.", words::count((past.len() - PAST) as u64)));
            }
            return;
        }
        Some(Err(error)) => drop(widgets::muted(ui, format!("Those before cannot be read: {error}"))),
        Some(Ok(_)) | None => {}
    }
    // Until the record is read, the one in force.
    if let Some(decision) = decision {
        let verdict = words::verdict(Some(decision.verdict));
        widgets::muted(ui, format!("{} UTC · {verdict}", words::moment(&decision.at)));
        if let Some(note) = &decision.note {
            widgets::muted(ui, format!("Note: {note}"));
        }
    }
}

/// `2026-11-24 14:03 UTC · kept by hand · by ada`.
fn past_words(past: &Past) -> String {
    let how = match past.how {
        PastHow::Decided => "",
        PastHow::Undone => " (a step was taken back)",
        PastHow::Repeated => " (a step was repeated)",
    };
    format!("{} UTC · {}{how} · by {}", words::moment(&past.at), words::verdict(past.verdict), past.actor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_at_a_character_and_tells_what_is_left() {
        assert_eq!(piece("äöü", 2), ("äö", 2));
        assert_eq!(piece("äöü", 3), ("äöü", 0));
        assert_eq!(piece("", 3), ("", 0));
    }

    #[test]
    fn a_sentence_begins_with_a_capital() {
        assert_eq!([capital("the most"), capital("")], ["The most", ""]);
    }
}
