//! What canaries found: the grid of λ and ε as a heat map, how many canaries each cut drops, and what that is worth.
//!
//! Constraints: the curve comes finished from the run's job; a frame computes at most the two intervals that it says.
//! Where one harmful file cannot choose among the pairs, the pane says so in place of a heat map that was not used.

use egui::{Align2, FontId, Rect, RichText, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use egui_plot::{FilledArea, GridMark, HoverPosition, Line, LineStyle, Plot, PlotPoints, VLine};

use super::{Cx, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::insight::{InsightAction, PurifyTab};
use crate::gui::solved::Solved;
use crate::gui::theme::{self, icons, palette, tokens};
use crate::gui::words;
use crate::selection::calibration::{Calibration, CalibrationSettings, GridPoint};
use crate::selection::{Keep, RankBy};

/// Said where there are harmful rows, but too few to plant any.
pub const TOO_FEW: &str = "The harmful reference has too few rows to plant any: at least fifteen, or two files of five. Until then λ and ε are used as they stand below.";
const CURVE_HEIGHT: f32 = 240.0;
const CELL: egui::Vec2 = vec2(92.0, 34.0);

/// The tab. The caller has drawn the tabs, and shows a run that goes on itself.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    let Some(solved) = session.solved.clone() else { return nothing_yet(ui, cx) };
    if let Some(what) = session.stale(&cx.app.state().run, cx.app.options.threads) {
        widgets::banner(ui, widgets::Tone::Stale, what, |ui| {
            widgets::muted(ui, "What is shown here belongs to the result before.");
        });
    }
    match &solved.purified.calibration {
        None => by_hand(ui, cx, &solved),
        Some(found) => {
            summary(ui, cx, &solved, found);
            if found.has_fixed_pairs() {
                fixed_pairs(ui, found);
            } else {
                widgets::card(ui, |ui| {
                    widgets::heading(ui, "Which λ and ε bring canaries up");
                    widgets::muted(ui, grid_words(found));
                    ui.add_space(4.0);
                    heat_map(ui, found);
                });
            }
            recall(ui, cx, &solved, found);
        }
    }
}

fn nothing_yet(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    let wanted = cx.app.state().run.calibration.is_some();
    let text = if wanted
        && session.of_role(crate::gui::roles::Role::Harmful).next().is_some()
        && !session.can_calibrate()
    {
        TOO_FEW
    } else if wanted {
        "A run plants a part of the harmful reference among your rows and looks how far up each pair of λ and ε brings it. What it finds will stand here."
    } else {
        "λ and ε are set by hand. With canaries, a part of the harmful reference is planted among your rows to find them."
    };
    widgets::empty(ui, icons::PURIFY, "Not calibrated yet", text, |ui| way_on(ui, cx, wanted));
}

/// The button that leads to a calibrated result.
fn way_on(ui: &mut Ui, cx: &mut Cx<'_>, wanted: bool) {
    if !wanted {
        let help = "Find λ and ε by canaries at the next run.";
        if widgets::button(ui, icons::CHECK, "Find them by canaries", help).clicked() {
            let mut run = cx.app.state().run.clone();
            run.calibration = Some(CalibrationSettings::default());
            cx.send(Action::SetRun(Box::new(run)));
        }
        return;
    }
    let enabled = cx.app.can_purify();
    let help = hint(ui.ctx(), &Action::Purify);
    if widgets::primary(ui, icons::PURIFY, "Purify", 160.0, &enabled, &help).clicked() {
        cx.send(Action::Purify);
    }
    if let Err(reason) = enabled {
        widgets::muted(ui, reason);
    }
}

fn by_hand(ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved) {
    let settings = &solved.plan.settings;
    widgets::card(ui, |ui| {
        widgets::heading(ui, "This result was not calibrated");
        ui.label(format!(
            "It was made with λ = {} and ε = {}, set by hand. How many harmful rows its cut finds is not known: nothing was planted to measure it.",
            settings.lambda, settings.epsilon
        ));
        let wanted = cx.app.state().run.calibration.is_some();
        if wanted && !cx.app.session().can_calibrate() {
            widgets::muted(ui, TOO_FEW);
        } else {
            ui.add_space(4.0);
            ui.horizontal_wrapped(|ui| way_on(ui, cx, wanted));
        }
    });
}

fn summary(ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved, found: &Calibration) {
    let counts = cx.app.session().counts;
    let dropped = solved.ranking.len().saturating_sub(counts.machine_keep);
    let at_cut = found.recall.at(dropped);
    widgets::card(ui, |ui| {
        widgets::heading(ui, "What the canaries say of this cut");
        let sources = if found.folds > 1 {
            (
                found.folds.to_string(),
                "files left out in turn",
                "Each harmful file was planted once while the others were the reference.",
            )
        } else {
            ("1".to_owned(), "harmful source", "Canaries and references come from the same file.")
        };
        let auroc_help = "The chance that a canary stands above one of your rows. One half is chance, one is perfect. Your rows hold harmful ones too, so even a perfect ranking stays below one.";
        let recall_help = "The share of the canaries that the cut, as it stands now, would drop.";
        let interval = format!("{:.0} % interval", 100.0 * found.recall.confidence);
        let figures = [
            (format!("{:.1} %", 100.0 * at_cut.share), "canaries dropped", recall_help),
            (
                format!("{:.1} to {:.1} %", 100.0 * at_cut.low, 100.0 * at_cut.high),
                interval.as_str(),
                "The exact binomial interval (Clopper and Pearson) of that share.",
            ),
            (format!("{:.3}", found.auroc), "canary AUROC", auroc_help),
            (
                words::count(found.canaries as u64),
                "canaries",
                "Harmful rows that were planted; none of them is exported.",
            ),
            (sources.0, sources.1, sources.2),
        ];
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 32.0;
            for (value, name, help) in &figures {
                widgets::stat(ui, value, name, help);
            }
        });
        ui.add_space(4.0);
        ui.add(egui::Label::new(found.statement(dropped)).wrap());
        if solved.ranking.by == RankBy::Weight {
            let text =
                "Your cut is made by weight, but canaries were ranked by score: these figures hold for a cut by score.";
            widgets::notice(ui, widgets::Tone::Stale, text);
        }
    });
}

