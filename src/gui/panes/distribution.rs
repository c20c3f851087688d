//! The distribution of scores, and the cut that is dragged over it.
//!
//! Constraint: a frame draws the bins and a fixed number of marks; moving the cut costs no look at the rows.

use std::sync::Arc;

use egui::{
    Align2, CursorIcon, DragValue, EventFilter, FontId, Key, Pos2, Rect, Response, RichText, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, pos2, vec2,
};

use super::{Cx, Pane, row_widgets, widgets};
use crate::gui::action::Action;
use crate::gui::session::Session;
use crate::gui::solved::{Ranking, Solved};
use crate::gui::theme::{palette, tokens};
use crate::gui::view::Verdicts;
use crate::gui::words;
use crate::selection::{Keep, RankBy, Verdict};

/// Half the width of the strip beside the cut that takes a drag.
const REACH: f32 = 10.0;

#[derive(Default)]
pub struct DistributionPane {
    /// Rows that the machine kept when the drag began.
    began: Option<usize>,
    marks: Option<Marks>,
}

/// Decisions by bin: kept and dropped by hand.
struct Marks {
    of: Verdicts,
    ranks: Arc<[u32]>,
    bins: Vec<[bool; 2]>,
}

impl Pane for DistributionPane {
    fn title(&self) -> &'static str {
        "distribution"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let Some(solved) = cx.app.session().solved.clone() else { return };
        ui.spacing_mut().item_spacing = vec2(12.0, 4.0);
        self.figures(ui, cx, &solved);
        self.plot(ui, cx, &solved);
    }
}

