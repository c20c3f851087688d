//! The map as a widget: the camera, what the pointer does, and one draw of the points.
//!
//! Constraint: knows points and places, not what they mean; a frame costs the same for any number of points, unless
//! they moved.

use std::sync::Arc;

use egui::{Color32, CursorIcon, PointerButton, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, Vec2, vec2};

use super::Camera;
use super::cloud::PointCloud;
use super::gpu::{MapPaint, TEXEL, ViewUniform};
use super::look::{ColourBy, Hidden, SelectMode, Shown, Tool};
use super::placement::Placement;
use crate::gui::theme::Palette;

/// How far from a point the pointer still takes it, in points of the screen.
const REACH: f32 = 9.0;
/// A region smaller than this along both axes was a click.
const SMALLEST: f32 = 4.0;

/// How the points are to be drawn.
#[derive(Debug, Clone, Copy)]
pub struct MapInput {
    pub shown: Shown,
    pub colour_by: ColourBy,
    pub size_by_weight: bool,
    pub hidden: Hidden,
    pub tool: Tool,
    /// Ranks that the machine drops.
    pub dropped: u32,
    /// Where the colour scale bends.
    pub cut: f32,
}

/// What the pointer did.
pub struct MapOutput {
    pub rect: Rect,
    pub response: Response,
    pub camera: Camera,
    pub placed: Arc<Placement>,
    /// The point under the pointer.
    pub hovered: Option<u32>,
    pub clicked: Option<u32>,
    /// A region was drawn: its corners on the plane.
    pub region: Option<(Vec<[f32; 2]>, SelectMode)>,
}

/// The camera and the region being drawn.
#[derive(Default)]
pub struct MapView {
    camera: Option<Camera>,
    cloud: std::sync::Weak<PointCloud>,
    shown: Shown,
    /// Size and extent that the camera was fitted to while nobody moved it since.
    fitted: Option<(Vec2, [f32; 2], [f32; 2])>,
    /// The region so far, on screen.
    drawn: Vec<Pos2>,
}

impl MapView {
    pub fn show_whole(&mut self) {
        self.camera = None;
    }