/// The pairs of one harmful file, which were not chosen by it.
fn fixed_pairs(ui: &mut Ui, found: &Calibration) {
    widgets::card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        widgets::heading(ui, "λ and ε are fixed, not chosen");
        ui.add(egui::Label::new(
            "With one harmful file, its own canaries prefer settings that find only their own kind (measured: 0.1 AUROC worse on attacks of another kind). So three pairs that did well on every kind are averaged, and the canaries only measure the cut. Give a second harmful file, from another source, and the pairs are chosen on your own data.",
        ).wrap());
        ui.add_space(4.0);
        for point in found.grid.iter().filter(|point| point.chosen) {
            ui.horizontal(|ui| {
                ui.label(RichText::new(icons::CHECK).color(*palette(ui.style()).good));
                ui.label(format!("λ = {}, ε = {}", point.lambda, point.epsilon));
                widgets::muted(ui, auroc_words(point));
            });
        }
        egui::CollapsingHeader::new("What canaries of the same source see, which was not used to choose")
            .id_salt("same source grid")
            .show_unindented(ui, |ui| heat_map(ui, found));
    });
}

fn auroc_words(point: &GridPoint) -> String {
    match point.auroc {
        Some(auroc) => format!("canary AUROC {auroc:.3}"),
        None => "could not be solved: ε is too small for these rows".to_owned(),
    }
}

fn grid_words(found: &Calibration) -> String {
    let chosen = found.grid.iter().filter(|point| point.chosen).count();
    let least = if found.folds > 1 { ", the least over the files left out" } else { "" };
    format!(
        "Each cell is the AUROC of canaries against your rows{least}. The {chosen} marked pairs are averaged into the score."
    )
}

