//! The virtualised table: egui_table places the rows, this paints the visible ones and hears their clicks.
//!
//! Constraint: work in a frame grows with the rows on screen, never with the rows of the set. Texts are asked of the
//! cache for visible rows only, and no widget is made for a cell.

use egui::{Align2, FontId, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use egui_table::{CellInfo, HeaderCellInfo, HeaderRow, TableDelegate, TableState};

use super::{Cx, row_widgets, widgets};
use crate::gui::action::Action;
use crate::gui::session::Fate;
use crate::gui::solved::RowFigures;
use crate::gui::text_cache::{Line, Text};
use crate::gui::theme::{self, Palette, icons, palette, tokens};
use crate::gui::view::Column;
use crate::gui::words;
use crate::selection::Verdict;

const ROW_HEIGHT: f32 = 28.0;
const HEADER_HEIGHT: f32 = 32.0;
/// Room at both sides of a cell's content.
const PAD: f32 = 8.0;
/// How long the pointer is on a cell before its hint comes, in seconds.
const REST: f64 = 0.8;

/// Draws the rows of the session's view into the rest of `ui`.
pub fn show(ui: &mut Ui, cx: &mut Cx<'_>) {
    let rows = cx.app.session().table.rows.len();
    let solved = cx.app.session().solved.is_some();
    let columns = columns(ui.available_width(), solved, rows);
    let mut table = egui_table::Table::new()
        .id_salt("rows")
        .num_rows(rows as u64)
        .headers([HeaderRow::new(HEADER_HEIGHT)])
        .columns(columns.iter().map(|(_, width)| egui_table::Column::new(*width).resizable(false)).collect::<Vec<_>>());
    let id = table.get_id(ui);
    if TableState::load(ui.ctx(), id).is_none() {
        // The widths are given, so the first frame needs no measuring.
        TableState { parent_width: Some(ui.available_width()), ..TableState::default() }.store(ui.ctx(), id);
    }
    if let Some(place) = cx.app.session().table.scroll_to.filter(|_| rows > 0) {
        // One row of context above and below.
        let last = rows.saturating_sub(1) as u64;
        let place = (place as u64).min(last);
        table = table.scroll_to_rows(place.saturating_sub(1)..=(place + 1).min(last), None);
    }
    ui.scope(|ui| {
        // A held key moves row by row; an animation would lag behind it.
        ui.style_mut().scroll_animation = egui::style::ScrollAnimation::none();
        let mut view = View {
            cut: row_widgets::cut_unit(cx.app.session()),
            colours: palette(ui.style()),
            quiet: cx.app.palette_open || cx.app.cheat_sheet_open,
            id,
            columns,
            now: None,
            cx,
        };
        table.show(ui, &mut view);
    });
}

/// The columns that have room, with their widths.
fn columns(width: f32, solved: bool, rows: usize) -> Vec<(Column, f32)> {
    let digits = rows.max(1).ilog10() + 1;
    let number = (18.0 + 7.5 * (digits + (digits - 1) / 3) as f32).max(48.0);
    let mut fixed = vec![(Column::Row, number)];
    if solved {
        fixed.push((Column::Score, 78.0));
        if width > 520.0 {
            fixed.push((Column::Weight, 62.0));
        }
        if width > 760.0 {
            fixed.extend([(Column::Pull, 66.0), (Column::Push, 66.0)]);
        }
    }
    fixed.push((Column::Decision, 100.0));
    // The scroll bar lies over the last points.
    let text = (width - 12.0 - fixed.iter().map(|(_, width)| width).sum::<f32>()).max(56.0);
    fixed.insert(1, (Column::Text, text));
    fixed
}

/// A visible row while its cells are painted.
struct Now {
    row: u32,
    number: u64,
    fate: Fate,
    figures: Option<RowFigures>,
    hovered: bool,
    line: Text<std::sync::Arc<Line>>,
}

struct View<'a, 'b> {
    cx: &'a mut Cx<'b>,
    id: egui::Id,
    columns: Vec<(Column, f32)>,
    colours: &'static Palette,
    cut: f32,
    /// Something lies over the table: no hint comes through it.
    quiet: bool,
    now: Option<Now>,
}

impl TableDelegate for View<'_, '_> {
    fn default_row_height(&self) -> f32 {
        ROW_HEIGHT
    }

    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &HeaderCellInfo) {
        let Some((column, _)) = self.columns.get(cell.col_range.start).copied() else { return };
        let rect = ui.max_rect();
        let (name, help) = heading(column);
        let sort = self.cx.app.session().table.sort;
        let sorted = sort.column == column;
        let sortable = column != Column::Text && (self.cx.app.session().solved.is_some() || column == Column::Row);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, *self.colours.border));
        let response =
            ui.interact(rect, self.id.with(("header", name)), if sortable { Sense::click() } else { Sense::hover() });
        if sortable {
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, sorted, format!("Sort by {name}")));
            if response.hovered() || response.has_focus() {
                ui.painter().rect_filled(rect.shrink(2.0), tokens().radius, *self.colours.hover);
            }
        }
        let ink = if sorted { *self.colours.text } else { *self.colours.muted };
        let font = FontId::new(tokens().sizes.small, theme::semibold());
        let arrow = if sorted { if sort.descending { icons::DOWN } else { icons::UP } } else { "" };
        let inner = rect.shrink2(vec2(PAD, 0.0));
        let text = if is_number(column) { format!("{arrow} {name}") } else { format!("{name} {arrow}") };
        let align = if is_number(column) { Align2::RIGHT_CENTER } else { Align2::LEFT_CENTER };
        widgets::paint_text(ui, inner, align, text.trim(), font, ink, false);
        let response = if self.quiet { response } else { response.on_hover_text(help) };
        if response.clicked() {
            self.cx.send(Action::SortBy(column));
        }
    }

    fn row_ui(&mut self, ui: &mut Ui, place: u64) {
        self.now = None;
        // egui_table asks once more for the columns that stick, of which there are none.
        if ui.clip_rect().width() < 1.0 {
            return;
        }
        let session = self.cx.app.session();
        let Some(row) = session.table.rows.get(place as usize) else { return };
        let rect = ui.max_rect();
        let response = ui.interact(rect, self.id.with(("row", place)), Sense::click());
        // The pointer on the line between two rows is on the lower one.
        let hovered = ui.rect_contains_pointer(rect)
            && ui.ctx().pointer_hover_pos().is_some_and(|pointer| pointer.y < rect.bottom());
        let selected = session.table.selected.contains(&row);
        let is_cursor = session.table.cursor == Some(row);
        let number = row_widgets::number(session, row);
        let fate = session.fate(row);
        let figures = session.solved.as_ref().and_then(|solved| solved.figures(row));
        let line = session.texts.as_ref().map_or(Text::Loading, |texts| texts.line(row));
        let covered = self.cx.app.state().cover_texts;
        response.widget_info(|| {
            WidgetInfo::selected(Role::Row, true, selected, row_name(number, fate, figures, &line, covered))
        });

        let ground = match (selected, hovered) {
            (true, _) => Some(*self.colours.selection),
            (false, true) => Some(*self.colours.hover),
            (false, false) => None,
        };
        if let Some(ground) = ground {
            ui.painter().rect_filled(rect, 0.0, ground);
        }
        if is_cursor {
            let bar = Rect::from_min_size(rect.min, vec2(3.0, rect.height()));
            ui.painter().rect_filled(bar, 0.0, *self.colours.accent);
        }
        if response.has_focus() {
            ui.painter().rect_stroke(
                rect.shrink(1.0),
                2.0,
                Stroke::new(1.0, *self.colours.accent),
                egui::StrokeKind::Inside,
            );
        }
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, *self.colours.grid));
        if response.clicked() {
            let modifiers = ui.input(|input| input.modifiers);
            self.cx.send(if modifiers.shift {
                Action::ExtendTo(place as usize)
            } else if modifiers.command {
                Action::ToggleRow(row)
            } else {
                Action::Select(row)
            });
        }
        self.now = Some(Now { row, number, fate, figures, hovered, line });
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &CellInfo) {
        let Some(now) = self.now.take() else { return };
        if let Some((column, _)) = self.columns.get(cell.col_nr).copied() {
            self.paint(ui, column, &now);
        }
        self.now = Some(now);
    }
}

