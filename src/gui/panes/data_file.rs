//! One file on a role card: its state, counts, findings, quarantine and fields.
//!
//! Constraint: drawn from the facts that the reading job sent; raw texts come on demand through an action.

use std::collections::HashSet;

use egui::{Align, CollapsingHeader, Color32, Frame, Layout, Margin, RichText, Ui, vec2};

use super::data_mapping::MappingDraft;
use super::{Cx, data_checks, widgets};
use crate::data::{Quarantined, Severity, Stats};
use crate::gui::action::Action;
use crate::gui::backend::Facts;
use crate::gui::roles::{FileState, Role, RoleFile};
use crate::gui::theme::{self, icons, palette, tokens};
use crate::gui::words;

/// Findings shown before the user asks for all.
const FIRST_NOTES: usize = 4;

/// What the card remembers of a file between two frames.
#[derive(Default)]
pub struct FileView {
    all_notes: bool,
    /// Records whose raw text is open.
    raw: HashSet<u64>,
    mapping: MappingDraft,
}

/// Something worth knowing about a file, as one line on its card.
pub struct Note {
    pub severity: Severity,
    pub text: String,
    pub detail: String,
}

impl FileView {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, id: u64) {
        let app = cx.app;
        let Some(file) = app.session().file(id) else { return };
        name_line(ui, cx, file);
        match &file.state {
            FileState::Reading => self.reading(ui, cx, file),
            FileState::Failed(reason) => self.failed(ui, cx, file, reason),
            FileState::Ready => {
                if let Some(facts) = &file.facts {
                    self.ready(ui, cx, file, facts);
                }
            }
        }
    }

    fn reading(&self, ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile) {
        if let Some(snapshot) = file.progress() {
            widgets::progress(ui, &snapshot, true);
        }
        if let Some(facts) = &file.facts {
            widgets::muted_line(ui, format!("{} so far", words::rows(facts.stats.rows)));
        }
        let stop = widgets::button(ui, icons::STOP, "Stop reading", "Nothing is changed on disk.");
        if stop.accessible_name(format!("Stop reading {}", file.name())).clicked() {
            cx.send(Action::StopReading(file.id));
        }
        preview(ui, cx, file);
    }

    fn failed(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile, reason: &str) {
        let reason = for_window(without_path(reason, file));
        widgets::notice(ui, widgets::Tone::Error, &reason);
        ui.horizontal_wrapped(|ui| {
            if widgets::button(ui, icons::AGAIN, "Read again", "Read the file as it is on disk now.").clicked() {
                cx.send(Action::ReadAgain(file.id, None));
            }
            if widgets::button(ui, icons::TRASH, "Remove", "Take the file off this card.").clicked() {
                cx.send(Action::Remove(file.id));
            }
        });
        if let Some(facts) = &file.facts {
            self.notes(ui, notes(facts, Vec::new()), &reason);
            self.quarantine(ui, cx, file, facts);
            self.mapping.ui(ui, cx, file, facts, true);
        }
    }

    fn ready(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile, facts: &Facts) {
        figures(ui, &facts.stats);
        lengths(ui, &facts.stats);
        preview(ui, cx, file);
        self.notes(ui, notes(facts, data_checks::notes(cx, file)), "");
        data_checks::ui(ui, cx, file);
        self.quarantine(ui, cx, file, facts);
        self.mapping.ui(ui, cx, file, facts, false);
    }

    /// The notes but those that `said` says already.
    fn notes(&mut self, ui: &mut Ui, mut notes: Vec<Note>, said: &str) {
        let colours = palette(ui.style());
        let said = said.to_lowercase();
        notes.retain(|note| !said.contains(&note.text.to_lowercase()));
        if notes.is_empty() && !said.is_empty() {
            return;
        }
        if notes.is_empty() {
            ui.horizontal(|ui| {
                ui.label(RichText::new(icons::CHECK).color(*colours.good));
                widgets::muted(ui, "Nothing wrong was found.");
            });
            return;
        }
        let shown = if self.all_notes { notes.len() } else { FIRST_NOTES.min(notes.len()) };
        for note in notes.iter().take(shown) {
            note_line(ui, note);
        }
        if notes.len() > FIRST_NOTES {
            let text = if self.all_notes {
                "Show fewer findings".to_owned()
            } else {
                format!("Show all {} findings", words::count(notes.len() as u64))
            };
            if ui.link(RichText::new(text).size(tokens().sizes.small)).clicked() {
                self.all_notes = !self.all_notes;
            }
        }
    }

    fn quarantine(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile, facts: &Facts) {
        if facts.quarantine.is_empty() {
            return;
        }
        let total = facts.stats.quarantined;
        let title = format!("Set aside: {}", words::rows(total));
        CollapsingHeader::new(title).id_salt((file.id, "quarantine")).show_unindented(ui, |ui| {
            widgets::muted(ui, "These records cannot be read as rows. The export keeps them in quarantine.jsonl.");
            for record in &facts.quarantine {
                self.aside(ui, cx, file.id, record);
            }
            let rest = total.saturating_sub(facts.quarantine.len() as u64);
            if rest > 0 {
                let rest = words::count(rest);
                widgets::muted(ui, format!("… and {rest} more."));
            }
        });
    }

    fn aside(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, file: u64, record: &Quarantined) {
        let place = format!(
            "row {} · line {} · {}",
            words::count(record.row),
            words::count(record.line),
            words::bytes(record.bytes)
        );
        ui.add_space(4.0);
        ui.label(RichText::new(for_window(&record.reason)));
        let open = self.raw.contains(&record.row);
        ui.horizontal(|ui| {
            let text = if open { "Hide raw text" } else { "Show raw text" };
            let link = ui.link(RichText::new(text).size(tokens().sizes.small));
            if link.accessible_name(format!("{text} of row {}", record.row)).clicked() {
                if open {
                    self.raw.remove(&record.row);
                } else {
                    self.raw.insert(record.row);
                    cx.send(Action::ShowRaw(file, record.row));
                }
            }
            widgets::muted_line(ui, place);
        });
        if !open {
            return;
        }
        match cx.app.session().raw.get(&(file, record.row)) {
            None => drop(widgets::muted(ui, "Reading …")),
            Some(Ok(text)) => raw_box(ui, text, cx.app.state().cover_texts),
            Some(Err(error)) => widgets::notice(ui, widgets::Tone::Error, error),
        }
    }
}

