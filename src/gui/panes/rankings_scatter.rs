//! Where two rankings put the rows: a point a row, linked to the table's selection.
//!
//! Constraints: of many rows an even sample is drawn, the selected ones always; the sample is made when the pair changes,
//! not in every frame.

use std::sync::Arc;

use egui::{ComboBox, RichText, Sense, Stroke, Ui, vec2};
use egui_plot::{HLine, HoverPosition, LineStyle, MarkerShape, Plot, PlotPoints, Points, VLine};

use super::{Cx, row_widgets, widgets};
use crate::gui::action::Action;
use crate::gui::insight::InsightAction;
use crate::gui::state::Step;
use crate::gui::theme::{icons, palette, tokens};
use crate::gui::words;
use crate::project::Beside;

const HEIGHT: f32 = 420.0;
/// Rows that are drawn at most.
const MOST: usize = 3000;
/// Selected rows that are drawn over them at most.
const MOST_SELECTED: usize = 500;
/// A click takes the nearest row within so many points.
const REACH: f32 = 14.0;

/// Which of the two rankings would drop a row.
const FATES: [(&str, MarkerShape); 4] = [
    ("both keep", MarkerShape::Circle),
    ("both drop", MarkerShape::Cross),
    ("only x drops", MarkerShape::Right),
    ("only y drops", MarkerShape::Up),
];

/// The points of the pair that is drawn.
#[derive(Default)]
pub struct Scatter {
    of: Option<(Arc<Beside>, usize, usize)>,
    /// By fate: the rows and their places.
    drawn: [Vec<(u32, [f64; 2])>; 4],
}

