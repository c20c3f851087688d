//! This ranking beside others on the same rows and vectors: what each would drop, how far they agree, and where they put
//! the rows.
//!
//! Constraints: no label is needed or looked at; everything was computed in a job; the scatter is a file of its own.

use egui::{Align2, FontId, Grid, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use super::rankings_scatter::Scatter;
use super::{Cx, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::insight::InsightAction;
use crate::gui::state::Step;
use crate::gui::theme::{self, icons, palette, tokens};
use crate::gui::words;
use crate::project::Beside;

/// Side of a cell of the matrix where there is room, in points.
const CELL: f32 = 30.0;
/// Room for the names of the matrix, in points.
const NAMES: f32 = 100.0;

/// The tab; it keeps the places that the scatter draws.
#[derive(Default)]
pub struct RankingsPane {
    scatter: Scatter,
}

impl RankingsPane {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let rankings = &cx.app.session().insight.rankings;
        let (beside, error) = (rankings.beside.clone(), rankings.error.clone());
        let running = rankings.job.is_some();
        if beside.is_none() && error.is_none() && !running {
            return nothing_yet(ui, cx);
        }
        if running {
            going_on(ui, cx);
        }
        if let Some(error) = error {
            widgets::banner(ui, widgets::Tone::Error, &super::data_file::sentence(&error), |ui| {
                if ui.button("Try again").clicked() {
                    cx.send(Action::Insight(InsightAction::CompareRankings));
                }
            });
        }
        let Some(beside) = beside else { return };
        if let Some(stale) = cx.app.rankings_stale().filter(|_| !running) {
            widgets::banner(ui, widgets::Tone::Stale, &stale, |ui| {
                let enabled = cx.app.can_compare_rankings();
                let help = hint(ui.ctx(), &Action::Insight(InsightAction::CompareRankings));
                if widgets::button_if(ui, icons::AGAIN, "Compare again", &help, &enabled).clicked() {
                    cx.send(Action::Insight(InsightAction::CompareRankings));
                }
            });
        }
        table(ui, &beside);
        matrix(ui, cx, &beside);
        widgets::card(ui, |ui| self.scatter.ui(ui, cx, &beside));
    }
}

fn nothing_yet(ui: &mut Ui, cx: &mut Cx<'_>) {
    let text = "Simpler rankings may do as well on your rows. Compare what nearest means, neighbours, probes and published baselines would drop, on the same rows and vectors. No labels are needed.";
    widgets::empty(ui, icons::TABLE, "No ranking was compared yet", text, |ui| {
        if cx.app.session().solved.is_none() {
            let enabled = cx.app.can_purify();
            let help = hint(ui.ctx(), &Action::Purify);
            if widgets::primary(ui, icons::PURIFY, "Purify", 160.0, &enabled, &help).clicked() {
                cx.send(Action::Purify);
            }
            if let Err(reason) = enabled {
                widgets::muted(ui, reason);
                if widgets::button(ui, icons::DATA, "Go to Data", "Show the three role cards.").clicked() {
                    cx.send(Action::GoTo(Step::Data));
                }
            }
            return;
        }
        let enabled = cx.app.can_compare_rankings();
        let help = hint(ui.ctx(), &Action::Insight(InsightAction::CompareRankings));
        let button = widgets::primary(ui, icons::TABLE, "Compare", 160.0, &enabled, &help);
        if button.accessible_name("Compare rankings now").clicked() {
            cx.send(Action::Insight(InsightAction::CompareRankings));
        }
        if let Err(reason) = enabled {
            widgets::muted(ui, reason);
        }
    });
}

fn going_on(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(job) = &cx.app.session().insight.rankings.job else { return };
    widgets::card(ui, |ui| {
        let stopping = job.is_cancelling();
        ui.horizontal(|ui| {
            ui.spinner();
            widgets::heading(ui, if stopping { "Stopping" } else { job.name() });
            widgets::muted(ui, format!("for {}", words::duration(job.elapsed().as_secs_f64())));
        });
        widgets::progress(ui, &job.snapshot(), false);
        let can = if stopping { Err("It ends at the next safe point.".to_owned()) } else { Ok(()) };
        let help = "End the comparison. What was compared before stays.";
        if widgets::button_if(ui, icons::STOP, "Stop comparing", help, &can).clicked() {
            cx.send(Action::Insight(InsightAction::StopComparing));
        }
    });
}

fn table(ui: &mut Ui, beside: &Beside) {
    let colours = palette(ui.style());
    widgets::card(ui, |ui| {
        widgets::heading(ui, "What each ranking would drop");
        let cut = beside.table.first().map_or(0, |first| first.kept);
        let text = format!(
            "At your cut: {} kept, decisions by hand not counted. Overlap is the share of the rows dropped by either that both drop.",
            words::rows(cut as u64)
        );
        ui.add(egui::Label::new(RichText::new(text).size(tokens().sizes.small).color(*colours.muted)).wrap());
        ui.add_space(4.0);
        ScrollArea::horizontal().id_salt("table of rankings").show(ui, |ui| {
            Grid::new("table of rankings").striped(true).num_columns(7).spacing(vec2(20.0, 6.0)).show(ui, |ui| {
                let head = |ui: &mut Ui, name: &str, help: &str| {
                    let text = RichText::new(name)
                        .font(FontId::new(tokens().sizes.small, theme::semibold()))
                        .color(*colours.muted);
                    ui.label(text).on_hover_text(help);
                };
                head(ui, "Ranking", "Rest on a name to read what it does.");
                head(ui, "Drops", "Rows that it would drop at your cut.");
                head(ui, "Overlap", "With this result: of the rows that either drops, the share that both drop.");
                head(
                    ui,
                    "Correlation",
                    "Spearman's correlation of the places of all rows with this result; 1 is the same order.",
                );
                head(ui, "Counts like", "Effective number of kept rows under its weights.");
                head(ui, "Time", "Time to compute it here.");
                head(ui, "What it does", "");
                ui.end_row();
                for (at, line) in beside.table.iter().enumerate() {
                    let family = if at == 0 { theme::semibold() } else { egui::FontFamily::Proportional };
                    ui.label(RichText::new(&line.name).family(family)).on_hover_text(&line.about);
                    number(ui, &words::count(line.dropped as u64));
                    match line.overlap {
                        Some(overlap) => share_bar(ui, overlap),
                        None => drop(ui.label("–").on_hover_text("Neither drops any row.")),
                    }
                    match line.correlation {
                        Some(correlation) => number(ui, &format!("{correlation:.3}").replace('-', "\u{2212}")),
                        None => drop(ui.label("–").on_hover_text("It puts every row on one place.")),
                    }
                    number(ui, &words::rows(line.effective_rows.round() as u64));
                    number(ui, &if at == 0 { "–".to_owned() } else { seconds(line.seconds) });
                    widgets::muted(ui, &line.about);
                    ui.end_row();
                }
            });
            // The bar lies over the last points.
            ui.add_space(10.0);
        });
    });
}

fn seconds(value: f64) -> String {
    if value < 0.01 {
        "<0.01 s".to_owned()
    } else if value < 10.0 {
        format!("{value:.2} s")
    } else {
        words::duration(value)
    }
}

fn number(ui: &mut Ui, text: &str) {
    ui.label(text);
}

/// A share as a bar with its figure.
fn share_bar(ui: &mut Ui, share: f64) {
    let colours = palette(ui.style());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (rect, _) = ui.allocate_exact_size(vec2(56.0, 10.0), Sense::hover());
        ui.painter().rect_filled(rect, 2.0, *colours.sunken);
        ui.painter().rect_stroke(rect, 2.0, Stroke::new(1.0, *colours.border), StrokeKind::Inside);
        let filled = Rect::from_min_size(rect.min, vec2(rect.width() * share.clamp(0.0, 1.0) as f32, rect.height()));
        ui.painter().rect_filled(filled, 2.0, *colours.accent);
        ui.label(format!("{:.0} %", 100.0 * share));
    });
}

