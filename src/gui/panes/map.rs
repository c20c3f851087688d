//! The force map: every row at (pull, push), drawn by the GPU inside the window's own pass.
//!
//! Constraint: a frame sends one uniform; points go to the GPU only when they changed. Map and table share one
//! selection.

use egui::{
    Align2, Color32, CursorIcon, FontId, Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui, UiBuilder, WidgetInfo,
    pos2, vec2,
};

use super::{Cx, Pane, row_widgets, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::map::{Camera, MapPaint, PointCloud, ViewUniform};
use crate::gui::session::Session;
use crate::gui::solved::Solved;
use crate::gui::text_cache::Text;
use crate::gui::theme::{self, Palette, icons, palette, tokens};
use crate::gui::words;
use crate::selection::RankBy;

/// How far from a point the pointer still takes it, in points.
const REACH: f32 = 9.0;
/// Height of the strip with legend and buttons.
const HEAD: f32 = 32.0;

/// The camera and the cloud it was made for.
#[derive(Default)]
pub struct MapPane {
    camera: Option<Camera>,
    cloud: std::sync::Weak<PointCloud>,
    /// The size that the camera was fitted to while nobody moved it since.
    fitted: Option<egui::Vec2>,
}

impl Pane for MapPane {
    fn title(&self) -> &'static str {
        "map"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(solved) = cx.app.session().solved.clone() else { return };
        ui.spacing_mut().item_spacing = vec2(4.0, 0.0);
        let (head, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEAD), Sense::hover());
        legend(ui, head);
        buttons(ui, cx, head);
        let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Map of pull and push"));
        if !cx.app.has_map {
            let text =
                "This graphics adapter cannot draw the map. Table, distribution and evidence show the same rows.";
            ui.scope_builder(UiBuilder::new().max_rect(rect.shrink(16.0)), |ui| {
                widgets::empty(ui, icons::MAP, "No map here", text, |_| ());
            });
            return;
        }
        let camera = self.steer(ui, &solved, &response, rect);
        let ui = &mut ui.new_child(UiBuilder::new().max_rect(rect));
        ui.shrink_clip_rect(rect);
        grid(ui, cx.app.session(), &solved, camera, rect);
        points(ui, cx, &solved, camera, rect);
        frame_words(ui, rect);
        self.marks(ui, cx, &solved, camera, rect, &response);
    }
}

impl MapPane {
    pub fn show_whole(&mut self) {
        self.camera = None;
    }

    /// Pan by dragging, zoom by the wheel or a pinch at the pointer.
    fn steer(&mut self, ui: &Ui, solved: &Solved, response: &Response, rect: Rect) -> Camera {
        if !std::ptr::eq(self.cloud.as_ptr(), std::sync::Arc::as_ptr(&solved.cloud)) {
            self.cloud = std::sync::Arc::downgrade(&solved.cloud);
            self.camera = None;
        }
        // A camera that nobody moved follows the size of the pane.
        if self.fitted.is_some_and(|size| size != rect.size()) {
            self.camera = None;
        }
        let whole = Camera::fit(solved.cloud.low, solved.cloud.high, rect);
        let mut camera = self.camera.unwrap_or_else(|| {
            self.fitted = Some(rect.size());
            whole
        });
        let before = camera;
        if response.dragged() {
            camera.pan(response.drag_delta());
        }
        if let Some(pointer) = response.hover_pos() {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
            let factor = (scroll / 240.0).exp() * pinch;
            // Neither lost in the void nor deeper than floats reach.
            let depth = camera.zoom.x * factor / whole.zoom.x;
            if factor != 1.0 && (0.2..=5000.0).contains(&depth) {
                camera.zoom_at(factor, pointer, rect);
            }
        }
        if camera != before {
            self.fitted = None;
        }
        self.camera = Some(camera);
        camera
    }

    /// The selected rows and the one under the pointer; a click selects it.
    fn marks(&self, ui: &Ui, cx: &mut Cx<'_>, solved: &Solved, camera: Camera, rect: Rect, response: &Response) {
        let colours = palette(ui.style());
        let session = cx.app.session();
        let at = |row: u32| solved.cloud.position(row).map(|place| camera.to_screen(place, rect));
        // A selection of thousands is seen in the table; here a frame draws a bounded number.
        if session.table.selected.len() <= 500 {
            for at in session.table.selected.iter().filter_map(|row| at(*row)) {
                ui.painter().circle_stroke(at, 8.0, Stroke::new(1.5, *colours.accent));
            }
        }
        if let Some(at) = session.table.cursor.and_then(at) {
            ui.painter().circle_stroke(at, 10.0, Stroke::new(2.0, *colours.accent));
            ui.painter().circle_stroke(at, 12.0, Stroke::new(1.0, *colours.background));
        }
        let Some(pointer) = response.hover_pos().filter(|_| !response.dragged()) else { return };
        let reach = [REACH / camera.zoom.x, REACH / camera.zoom.y];
        let Some(row) = solved.cloud.nearest(camera.to_plane(pointer, rect), reach) else { return };
        if let Some(at) = at(row) {
            ui.painter().circle_stroke(at, 8.0, Stroke::new(2.0, *colours.text));
        }
        ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
        if response.clicked() {
            cx.send(if ui.input(|input| input.modifiers.command) {
                Action::ToggleRow(row)
            } else {
                Action::Select(row)
            });
        }
        let covered = cx.app.state().cover_texts;
        egui::Tooltip::always_open(ui.ctx().clone(), response.layer_id, response.id, egui::PopupAnchor::Pointer)
            .gap(16.0)
            .show(|ui| told(ui, session, solved, row, covered));
    }
}

