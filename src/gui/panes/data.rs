//! The Data step: three role cards, each with its files, its problems, and the ways to add a file.
//!
//! Constraint: the pane keeps only drafts (a path being typed, a mapping being changed); nothing here reads a file.

use std::collections::HashMap;
use std::path::PathBuf;

use egui::{
    Align, Color32, Frame, Layout, Margin, Pos2, Rect, RichText, ScrollArea, Shape, Stroke, TextEdit, Ui, vec2,
};

use super::data_file::FileView;
use super::{Cx, Pane, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::insight::{DataTab, InsightAction};
use crate::gui::roles::{FileState, Role};
use crate::gui::theme::{self, Palette, icons, palette, tokens};
use crate::gui::words;

/// Wider than this, the cards stand side by side, in points.
const SIDE_BY_SIDE: f32 = 860.0;

/// The three role cards.
#[derive(Default)]
pub struct DataPane {
    /// Where each card was drawn last.
    cards: Vec<(Role, Rect)>,
    /// Paths being typed.
    paths: HashMap<Role, String>,
    views: HashMap<u64, FileView>,
}

impl Pane for DataPane {
    fn title(&self) -> &'static str {
        "Data"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        self.views.retain(|id, _| cx.app.session().file(*id).is_some());
        self.cards.clear();
        header(ui, cx);
        ui.add_space(8.0);
        if cx.app.session().insight.data == DataTab::Health {
            return super::health::ui(ui, cx);
        }
        let room = ui.available_height();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            if ui.available_width() < SIDE_BY_SIDE {
                ui.spacing_mut().item_spacing.y = 12.0;
                Role::ALL.into_iter().for_each(|role| self.card(ui, cx, role, 0.0));
                return;
            }
            ui.spacing_mut().item_spacing.x = 12.0;
            let width = (ui.available_width() - 24.0) / 3.0;
            ui.horizontal_top(|ui| {
                for role in Role::ALL {
                    ui.allocate_ui_with_layout(vec2(width, room), Layout::top_down(Align::Min), |ui| {
                        ui.set_width(width);
                        ui.spacing_mut().item_spacing.x = 8.0;
                        self.card(ui, cx, role, room - 4.0);
                    });
                }
            });
        });
    }
}

fn header(ui: &mut Ui, cx: &mut Cx<'_>) {
    let colours = palette(ui.style());
    let empty = cx.app.session().files.is_empty();
    ui.horizontal(|ui| {
        ui.label(RichText::new("Data").font(theme::title_font()));
        ui.add_space(12.0);
        tabs(ui, cx);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if empty {
                let help = hint(ui.ctx(), &Action::TrySample);
                if widgets::button(ui, icons::SAMPLE, "Try the sample data", &help).clicked() {
                    cx.send(Action::TrySample);
                }
            }
        });
    });
    let next = match cx.app.session().missing_for_run() {
        _ if empty => "Drop three files anywhere on this window. Their names suggest the role of each.".to_owned(),
        Some(missing) => missing,
        None => "All three roles are filled. Purify compares every custom row with both references.".to_owned(),
    };
    ui.add(egui::Label::new(RichText::new(next).color(*colours.muted)).truncate());
}

/// Files and what speaks against the references.
fn tabs(ui: &mut Ui, cx: &mut Cx<'_>) {
    let open = cx.app.session().insight.data;
    let short = super::health::in_short(cx);
    let health = match &short {
        Some((0, _)) | None => "Reference health".to_owned(),
        Some((_, words)) => format!("Reference health: {words}"),
    };
    ui.spacing_mut().item_spacing.x = 4.0;
    for (tab, text, name, help) in [
        (DataTab::Files, "Files", "Files", "The three role cards."),
        (DataTab::Health, health.as_str(), "Reference health", "What speaks for and against the references."),
    ] {
        if widgets::chip(ui, text, tab == open, help).accessible_name(name).clicked() {
            cx.send(Action::Insight(InsightAction::ShowData(tab)));
        }
    }
}

