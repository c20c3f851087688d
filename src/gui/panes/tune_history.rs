//! Earlier runs: when, on what, how they ended, and what can be done with them.

use egui::{Align, Label, Layout, RichText, Sense, Ui, vec2};

use super::tune_run::{settings_words, state_words};
use super::{Cx, widgets};
use crate::gui::action::Action;
use crate::gui::compare::CompareAction;
use crate::gui::roles::name_of;
use crate::gui::theme::{icons, palette, tokens};
use crate::gui::tune::TuneAction;
use crate::gui::words;
use crate::project::tuning::StoredRun;

/// Two lines of text, in points.
const HEIGHT: f32 = 36.0;
/// Runs shown before the user asks for all.
const FIRST: usize = 6;

/// The list of runs.
#[derive(Default)]
pub struct HistoryCard {
    all: bool,
}

impl HistoryCard {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let tune = &cx.app.session().tune;
        if let Some(error) = &tune.history_error {
            widgets::notice(ui, widgets::Tone::Error, &super::data_file::sentence(error));
        }
        if tune.history.is_empty() {
            return;
        }
        widgets::card(ui, |ui| {
            widgets::heading(ui, "Earlier runs");
            ui.spacing_mut().item_spacing.y = 4.0;
            let most = if self.all { usize::MAX } else { FIRST };
            for run in tune.history.iter().take(most) {
                row(ui, cx, run);
            }
            let more = tune.history.len().saturating_sub(most);
            if more > 0 && ui.link(format!("Show {more} more")).clicked() {
                self.all = true;
            }
        });
    }
}

fn row(ui: &mut Ui, cx: &mut Cx<'_>, stored: &StoredRun) {
    let colours = palette(ui.style());
    let tune = &cx.app.session().tune;
    let is_shown = tune.live.is_none() && tune.shown.as_ref().is_some_and(|shown| shown.run.folder == stored.folder);
    let run = &stored.run;
    let (icon, ink, state) = state_words(stored);
    let name = name_of(&stored.folder);
    let ground = if is_shown { *colours.selection } else { *colours.sunken };
    let frame = egui::Frame::new().fill(ground).corner_radius(6).inner_margin(egui::Margin::symmetric(10, 6));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.allocate_ui_with_layout(vec2(ui.available_width(), HEIGHT), Layout::left_to_right(Align::Center), |ui| {
            ui.label(RichText::new(icon).color(ink.of(ui))).on_hover_text(&state);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                let idle = tune.live.is_none();
                if stored.has_adapter
                    && widgets::icon_button(ui, icons::CHATS, &format!("Compare answers of {name}")).clicked()
                {
                    cx.send(Action::Tune(TuneAction::Compare(CompareAction::Of(stored.folder.clone()))));
                }
                if stored.can_resume()
                    && idle
                    && widgets::icon_button(ui, icons::PLAY, &format!("Go on with {name}")).clicked()
                {
                    cx.send(Action::Tune(TuneAction::Resume(stored.folder.clone())));
                }
                if idle && widgets::icon_button(ui, icons::CHART, &format!("Show {name}")).clicked() {
                    cx.send(Action::Tune(TuneAction::Show(stored.folder.clone())));
                }
                let room = vec2(ui.available_width(), HEIGHT);
                ui.allocate_ui_with_layout(room, Layout::top_down(Align::Min), |ui| {
                    ui.spacing_mut().item_spacing.y = 0.0;
                    let title = format!("{} on {}", name_of(&run.base), run.origin);
                    ui.add(Label::new(title).truncate().sense(Sense::hover()))
                        .on_hover_text(settings_words(&run.settings));
                    let text = RichText::new(details(stored, &state)).size(tokens().sizes.small).color(*colours.muted);
                    ui.add(Label::new(text).truncate());
                });
            });
        });
    });
}

fn details(stored: &StoredRun, state: &str) -> String {
    let run = &stored.run;
    let mut parts = vec![words::moment(&run.began), state.to_owned()];
    if run.steps > 0 {
        parts.push(format!("{} / {} steps", words::count(run.steps_done), words::count(run.steps)));
    }
    if let Some(loss) = run.last_loss {
        parts.push(format!("loss {loss:.3}"));
    }
    if let Some(loss) = run.evaluation {
        parts.push(format!("held out {loss:.3}"));
    }
    parts.join(" · ")
}