impl View<'_, '_> {
    fn paint(&mut self, ui: &mut Ui, column: Column, now: &Now) {
        let rect = ui.max_rect();
        let inner = rect.shrink2(vec2(PAD, 0.0));
        let small = FontId::proportional(tokens().sizes.small);
        let dimmed = now.fate.known && !now.fate.kept;
        let ink = if dimmed { *self.colours.muted } else { *self.colours.text };
        let number = |ui: &Ui, text: &str, ink| {
            widgets::paint_text(
                ui,
                inner,
                Align2::RIGHT_CENTER,
                text,
                FontId::proportional(tokens().sizes.body),
                ink,
                false,
            );
        };
        match (column, now.figures) {
            (Column::Row, _) => {
                let text = words::count(now.number);
                widgets::paint_text(ui, inner, Align2::RIGHT_CENTER, &text, small, *self.colours.muted, false);
            }
            (Column::Text, _) => self.paint_line(ui, inner, now, ink),
            (Column::Decision, _) => self.decision(ui, inner, now),
            (Column::Score, Some(figures)) => {
                let unit = self.cx.app.session().solved.as_ref().map_or(0.0, |solved| solved.ranking.unit(now.row));
                let mark = Rect::from_center_size(pos2(inner.left() + 4.0, inner.center().y), vec2(4.0, 16.0));
                ui.painter().rect_filled(mark, 2.0, self.colours.score_at(row_widgets::bent(unit, self.cut)));
                number(ui, &words::signed(figures.score), ink);
                let rows = self.cx.app.session().rows();
                self.hint(ui, (now.row, "score"), rect, || words::rank_meaning(figures.rank, rows));
            }
            (Column::Weight, Some(figures)) => {
                number(ui, &words::weight(figures.weight), ink);
                self.hint(ui, (now.row, "weight"), rect, || words::weight_meaning(figures.weight));
            }
            (Column::Pull, Some(figures)) => {
                number(ui, &words::signed(figures.pull), ink);
                self.hint(ui, (now.row, "pull"), rect, || row_widgets::pull_meaning(figures.pull).to_owned());
            }
            (Column::Push, Some(figures)) => {
                number(ui, &words::signed(figures.push), ink);
                self.hint(ui, (now.row, "push"), rect, || row_widgets::push_meaning(figures.push).to_owned());
            }
            (_, None) => {}
        }
    }