impl DataPane {
    /// The card under the pointer.
    pub fn role_at(&self, at: Option<Pos2>) -> Option<Role> {
        let at = at?;
        self.cards.iter().find(|(_, rect)| rect.contains(at)).map(|(role, _)| *role)
    }

    fn card(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, role: Role, height: f32) {
        let colours = palette(ui.style());
        let response = Frame::new()
            .fill(*colours.raised)
            .stroke(Stroke::new(1.0, *colours.border))
            .corner_radius(10)
            .inner_margin(Margin::same(16))
            .show(ui, |ui| {
                ui.set_min_width(ui.available_width());
                ui.set_min_height((height - 34.0).max(0.0));
                title(ui, cx, role, height > 0.0);
                let ids: Vec<u64> = cx.app.session().of_role(role).map(|file| file.id).collect();
                for id in &ids {
                    ui.add_space(4.0);
                    ui.separator();
                    self.views.entry(*id).or_default().ui(ui, cx, *id);
                }
                ui.add_space(8.0);
                if ids.is_empty() {
                    // The zone takes the card; the path field stays below it.
                    drop_zone(ui, cx, role, height - 156.0);
                } else {
                    ui.separator();
                    add_button(ui, cx, role);
                }
                self.path_field(ui, cx, role);
            })
            .response;
        let rect = response.rect;
        self.cards.push((role, rect));
        if ui.input(|input| !input.raw.hovered_files.is_empty()) {
            let over = ui.ctx().pointer_latest_pos().is_some_and(|at| rect.contains(at));
            drop_target(ui, rect, role, over);
        }
    }

    fn path_field(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, role: Role) {
        let draft = self.paths.entry(role).or_default();
        let name = format!("Path of the {} file", role.title().to_lowercase());
        let mut open = false;
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let ready = if draft.trim().is_empty() { Err("Type a path first.".to_owned()) } else { Ok(()) };
                open = widgets::button_if(ui, icons::RIGHT, "Open", "Open the file at this path.", &ready)
                    .accessible_name(format!("Open the {} path", role.title().to_lowercase()))
                    .clicked();
                let field = TextEdit::singleline(draft)
                    .hint_text("or type a path")
                    .min_size(vec2(0.0, 28.0))
                    .desired_width(ui.available_width());
                let response = ui.add(field).accessible_name(name);
                open |= response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            });
        });
        if open && !draft.trim().is_empty() {
            cx.send(Action::Open(role, vec![typed_path(draft)]));
            draft.clear();
        }
    }
}

/// A path as people paste it: in quotes, as a file address, from the home folder.
fn typed_path(text: &str) -> PathBuf {
    let text = text.trim().trim_matches(['"', '\'']);
    let text = text.strip_prefix("file://").unwrap_or(text);
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

/// The colour and icon of a role: safe pulls, harmful pushes.
fn look(colours: &Palette, role: Role) -> (&'static str, Color32) {
    match role {
        Role::Custom => (icons::DATA, *colours.accent),
        Role::Safe => (icons::SAFE, *colours.pull),
        Role::Harmful => (icons::HARMFUL, *colours.push),
    }
}

fn title(ui: &mut Ui, cx: &Cx<'_>, role: Role, level: bool) {
    let colours = palette(ui.style());
    let (icon, colour) = look(colours, role);
    ui.horizontal(|ui| {
        ui.label(RichText::new(icon).size(20.0).color(colour));
        widgets::heading(ui, role.title());
        let rows: u64 =
            cx.app.session().of_role(role).filter_map(|file| file.facts.as_ref()).map(|f| f.stats.rows).sum();
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let failed = cx.app.session().of_role(role).any(|file| matches!(file.state, FileState::Failed(_)));
            let ready = cx.app.session().of_role(role).all(|file| file.is_ready());
            if failed {
                ui.label(RichText::new(icons::ERROR).color(*colours.error)).on_hover_text("A file cannot be used.");
            } else if rows > 0 && ready {
                ui.label(RichText::new(icons::CHECK).color(*colours.good)).on_hover_text("Read to the end.");
            }
            if rows > 0 {
                widgets::muted(ui, words::rows(rows));
            }
        });
    });
    // Two lines for all side by side, so that the cards stay level.
    ui.scope(|ui| {
        ui.set_min_height(if level { 32.0 } else { 0.0 });
        widgets::muted(ui, role.help());
    });
}

