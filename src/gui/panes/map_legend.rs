//! What surrounds the map: choices and tools above it, the legend that also filters below, and how far it is.
//!
//! Constraint: shapes and colours are those of the shader; each class is told by both.

use egui::{Align, Color32, Layout, Pos2, Rect, Response, RichText, Sense, Shape, Stroke, Ui, UiBuilder, pos2, vec2};

use super::{Cx, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::map::{Class, ColourBy, MapLook, Shown, Tool};
use crate::gui::solved::Solved;
use crate::gui::theme::{Palette, icons, palette, tokens};
use crate::gui::words;

/// Narrower than this, the legend says no counts, in points.
const ROOMY: f32 = 620.0;
/// Narrower than this, the choices have no captions.
const NARROW: f32 = 520.0;

/// The strip above the map.
pub fn head(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect, solved: &Solved, saving: &mut Option<String>) {
    let colours = palette(ui.style());
    ui.painter().rect_filled(rect, 0.0, *colours.background);
    let inner = rect.shrink2(vec2(12.0, 4.0));
    ui.scope_builder(UiBuilder::new().max_rect(inner).layout(Layout::right_to_left(Align::Center)), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        tools(ui, cx, saving);
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            choices(ui, cx, solved, rect.width() < NARROW);
        });
    });
}

fn tools(ui: &mut Ui, cx: &mut Cx<'_>, saving: &mut Option<String>) {
    let help = hint(ui.ctx(), &Action::ToggleMap);
    if widgets::icon_button(ui, icons::CLOSE, &help).accessible_name("Hide this map").clicked() {
        cx.send(Action::ToggleMap);
    }
    let save = widgets::icon_button(ui, icons::SAVE, "Save the map as a picture");
    let popup = egui::Popup::from_toggle_button_response(&save)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| save_form(ui, cx, saving));
    if popup.is_none() {
        *saving = None;
    }
    let help = hint(ui.ctx(), &Action::ShowWholeMap);
    if widgets::icon_button(ui, icons::FRAME, &help).accessible_name("Show the whole map").clicked() {
        cx.send(Action::ShowWholeMap);
    }
    ui.add_space(8.0);
    let now = cx.app.session().map.tool;
    for (tool, icon, name) in [
        (Tool::Lasso, icons::LASSO, "Select with a lasso"),
        (Tool::Box, icons::BOX, "Select with a box"),
        (Tool::Hand, icons::HAND, "Move the map"),
    ] {
        let action = Action::SetMapTool(tool);
        let button = egui::Button::selectable(now == tool, icon).min_size(vec2(28.0, 28.0));
        let help = hint(ui.ctx(), &action);
        if ui.add(button).on_hover_text(help).accessible_name(name).clicked() {
            cx.send(action);
        }
    }
}

fn save_form(ui: &mut Ui, cx: &mut Cx<'_>, saving: &mut Option<String>) {
    ui.set_width(340.0);
    ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
    widgets::caption(ui, "Save what the map shows, with its legend");
    let path = saving.get_or_insert_with(|| {
        let folder = std::path::PathBuf::from(cx.app.state().export_folder.trim());
        let folder = if folder.as_os_str().is_empty() { std::env::temp_dir() } else { folder };
        folder.join("dipole-map.png").display().to_string()
    });
    ui.add(egui::TextEdit::singleline(path).desired_width(f32::INFINITY)).accessible_name("Path of the picture");
    let target = std::path::PathBuf::from(path.trim());
    ui.horizontal(|ui| {
        let can = if path.trim().is_empty() { Err("Type a path first.".to_owned()) } else { Ok(()) };
        if widgets::button_if(ui, icons::SAVE, "Save", "Write the PNG here.", &can).clicked() {
            cx.send(Action::SaveMap(target.clone()));
            ui.close();
        }
        if widgets::button(ui, icons::FOLDER, "Choose…", "Ask the system's dialog for a place.").clicked() {
            cx.send(Action::PickMapFile(target));
            ui.close();
        }
    });
}

