//! Why the row under the cursor stands where it stands: the sentence, where its mass goes, the nearest references.
//!
//! Constraints: everything was computed in a job; a frame lays out a few lines. Reference texts are covered as rows are.

use std::sync::Arc;

use egui::{Align, Align2, Frame, Layout, Margin, Rect, RichText, Sense, Ui, pos2, vec2};

use super::{Cx, row_widgets, widgets};
use crate::gui::theme::{icons, palette, tokens};
use crate::gui::words;
use crate::project::{GroupShare, NearReference, RowReasons, SideReasons};

/// Groups of a reference that are shown; the rest is summed up.
const GROUPS: usize = 4;

/// How far the reasons of a row are known.
pub enum Known {
    Here(Arc<RowReasons>),
    Coming,
    Failed(String),
    /// The files of the result are closed, or it has no vectors.
    No,
}

pub fn known(cx: &Cx<'_>, row: u32) -> Known {
    let session = cx.app.session();
    let reasons = &session.insight.reasons;
    if !session.solved.as_ref().is_some_and(|solved| reasons.are_of(&solved.purified)) {
        return Known::No;
    }
    match reasons.row.of(&row) {
        Some(Ok(found)) => Known::Here(found.clone()),
        Some(Err(error)) => Known::Failed(error.clone()),
        None => match &reasons.error {
            Some(error) => Known::Failed(error.clone()),
            None if reasons.job.is_some() || reasons.ready.is_some() => Known::Coming,
            None => Known::No,
        },
    }
}

/// The sentence, in place of `plain` once it is known.
pub fn sentence(ui: &mut Ui, known: &Known, plain: &str) {
    match known {
        Known::Here(found) => {
            ui.add(egui::Label::new(&found.sentence).wrap());
        }
        Known::Coming => {
            ui.label(plain);
            widgets::muted(ui, "Reading the reasons off the transport plan…");
        }
        Known::Failed(error) => {
            ui.label(plain);
            let text = format!("Its reasons cannot be read: {}", super::data_file::sentence(error));
            widgets::muted(ui, text);
        }
        Known::No => drop(ui.label(plain)),
    }
}

/// The table below the conversation.
pub fn details(ui: &mut Ui, cx: &Cx<'_>, known: &Known) {
    let Known::Here(found) = known else { return };
    let colours = palette(ui.style());
    ui.add_space(8.0);
    widgets::caption(ui, "Where its mass goes").on_hover_text(
        "Transport splits every row over the references that are near it. The shares of each side sum to 100 %.",
    );
    for (name, icon, colour, side) in [
        ("Harmful references", icons::HARMFUL, *colours.push, &found.harmful),
        ("Safe references", icons::SAFE, *colours.pull, &found.safe),
    ] {
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            ui.label(RichText::new(icon).color(colour));
            ui.label(RichText::new(name).size(tokens().sizes.small));
        });
        groups(ui, side, colour);
        ui.add_space(2.0);
        for (place, near) in side.nearest.iter().enumerate() {
            nearest(ui, near, place, colour, cx.app.state().cover_texts);
        }
    }
}

fn groups(ui: &mut Ui, side: &SideReasons, colour: egui::Color32) {
    for group in side.groups.iter().take(GROUPS) {
        share_line(ui, group, colour);
    }
    if let Some(rest) = side.groups.get(GROUPS..).filter(|rest| !rest.is_empty()) {
        let share: f64 = rest.iter().map(|group| group.share).sum();
        widgets::muted(ui, format!("{} other groups: {:.1} %", rest.len(), 100.0 * share));
    }
}

/// A group's name over a bar of its share, the share at the right.
fn share_line(ui: &mut Ui, group: &GroupShare, colour: egui::Color32) {
    let colours = palette(ui.style());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    // The scroll bar lies over the last points.
    let number = Rect::from_min_max(pos2(rect.right() - 60.0, rect.top()), rect.max - vec2(8.0, 0.0));
    let room = Rect::from_min_max(rect.min, pos2(number.left() - 4.0, rect.bottom()));
    ui.painter().rect_filled(room, 3.0, *colours.sunken);
    let filled = Rect::from_min_size(room.min, vec2(room.width() * group.share.clamp(0.0, 1.0) as f32, room.height()));
    // Faint enough that the name on it keeps its contrast.
    ui.painter().rect_filled(filled, 3.0, colour.gamma_multiply(0.28));
    let mark = Rect::from_min_size(room.min, vec2(2.0, room.height()));
    ui.painter().rect_filled(mark, 1.0, colour);
    let small = egui::FontId::proportional(tokens().sizes.small);
    let name = room.shrink2(vec2(8.0, 0.0));
    widgets::paint_text(ui, name, Align2::LEFT_CENTER, &group.name, small.clone(), *colours.text, false);
    let share = format!("{:.1} %", 100.0 * group.share);
    widgets::paint_text(ui, number, Align2::RIGHT_CENTER, &share, small, *colours.text, false);
    let text = format!("{}: {share} of the mass on {}", group.name, words::rows(group.rows as u64));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
    response.on_hover_text(text);
}

fn nearest(ui: &mut Ui, near: &NearReference, place: usize, colour: egui::Color32, covered: bool) {
    let colours = palette(ui.style());
    let frame = Frame::new().fill(*colours.raised).corner_radius(6).inner_margin(Margin {
        left: 12,
        right: 10,
        top: 6,
        bottom: 6,
    });
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.horizontal(|ui| {
            let title = if place == 0 { "nearest" } else { "next" };
            widgets::muted(ui, format!("{title} · cosine {:.3}", near.cosine))
                .on_hover_text("1 is the same direction: texts that say the same in the same words.");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                widgets::muted_line(ui, format!("{} row {}", near.file, words::count(near.number)))
                    .on_hover_text(format!("Takes {:.1} % of this row's mass on its side.", 100.0 * near.share));
            });
        });
        let text = near.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if covered {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 16.0), Sense::hover());
            if response.contains_pointer() {
                let font = egui::FontId::proportional(tokens().sizes.body);
                widgets::paint_text(ui, rect, Align2::LEFT_CENTER, &text, font, *colours.text, false);
            } else {
                row_widgets::cover(ui, rect);
            }
        } else {
            let mut job = egui::text::LayoutJob::simple(
                text,
                egui::FontId::proportional(tokens().sizes.body),
                *colours.text,
                ui.available_width(),
            );
            job.wrap.max_rows = 2;
            ui.label(job);
        }
        if near.shared.is_empty() {
            widgets::muted(ui, "no rare word in common");
        } else {
            let words = near.shared.join(", ");
            widgets::muted_line(ui, format!("both say: {words}"))
                .on_hover_text("Words that both texts hold and few references do, the rarest first.");
        }
    });
    let rect = shown.response.rect;
    let bar = Rect::from_min_max(rect.min, pos2(rect.left() + 3.0, rect.bottom()));
    ui.painter().rect_filled(bar, egui::CornerRadius { nw: 6, sw: 6, ne: 0, se: 0 }, colour);
}