fn buttons(ui: &mut Ui, cx: &mut Cx<'_>, head: Rect) {
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let place = head.shrink2(vec2(8.0, 2.0));
    ui.scope_builder(UiBuilder::new().max_rect(place).layout(layout), |ui| {
        let hide = hint(ui.ctx(), &Action::ToggleMap);
        if widgets::icon_button(ui, icons::CLOSE, &hide).accessible_name("Hide this map").clicked() {
            cx.send(Action::ToggleMap);
        }
        let whole = hint(ui.ctx(), &Action::ShowWholeMap);
        if widgets::icon_button(ui, icons::FRAME, &whole).accessible_name("Show the whole map").clicked() {
            cx.send(Action::ShowWholeMap);
        }
    });
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

/// The averages as a cross, and the cut as a line: score = (1-λ)·pull - λ·push.
fn grid(ui: &Ui, session: &Session, solved: &Solved, camera: Camera, rect: Rect) {
    let colours = palette(ui.style());
    ui.painter().rect_filled(rect, 0.0, *colours.background);
    let origin = camera.to_screen([0.0, 0.0], rect);
    if rect.x_range().contains(origin.x) {
        ui.painter().vline(origin.x, rect.y_range(), Stroke::new(1.0, *colours.grid));
    }
    if rect.y_range().contains(origin.y) {
        ui.painter().hline(rect.x_range(), origin.y, Stroke::new(1.0, *colours.grid));
    }
    if solved.ranking.by != RankBy::Score {
        return;
    }
    let cut = solved.ranking.cut_key(session.counts.machine_keep);
    let ends = cut_line(solved.plan.settings.lambda, cut).map(|place| camera.to_screen(place, rect));
    if let Some([from, to]) = across(ends, rect) {
        ui.painter().extend(Shape::dashed_line(&[from, to], Stroke::new(1.5, *colours.accent), 6.0, 4.0));
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

fn points(ui: &Ui, cx: &Cx<'_>, solved: &Solved, camera: Camera, rect: Rect) {
    let session = cx.app.session();
    let colours = palette(ui.style());
    let scale = ui.ctx().pixels_per_point();
    // The viewport of the callback is rounded to pixels; so is the camera's rectangle.
    let rect = rect.intersect(ui.clip_rect());
    let rows = solved.ranking.len();
    let view = view_uniform(camera, rect, scale, colours, row_widgets::cut_unit(session), {
        let dropped = rows - session.counts.machine_keep.min(rows);
        // Without the ranking of the cut no point is dropped by the machine.
        (u32::try_from(dropped).unwrap_or(u32::MAX), rows)
    });
    ui.painter().add(egui_wgpu::Callback::new_paint_callback(rect, MapPaint { cloud: solved.cloud.clone(), view }));
}

/// What the shader needs to know of a frame.
fn view_uniform(
    camera: Camera,
    rect: Rect,
    scale: f32,
    colours: &Palette,
    cut: f32,
    (dropped, rows): (u32, usize),
) -> ViewUniform {
    let straight = |colour: Color32| colour.to_normalized_gamma_f32();
    let (clip_scale, offset) = camera.clip(rect);
    let half = rect.size() * scale / 2.0;
    // Many points are drawn smaller and let those below shine through.
    let crowd = (rows.max(1) as f32).log10();
    ViewUniform {
        scale: clip_scale,
        offset,
        half_size: half.into(),
        radius: (6.0 - 0.6 * crowd).clamp(2.0, 5.0) * scale,
        alpha: (1.25 - 0.12 * crowd).clamp(0.4, 0.95),
        dropped,
        linear: 0,
        cut,
        padding: 0,
        by_hand: straight(*colours.by_hand),
        score: colours.score.map(|colour| straight(*colour)),
    }
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

/// What shapes and colours mean.
fn legend(ui: &Ui, head: Rect) {
    let colours = palette(ui.style());
    let painter = ui.painter();
    painter.rect_filled(head, 0.0, *colours.background);
    let title = FontId::new(tokens().sizes.small, theme::semibold());
    let font = FontId::proportional(tokens().sizes.small);
    let at = pos2(head.left() + 16.0, head.center().y);
    let title = painter.text(at, Align2::LEFT_CENTER, "Map of forces", title, *colours.muted);
    let mut at = pos2(title.right() + 28.0, head.center().y);
    let (kept, dropped) = (colours.score_at(0.15), colours.score_at(0.9));
    for text in ["kept", "dropped", "by hand", "cut"] {
        if at.x + 64.0 > head.right() - 72.0 {
            return;
        }
        match text {
            "kept" => {
                painter.circle_filled(at, 4.0, kept);
            }
            "dropped" => {
                let points = vec![at + vec2(0.0, -5.0), at + vec2(5.0, 4.0), at + vec2(-5.0, 4.0)];
                painter.add(Shape::convex_polygon(points, dropped, Stroke::NONE));
            }
            "by hand" => {
                painter.circle_stroke(at, 5.0, Stroke::new(1.5, *colours.by_hand));
            }
            _ => {
                let dash = [at + vec2(-6.0, 0.0), at + vec2(6.0, 0.0)];
                painter.extend(Shape::dashed_line(&dash, Stroke::new(1.5, *colours.accent), 5.0, 2.0));
            }
        }
        let label = painter.text(at + vec2(12.0, 0.0), Align2::LEFT_CENTER, text, font.clone(), *colours.muted);
        at.x = label.right() + 20.0;
    }
}

#[cfg(test)]
mod tests {
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
