//! The map: every row and reference by what its text says, or every row by its forces; drawn by the GPU.
//!
//! Constraint: a frame sends one uniform; points go to the GPU only when they changed. Map and table share one
//! selection.

use egui::{Align2, FontId, Painter, Pos2, Rect, Sense, Shape, Stroke, Ui, UiBuilder, WidgetInfo, vec2};

use super::{Cx, Pane, map_legend, row_widgets, widgets};
use crate::gui::action::Action;
use crate::gui::map::{Camera, Class, MapInput, MapOutput, MapView, Shown, Stands, bends};
use crate::gui::session::Session;
use crate::gui::solved::Solved;
use crate::gui::text_cache::Text;
use crate::gui::theme::{Palette, icons, palette};
use crate::gui::words;
use crate::selection::RankBy;

/// Height of the strip with choices and tools.
const HEAD: f32 = 36.0;
/// Height of the strip with the legend.
const FOOT: f32 = 32.0;

/// The view, and the path that is being typed for a picture.
#[derive(Default)]
pub struct MapPane {
    view: MapView,
    saving: Option<String>,
}

impl Pane for MapPane {
    fn title(&self) -> &'static str {
        "map"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(solved) = cx.app.session().solved.clone() else { return };
        ui.spacing_mut().item_spacing = vec2(4.0, 0.0);
        let (head, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEAD), Sense::hover());
        map_legend::head(ui, cx, head, &solved, &mut self.saving);
        if !cx.app.has_map {
            let text =
                "This graphics adapter cannot draw the map. Table, distribution and evidence show the same rows.";
            ui.scope_builder(UiBuilder::new().max_rect(ui.available_rect_before_wrap().shrink(16.0)), |ui| {
                widgets::empty(ui, icons::MAP, "No map here", text, |_| ());
            });
            return;
        }
        let colours = palette(ui.style());
        let input = input(cx, &solved);
        let name = match input.shown {
            Shown::Meaning => "Map by meaning",
            Shown::Forces => "Map of pull and push",
        };
        let under = |painter: &Painter, camera: Camera, rect: Rect| {
            if input.shown == Shown::Forces {
                grid(painter, colours, cx.app.session(), &solved, camera, rect);
            }
        };
        let (whole, _) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
        let (rect, foot) = whole.split_top_bottom_at_y(whole.bottom() - FOOT);
        ui.painter().rect_filled(foot, 0.0, *colours.background);
        let ui = &mut ui.new_child(UiBuilder::new().max_rect(rect));
        let seen = self.view.ui(ui, &solved.cloud, &input, colours, under);
        seen.response.widget_info(|| WidgetInfo::labeled(egui::Role::Canvas, true, name));
        let ui = &mut ui.new_child(UiBuilder::new().max_rect(seen.rect));
        ui.shrink_clip_rect(seen.rect);
        if input.shown == Shown::Forces {
            frame_words(ui, seen.rect);
        }
        marks(ui, cx.app.session(), &seen, input.shown);
        map_legend::state(ui, cx, seen.rect, &solved);
        follow(ui, cx, &solved, &seen, input.shown);
        let ui = &mut ui.new_child(UiBuilder::new().max_rect(foot));
        ui.set_clip_rect(foot);
        map_legend::foot(ui, cx, foot, &solved);
    }
}

impl MapPane {
    pub fn show_whole(&mut self) {
        self.view.show_whole();
    }
}

fn input(cx: &Cx<'_>, solved: &Solved) -> MapInput {
    let (session, look) = (cx.app.session(), cx.app.state().map);
    let is_known = solved.cloud.total() > solved.cloud.len();
    let bent = bends(&solved.ranking, look.colour_by);
    MapInput {
        shown: if is_known { look.shown } else { Shown::Forces },
        colour_by: look.colour_by,
        size_by_weight: look.size_by_weight,
        hidden: session.map.hidden,
        tool: session.map.tool,
        dropped: session.dropped_by_machine(),
        cut: if bent { row_widgets::cut_unit(session) } else { 0.5 },
    }
}