fn choices(ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved, narrow: bool) {
    let look = cx.app.state().map;
    let is_known = solved.cloud.total() > solved.cloud.len();
    for (shown, name, help) in [
        (Shown::Meaning, "Meaning", "Rows whose texts are alike lie near each other. Directions mean nothing."),
        (Shown::Forces, "Forces", "Right: far from the safe reference. Up: close to the harmful one."),
    ] {
        let can = is_known || shown == Shown::Forces;
        let on = look.shown == shown && can || !is_known && shown == Shown::Forces;
        let button = egui::Button::selectable(on, RichText::new(name).size(tokens().sizes.small));
        let response = ui.add_enabled(can, button.min_size(vec2(0.0, 26.0)));
        let response =
            response.on_hover_text(help).on_disabled_hover_text("The vectors of this result are not at hand.");
        if response.accessible_name(format!("Map: {name}")).clicked() {
            cx.send(Action::SetMapLook(MapLook { shown, ..look }));
        }
    }
    ui.add_space(8.0);
    if !narrow {
        widgets::muted(ui, "Colour");
    }
    let title = RichText::new(look.colour_by.title()).size(tokens().sizes.small);
    let combo = egui::ComboBox::from_id_salt("map colour").selected_text(title).width(88.0).show_ui(ui, |ui| {
        for colour_by in ColourBy::ALL {
            if ui.selectable_label(look.colour_by == colour_by, colour_by.title()).clicked() {
                cx.send(Action::SetMapLook(MapLook { colour_by, ..look }));
            }
        }
        ui.separator();
        let mut sized = look.size_by_weight;
        if ui.checkbox(&mut sized, "Size by weight").clicked() {
            cx.send(Action::SetMapLook(MapLook { size_by_weight: sized, ..look }));
        }
    });
    combo.response.on_hover_text("What colours the rows").accessible_name("Colour of the map");
}

/// The legend below the map; a click leaves a class out.
pub fn foot(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect, solved: &Solved) {
    let colours = palette(ui.style());
    let look = cx.app.state().map;
    let counts = cx.app.session().counts;
    let [_, safe, harmful] = solved.cloud.counts();
    let is_plane = look.shown == Shown::Meaning && safe + harmful > 0;
    let roomy = rect.width() >= ROOMY;
    let strip = rect.shrink2(vec2(12.0, 3.0));
    ui.scope_builder(UiBuilder::new().max_rect(strip).layout(Layout::left_to_right(Align::Center)), |ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for class in Class::ALL {
            let count = match class {
                Class::Kept => counts.kept,
                Class::Dropped => counts.dropped,
                Class::Safe if is_plane => safe,
                Class::Harmful if is_plane => harmful,
                Class::Safe | Class::Harmful => continue,
            };
            if entry(ui, cx, class, count, roomy, look.colour_by).clicked() {
                cx.send(Action::ToggleClass(class));
            }
        }
        if let Some([low, high]) = look.colour_by.ends().filter(|_| roomy && ui.available_width() > 190.0) {
            ui.add_space(8.0);
            widgets::muted(ui, low);
            let (bar, _) = ui.allocate_exact_size(vec2(56.0, 8.0), Sense::hover());
            scale_bar(ui, bar, look.colour_by, colours);
            widgets::muted(ui, high);
        }
    });
}

fn entry(ui: &mut Ui, cx: &Cx<'_>, class: Class, count: usize, roomy: bool, by: ColourBy) -> Response {
    let colours = palette(ui.style());
    let hidden = cx.app.session().map.hidden.has(class);
    let text =
        if roomy { format!("{} {}", class.title(), words::count(count as u64)) } else { class.title().to_owned() };
    let ink = if hidden { *colours.muted } else { *colours.text };
    let font = egui::FontId::proportional(tokens().sizes.small);
    let galley = ui.painter().layout_no_wrap(text, font, ink);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 30.0, 24.0), Sense::click());
    let ground = if response.hovered() { *colours.hover } else { colours.panel.gamma_multiply(0.9) };
    ui.painter().rect_filled(rect, 12.0, ground);
    let edge = if response.has_focus() { *colours.accent } else { *colours.border };
    ui.painter().rect_stroke(rect, 12.0, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
    let mark = pos2(rect.left() + 14.0, rect.center().y);
    symbol(ui, mark, class, if hidden { *colours.border_strong } else { class_colour(class, by, colours) });
    let at = pos2(rect.left() + 24.0, rect.center().y - galley.size().y / 2.0);
    if hidden {
        let y = rect.center().y;
        ui.painter().hline(at.x..=at.x + galley.size().x, y, Stroke::new(1.0, *colours.muted));
    }
    ui.painter().galley(at, galley, ink);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, !hidden, class.title()));
    let verb = if hidden { "Show" } else { "Leave out" };
    response.on_hover_text(format!("{verb}: {} points", words::count(count as u64)))
}