    fn paint_line(&self, ui: &Ui, rect: Rect, now: &Now, ink: egui::Color32) {
        let font = FontId::proportional(tokens().sizes.body);
        let bar = Rect::from_center_size(rect.center(), vec2(rect.width(), 12.0));
        match &now.line {
            Text::Here(_) if self.cx.app.state().cover_texts && !ui.rect_contains_pointer(rect) => {
                row_widgets::cover(ui, bar);
            }
            Text::Here(line) if line.0.is_empty() => {
                widgets::paint_text(ui, rect, Align2::LEFT_CENTER, "empty text", font, *self.colours.muted, false);
            }
            Text::Here(line) => {
                let struck = now.fate.known && !now.fate.kept;
                row_widgets::paint_job(ui, rect, row_widgets::line_job(line, font, ink, *self.colours.muted, struck));
            }
            Text::Loading => {
                let short = Rect::from_min_size(bar.min, vec2(bar.width().min(120.0), bar.height()));
                ui.painter().rect_filled(short, 4.0, *self.colours.hover);
            }
            Text::Failed(reason) => {
                widgets::paint_text(ui, rect, Align2::LEFT_CENTER, reason, font, *self.colours.error, false);
            }
        }
    }

    /// The fate of the row; under the pointer, the two buttons that decide it.
    fn decision(&mut self, ui: &Ui, rect: Rect, now: &Now) {
        let centre = pos2(rect.left() + 8.0, rect.center().y);
        if now.fate.known || now.fate.by_hand {
            widgets::fate_mark(ui, centre, now.fate.kept, now.fate.by_hand);
        }
        let at = Rect::from_min_max(pos2(rect.left() + 24.0, rect.top()), rect.max);
        let open = self.cx.app.can_decide_rows();
        if now.hovered && open {
            for (number, verdict) in [Verdict::Keep, Verdict::Drop].into_iter().enumerate() {
                let left = at.left() + 34.0 * number as f32;
                let button = Rect::from_center_size(pos2(left + 15.0, at.center().y), vec2(30.0, 24.0));
                if self.decide_button(ui, button, now, verdict).clicked() {
                    let already = now.fate.by_hand && now.fate.kept == (verdict == Verdict::Keep);
                    self.cx.send(Action::DecideRow(now.row, (!already).then_some(verdict)));
                }
            }
            return;
        }
        if now.fate.known || now.fate.by_hand {
            let word = if now.fate.kept { "kept" } else { "dropped" };
            let ink = if now.fate.by_hand { *self.colours.by_hand } else { *self.colours.muted };
            let font = FontId::proportional(tokens().sizes.small);
            widgets::paint_text(ui, at, Align2::LEFT_CENTER, word, font, ink, false);
        }
    }