/// What belongs into an empty card, and the button that brings it.
fn drop_zone(ui: &mut Ui, cx: &mut Cx<'_>, role: Role, height: f32) {
    let colours = palette(ui.style());
    let (_, colour) = look(colours, role);
    let response =
        Frame::new().fill(*colours.sunken).corner_radius(8).inner_margin(Margin::symmetric(12, 20)).show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.vertical_centered(|ui| {
                ui.set_min_height((height - 40.0).max(0.0));
                ui.add_space(((height - 168.0) / 2.0).max(0.0));
                ui.label(RichText::new(icons::ADD_FILE).size(28.0).color(colour));
                let many = if role == Role::Custom { "Drop a file here" } else { "Drop files here" };
                ui.label(RichText::new(many).family(theme::semibold()));
                ui.label(
                    RichText::new("JSONL, JSON, CSV, TSV or Parquet, also as .gz or .zst")
                        .size(tokens().sizes.small)
                        .color(*colours.muted),
                );
                ui.add_space(4.0);
                let name = format!("Choose {} file…", role.title().to_lowercase());
                if ui.button(format!("{}  Choose…", icons::FOLDER)).accessible_name(name).clicked() {
                    cx.send(Action::Pick(role));
                }
            });
        });
    dashed(ui, response.response.rect, *colours.border_strong);
}

fn dashed(ui: &Ui, rect: Rect, colour: Color32) {
    let rect = rect.shrink(1.0);
    let corners = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
    ui.painter().extend(Shape::dashed_line(&corners, Stroke::new(1.0, colour), 5.0, 4.0));
}

/// A card that already has a file takes more of them; a custom file is replaced.
fn add_button(ui: &mut Ui, cx: &mut Cx<'_>, role: Role) {
    let (text, help) = match role {
        Role::Custom => ("Choose another file…", "Take another custom file in place of this one."),
        Role::Safe | Role::Harmful => ("Add a file…", "All files of a reference count together."),
    };
    let name = format!("{text} ({})", role.title().to_lowercase());
    if widgets::button(ui, icons::ADD_FILE, text, help).accessible_name(name).clicked() {
        cx.send(Action::Pick(role));
    }
}

/// Covers a card while files hover over the window.
fn drop_target(ui: &Ui, rect: Rect, role: Role, over: bool) {
    let colours = palette(ui.style());
    let (icon, colour) = look(colours, role);
    let painter = ui.painter();
    painter.rect_filled(rect, 10.0, colours.background.gamma_multiply(0.92));
    let stroke = if over { Stroke::new(2.0, colour) } else { Stroke::new(1.0, *colours.border_strong) };
    painter.rect_stroke(rect, 10.0, stroke, egui::StrokeKind::Inside);
    // Tall cards reach below the window: the words stand where they can be read.
    let middle = rect.intersect(ui.clip_rect()).center();
    let big = egui::FontId::proportional(36.0);
    painter.text(middle - vec2(0.0, 28.0), egui::Align2::CENTER_CENTER, icon, big, colour);
    let words = if over { format!("Drop: {}", role.title()) } else { role.title().to_owned() };
    painter.text(middle + vec2(0.0, 12.0), egui::Align2::CENTER_CENTER, words, theme::heading_font(), *colours.text);
    let help = "Elsewhere the name of a file decides its role.";
    painter.text(middle + vec2(0.0, 36.0), egui::Align2::CENTER_CENTER, help, theme::small_font(), *colours.muted);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_people_paste_them() {
        assert_eq!(typed_path("  \"/a b/c.jsonl\" "), PathBuf::from("/a b/c.jsonl"));
        assert_eq!(typed_path("file:///a/c.jsonl"), PathBuf::from("/a/c.jsonl"));
        if let Some(home) = std::env::var_os("HOME") {
            assert_eq!(typed_path("~/c.jsonl"), PathBuf::from(home).join("c.jsonl"));
        }
    }
}