/// The colour of a class where it has one; a typical one of its rows where the scale decides.
fn class_colour(class: Class, by: ColourBy, colours: &Palette) -> Color32 {
    match (class, by) {
        (Class::Safe, _) => *colours.pull,
        (Class::Harmful, _) => *colours.push,
        (Class::Kept, ColourBy::Decision) => *colours.good,
        (Class::Dropped, ColourBy::Decision) => *colours.error,
        (Class::Kept, ColourBy::Score | ColourBy::Weight) => colours.score_at(0.15),
        (Class::Dropped, ColourBy::Score | ColourBy::Weight) => colours.score_at(0.9),
        _ => *colours.muted,
    }
}

/// The shapes of the shader.
fn symbol(ui: &Ui, at: Pos2, class: Class, colour: Color32) {
    let painter = ui.painter();
    match class {
        Class::Kept => drop(painter.circle_filled(at, 4.0, colour)),
        Class::Dropped => {
            for (from, to) in [(vec2(-3.5, -3.5), vec2(3.5, 3.5)), (vec2(-3.5, 3.5), vec2(3.5, -3.5))] {
                painter.line_segment([at + from, at + to], Stroke::new(2.0, colour));
            }
        }
        Class::Safe => drop(painter.rect_filled(Rect::from_center_size(at, vec2(8.0, 8.0)), 0.0, colour)),
        Class::Harmful => {
            let points = vec![at + vec2(0.0, -5.0), at + vec2(5.0, 4.0), at + vec2(-5.0, 4.0)];
            painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
        }
    }
}

fn scale_bar(ui: &Ui, bar: Rect, by: ColourBy, colours: &Palette) {
    const STEPS: usize = 14;
    let width = bar.width() / STEPS as f32;
    for step in 0..STEPS {
        let unit = step as f32 / (STEPS - 1) as f32;
        let colour = match by {
            ColourBy::Pull => colours.cover.lerp_to_gamma(*colours.pull, 0.1 + 0.9 * unit),
            ColourBy::Push => colours.cover.lerp_to_gamma(*colours.push, 0.1 + 0.9 * unit),
            _ => colours.score_at(unit),
        };
        let left = bar.left() + width * step as f32;
        let part = Rect::from_min_max(pos2(left, bar.top()), pos2(left + width + 0.5, bar.bottom()));
        ui.painter().rect_filled(part, 0.0, colour);
    }
}

/// How far the map by meaning is, or why it went no further.
pub fn state(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect, solved: &Solved) {
    let map = &cx.app.session().map;
    if cx.app.state().map.shown != Shown::Meaning || solved.cloud.total() == solved.cloud.len() {
        return;
    }
    let colours = palette(ui.style());
    let (text, icon, name, action) = match (map.progress(), &map.note) {
        (Some((_, snapshot)), _) => {
            let share = snapshot.fraction().map_or_else(String::new, |share| format!(" · {:.0} %", share * 100.0));
            let left = snapshot.seconds_left().filter(|left| *left > 2.0);
            let left = left.map_or_else(String::new, |left| format!(" · {} left", words::duration(left)));
            (format!("{}{share}{left}", snapshot.stage), icons::STOP, "Stop arranging the map", Action::StopArranging)
        }
        (None, Some(note)) => (note.clone(), icons::AGAIN, "Arrange the map again", Action::ArrangeRows),
        (None, None) => return,
    };
    let strip = Rect::from_min_size(rect.left_top() + vec2(8.0, 4.0), vec2(rect.width() - 16.0, 28.0));
    ui.scope_builder(UiBuilder::new().max_rect(strip).layout(Layout::left_to_right(Align::Center)), |ui| {
        egui::Frame::new()
            .fill(colours.panel.gamma_multiply(0.9))
            .corner_radius(12)
            .inner_margin(egui::Margin { left: 12, right: 2, top: 0, bottom: 0 })
            .show(ui, |ui| {
                ui.horizontal(|ui| {
                    ui.label(RichText::new(text).size(tokens().sizes.small).color(*colours.muted));
                    let button = egui::Button::new(icon).frame_when_inactive(false).min_size(vec2(24.0, 24.0));
                    if ui.add(button).on_hover_text(name).accessible_name(name).clicked() {
                        cx.send(action);
                    }
                });
            });
    });
}