impl DistributionPane {
    /// How many are kept, as a field, and what follows from it.
    fn figures(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved) {
        let colours = palette(ui.style());
        let session = cx.app.session();
        let (counts, rows) = (session.counts, solved.ranking.len());
        ui.horizontal(|ui| {
            widgets::caption(ui, "Machine keeps");
            let mut keep = counts.machine_keep;
            let field = DragValue::new(&mut keep).range(1..=rows.max(1)).speed((rows as f64 / 800.0).max(0.1));
            let field = field.custom_formatter(|value, _| words::count(value as u64)).custom_parser(count_from);
            let response = ui.add(field).accessible_name("Rows the machine keeps");
            let response =
                response.on_hover_text("How many rows the machine keeps. Type a number, or drag the cut below.");
            if response.changed() && keep != counts.machine_keep {
                cx.send(Action::SetKeep(keep_of(keep, rows, cx.app.state().run.selection.keep)));
            }
            let share = counts.machine_keep as f64 / rows.max(1) as f64 * 100.0;
            widgets::muted(ui, format!("of {} · {share:.1} %", words::rows(rows as u64)));
            let wide = ui.available_width() > 420.0;
            ui.add_space(if wide { 12.0 } else { 0.0 });
            let fates = [(true, false, counts.kept, "kept"), (false, false, counts.dropped, "dropped")];
            for (kept, by_hand, count, word) in fates.into_iter().chain([(true, true, counts.by_hand, "by hand")]) {
                ui.spacing_mut().item_spacing.x = 4.0;
                let (rect, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
                if by_hand {
                    ui.painter().circle_stroke(rect.center(), 5.0, Stroke::new(1.5, *colours.by_hand));
                } else {
                    widgets::fate_mark(ui, rect.center(), kept, false);
                }
                ui.label(RichText::new(format!("{} {word}", words::count(count as u64))).size(tokens().sizes.small));
                ui.add_space(8.0);
            }
            if let Some(began) = self.began.filter(|began| *began != counts.machine_keep) {
                let moved = words::rows(began.abs_diff(counts.machine_keep) as u64);
                let text = if began > counts.machine_keep {
                    format!("{moved} more to drop")
                } else {
                    format!("{moved} more to keep")
                };
                ui.label(RichText::new(text).size(tokens().sizes.small).color(*colours.accent));
            }
            if wide {
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.spacing_mut().item_spacing.x = 16.0;
                    // Canaries were ranked by score.
                    let by_score = solved.ranking.by == RankBy::Score;
                    if let Some(found) = solved.purified.calibration.as_ref().filter(|_| by_score) {
                        super::calibration::at_the_cut(ui, cx, solved, found);
                    }
                    let share = solved.effective_share();
                    widgets::muted(ui, format!("ESS {:.0} %", share * 100.0)).on_hover_text(format!(
                        "Effective sample size: the weights say as much as {} of {} rows with equal weight would.",
                        words::count((share * rows as f64).round() as u64),
                        words::count(rows as u64)
                    ));
                });
            }
        });
    }

    fn plot(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved) {
        let colours = palette(ui.style());
        let size = ui.available_size().max(vec2(64.0, 24.0));
        let (whole, hover) = ui.allocate_exact_size(size, Sense::hover());
        // Below the plot lies the lane of the marks.
        let plot = Rect::from_min_max(whole.min + vec2(4.0, 4.0), whole.max - vec2(4.0, 14.0));
        let kept = cx.app.session().counts.machine_keep;
        let cut = solved.ranking.histogram.unit(solved.ranking.cut_key(kept));
        let x = plot.left() + plot.width() * cut;

        ui.painter().hline(plot.x_range(), plot.bottom() + 0.5, Stroke::new(1.0, *colours.border_strong));
        self.moved(ui, solved, plot, cut);
        bars(ui, solved, plot, cut);
        self.hand_marks(ui, cx.app.session(), solved, plot);
        if let Some(row) = cx.app.session().table.cursor {
            let at = plot.left() + plot.width() * solved.ranking.unit(row);
            ui.painter().vline(at, plot.y_range(), Stroke::new(1.0, *colours.text));
            triangle(ui, pos2(at, plot.bottom() + 2.0), -5.0, *colours.text);
        }
        axis(ui, solved.ranking.by, plot);

        let handle = self.handle(ui, plot, x, kept, solved.ranking.len());
        self.drag(ui, cx, solved, &handle, plot);
        paint_cut(ui, plot, x, &handle);
        tooltip(solved, plot, hover);
    }

    /// The cut as a slider: it is dragged, and with the focus it moves by the arrow keys.
    fn handle(&self, ui: &Ui, plot: Rect, x: f32, kept: usize, rows: usize) -> Response {
        let strip = Rect::from_x_y_ranges(x - REACH..=x + REACH, plot.y_range());
        let handle = ui.interact(strip, ui.scope_id().with("cut"), Sense::click_and_drag());
        handle.widget_info(|| WidgetInfo::slider(true, kept as f64, "Cut"));
        if handle.has_focus() {
            let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(handle.id, filter));
        }
        let text =
            format!("Drag to move the cut: {} of {} kept.", words::count(kept as u64), words::count(rows as u64));
        handle.on_hover_cursor(CursorIcon::ResizeHorizontal).on_hover_text(text)
    }

    fn drag(&mut self, ui: &Ui, cx: &mut Cx<'_>, solved: &Solved, handle: &Response, plot: Rect) {
        let session = cx.app.session();
        let (rows, now) = (solved.ranking.len(), session.counts.machine_keep);
        if handle.drag_started() {
            self.began = Some(now);
        } else if !handle.dragged() {
            self.began = None;
        }
        let mut wanted = now;
        if handle.dragged()
            && let Some(pointer) = handle.interact_pointer_pos()
        {
            wanted = kept_at(&solved.ranking, pointer, plot);
        }
        if handle.has_focus() {
            let step = if ui.input(|input| input.modifiers.shift) { (rows / 100).max(1) } else { 1 };
            let pressed = |key| ui.input(|input| input.num_presses(key)) * step;
            wanted =
                (wanted + pressed(Key::ArrowRight)).saturating_sub(pressed(Key::ArrowLeft)).clamp(1.min(rows), rows);
        }
        if wanted != now {
            cx.send(Action::SetKeep(keep_of(wanted, rows, cx.app.state().run.selection.keep)));
        }
    }

    /// While the cut is dragged, the rows that change sides lie on a tinted ground.
    fn moved(&self, ui: &Ui, solved: &Solved, plot: Rect, cut: f32) {
        let Some(began) = self.began else { return };
        let from = plot.left() + plot.width() * solved.ranking.histogram.unit(solved.ranking.cut_key(began));
        let to = plot.left() + plot.width() * cut;
        let ground = palette(ui.style()).accent.gamma_multiply(0.18);
        ui.painter().rect_filled(Rect::from_x_y_ranges(from.min(to)..=from.max(to), plot.y_range()), 0.0, ground);
        ui.painter().vline(from, plot.y_range(), Stroke::new(1.0, *palette(ui.style()).muted));
    }

    /// A ring below each bin with rows decided by hand: filled ground for kept, open for dropped.
    fn hand_marks(&mut self, ui: &Ui, session: &Session, solved: &Solved, plot: Rect) {
        let verdicts = &session.record.verdicts;
        let ranks = &solved.ranking.ranks;
        let same = |marks: &Marks| Arc::ptr_eq(&marks.of, verdicts) && Arc::ptr_eq(&marks.ranks, ranks);
        if !self.marks.as_ref().is_some_and(same) {
            let bins = marks(&solved.ranking, verdicts);
            self.marks = Some(Marks { of: verdicts.clone(), ranks: ranks.clone(), bins });
        }
        let Some(marks) = &self.marks else { return };
        let colour = *palette(ui.style()).by_hand;
        let step = plot.width() / marks.bins.len().max(1) as f32;
        for (place, [kept, dropped]) in marks.bins.iter().enumerate() {
            let at = pos2(plot.left() + step * (place as f32 + 0.5), plot.bottom() + 7.0);
            if *kept {
                ui.painter().circle_filled(at, 2.0, colour);
            }
            if *dropped {
                ui.painter().circle_stroke(at, 3.5, Stroke::new(1.2, colour));
            }
        }
    }
}