    fn decide_button(&self, ui: &Ui, rect: Rect, now: &Now, verdict: Verdict) -> Response {
        let (icon, name, kept) = match verdict {
            Verdict::Keep => (icons::CHECK, "Keep", true),
            Verdict::Drop => (icons::CLOSE, "Drop", false),
        };
        let chosen = now.fate.by_hand && now.fate.kept == kept;
        let response = ui.interact(rect, self.id.with((name, now.row)), Sense::click());
        let label = format!("{name} row {}", words::count(now.number));
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &label));
        let ground = if response.hovered() { *self.colours.raised } else { *self.colours.panel };
        let edge = if chosen { *self.colours.by_hand } else { *self.colours.border_strong };
        ui.painter().rect(rect, 4.0, ground, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
        let ink = if kept { *self.colours.good } else { *self.colours.push };
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, FontId::proportional(14.0), ink);
        let help = if chosen { "Decided by hand. Click to leave it to the machine again." } else { name };
        if self.quiet { response } else { response.on_hover_text(help) }
    }

    /// A tooltip over a painted cell, worded only when it is shown. It covers the rows below, so it comes to a pointer
    /// that stays, not to one that passes and not to cells that are scrolled under it.
    fn hint(&self, ui: &Ui, cell: (u32, &str), rect: Rect, text: impl FnOnce() -> String) {
        let id = self.id.with(cell);
        let response = ui.interact(rect, id, Sense::hover());
        if self.quiet || !response.hovered() {
            return;
        }
        let (place, now) = (self.id.with("hint"), ui.input(|input| input.time));
        let since = ui.data(|data| data.get_temp::<(egui::Id, f64)>(place)).filter(|(cell, _)| *cell == id);
        let since = since.map_or(now, |(_, since)| since);
        ui.data_mut(|data| data.insert_temp(place, (id, since)));
        if now - since < REST {
            ui.ctx().request_repaint_after_secs((REST - (now - since)) as f32);
            return;
        }
        egui::Tooltip::for_widget(&response).show(|ui| {
            ui.set_max_width(280.0);
            ui.label(text());
        });
    }
}

fn is_number(column: Column) -> bool {
    !matches!(column, Column::Text | Column::Decision)
}

fn heading(column: Column) -> (&'static str, &'static str) {
    match column {
        Column::Row => ("#", "The row's number in the file, as in weights.csv: 0 is the first."),
        Column::Text => ("Text", "The beginning of the row; \u{2192} leads to the assistant's answer."),
        Column::Score => ("Score", "How suspicious a row is: 0 is the average row, a higher score is more suspicious."),
        Column::Weight => ("Weight", "How much a row counts: 1 is an average row, 0.02 counts 50 times less."),
        Column::Pull => ("Pull", "Distance to the safe reference against the average row: positive is farther away."),
        Column::Push => ("Push", "Distance to the harmful reference against the average row: negative is closer."),
        Column::Decision => ("Decision", "What becomes of the row: a ring marks your own decision."),
    }
}

/// The row for screen readers; a covered text is not read out.
fn row_name(
    number: u64,
    fate: Fate,
    figures: Option<RowFigures>,
    line: &Text<std::sync::Arc<Line>>,
    covered: bool,
) -> String {
    let mut name = format!("Row {}, {}", words::count(number), row_widgets::fate_words(fate));
    if let Some(figures) = figures {
        name.push_str(&format!(", score {}", words::signed(figures.score)));
    }
    if let (Text::Here(line), false) = (line, covered) {
        name.push_str(": ");
        name.push_str(&line.text());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fill_the_width_and_leave_room_for_the_text() {
        // The narrowest is that of the smallest window.
        for width in [340.0, 520.5, 760.5, 1200.0] {
            let columns = columns(width, true, 1_000_000);
            let sum: f32 = columns.iter().map(|(_, width)| width).sum();
            assert!(sum <= width, "{width}: {sum}");
            assert!(columns.iter().any(|(column, width)| *column == Column::Text && *width >= 56.0));
        }
        assert_eq!(columns(900.0, true, 10).len(), 7);
        assert_eq!(columns(400.0, true, 10).len(), 4);
        assert_eq!(columns(900.0, false, 10).len(), 3);
    }

    #[test]
    fn a_covered_text_is_not_read_out() {
        let fate = Fate { kept: false, by_hand: true, known: true };
        let line = Text::Here(std::sync::Arc::new(Line(vec![(crate::data::Speaker::User, "secret".to_owned())])));
        assert_eq!(row_name(0, fate, None, &line, true), "Row 0, dropped by hand");
        assert!(row_name(0, fate, None, &line, false).ends_with(": secret"));
    }
}