    /// Takes all the room that is left; `under` paints below the points.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        cloud: &Arc<PointCloud>,
        input: &MapInput,
        colours: &Palette,
        under: impl FnOnce(&egui::Painter, Camera, Rect),
    ) -> MapOutput {
        let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
        let placed = cloud.placement(input.shown);
        cloud.place(&placed);
        let camera = self.steer(ui, cloud, &placed, input, &response, rect);
        let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
        painter.rect_filled(rect, 0.0, *colours.background);
        under(&painter, camera, rect);

        let points = cloud.drawn_points(&placed);
        // The viewport of the callback is rounded to pixels; so is the camera's rectangle.
        let visible = rect.intersect(ui.clip_rect());
        let scale = ui.ctx().pixels_per_point();
        let span = |from: f32, to: f32| ((to * scale).round() - (from * scale).round()).max(1.0) as u32;
        let size = [span(visible.left(), visible.right()), span(visible.top(), visible.bottom())];
        let view = uniform(camera, visible, scale, colours, input, &placed, points);
        let paint = MapPaint { cloud: cloud.clone(), view, size, points: points as u32 };
        painter.add(egui_wgpu::Callback::new_paint_callback(visible, paint));

        let region = self.region(ui, input.tool, &response, camera, rect, colours);
        let hovered = response.hover_pos().filter(|_| self.drawn.is_empty() && !response.dragged()).and_then(|at| {
            let reach = [REACH / camera.zoom.x, REACH / camera.zoom.y];
            cloud.nearest(&placed, camera.to_plane(at, rect), reach, input.dropped, input.hidden)
        });
        if hovered.is_some() {
            ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
        } else if response.hovered() && input.tool != Tool::Hand {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        let clicked = hovered.filter(|_| response.clicked());
        MapOutput { rect, response, camera, placed, hovered, clicked, region }
    }

    /// Pan by dragging, zoom by the wheel or a pinch at the pointer.
    fn steer(
        &mut self,
        ui: &Ui,
        cloud: &Arc<PointCloud>,
        placed: &Placement,
        input: &MapInput,
        response: &Response,
        rect: Rect,
    ) -> Camera {
        if !std::ptr::eq(self.cloud.as_ptr(), Arc::as_ptr(cloud)) || self.shown != input.shown {
            self.cloud = Arc::downgrade(cloud);
            self.shown = input.shown;
            self.camera = None;
        }
        // A camera that nobody moved follows the size of the pane and the points that still find their places.
        if self.fitted.is_some_and(|fitted| fitted != (rect.size(), placed.low, placed.high)) {
            self.camera = None;
        }
        let is_plane = input.shown == Shown::Meaning && cloud.meaning().is_some();
        let whole = if is_plane {
            Camera::fit_even(placed.low, placed.high, rect)
        } else {
            Camera::fit(placed.low, placed.high, rect)
        };
        let mut camera = self.camera.unwrap_or_else(|| {
            self.fitted = Some((rect.size(), placed.low, placed.high));
            whole
        });
        let before = camera;
        let by_hand = input.tool == Tool::Hand && response.dragged_by(PointerButton::Primary);
        if by_hand || response.dragged_by(PointerButton::Middle) || response.dragged_by(PointerButton::Secondary) {
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

    /// The region that is being drawn, and the one that was just finished.
    fn region(
        &mut self,
        ui: &Ui,
        tool: Tool,
        response: &Response,
        camera: Camera,
        rect: Rect,
        colours: &Palette,
    ) -> Option<(Vec<[f32; 2]>, SelectMode)> {
        if tool == Tool::Hand {
            self.drawn.clear();
            return None;
        }
        if response.drag_started_by(PointerButton::Primary) {
            self.drawn.clear();
            self.drawn.extend(ui.input(|input| input.pointer.press_origin()));
        }
        let is_drawing = response.dragged_by(PointerButton::Primary) && !self.drawn.is_empty();
        if is_drawing
            && let Some(at) = response.interact_pointer_pos().map(|at| rect.clamp(at))
            && self.drawn.last().is_none_or(|last| last.distance(at) > 1.5)
        {
            if tool == Tool::Box {
                self.drawn.truncate(1);
            }
            self.drawn.push(at);
        }
        let corners: Vec<Pos2> = match (tool, self.drawn.as_slice()) {
            (Tool::Box, [from, to]) => {
                let drawn = Rect::from_two_pos(*from, *to);
                vec![drawn.left_top(), drawn.right_top(), drawn.right_bottom(), drawn.left_bottom()]
            }
            (Tool::Box, _) => Vec::new(),
            _ => self.drawn.clone(),
        };
        if is_drawing {
            let painter = ui.painter().with_clip_rect(rect);
            let stroke = Stroke::new(1.5, *colours.accent);
            if tool == Tool::Box && corners.len() == 4 {
                painter.rect_filled(Rect::from_points(&corners), 0.0, colours.accent.gamma_multiply(0.12));
            }
            painter.add(Shape::closed_line(corners, stroke));
            return None;
        }
        if !response.drag_stopped() || self.drawn.is_empty() {
            return None;
        }
        self.drawn.clear();
        let extent = Rect::from_points(&corners);
        let mode = SelectMode::of(ui.input(|input| input.modifiers));
        (corners.len() > 2 && extent.size().max_elem() > SMALLEST)
            .then(|| (corners.iter().map(|corner| camera.to_plane(*corner, rect)).collect(), mode))
    }
}

/// What the shaders need to know of a frame.
fn uniform(
    camera: Camera,
    rect: Rect,
    scale: f32,
    colours: &Palette,
    input: &MapInput,
    placed: &Placement,
    points: usize,
) -> ViewUniform {
    let straight = |colour: Color32| colour.to_normalized_gamma_f32();
    let (clip_scale, offset) = camera.clip(rect);
    // Many points are drawn smaller and let those below shine through.
    let crowd = (points.max(1) as f32).log10();
    let extent = vec2(placed.high[0] - placed.low[0], placed.high[1] - placed.low[1]) * camera.zoom * scale;
    // Together they would fill half of the picture, or less.
    let room = (extent.x * extent.y / points.max(1) as f32 / std::f32::consts::TAU).sqrt();
    let radius = ((6.0 - 0.6 * crowd).clamp(2.0, 5.0) * scale).min(room.max(2.0 * scale));
    // How many points lie over each other on average; past a few, their density says more.
    let cover = points as f32 * std::f32::consts::PI * radius * radius / extent.x.max(1.0) / extent.y.max(1.0);
    let density = ((cover - 4.0) / 6.0).clamp(0.0, 1.0);
    // Rows a texel on average: the gain shows an average texel half covered.
    let texel = TEXEL as f32;
    let average = (points as f32 * texel * texel / extent.x.max(1.0) / extent.y.max(1.0)).max(0.02);
    let mode = match input.colour_by {
        ColourBy::Role => 1,
        ColourBy::Decision => 2,
        _ => 0,
    };
    let ramp = |to: Color32| -> [[f32; 4]; 5] {
        std::array::from_fn(|step| straight(colours.cover.lerp_to_gamma(to, 0.1 + 0.9 * step as f32 / 4.0)))
    };
    ViewUniform {
        scale: clip_scale,
        offset,
        half_size: (rect.size() * scale / 2.0).into(),
        radius,
        alpha: (1.25 - 0.12 * crowd).clamp(0.4, 0.95) * (1.0 - density),
        dropped: input.dropped,
        flags: u32::from(input.size_by_weight),
        cut: input.cut,
        hidden: input.hidden.bits(),
        mode,
        texel,
        density,
        gain: 0.7 / average.max(0.2),
        by_hand: straight(*colours.by_hand),
        accent: straight(*colours.accent),
        custom: straight(*colours.muted),
        safe: straight(*colours.pull),
        harmful: straight(*colours.push),
        kept: straight(*colours.good),
        out: straight(*colours.error),
        score: match input.colour_by {
            ColourBy::Pull => ramp(*colours.pull),
            ColourBy::Push => ramp(*colours.push),
            _ => colours.score.map(|colour| straight(*colour)),
        },
    }
}