fn name_line(ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile) {
    let colours = palette(ui.style());
    let name = file.name();
    ui.horizontal(|ui| {
        ui.label(RichText::new(icons::FILE).color(*colours.muted));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::icon_button(ui, icons::CLOSE, &format!("Remove {name}")).clicked() {
                cx.send(Action::Remove(file.id));
            }
            let more = widgets::icon_button(ui, icons::MORE, &format!("More for {name}"));
            egui::Popup::menu(&more).show(|ui| file_menu(ui, cx, file));
            let room = ui.available_size();
            ui.allocate_ui_with_layout(room, Layout::left_to_right(Align::Center), |ui| {
                let label = egui::Label::new(RichText::new(&name).family(theme::semibold())).truncate();
                ui.add(label).on_hover_text(file.path.display().to_string());
            });
        });
    });
    if let Some(facts) = &file.facts {
        let mut parts = vec![facts.format.to_string(), words::bytes(facts.bytes)];
        if !facts.mapping.fields.is_empty() {
            parts.push(super::data_mapping::mapping_words(&facts.mapping));
        }
        let line = parts.join(" · ");
        widgets::muted_line(ui, line.clone()).on_hover_text(line);
    }
}

fn file_menu(ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile) {
    for role in Role::ALL.into_iter().filter(|role| *role != file.role) {
        let text = match role {
            Role::Custom => "Make it the custom file",
            Role::Safe => "Move to the safe reference",
            Role::Harmful => "Move to the harmful reference",
        };
        if ui.button(format!("{}  {text}", icons::MOVE)).accessible_name(text).clicked() {
            cx.send(Action::MoveTo(file.id, role));
        }
    }
    if ui.button(format!("{}  Read again", icons::AGAIN)).accessible_name("Read again").clicked() {
        cx.send(Action::ReadAgain(file.id, file.mapping.clone()));
    }
    if ui.button(format!("{}  Copy its path", icons::FOLDER)).accessible_name("Copy its path").clicked() {
        ui.ctx().copy_text(file.path.display().to_string());
    }
}

fn figures(ui: &mut Ui, stats: &Stats) {
    let mean = stats.tokens.checked_div(stats.rows).unwrap_or(0);
    let figures = [
        (words::count(stats.rows), "rows", "Rows that can be read and weighed."),
        (words::count(stats.quarantined), "set aside", "Records that cannot be read as rows; none is lost."),
        (words::count(stats.exact_duplicates), "repeats", "Rows that say word for word what an earlier row says."),
        (words::count(mean), "mean tokens", "Words and punctuation marks of a row, on average."),
    ];
    let columns = if ui.available_width() < 280.0 { 2 } else { 4 };
    for line in figures.chunks(columns) {
        ui.columns(columns, |places| {
            for (place, (value, name, help)) in places.iter_mut().zip(line) {
                widgets::stat(place, value, name, help);
            }
        });
    }
}

/// The histogram of lengths with its ends in figures.
fn lengths(ui: &mut Ui, stats: &Stats) {
    let counts = &stats.token_histogram;
    let (Some(first), Some(last)) =
        (counts.iter().position(|count| *count > 0), counts.iter().rposition(|count| *count > 0))
    else {
        return;
    };
    widgets::length_bars(ui, counts, vec2(ui.available_width(), 40.0));
    let low = if first == 0 { 0 } else { 1u64 << first.min(62) };
    let high = 1u64 << (last + 1).min(62);
    ui.horizontal(|ui| {
        widgets::muted(ui, words::count(low));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            widgets::muted(ui, format!("{} tokens", words::count(high)));
        });
    });
}

fn preview(ui: &mut Ui, cx: &Cx<'_>, file: &RoleFile) {
    if file.preview.is_empty() {
        return;
    }
    widgets::caption(ui, "First rows");
    let cover = cx.app.state().cover_texts;
    for line in &file.preview {
        let response = widgets::muted_line(ui, line.clone());
        cover_text(ui, &response, cover);
    }
}