/// Every ranking against every other; a cell chooses the pair of the scatter.
fn matrix(ui: &mut Ui, cx: &mut Cx<'_>, beside: &Beside) {
    let colours = palette(ui.style());
    let names: Vec<&str> = beside.contenders.iter().map(|one| one.name).collect();
    let pair = cx.app.session().insight.rankings.pair;
    widgets::card(ui, |ui| {
        widgets::heading(ui, "Overlap of any two");
        widgets::muted(
            ui,
            "Per cent of the rows dropped by either that both drop. Click a cell to draw the two below.",
        );
        ui.add_space(4.0);
        // No scroll area of its own: it would keep the pane from scrolling to a cell that a key or a screen reader asks for.
        let cell_side = ((ui.available_width() - NAMES) / names.len().max(1) as f32).clamp(18.0, CELL);
        let side = cell_side * names.len() as f32;
        let (rect, _) = ui.allocate_exact_size(vec2(NAMES + side, NAMES * 0.8 + side), Sense::hover());
        let corner = rect.min + vec2(NAMES, NAMES * 0.8);
        let small = FontId::proportional(11.0);
        for (at, name) in names.iter().enumerate() {
            let left =
                Rect::from_min_size(pos2(rect.left(), corner.y + cell_side * at as f32), vec2(NAMES - 6.0, cell_side));
            let of_pair = pair.is_some_and(|(_, y)| y == at);
            let ink = if of_pair { *colours.text } else { *colours.muted };
            widgets::paint_text(ui, left, Align2::RIGHT_CENTER, name, small.clone(), ink, false);
            let of_pair = pair.is_some_and(|(x, _)| x == at);
            let ink = if of_pair { *colours.text } else { *colours.muted };
            let galley = ui.painter().layout_no_wrap((*name).to_owned(), small.clone(), ink);
            // Turned so that it reads upwards from its column.
            let foot = pos2(corner.x + cell_side * (at as f32 + 0.5) - galley.size().y / 2.0, corner.y - 6.0);
            ui.painter().add(egui::epaint::TextShape::new(foot, galley, ink).with_angle(-std::f32::consts::FRAC_PI_2));
        }
        for y in 0..names.len() {
            for x in 0..names.len() {
                let at = corner + vec2(cell_side * x as f32, cell_side * y as f32);
                let cell = Rect::from_min_size(at, vec2(cell_side, cell_side)).shrink(1.0);
                let title = |at: usize| names.get(at).copied().unwrap_or_default();
                if draw_cell(ui, cell, beside.agreement.of(x, y), (title(x), title(y)), pair == Some((x, y))) {
                    cx.send(Action::Insight(InsightAction::ChoosePair(x, y)));
                }
            }
        }
    });
}