impl Scatter {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, beside: &Arc<Beside>) {
        widgets::heading(ui, "Where two rankings put the rows");
        let Some((x, y)) = cx.app.session().insight.rankings.pair else { return };
        self.choose(ui, cx, beside, (x, y));
        self.bring(beside, x, y);
        let rows = beside.contenders.first().map_or(0, |first| first.score.len());
        let flat = [x, y].into_iter().find(|at| beside.agreement.is_flat.get(*at) == Some(&true));
        if let Some(flat) = flat.and_then(|at| beside.contenders.get(at)) {
            let text = format!("{} puts every row on one place; its order here is that of the file.", flat.name);
            widgets::notice(ui, widgets::Tone::Stale, &text);
        }
        self.plot(ui, cx, beside, (x, y), rows);
        self.legend(ui, cx, rows);
    }

    fn choose(&self, ui: &mut Ui, cx: &mut Cx<'_>, beside: &Beside, (x, y): (usize, usize)) {
        let mut chosen = (x, y);
        ui.horizontal_wrapped(|ui| {
            for (name, value) in [("Across", &mut chosen.0), ("Up", &mut chosen.1)] {
                widgets::muted(ui, name);
                let now = beside.contenders.get(*value).map_or("", |one| one.name);
                ComboBox::from_id_salt(name)
                    .selected_text(now)
                    .width(140.0)
                    .show_ui(ui, |ui| {
                        for (at, one) in beside.contenders.iter().enumerate() {
                            ui.selectable_value(value, at, one.name).on_hover_text(&one.about);
                        }
                    })
                    .response
                    .on_hover_text(format!("The ranking along this axis ({})", name.to_lowercase()))
                    .accessible_name(format!("Ranking {}", name.to_lowercase()));
            }
            if let Some(overlap) = beside.agreement.of(x, y) {
                widgets::muted(ui, format!("overlap of what they drop: {:.1} %", 100.0 * overlap));
            }
        });
        if chosen != (x, y) {
            cx.send(Action::Insight(InsightAction::ChoosePair(chosen.0, chosen.1)));
        }
    }

    /// Makes the points of a pair, unless they are there.
    fn bring(&mut self, beside: &Arc<Beside>, x: usize, y: usize) {
        if self.of.as_ref().is_some_and(|(of, a, b)| Arc::ptr_eq(of, beside) && (*a, *b) == (x, y)) {
            return;
        }
        self.drawn = Default::default();
        let (Some(across), Some(up)) = (beside.agreement.places.get(x), beside.agreement.places.get(y)) else { return };
        let stride = across.len().div_ceil(MOST).max(1);
        for row in (0..across.len()).step_by(stride) {
            if let (Some(fate), Some(at)) = (fate(beside, x, y, row), place(across, up, row))
                && let Some(drawn) = self.drawn.get_mut(fate)
            {
                drawn.push((row as u32, at));
            }
        }
        self.of = Some((beside.clone(), x, y));
    }

    fn plot(&self, ui: &mut Ui, cx: &mut Cx<'_>, beside: &Beside, (x, y): (usize, usize), rows: usize) {
        let colours = palette(ui.style());
        let session = cx.app.session();
        let name = |at: usize| beside.contenders.get(at).map_or("", |one| one.name);
        let (across, up) = (beside.agreement.places.get(x), beside.agreement.places.get(y));
        let selected: Vec<[f64; 2]> = match (across, up) {
            (Some(across), Some(up)) => {
                let rows = session.table.selected.iter().take(MOST_SELECTED).chain(session.table.cursor);
                rows.filter_map(|row| place(across, up, row as usize)).collect()
            }
            _ => Vec::new(),
        };
        let dropped = |at: usize| beside.table.get(at).map_or(0, |line| line.dropped) as f64 + 0.5;
        let nearest = |at: [f64; 2]| {
            let all = self.drawn.iter().flatten();
            all.min_by(|a, b| distance(a.1, at).total_cmp(&distance(b.1, at))).copied()
        };
        let (x_name, y_name) = (name(x), name(y));
        let plot = Plot::new("places of two rankings")
            .height(HEIGHT)
            .include_x(0.0)
            .include_x(rows as f64)
            .include_y(0.0)
            .include_y(rows as f64)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .grid_color(*colours.border_strong)
            .y_axis_min_width(52.0)
            .x_axis_label(format!("place by {x_name} (1 is the most suspicious)"))
            .y_axis_label(format!("place by {y_name}"))
            .x_axis_formatter(|mark, _| words::count(mark.value.max(0.0) as u64))
            .y_axis_formatter(|mark, _| words::count(mark.value.max(0.0) as u64))
            .label_formatter(|hover| match hover {
                HoverPosition::NearDataPoint { position, .. } => {
                    let (row, at) = nearest([position.x, position.y])?;
                    let number = words::count(row_widgets::number(session, row));
                    Some(format!("row {number}\n{x_name}: place {:.0}\n{y_name}: place {:.0}", at[0], at[1]))
                }
                HoverPosition::Elsewhere { .. } => None,
            });
        let inks = [*colours.muted, *colours.push, *colours.pull, *colours.stale];
        let shown = plot.show(ui, |plot| {
            plot.vline(VLine::new("cut", dropped(x)).color(*colours.accent).style(LineStyle::dashed_loose()));
            plot.hline(HLine::new("cut", dropped(y)).color(*colours.accent).style(LineStyle::dashed_loose()));
            for (((fate, shape), drawn), ink) in FATES.iter().zip(&self.drawn).zip(inks) {
                let points: PlotPoints<'_> = drawn.iter().map(|(_, at)| *at).collect();
                plot.points(
                    Points::new(*fate, points).shape(*shape).color(ink).radius(if *shape == MarkerShape::Circle {
                        1.6
                    } else {
                        3.0
                    }),
                );
            }
            let points: PlotPoints<'_> = selected.into_iter().collect();
            plot.points(
                Points::new("selected", points)
                    .shape(MarkerShape::Circle)
                    .filled(false)
                    .color(*colours.text)
                    .radius(6.0)
                    .allow_hover(false),
            );
            plot.response().clone()
        });
        if shown.inner.clicked()
            && let Some(pointer) = shown.inner.interact_pointer_pos()
        {
            let at = shown.transform.value_from_position(pointer);
            let screen = |at: [f64; 2]| shown.transform.position_from_point(&egui_plot::PlotPoint::new(at[0], at[1]));
            if let Some((row, place)) = nearest([at.x, at.y])
                && screen(place).distance(pointer) <= REACH
            {
                cx.send(Action::Select(row));
            }
        }
    }

    fn legend(&self, ui: &mut Ui, cx: &mut Cx<'_>, rows: usize) {
        let colours = palette(ui.style());
        let inks = [*colours.muted, *colours.push, *colours.pull, *colours.stale];
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 14.0;
            let shapes = FATES.iter().zip(inks).map(|((fate, shape), ink)| (*fate, Some(*shape), ink));
            for (name, shape, ink) in shapes.chain([("selected", None, *colours.text)]) {
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 4.0;
                    sign(ui, shape, ink);
                    ui.label(RichText::new(name).size(tokens().sizes.small));
                });
            }
            let drawn: usize = self.drawn.iter().map(Vec::len).sum();
            if drawn < rows {
                let text = format!("every {}th row is drawn", rows.div_ceil(MOST).max(1));
                widgets::muted(ui, text);
            }
        });
        let session = cx.app.session();
        ui.horizontal_wrapped(|ui| {
            match session.table.cursor {
                Some(row) => {
                    let number = words::count(row_widgets::number(session, row));
                    widgets::muted(ui, format!("Row {number} is selected. Click a point to select its row."));
                }
                None => drop(widgets::muted(ui, "Click a point to select its row.")),
            }
            let help = "Read the selected row in the table.";
            if session.table.cursor.is_some() && widgets::button(ui, icons::TABLE, "Read it", help).clicked() {
                cx.send(Action::GoTo(Step::Review));
            }
        });
    }
}