/// Rows are ε, columns λ; values are AUROCs. Chosen pairs carry a frame and a check mark.
fn heat_map(ui: &mut Ui, found: &Calibration) {
    let colours = palette(ui.style());
    let distinct = |of: fn(&GridPoint) -> f64| {
        let mut values: Vec<f64> = found.grid.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    };
    let (lambdas, epsilons) = (distinct(|point| point.lambda), distinct(|point| point.epsilon));
    let known = || found.grid.iter().filter_map(|point| point.auroc);
    let (low, high) = (known().fold(1.0, f64::min), known().fold(0.0, f64::max));
    let side = 64.0;
    let width = ((ui.available_width() - side - 8.0) / lambdas.len().max(1) as f32).clamp(40.0, CELL.x);
    let small = FontId::proportional(tokens().sizes.small);
    let size = vec2(side + width * lambdas.len() as f32, CELL.y * epsilons.len() as f32 + 40.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let corner = rect.min + vec2(side, 0.0);
    for (row, epsilon) in epsilons.iter().enumerate() {
        let label = Rect::from_min_size(rect.min + vec2(0.0, CELL.y * row as f32), vec2(side - 8.0, CELL.y));
        let text = format!("ε {epsilon}");
        widgets::paint_text(ui, label, Align2::RIGHT_CENTER, &text, small.clone(), *colours.muted, false);
        for (column, lambda) in lambdas.iter().enumerate() {
            let at = corner + vec2(width * column as f32, CELL.y * row as f32);
            let cell = Rect::from_min_size(at, vec2(width, CELL.y)).shrink(1.5);
            if let Some(point) = found.grid.iter().find(|p| p.lambda == *lambda && p.epsilon == *epsilon) {
                draw_cell(ui, cell, point, (low, high));
            }
        }
    }
    let foot = corner.y + CELL.y * epsilons.len() as f32;
    for (column, lambda) in lambdas.iter().enumerate() {
        let label = Rect::from_min_size(pos2(corner.x + width * column as f32, foot), vec2(width, 18.0));
        let text = format!("λ {lambda}");
        widgets::paint_text(ui, label, Align2::CENTER_CENTER, &text, small.clone(), *colours.muted, false);
    }
    let axis = Rect::from_min_size(pos2(corner.x, foot + 20.0), vec2(width * lambdas.len() as f32, 18.0));
    let text = "more weight on the harmful reference →";
    widgets::paint_text(ui, axis, Align2::CENTER_CENTER, text, FontId::proportional(11.0), *colours.muted, false);
}

fn draw_cell(ui: &Ui, cell: Rect, point: &GridPoint, (low, high): (f64, f64)) {
    let colours = palette(ui.style());
    let id = ui.scope_id().with(("grid cell", point.lambda.to_bits(), point.epsilon.to_bits()));
    let response = ui.interact(cell, id, Sense::hover());
    let mark = if point.chosen { "; its score is averaged" } else { "" };
    let text = format!("λ = {}, ε = {}: {}{mark}", point.lambda, point.epsilon, auroc_words(point));
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, &text));
    let (ground, ink) = match point.auroc {
        Some(auroc) => {
            // Text needs its contrast: the ground goes from sunken to half of the accent.
            let unit = ((auroc - low) / (high - low).max(1e-9)).clamp(0.0, 1.0) as f32;
            (colours.sunken.lerp_to_gamma(*colours.selection, unit), *colours.text)
        }
        None => (*colours.panel, *colours.muted),
    };
    let edge = if point.chosen { Stroke::new(2.0, *colours.accent) } else { Stroke::new(1.0, *colours.border) };
    ui.painter().rect(cell, 4.0, ground, edge, StrokeKind::Inside);
    let value = point.auroc.map_or_else(|| "–".to_owned(), |auroc| format!("{auroc:.3}"));
    let family = if point.chosen { theme::semibold() } else { egui::FontFamily::Proportional };
    ui.painter().text(cell.center(), Align2::CENTER_CENTER, value, FontId::new(tokens().sizes.small, family), ink);
    if point.chosen && cell.width() > 70.0 {
        let at = pos2(cell.right() - 12.0, cell.center().y);
        ui.painter().text(at, Align2::CENTER_CENTER, icons::CHECK, FontId::proportional(12.0), *colours.accent);
    }
    response.on_hover_text(text);
}

fn recall(ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved, found: &Calibration) {
    let rows = solved.ranking.len();
    let kept = cx.app.session().counts.machine_keep;
    let asked = format!("{:.0} %", 100.0 * found.settings.recall);
    widgets::card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 6.0;
        widgets::heading(ui, "How many canaries a cut finds");
        let of_suggested = found.recall.at(rows.saturating_sub(found.suggested_keep));
        widgets::muted(
            ui,
            format!(
                "Keeping {} of {} is the loosest cut that drops {asked} of the canaries ({:.1} to {:.1} % at {:.0} % confidence).",
                words::count(found.suggested_keep as u64),
                words::rows(rows as u64),
                100.0 * of_suggested.low,
                100.0 * of_suggested.high,
                100.0 * found.recall.confidence,
            ),
        );
        ui.horizontal_wrapped(|ui| {
            let same = kept == found.suggested_keep;
            let text = format!("Keep {}", words::rows(found.suggested_keep as u64));
            let can = if same { Err("Your cut stands there already.".to_owned()) } else { Ok(()) };
            let help = format!("Move the cut so that it drops {asked} of the canaries. Your decisions stay.");
            let clicked = widgets::button_if(ui, icons::CHECK, &text, &help, &can)
                .accessible_name("Apply the suggested cut")
                .clicked();
            if clicked {
                cx.send(Action::SetKeep(Keep::Count(found.suggested_keep)));
            }
            widgets::muted(
                ui,
                if same { "in force".to_owned() } else { format!("now {} are kept", words::count(kept as u64)) },
            );
        });
        ui.add_space(4.0);
        curve(ui, solved, found, kept);
    });
}

