//! The settings of a fine-tuning run: presets, the few that matter, and all others behind a fold.
//!
//! Constraint: names differ from the command line, help texts do not: they are the library's.

use egui::{CollapsingHeader, ComboBox, Ui};

use super::settings_field::{Drafts, label, number, segments};
use super::tune_setup::change;
use super::{Cx, widgets};
use crate::model::{Module, Precision};
use crate::training::{Schedule, TrainError, TrainSettings};

/// The card and what is being typed in it.
#[derive(Default)]
pub struct SettingsCard {
    drafts: Drafts,
}

/// Puts a text into the settings.
type Put = fn(&mut TrainSettings, &str) -> Result<(), String>;

impl SettingsCard {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        widgets::heading(ui, "Settings");
        ui.spacing_mut().item_spacing.y = 6.0;
        self.presets(ui, cx);
        let settings = cx.app.state().tune.settings.clone();
        self.length(ui, cx, &settings);
        self.pair(
            ui,
            cx,
            ("Learning rate", "learning_rate", settings.learning_rate.to_string(), |s, t| put(&mut s.learning_rate, t)),
            ("Rows a step", "batch_rows", settings.batch_rows.to_string(), |s, t| put(&mut s.batch_rows, t)),
        );
        self.pair(
            ui,
            cx,
            ("Adapter rank", "rank", settings.rank.to_string(), |s, t| put(&mut s.rank, t)),
            ("Longest row, tokens", "max_tokens", settings.max_tokens.to_string(), |s, t| put(&mut s.max_tokens, t)),
        );
        self.pair(
            ui,
            cx,
            ("Held-out share", "evaluation_share", settings.evaluation_share.to_string(), |s, t| {
                put(&mut s.evaluation_share, t)
            }),
            ("Measure every, steps", "evaluate_every", settings.evaluate_every.to_string(), |s, t| {
                put(&mut s.evaluate_every, t)
            }),
        );
        ui.add_space(4.0);
        CollapsingHeader::new("All settings").id_salt("all settings").show_unindented(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 6.0;
            self.more(ui, cx, &settings);
        });
    }

    fn presets(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let now = &cx.app.state().tune.settings;
        let all = [
            ("Default", TrainSettings::default(), "LoRA as the paper has it, weights as the model stores them."),
            (
                "Paper",
                TrainSettings::paper(),
                "The paper's set-up: rank 16, α 16 on q_proj and v_proj, bf16, 2 epochs.",
            ),
            ("Quick trial", TrainSettings::quick_trial(), "60 steps on short rows, to see whether it works at all."),
        ];
        let which = all.iter().position(|(_, settings, _)| settings == now);
        let choices: Vec<(usize, &str, &str)> =
            all.iter().enumerate().map(|(place, (name, _, help))| (place, *name, *help)).collect();
        if let Some(chosen) = segments(ui, which.unwrap_or(usize::MAX), &choices)
            && let Some((_, settings, _)) = all.into_iter().nth(chosen)
        {
            self.drafts.clear();
            change(cx, |choices| choices.settings = settings);
        }
    }

    /// Epochs, or steps where the user says so.
    fn length(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, settings: &TrainSettings) {
        let by_steps = settings.steps.is_some();
        label(ui, "How long", "As often as every row is seen, or a number of optimiser steps.");
        let options = [(false, "Epochs", TrainSettings::help("epochs")), (true, "Steps", TrainSettings::help("steps"))];
        if let Some(by_steps) = segments(ui, by_steps, &options) {
            self.drafts.clear();
            change(cx, |choices| choices.settings.steps = by_steps.then_some(100));
        }
        if by_steps {
            let value = settings.steps.unwrap_or(1).to_string();
            self.field(
                ui,
                cx,
                ("Number of steps", "steps", value, |s, t| {
                    s.steps = Some(number(t)?);
                    Ok(())
                }),
            );
        } else {
            let value = settings.epochs.to_string();
            self.field(ui, cx, ("Number of epochs", "epochs", value, |s, t| put(&mut s.epochs, t)));
        }
    }

    fn more(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, settings: &TrainSettings) {
        widgets::caption(ui, "Adapter");
        targets(ui, cx, settings);
        self.pair(
            ui,
            cx,
            ("Strength (alpha)", "alpha", settings.alpha.to_string(), |s, t| put(&mut s.alpha, t)),
            ("Dropout", "dropout", settings.dropout.to_string(), |s, t| put(&mut s.dropout, t)),
        );
        toggle(ui, cx, "Rank-stabilised (rsLoRA)", "rank_stabilised", settings.rank_stabilised, |s, on| {
            s.rank_stabilised = on;
        });
        widgets::caption(ui, "Optimiser");
        let name = label(ui, "Schedule", &help("schedule"));
        let mut schedule = settings.schedule;
        let choices = [(Schedule::Cosine, "Cosine"), (Schedule::Linear, "Linear"), (Schedule::Constant, "Constant")];
        combo(ui, name, "Schedule", &mut schedule, &choices);
        if schedule != settings.schedule {
            change(cx, |choices| choices.settings.schedule = schedule);
        }
        self.pair(
            ui,
            cx,
            ("Warm-up share", "warmup_share", settings.warmup_share.to_string(), |s, t| put(&mut s.warmup_share, t)),
            ("Weight decay", "weight_decay", settings.weight_decay.to_string(), |s, t| put(&mut s.weight_decay, t)),
        );
        self.pair(
            ui,
            cx,
            ("Gradient clip", "clip", settings.clip.to_string(), |s, t| put(&mut s.clip, t)),
            ("Epsilon", "epsilon", settings.epsilon.to_string(), |s, t| put(&mut s.epsilon, t)),
        );
        self.pair(
            ui,
            cx,
            ("Beta 1", "beta1", settings.beta1.to_string(), |s, t| put(&mut s.beta1, t)),
            ("Beta 2", "beta2", settings.beta2.to_string(), |s, t| put(&mut s.beta2, t)),
        );
        widgets::caption(ui, "Stopping and saving");
        self.pair(
            ui,
            cx,
            ("Patience", "patience", settings.patience.map_or_else(String::new, |p| p.to_string()), |s, t| {
                s.patience = if t.trim().is_empty() { None } else { Some(number(t)?) };
                Ok(())
            }),
            ("Checkpoint every, steps", "checkpoint_every", settings.checkpoint_every.to_string(), |s, t| {
                put(&mut s.checkpoint_every, t)
            }),
        );
        widgets::caption(ui, "Memory and speed");
        let name = label(ui, "Numbers of the base model", &help("precision"));
        let mut precision = settings.precision;
        let choices = [
            (Precision::Stored, "As stored"),
            (Precision::F32, "float32"),
            (Precision::Bf16, "bfloat16"),
            (Precision::F16, "float16"),
        ];
        combo(ui, name, "Numbers of the base model", &mut precision, &choices);
        if precision != settings.precision {
            change(cx, |choices| choices.settings.precision = precision);
        }
        toggle(ui, cx, "Compute activations again", "recompute", settings.recompute, |s, on| s.recompute = on);
        let mut all_cores = cx.app.state().tune.all_cores;
        let words = "Faster; the window may stutter. Otherwise one core stays with the window. The result is the same.";
        if ui.checkbox(&mut all_cores, "Use every core").on_hover_text(words).changed() {
            change(cx, |choices| choices.all_cores = all_cores);
        }
        self.pair(
            ui,
            cx,
            ("Tokens at once", "micro_tokens", settings.micro_tokens.to_string(), |s, t| put(&mut s.micro_tokens, t)),
            ("Seed", "seed", settings.seed.to_string(), |s, t| put(&mut s.seed, t)),
        );
    }

    fn pair(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, left: Field, right: Field) {
        ui.columns(2, |columns| {
            if let [one, two] = columns {
                self.field(one, cx, left);
                self.field(two, cx, right);
            }
        });
    }

    fn field(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, (name, key, value, put): Field) {
        self.drafts.text(ui, name, &help(key), value, |text| {
            let mut settings = cx.app.state().tune.settings.clone();
            put(&mut settings, text)?;
            settings.check().map_err(|error| in_place(key, error))?;
            change(cx, |choices| choices.settings = settings);
            Ok(())
        });
    }
}

