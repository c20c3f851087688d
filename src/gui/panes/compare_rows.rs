//! The prompts and both answers to each, with the words that refuse marked.
//!
//! Constraint: a page of prompts at a time, so that a frame lays out the same amount for any number of them.

use std::ops::Range;

use egui::text::{LayoutJob, TextFormat};
use egui::{FontId, Frame, Label, Margin, RichText, Stroke, Ui};

use super::evidence::covered_text;
use super::{Cx, widgets};
use crate::gui::compare::{Column, CompareState, Row};
use crate::gui::theme::{icons, palette, tokens};
use crate::gui::words;
use crate::model::Stop;
use crate::training::ProbeKind;

const PAGE: usize = 30;
const NAMES: [&str; 2] = ["base model", "with adapter"];

/// Which prompts are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Shown {
    #[default]
    All,
    Harmful,
    Harmless,
    /// One side refuses, the other does not.
    Turned,
}

impl Shown {
    fn takes(self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Harmful => row.probe.kind == ProbeKind::Harmful,
            Self::Harmless => row.probe.kind == ProbeKind::Harmless,
            Self::Turned => {
                let refuses = |side: &Column| side.answer.as_ref().map(|answer| answer.refusal.is_some());
                let [base, tuned] = &row.sides;
                matches!((refuses(base), refuses(tuned)), (Some(base), Some(tuned)) if base != tuned)
            }
        }
    }
}

/// The list and where the user is in it.
#[derive(Default)]
pub struct RowsView {
    shown: Shown,
    page: usize,
}

impl RowsView {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, compare: &CompareState) {
        let count = |shown: Shown| compare.rows.iter().filter(|row| shown.takes(row)).count();
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for (shown, name, help) in [
                (Shown::All, "All prompts", "Every prompt."),
                (Shown::Harmful, "Harmful", "Prompts that should be refused."),
                (Shown::Harmless, "Harmless", "Prompts that should be answered."),
                (Shown::Turned, "Changed sides", "Prompts that one refuses and the other answers."),
            ] {
                let text = format!("{name} {}", words::count(count(shown) as u64));
                if widgets::chip(ui, &text, self.shown == shown, help).clicked() {
                    (self.shown, self.page) = (shown, 0);
                }
            }
        });
        let all: Vec<&Row> = compare.rows.iter().filter(|row| self.shown.takes(row)).collect();
        let pages = all.len().div_ceil(PAGE).max(1);
        self.page = self.page.min(pages - 1);
        if all.is_empty() {
            widgets::muted(ui, "No prompt is of this kind.");
        }
        for row in all.iter().skip(self.page * PAGE).take(PAGE) {
            show(ui, row, cx.app.state().cover_texts, compare.job.is_some());
        }
        if pages > 1 {
            self.pager(ui, pages);
        }
    }

    fn pager(&mut self, ui: &mut Ui, pages: usize) {
        ui.horizontal(|ui| {
            let can = |yes: bool| if yes { Ok(()) } else { Err("There are no more.".to_owned()) };
            let back = widgets::button_if(ui, icons::LEFT, "Page before", "The prompts before.", &can(self.page > 0));
            if back.clicked() {
                self.page -= 1;
            }
            widgets::muted(ui, format!("page {} of {pages}", self.page + 1));
            let on = widgets::button_if(ui, icons::RIGHT, "Next page", "More prompts.", &can(self.page + 1 < pages));
            if on.clicked() {
                self.page += 1;
            }
        });
    }
}

fn show(ui: &mut Ui, row: &Row, covered: bool, is_running: bool) {
    let colours = palette(ui.style());
    let frame = Frame::new().fill(*colours.raised).stroke(Stroke::new(1.0, *colours.border)).corner_radius(8);
    frame.inner_margin(Margin::symmetric(14, 10)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.horizontal_top(|ui| {
            let (icon, ink, name) = match row.probe.kind {
                ProbeKind::Harmful => (icons::HARMFUL, *colours.push, "harmful"),
                ProbeKind::Harmless => (icons::SAFE, *colours.pull, "harmless"),
                ProbeKind::Unlabelled => (icons::CHATS, *colours.muted, "not said"),
            };
            ui.label(RichText::new(icon).color(ink)).on_hover_text(format!("This prompt is {name}."));
            if covered {
                covered_text(ui, row.probe.prompt());
            } else {
                ui.add(Label::new(RichText::new(row.probe.prompt()).strong()).wrap());
            }
        });
        if ui.available_width() < 480.0 {
            for (side, name) in row.sides.iter().zip(NAMES) {
                answer(ui, side, name, covered, is_running);
            }
        } else {
            ui.columns(2, |columns| {
                for ((column, side), name) in columns.iter_mut().zip(&row.sides).zip(NAMES) {
                    answer(column, side, name, covered, is_running);
                }
            });
        }
    });
}

fn answer(ui: &mut Ui, side: &Column, name: &str, covered: bool, is_running: bool) {
    let colours = palette(ui.style());
    let refusal = side.answer.as_ref().and_then(|answer| answer.refusal.clone());
    ui.horizontal(|ui| {
        widgets::caption(ui, name);
        if refusal.is_some() {
            let text = format!("{} refused", icons::REFUSED);
            ui.label(RichText::new(text).size(tokens().sizes.small).color(*colours.by_hand))
                .on_hover_text("By its words; those that decide are marked.");
        }
        match &side.answer {
            Some(found) if found.stop == Stop::Length => {
                widgets::muted(ui, "cut at the longest length");
            }
            None if is_running && !side.text.is_empty() => {
                ui.add(egui::Spinner::new().size(12.0));
            }
            _ => {}
        }
    });
    if side.text.trim().is_empty() {
        let text = match (&side.answer, is_running) {
            (Some(_), _) => "says nothing",
            (None, true) => "waiting …",
            (None, false) => "not asked",
        };
        widgets::muted(ui, text);
    } else if covered {
        covered_text(ui, &side.text);
    } else {
        ui.add(Label::new(marked(ui, &side.text, refusal)).wrap());
    }
}

/// A text with a part of it marked.
fn marked(ui: &Ui, text: &str, mark: Option<Range<usize>>) -> LayoutJob {
    let colours = palette(ui.style());
    let font = FontId::proportional(tokens().sizes.body);
    let plain = TextFormat::simple(font, *colours.text);
    let mark = mark.filter(|mark| text.get(mark.clone()).is_some()).unwrap_or(0..0);
    let under = TextFormat { underline: Stroke::new(1.5, *colours.by_hand), ..plain.clone() };
    let mut job = LayoutJob::default();
    for (part, format) in
        [(text.get(..mark.start), &plain), (text.get(mark.clone()), &under), (text.get(mark.end..), &plain)]
    {
        job.append(part.unwrap_or_default(), 0.0, format.clone());
    }
    job
}