/// Share of dropped canaries against the number of kept rows, with its interval as a band.
fn curve(ui: &mut Ui, solved: &Solved, found: &Calibration, kept: usize) {
    let colours = palette(ui.style());
    let rows = solved.ranking.len();
    let curve = solved.recall_curve.as_slice();
    // A step function: each value holds until the next place where it rises. Level and rise are lines of their own: the
    // corners of one thick path over so many steps are not drawn true.
    let kept_at = |dropped: usize| rows.saturating_sub(dropped) as f64;
    let (mut x, mut low, mut high, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (at, (dropped, estimate)) in curve.iter().enumerate() {
        let until = curve.get(at + 1);
        let end = until.map_or(rows, |(dropped, _)| *dropped);
        for place in [*dropped, end] {
            x.push(kept_at(place));
            low.push(estimate.low);
            high.push(estimate.high);
        }
        lines.push([[kept_at(*dropped), estimate.share], [kept_at(end), estimate.share]]);
        if let Some((_, next)) = until {
            lines.push([[kept_at(end), estimate.share], [kept_at(end), next.share]]);
        }
    }
    let (suggested, recall) = (found.suggested_keep as f64, found.recall.clone());
    widgets::caption(ui, "Share of canaries dropped, by number of rows kept");
    let plot = Plot::new("canary recall")
        .height(CURVE_HEIGHT)
        .include_x(0.0)
        .include_x(rows as f64)
        .include_y(0.0)
        .include_y(1.05)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .grid_color(*colours.border_strong)
        .y_axis_min_width(44.0)
        .y_grid_spacer(|_| (0..=4).map(|at| GridMark { value: f64::from(at) / 4.0, step_size: 0.25 }).collect())
        .y_axis_formatter(
            |mark, _| {
                if mark.value > 1.001 { String::new() } else { format!("{:.0} %", mark.value * 100.0) }
            },
        )
        .x_axis_formatter(|mark, _| words::count(mark.value.max(0.0) as u64))
        .label_formatter(move |hover| {
            let (HoverPosition::NearDataPoint { position, .. } | HoverPosition::Elsewhere { position }) = hover;
            let kept = (position.x.round().max(0.0) as usize).min(rows);
            let of = recall.at(rows - kept);
            Some(format!(
                "keep {}: {:.1} % of the canaries dropped\n({:.1} to {:.1} %)",
                words::count(kept as u64),
                100.0 * of.share,
                100.0 * of.low,
                100.0 * of.high
            ))
        });
    plot.show(ui, |plot| {
        plot.add(FilledArea::new("interval", &x, &low, &high).fill_color(colours.accent.gamma_multiply(0.22)));
        for ends in lines {
            let line = Line::new("canaries dropped", PlotPoints::from_iter(ends));
            plot.line(line.color(*colours.accent).width(2.0).allow_hover(false));
        }
        plot.vline(VLine::new("suggested", suggested).color(*colours.good).style(LineStyle::dashed_loose()).width(1.5));
        plot.vline(VLine::new("your cut", kept as f64).color(*colours.text).width(1.5));
    });
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 16.0;
        for (colour, dashed, text) in [
            (*colours.accent, false, "canaries dropped, with interval"),
            (*colours.text, false, "your cut"),
            (*colours.good, true, "suggested cut"),
        ] {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 6.0;
                let (rect, _) = ui.allocate_exact_size(vec2(20.0, 12.0), Sense::hover());
                let ends = [rect.left_center(), rect.right_center()];
                let stroke = Stroke::new(2.0, colour);
                if dashed {
                    ui.painter().extend(egui::Shape::dashed_line(&ends, stroke, 5.0, 3.0));
                } else {
                    ui.painter().line_segment(ends, stroke);
                }
                widgets::muted(ui, text);
            });
        }
    });
}

/// The share of canaries that the cut drops, for the line above the histogram.
pub fn at_the_cut(ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved, found: &Calibration) {
    let dropped = solved.ranking.len().saturating_sub(cx.app.session().counts.machine_keep);
    let fallen = found.recall.above.partition_point(|above| (*above as usize) < dropped);
    let share = fallen as f64 / found.recall.above.len().max(1) as f64;
    let response =
        ui.link(RichText::new(format!("canaries dropped {:.0} %", 100.0 * share)).size(tokens().sizes.small));
    let response = response.on_hover_ui(|ui| {
        ui.set_max_width(360.0);
        ui.label(found.statement(dropped));
    });
    if response.clicked() {
        cx.send(Action::Insight(InsightAction::ShowPurify(PurifyTab::Calibration)));
    }
}