/// True when it was clicked.
fn draw_cell(ui: &Ui, cell: Rect, overlap: Option<f64>, (x, y): (&str, &str), chosen: bool) -> bool {
    let colours = palette(ui.style());
    let response = ui.interact(cell, ui.scope_id().with(("overlap", x, y)), Sense::click());
    let text = match overlap {
        Some(overlap) => format!("{x} and {y}: {:.1} % of the rows that either drops", 100.0 * overlap),
        None => format!("{x} and {y}: neither drops a row"),
    };
    response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, chosen, &text));
    let unit = overlap.unwrap_or(0.0) as f32;
    let ground = colours.sunken.lerp_to_gamma(*colours.selection, unit);
    let edge = if chosen {
        Stroke::new(2.0, *colours.accent)
    } else if response.hovered() || response.has_focus() {
        Stroke::new(1.0, *colours.accent)
    } else {
        Stroke::new(1.0, *colours.border)
    };
    ui.painter().rect(cell, 3.0, ground, edge, StrokeKind::Inside);
    let value = overlap.map_or_else(|| "–".to_owned(), |overlap| format!("{:.0}", 100.0 * overlap));
    ui.painter().text(cell.center(), Align2::CENTER_CENTER, value, FontId::proportional(11.0), *colours.text);
    response.on_hover_text(text).clicked()
}