/// What the pointer did: a row is selected, a region is looked into, a point tells what it is.
fn follow(ui: &Ui, cx: &mut Cx<'_>, solved: &Solved, seen: &MapOutput, shown: Shown) {
    if let Some((polygon, mode)) = &seen.region {
        cx.send(Action::SelectRegion(shown, polygon.clone(), *mode));
    }
    if let Some(Stands::Row(row)) = seen.clicked.map(|point| solved.cloud.stands_for(point)) {
        let toggles = ui.input(|input| input.modifiers.command || input.modifiers.shift);
        cx.send(if toggles { Action::ToggleRow(row) } else { Action::Select(row) });
    }
    let Some(point) = seen.hovered else { return };
    let covered = cx.app.state().cover_texts;
    let session = cx.app.session();
    egui::Tooltip::always_open(ui.ctx().clone(), seen.response.layer_id, seen.response.id, egui::PopupAnchor::Pointer)
        .gap(16.0)
        .show(|ui| match solved.cloud.stands_for(point) {
            Stands::Row(row) => told(ui, session, solved, row, covered),
            Stands::Safe(row) => reference_told(ui, session, point, "Safe", row),
            Stands::Harmful(row) => reference_told(ui, session, point, "Harmful", row),
        });
}

/// The lines to the partners of the row under the cursor, the row itself and the point under the pointer.
fn marks(ui: &Ui, session: &Session, seen: &MapOutput, shown: Shown) {
    let colours = palette(ui.style());
    let at = |point: u32| seen.placed.position(point).map(|place| seen.camera.to_screen(place, seen.rect));
    let cursor = session.table.cursor.and_then(|row| Some((row, at(row)?)));
    if let (Some((row, from)), Some(partners)) = (cursor, &session.map.partners)
        && partners.row == row
        && shown == Shown::Meaning
    {
        for (class, partners, colour) in
            [(Class::Safe, &partners.safe, *colours.pull), (Class::Harmful, &partners.harmful, *colours.push)]
        {
            if session.map.hidden.has(class) {
                continue;
            }
            for (point, share) in partners {
                let Some(to) = at(*point) else { continue };
                let width = 1.0 + 3.0 * (*share as f32).sqrt();
                ui.painter().line_segment([from, to], Stroke::new(width, colour.gamma_multiply(0.7)));
                ui.painter().circle_stroke(to, 6.0, Stroke::new(1.5, colour));
            }
        }
    }
    if let Some((_, at)) = cursor {
        ui.painter().circle_stroke(at, 10.0, Stroke::new(2.0, *colours.accent));
        ui.painter().circle_stroke(at, 12.0, Stroke::new(1.0, *colours.background));
    }
    if let Some(at) = seen.hovered.and_then(at) {
        ui.painter().circle_stroke(at, 8.0, Stroke::new(2.0, *colours.text));
    }
}

/// The row under the pointer in two lines.
fn told(ui: &mut Ui, session: &Session, solved: &Solved, row: u32, covered: bool) {
    ui.set_max_width(340.0);
    let fate = row_widgets::fate_words(session.fate(row));
    let score = solved.figures(row).map_or(0.0, |figures| figures.score);
    let number = words::count(row_widgets::number(session, row));
    ui.label(format!("Row {number} · score {} · {fate}", words::signed(score)));
    if covered {
        widgets::muted(ui, "The text is covered.");
    } else if let Some(Text::Here(line)) = session.texts.as_ref().map(|texts| texts.line(row)) {
        ui.add(egui::Label::new(crate::gui::roles::first_line(&line.text(), 160)).wrap());
    }
}

fn reference_told(ui: &mut Ui, session: &Session, point: u32, role: &str, row: u32) {
    ui.label(format!("{role} reference, row {}", words::count(u64::from(row))));
    let partners = session.map.partners.iter().flat_map(|partners| partners.safe.iter().chain(&partners.harmful));
    if let Some((_, share)) = partners.into_iter().find(|(partner, _)| *partner == point) {
        widgets::muted(ui, format!("Takes {:.0} % of the selected row's mass on this side.", share * 100.0));
    }
}

