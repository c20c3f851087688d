//! The Tune step: choose a model and rows, train with one button, watch, and go on with what came of it.
//!
//! Constraint: one primary button at a time; every state of a run (impossible, ready, running, paused, done, stopped,
//! failed) says what to do next; nothing here waits for work.

use egui::{RichText, ScrollArea, Ui, UiBuilder, pos2, vec2};

use super::tune_history::HistoryCard;
use super::tune_settings::SettingsCard;
use super::{Cx, Pane, tune_plots, tune_preview, tune_run, tune_setup, widgets};
use crate::gui::theme;
use crate::project::tuning::RunState;

/// Wider than this, set-up and run stand side by side, in points.
const SIDE_BY_SIDE: f32 = 820.0;
const SETUP: f32 = 372.0;
const GAP: f32 = 20.0;
/// Text lines are kept short enough to read, in points.
const MEASURE: f32 = 980.0;

/// Fine-tuning.
#[derive(Default)]
pub struct TunePane {
    settings: SettingsCard,
    history: HistoryCard,
}

impl Pane for TunePane {
    fn title(&self) -> &'static str {
        "Tune"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("Fine-tune").font(theme::title_font()));
            widgets::muted(ui, "Trains a small adapter (LoRA) on your rows. The base model stays as it is.");
        });
        ui.add_space(4.0);
        let room = ui.available_rect_before_wrap();
        if room.width() < SIDE_BY_SIDE {
            ScrollArea::vertical().id_salt("all").auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(ui.available_width() - 12.0);
                ui.spacing_mut().item_spacing.y = 12.0;
                // What goes on comes first.
                if cx.app.session().tune.live.is_some() {
                    self.run(ui, cx);
                    self.setup(ui, cx);
                } else {
                    self.setup(ui, cx);
                    self.run(ui, cx);
                }
            });
            return;
        }
        let left = egui::Rect::from_min_size(room.min, vec2(SETUP, room.height()));
        let right = egui::Rect::from_min_max(pos2(left.right() + GAP, room.top()), room.max);
        ui.scope_builder(UiBuilder::new().max_rect(left).id_salt("left"), |ui| {
            ScrollArea::vertical().id_salt("setup").auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(SETUP - 12.0);
                ui.spacing_mut().item_spacing.y = 12.0;
                self.setup(ui, cx);
            });
        });
        ui.scope_builder(UiBuilder::new().max_rect(right).id_salt("right"), |ui| {
            ScrollArea::vertical().id_salt("run").auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(MEASURE.min(ui.available_width() - 12.0));
                ui.spacing_mut().item_spacing.y = 12.0;
                self.run(ui, cx);
            });
        });
    }
}

impl TunePane {
    fn setup(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let is_live = cx.app.session().tune.live.is_some();
        // What trains now was chosen before; what is chosen now is for the next run.
        if is_live {
            widgets::muted(ui, "A run is going on. What you choose here is for the next one.");
        }
        widgets::card(ui, |ui| tune_setup::model(ui, cx));
        widgets::card(ui, |ui| tune_setup::rows(ui, cx));
        widgets::card(ui, |ui| self.settings.ui(ui, cx));
    }

    fn run(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let tune = &cx.app.session().tune;
        let is_live = tune.live.is_some();
        let is_told = tune.shown.as_ref().is_some_and(|shown| matches!(shown.run.run.state, RunState::Failed(_)));
        if let Some(error) = &tune.error
            && !is_live
            && !is_told
        {
            widgets::notice(ui, widgets::Tone::Error, &super::data_file::sentence(error));
        }
        if is_live {
            tune_run::going_on(ui, cx);
        } else {
            tune_run::result(ui, cx);
            tune_run::ready(ui, cx);
        }
        let steps = match (&tune.live, &tune.shown) {
            (Some(live), _) => live.steps.as_slice(),
            (None, Some(shown)) => shown.steps.as_slice(),
            (None, None) => &[],
        };
        if !steps.is_empty() {
            widgets::card(ui, |ui| tune_plots::ui(ui, steps));
        }
        if !is_live {
            tune_preview::ui(ui, cx);
        }
        self.history.ui(ui, cx);
    }
}