/// Name in the window, name in the library, value, and how a text becomes one.
type Field = (&'static str, &'static str, String, Put);

fn put<T: std::str::FromStr>(into: &mut T, text: &str) -> Result<(), String> {
    *into = number(text)?;
    Ok(())
}

fn help(key: &str) -> String {
    format!("{}.", TrainSettings::help(key))
}

/// What is wrong with a setting, said at its own field.
fn in_place(key: &str, error: TrainError) -> String {
    match error {
        TrainError::Setting { name, value, reason } if name == key => format!("{reason}, not {value}"),
        other => other.to_string(),
    }
}

/// Which linear maps get an adapter.
fn targets(ui: &mut Ui, cx: &mut Cx<'_>, settings: &TrainSettings) {
    label(ui, "Linear maps", &help("targets"));
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(4.0, 4.0);
        for module in Module::ALL {
            let on = settings.targets.contains(&module);
            let last = on && settings.targets.len() == 1;
            let words =
                if last { "At least one map must have an adapter." } else { "An adapter on this map, in every layer." };
            if widgets::chip(ui, module.name(), on, words).clicked() && !last {
                change(cx, |choices| {
                    let targets = &mut choices.settings.targets;
                    if on {
                        targets.retain(|other| *other != module)
                    } else {
                        targets.push(module)
                    }
                    targets.sort();
                });
            }
        }
    });
}

fn toggle(ui: &mut Ui, cx: &mut Cx<'_>, name: &str, key: &str, now: bool, set: impl FnOnce(&mut TrainSettings, bool)) {
    let mut on = now;
    if ui.checkbox(&mut on, name).on_hover_text(help(key)).changed() {
        change(cx, |choices| set(&mut choices.settings, on));
    }
}

fn combo<T: PartialEq + Copy>(ui: &mut Ui, label: egui::Id, name: &str, value: &mut T, choices: &[(T, &str)]) {
    let now = choices.iter().find(|(choice, _)| choice == value).map_or("", |(_, text)| *text);
    ComboBox::from_id_salt(name)
        .width(ui.available_width())
        .selected_text(now)
        .truncate()
        .show_ui(ui, |ui| {
            for (choice, text) in choices {
                ui.selectable_value(value, *choice, *text);
            }
        })
        .response
        .labelled_by(label);
}