/// How many rows the machine keeps with the cut under the pointer. The ends of the plot mean all and one: rows beyond
/// the scale can be cut too.
fn kept_at(ranking: &Ranking, pointer: Pos2, plot: Rect) -> usize {
    let unit = (pointer.x - plot.left()) / plot.width().max(1.0);
    let key = match unit {
        unit if unit <= 0.0 => f64::NEG_INFINITY,
        unit if unit >= 1.0 => f64::INFINITY,
        unit => ranking.histogram.key(unit),
    };
    ranking.kept_at(key)
}

/// A number of kept rows in the kind of the setting that it replaces: a share stays a share.
fn keep_of(kept: usize, rows: usize, before: Keep) -> Keep {
    match before {
        Keep::Share(_) => Keep::Share(kept as f64 / rows.max(1) as f64),
        Keep::Count(_) => Keep::Count(kept),
    }
}

/// Reads `4,000` and `4000`.
fn count_from(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | ' ' | '\u{a0}')).collect();
    digits.parse().ok()
}

fn marks(ranking: &Ranking, verdicts: &Verdicts) -> Vec<[bool; 2]> {
    let mut bins = vec![[false; 2]; ranking.histogram.bins.len()];
    for (row, decision) in verdicts.iter() {
        let bin = (ranking.unit(*row) * bins.len() as f32) as usize;
        let last = bins.len().saturating_sub(1);
        if let Some(bin) = bins.get_mut(bin.min(last)) {
            bin[usize::from(decision.verdict == Verdict::Drop)] = true;
        }
    }
    bins
}

/// The bins; a root scale keeps the rare suspicious rows in sight.
fn bars(ui: &Ui, solved: &Solved, plot: Rect, cut: f32) {
    let colours = palette(ui.style());
    let bins = &solved.ranking.histogram.bins;
    let most = bins.iter().copied().max().unwrap_or(0).max(1) as f32;
    let step = plot.width() / bins.len().max(1) as f32;
    for (place, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = ((*count as f32 / most).sqrt() * (plot.height() - 4.0)).max(2.0);
        let left = plot.left() + step * place as f32;
        let unit = (place as f32 + 0.5) / bins.len() as f32;
        let bar = Rect::from_min_max(pos2(left + 0.5, plot.bottom() - height), pos2(left + step - 0.5, plot.bottom()));
        ui.painter().rect_filled(bar, 1.0, colours.score_at(row_widgets::bent(unit, cut)));
    }
}

fn paint_cut(ui: &Ui, plot: Rect, x: f32, handle: &Response) {
    let colours = palette(ui.style());
    let active = handle.hovered() || handle.dragged() || handle.has_focus();
    let ink = if active { *colours.accent_hover } else { *colours.accent };
    ui.painter().vline(x, plot.y_range(), Stroke::new(if active { 2.5 } else { 2.0 }, ink));
    let grip = Rect::from_center_size(pos2(x, plot.center().y), vec2(12.0, 22.0));
    ui.painter().rect(grip, 4.0, *colours.raised, Stroke::new(1.5, ink), StrokeKind::Inside);
    for away in [-2.0, 2.0] {
        ui.painter().vline(x + away, grip.top() + 6.0..=grip.bottom() - 6.0, Stroke::new(1.0, ink));
    }
}

fn triangle(ui: &Ui, tip: Pos2, height: f32, colour: egui::Color32) {
    let base = tip - vec2(0.0, height);
    let points = vec![tip, base + vec2(4.0, 0.0), base - vec2(4.0, 0.0)];
    ui.painter().add(egui::Shape::convex_polygon(points, colour, Stroke::NONE));
}