/// The mark of a fate as the plot draws it; none is the ring of a selected row.
fn sign(ui: &mut Ui, shape: Option<MarkerShape>, ink: egui::Color32) {
    let (rect, _) = ui.allocate_exact_size(vec2(12.0, 14.0), Sense::hover());
    let (at, painter) = (rect.center(), ui.painter());
    let triangle =
        |ends: [egui::Vec2; 3]| egui::Shape::convex_polygon(ends.map(|end| at + end).to_vec(), ink, Stroke::NONE);
    match shape {
        Some(MarkerShape::Cross) => {
            for turn in [1.0, -1.0] {
                painter.line_segment([at - vec2(3.0, 3.0 * turn), at + vec2(3.0, 3.0 * turn)], Stroke::new(1.2, ink));
            }
        }
        Some(MarkerShape::Right) => drop(painter.add(triangle([vec2(-3.0, -4.0), vec2(4.0, 0.0), vec2(-3.0, 4.0)]))),
        Some(MarkerShape::Up) => drop(painter.add(triangle([vec2(0.0, -4.0), vec2(4.0, 3.0), vec2(-4.0, 3.0)]))),
        Some(_) => drop(painter.circle_filled(at, 2.5, ink)),
        None => drop(painter.circle_stroke(at, 5.0, Stroke::new(1.2, ink))),
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

fn place(across: &[u32], up: &[u32], row: usize) -> Option<[f64; 2]> {
    Some([f64::from(*across.get(row)?), f64::from(*up.get(row)?)])
}

/// The number of a row's fate in [`FATES`].
fn fate(beside: &Beside, x: usize, y: usize, row: usize) -> Option<usize> {
    let drops = |at: usize| -> Option<bool> {
        let line = beside.table.get(at)?;
        Some(*beside.agreement.places.get(at)?.get(row)? as usize <= line.dropped)
    };
    Some(match (drops(x)?, drops(y)?) {
        (false, false) => 0,
        (true, true) => 1,
        (true, false) => 2,
        (false, true) => 3,
    })
}
