//! How one row is tokenised: exactly what the model reads, and which of it is learnt.

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, FontId, Layout, RichText, Stroke, Ui};

use super::data_file::sentence;
use super::evidence::covered_text;
use super::{Cx, widgets};
use crate::gui::action::Action;
use crate::gui::theme::{icons, palette, tokens};
use crate::gui::tune::{Preview, TuneAction};
use crate::gui::words;
use crate::model::Piece;

/// Characters of a piece that are shown.
const MOST: usize = 1500;

/// The card; nothing where model or rows are not chosen yet.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let preview = &cx.app.session().tune.preview;
    if preview.of.is_none() {
        return;
    }
    widgets::card(ui, |ui| {
        ui.horizontal(|ui| {
            widgets::heading(ui, "What the model reads");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if widgets::icon_button(ui, icons::RIGHT, "Next row").clicked() {
                    cx.send(Action::Tune(TuneAction::Preview(1)));
                }
                if widgets::icon_button(ui, icons::LEFT, "Row before").clicked() {
                    cx.send(Action::Tune(TuneAction::Preview(-1)));
                }
            });
        });
        match &preview.found {
            Some(Ok(found)) => row(ui, found, cx.app.state().cover_texts),
            Some(Err(error)) => widgets::notice(ui, widgets::Tone::Error, &sentence(error)),
            None => drop(widgets::muted(ui, "Tokenising …")),
        }
    });
}

fn row(ui: &mut Ui, found: &Preview, covered: bool) {
    let colours = palette(ui.style());
    let number = words::count(found.number);
    match &found.pieces {
        Err(reason) => {
            let text = format!("Row {number} is left out: {reason}.");
            ui.add(egui::Label::new(RichText::new(text).color(*colours.stale)).wrap());
        }
        Ok(pieces) => {
            let cut = match found.cut {
                0 => String::new(),
                cut => format!(" · {} cut off at the end", words::count(cut as u64)),
            };
            ui.horizontal_wrapped(|ui| {
                widgets::muted(
                    ui,
                    format!(
                        "row {number} · {} tokens, {} of them",
                        words::count(found.tokens as u64),
                        words::count(found.supervised as u64)
                    ),
                );
                let mark = RichText::new("learnt").size(tokens().sizes.small).color(*colours.text);
                ui.label(mark.background_color(*colours.selection).underline());
                if !cut.is_empty() {
                    widgets::muted(ui, cut);
                }
            });
            if covered {
                covered_text(ui, &pieces.iter().map(|piece| shortened(&piece.text)).collect::<String>());
            } else {
                ui.add(egui::Label::new(job(ui, pieces)).wrap());
            }
        }
    }
}

fn job(ui: &Ui, pieces: &[Piece]) -> LayoutJob {
    let colours = palette(ui.style());
    // The mono face has ligatures, which would draw `<|` as one sign.
    let font = FontId::proportional(tokens().sizes.body);
    let mut job = LayoutJob::default();
    for piece in pieces {
        let format = if piece.supervised {
            TextFormat {
                font_id: font.clone(),
                color: *colours.text,
                background: *colours.selection,
                underline: Stroke::new(1.0, *colours.accent),
                ..TextFormat::default()
            }
        } else {
            TextFormat::simple(font.clone(), *colours.muted)
        };
        job.append(&shortened(&piece.text), 0.0, format);
    }
    job
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} …", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