/// What the ends mean, above the rare rows there.
fn axis(ui: &Ui, by: RankBy, plot: Rect) {
    let colours = palette(ui.style());
    let (low, high) = match by {
        RankBy::Score => ("less suspicious", "more suspicious"),
        RankBy::Weight => ("counts more", "counts less"),
    };
    let font = FontId::proportional(11.0);
    for (align, text) in [(Align2::LEFT_TOP, low), (Align2::RIGHT_TOP, high)] {
        widgets::paint_text(ui, plot, align, text, font.clone(), *colours.muted, false);
    }
}

fn tooltip(solved: &Solved, plot: Rect, hover: Response) {
    let Some(pointer) = hover.hover_pos().filter(|pointer| plot.contains(*pointer)) else { return };
    let histogram = &solved.ranking.histogram;
    let bins = histogram.bins.len().max(1);
    let bin = (((pointer.x - plot.left()) / plot.width() * bins as f32) as usize).min(bins - 1);
    let (from, to) = (histogram.key(bin as f32 / bins as f32), histogram.key((bin + 1) as f32 / bins as f32));
    let rows = words::rows(u64::from(histogram.bins.get(bin).copied().unwrap_or(0)));
    let text = match solved.ranking.by {
        RankBy::Score => format!("{rows} with a score from {} to {}", words::signed(from), words::signed(to)),
        RankBy::Weight => {
            format!(
                "{rows} with a weight from {} to {}",
                words::weight(10f64.powf(-to)),
                words::weight(10f64.powf(-from))
            )
        }
    };
    hover.on_hover_text_at_pointer(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RowId;
    use crate::gui::solved::tests::ranking;
    use crate::selection::Decision;

    fn plot() -> Rect {
        Rect::from_min_max(pos2(100.0, 10.0), pos2(500.0, 60.0))
    }

    #[test]
    fn the_cut_under_the_pointer_keeps_the_rows_left_of_it() {
        let keys: Vec<f64> = (0..500).map(|i| f64::from(i * i % 499) * 0.01 - 2.0).collect();
        let ranking = ranking(&keys);
        for x in 101..500 {
            let pointer = pos2(x as f32, 30.0);
            let key = ranking.histogram.key((pointer.x - 100.0) / 400.0);
            // Slow and plain: count them.
            let left = keys.iter().filter(|other| **other <= key).count().max(1);
            assert_eq!(kept_at(&ranking, pointer, plot()), left, "at {x}");
        }
    }

    #[test]
    fn the_ends_of_the_plot_reach_the_rows_beyond_the_scale() {
        let mut keys: Vec<f64> = (0..5000).map(f64::from).collect();
        keys.extend([1e9, -1e9]);
        let ranking = ranking(&keys);
        assert!(ranking.histogram.high < 1e9 && ranking.histogram.low > -1e9);
        assert_eq!(kept_at(&ranking, pos2(600.0, 0.0), plot()), 5002);
        assert_eq!(kept_at(&ranking, pos2(0.0, 0.0), plot()), 1);
        assert_eq!(kept_at(&crate::gui::solved::tests::ranking(&[]), pos2(300.0, 0.0), plot()), 0);
    }

    #[test]
    fn a_share_stays_a_share_and_means_the_same_rows() {
        for rows in [1, 3, 7, 599, 100_003] {
            for kept in (1..=rows).step_by((rows / 50).max(1)) {
                let share = keep_of(kept, rows, Keep::Share(0.8));
                assert!(matches!(share, Keep::Share(_)));
                assert_eq!(share.of(rows).expect("in range"), kept, "{kept} of {rows}");
                assert_eq!(keep_of(kept, rows, Keep::Count(1)), Keep::Count(kept));
            }
        }
    }

    #[test]
    fn typed_counts_may_have_separators() {
        assert_eq!([count_from("4,000"), count_from(" 12 "), count_from("x")], [Some(4000.0), Some(12.0), None]);
    }

    #[test]
    fn decisions_are_marked_in_their_bin() {
        let ranking = ranking(&[0.0, 0.5, 1.0]);
        let decision = |row: u32, verdict| {
            (row, Decision { row: row.into(), id: RowId(String::new()), verdict, note: None, at: String::new() })
        };
        let verdicts = Verdicts::new([decision(0, Verdict::Keep), decision(2, Verdict::Drop)].into_iter().collect());
        let bins = marks(&ranking, &verdicts);
        assert_eq!(bins.first(), Some(&[true, false]));
        assert_eq!(bins.last(), Some(&[false, true]));
        assert_eq!(bins.iter().flatten().filter(|mark| **mark).count(), 2);
    }
}