/// The averages as a cross, and the cut as a line: score = (1-λ)·pull - λ·push.
fn grid(painter: &Painter, colours: &Palette, session: &Session, solved: &Solved, camera: Camera, rect: Rect) {
    let origin = camera.to_screen([0.0, 0.0], rect);
    if rect.x_range().contains(origin.x) {
        painter.vline(origin.x, rect.y_range(), Stroke::new(1.0, *colours.grid));
    }
    if rect.y_range().contains(origin.y) {
        painter.hline(rect.x_range(), origin.y, Stroke::new(1.0, *colours.grid));
    }
    if solved.ranking.by != RankBy::Score {
        return;
    }
    let cut = solved.ranking.cut_key(session.counts.machine_keep);
    let ends = cut_line(solved.plan.settings.lambda, cut).map(|place| camera.to_screen(place, rect));
    if let Some([from, to]) = across(ends, rect) {
        painter.extend(Shape::dashed_line(&[from, to], Stroke::new(1.5, *colours.accent), 6.0, 4.0));
    }
}

/// Two places on the line where the score is `cut`, with x = pull and y = -push: (1-λ)·x + λ·y = cut.
fn cut_line(lambda: f64, cut: f64) -> [[f32; 2]; 2] {
    let (a, b) = (1.0 - lambda, lambda);
    let square = a * a + b * b;
    // The foot of the perpendicular from the origin, and one step along the line.
    let foot = [a * cut / square, b * cut / square];
    [[foot[0] as f32, foot[1] as f32], [(foot[0] + b) as f32, (foot[1] - a) as f32]]
}

/// The part of a line through two places that crosses `rect`.
fn across([from, to]: [Pos2; 2], rect: Rect) -> Option<[Pos2; 2]> {
    let along = to - from;
    if !(along.length() > 0.0 && along.length().is_finite() && from.x.is_finite() && from.y.is_finite()) {
        return None;
    }
    let along = along.normalized();
    let (mut least, mut most) = (f32::NEG_INFINITY, f32::INFINITY);
    for (start, step, low, high) in
        [(from.x, along.x, rect.left(), rect.right()), (from.y, along.y, rect.top(), rect.bottom())]
    {
        if step.abs() < 1e-6 {
            if start < low || start > high {
                return None;
            }
            continue;
        }
        let (one, two) = ((low - start) / step, (high - start) / step);
        least = least.max(one.min(two));
        most = most.min(one.max(two));
    }
    (least < most).then(|| [from + along * least, from + along * most])
}

/// What the directions mean, at the edges.
fn frame_words(ui: &Ui, rect: Rect) {
    let colours = palette(ui.style());
    let font = FontId::proportional(11.0);
    let inner = rect.shrink2(vec2(12.0, 10.0));
    for (align, at, text) in [
        (Align2::CENTER_TOP, inner.center_top(), "\u{2191} close to harmful"),
        (Align2::RIGHT_BOTTOM, inner.right_bottom(), "far from safe \u{2192}"),
    ] {
        ui.painter().text(at, align, text, font.clone(), *colours.muted);
    }
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;

    #[test]
    fn the_cut_line_holds_the_places_with_that_score() {
        for lambda in [0.0, 0.3, 0.7, 1.0] {
            for place in cut_line(lambda, 0.4) {
                let score = (1.0 - lambda) * f64::from(place[0]) + lambda * f64::from(place[1]);
                assert!((score - 0.4).abs() < 1e-6, "λ {lambda}: {score}");
            }
            let [from, to] = cut_line(lambda, 0.4);
            assert!((from[0] - to[0]).hypot(from[1] - to[1]) > 0.5, "two places");
        }
    }

    #[test]
    fn a_line_is_cut_at_the_edges() {
        let rect = Rect::from_min_max(pos2(0.0, 0.0), pos2(100.0, 50.0));
        assert_eq!(across([pos2(-10.0, 25.0), pos2(-5.0, 25.0)], rect), Some([pos2(0.0, 25.0), pos2(100.0, 25.0)]));
        assert_eq!(across([pos2(0.0, 80.0), pos2(5.0, 80.0)], rect), None);
        assert_eq!(across([pos2(1.0, 1.0), pos2(1.0, 1.0)], rect), None);
        let [from, to] = across([pos2(0.0, 0.0), pos2(2.0, 1.0)], rect).expect("crosses");
        assert!((from - pos2(0.0, 0.0)).length() < 1e-3 && (to - pos2(100.0, 50.0)).length() < 1e-3);
    }
}