/// Paints over a hard text until the pointer is on it.
fn cover_text(ui: &Ui, response: &egui::Response, cover: bool) {
    if cover && !response.hovered() {
        ui.painter().rect_filled(response.rect, 3.0, *palette(ui.style()).cover);
    }
}

fn raw_box(ui: &mut Ui, text: &str, cover: bool) {
    let colours = palette(ui.style());
    Frame::new().fill(*colours.sunken).corner_radius(6).inner_margin(Margin::same(8)).show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        egui::ScrollArea::vertical().max_height(160.0).auto_shrink([false, true]).show(ui, |ui| {
            let label = egui::Label::new(RichText::new(text).font(theme::mono_font())).wrap().selectable(true);
            let response = ui.add(label);
            cover_text(ui, &response, cover);
        });
    });
}

/// Everything worth knowing of a file, the worst first: what the reader noticed and what the counts say,
/// with the `checks` over whole sets.
fn notes(facts: &Facts, checks: Vec<Note>) -> Vec<Note> {
    let mut notes: Vec<Note> = facts
        .findings
        .iter()
        .map(|finding| {
            let mut parts = Vec::new();
            if !finding.rows.is_empty() {
                parts.push(format!("in {}", words::rows(finding.count)));
            }
            if let Some(field) = &finding.field {
                parts.push(format!("field {field}"));
            }
            if let Some(list) = row_list(&finding.rows, finding.count) {
                parts.push(list);
            }
            Note { severity: finding.severity, text: for_window(&finding.message), detail: parts.join(" · ") }
        })
        .collect();
    if facts.stats.exact_duplicates > 0 {
        let text = match facts.stats.exact_duplicates {
            1 => "1 row repeats an earlier row word for word.".to_owned(),
            many => format!("{} rows repeat an earlier row word for word.", words::count(many)),
        };
        notes.push(Note {
            severity: Severity::Info,
            text,
            detail: "They are kept and weighed like all others.".into(),
        });
    }
    notes.extend(checks);
    notes.sort_by_key(|note| std::cmp::Reverse(note.severity));
    notes
}

/// `rows 3, 17, 40, …`.
fn row_list(rows: &[u64], count: u64) -> Option<String> {
    let shown: Vec<String> = rows.iter().take(5).map(|row| words::count(*row)).collect();
    let more = if count > shown.len() as u64 { ", …" } else { "" };
    match shown.len() {
        0 => None,
        1 => Some(format!("row {}{more}", shown.concat())),
        _ => Some(format!("rows {}{more}", shown.join(", "))),
    }
}

fn note_line(ui: &mut Ui, note: &Note) {
    let colours = palette(ui.style());
    let (icon, colour): (_, Color32) = match note.severity {
        Severity::Error => (icons::ERROR, *colours.error),
        Severity::Warning => (icons::WARNING, *colours.stale),
        Severity::Info => (icons::INFO, *colours.muted),
    };
    ui.horizontal_top(|ui| {
        ui.label(RichText::new(icon).size(16.0).color(colour)).on_hover_text(note.severity.to_string());
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.add(egui::Label::new(&note.text).wrap());
            if !note.detail.is_empty() {
                widgets::muted(ui, &note.detail);
            }
        });
    });
}

/// The error begins with the whole path, which the card shows already.
fn without_path<'a>(reason: &'a str, file: &RoleFile) -> &'a str {
    let path = file.path.display().to_string();
    reason.strip_prefix(&path).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(reason)
}

/// A sentence of the library without the way out that only the command line has.
pub fn for_window(text: &str) -> String {
    let command_line = ["; say which field holds what, such as FIELD=", "; name it as FIELD="];
    match command_line.iter().find_map(|clause| text.split_once(clause)) {
        Some((before, _)) => sentence(&format!("{before}; choose the field below")),
        None => sentence(text),
    }
}

/// With a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut characters = text.trim().chars();
    let mut out: String = characters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    out.push_str(characters.as_str());
    if !out.is_empty() && !out.ends_with(['.', '!', '?', '…']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_begin_and_end_as_such() {
        assert_eq!(sentence("the file is empty"), "The file is empty.");
        assert_eq!(sentence("Stop!"), "Stop!");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn the_window_does_not_speak_of_the_command_line() {
        assert_eq!(
            for_window("no field holds the answer; name it as FIELD=response"),
            "No field holds the answer; choose the field below."
        );
        assert_eq!(for_window("the file is empty"), "The file is empty.");
    }

    #[test]
    fn row_lists_say_when_there_are_more() {
        assert_eq!(row_list(&[], 0), None);
        assert_eq!(row_list(&[7], 1).as_deref(), Some("row 7"));
        assert_eq!(row_list(&[1, 2, 3], 3).as_deref(), Some("rows 1, 2, 3"));
        assert_eq!(row_list(&[1, 2, 3, 4, 5, 6], 90).as_deref(), Some("rows 1, 2, 3, 4, 5, …"));
    }
}
