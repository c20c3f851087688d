//! A run before it begins, while it goes on, and what came of it.

use egui::{Align, Label, Layout, RichText, Ui};

use super::data_file::sentence;
use super::{Cx, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::compare::CompareAction;
use crate::gui::roles::name_of;
use crate::gui::theme::{self, icons, palette};
use crate::gui::tune::{Live, RowsFrom, TuneAction};
use crate::gui::words;
use crate::project::tuning::{RunState, StoredRun, TuneRun};
use crate::training::{Finish, MemoryEstimate, TrainSettings};

/// What a run would do, in words, with the button that begins it.
pub fn ready(ui: &mut Ui, cx: &mut Cx<'_>) {
    let is_again = cx.app.session().tune.shown.is_some();
    widgets::card(ui, |ui| {
        widgets::heading(ui, if is_again { "A new run" } else { "What will run" });
        for line in plan_words(cx) {
            ui.horizontal_top(|ui| {
                widgets::muted(ui, icons::RIGHT);
                ui.add(Label::new(line).wrap());
            });
        }
        if cx.app.session().tune.forecast.as_ref().is_some_and(|forecast| forecast.memory.is_too_much()) {
            let text = "The run may need more memory than there is. Fewer tokens at once, a smaller longest row, \
                        computing activations again, or bfloat16 take less.";
            widgets::notice(ui, widgets::Tone::Stale, text);
        }
        ui.add_space(4.0);
        let enabled = cx.app.can_tune();
        let label = match (cx.app.state().tune.rows_from, cx.app.state().tune.settings.use_weights) {
            (RowsFrom::Kept, true) => "Fine-tune on the kept rows with their weights",
            (RowsFrom::Kept, false) => "Fine-tune on the kept rows, all alike",
            (RowsFrom::File, true) => "Fine-tune on these rows with their weights",
            (RowsFrom::File, false) => "Fine-tune on these rows, all alike",
        };
        let help = hint(ui.ctx(), &Action::Tune(TuneAction::Start));
        // Where a result waits, the way on is there.
        let begin = if is_again {
            widgets::button_if(ui, icons::TUNE, label, &help, &enabled)
        } else {
            widgets::primary(ui, icons::TUNE, label, 200.0, &enabled, &help)
        };
        if begin.clicked() {
            cx.send(Action::Tune(TuneAction::Start));
        }
        if let Err(reason) = &enabled {
            widgets::muted(ui, reason);
        }
    });
}

fn plan_words(cx: &Cx<'_>) -> Vec<String> {
    let choices = &cx.app.state().tune;
    let settings = &choices.settings;
    let targets: Vec<&str> = settings.targets.iter().map(|target| target.name()).collect();
    let mut lines = vec![format!(
        "An adapter of rank {} on {} learns what the assistant says in the rows; the base model is only read.",
        settings.rank,
        targets.join(", ")
    )];
    let how_long = match settings.steps {
        Some(steps) => format!("{} steps", words::count(steps)),
        None if settings.epochs == 1 => "every row once".to_owned(),
        None => format!("every row {} times", words::count(settings.epochs)),
    };
    let held_out = if settings.evaluation_share > 0.0 {
        format!("; {:.0} % of the rows are held out to measure the loss on", settings.evaluation_share * 100.0)
    } else {
        "; no row is held out, so only the training loss is seen".to_owned()
    };
    lines.push(format!("It takes {how_long}, {} at a time{held_out}.", words::rows(settings.batch_rows as u64)));
    if let Some(forecast) = &cx.app.session().tune.forecast {
        let (steps, memory) = (forecast.steps, forecast.memory);
        lines.push(format!(
            "That is {} on {}; memory about {}{}.",
            if steps == 1 { "1 step".to_owned() } else { format!("{} steps", words::count(steps)) },
            match choices.threads(cx.app.options.threads) {
                1 => "1 core".to_owned(),
                cores => format!("{cores} cores"),
            },
            words::bytes(memory.total()),
            left(&memory)
        ));
    }
    let every = settings.checkpoint_every;
    lines.push(format!(
        "Every {} the state is saved: a run that is stopped, or whose computer fails, goes on from there.",
        if every == 1 { "step".to_owned() } else { format!("{} steps", words::count(every)) }
    ));
    lines
}

fn left(memory: &MemoryEstimate) -> String {
    memory.available.map_or_else(String::new, |left| format!(", and {} are free", words::bytes(left)))
}

/// The run that goes on.
pub fn going_on(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(live) = &cx.app.session().tune.live else { return };
    let (is_paused, is_stopping) = (live.control.is_paused(), live.control.is_stopped());
    widgets::card(ui, |ui| {
        ui.horizontal(|ui| {
            if is_paused && !is_stopping {
                ui.label(RichText::new(icons::PAUSE).size(18.0));
            } else {
                ui.spinner();
            }
            let heading = match (is_stopping, is_paused) {
                (true, _) => "Stopping",
                (_, true) => "Paused",
                _ => "Fine-tuning",
            };
            widgets::heading(ui, heading);
            widgets::muted_line(
                ui,
                format!(
                    "{} on {}, for {}",
                    name_of(&live.base),
                    live.origin,
                    words::duration(live.job.elapsed().as_secs_f64())
                ),
            );
        });
        widgets::progress(ui, &live.job.snapshot(), false);
        ui.add_space(4.0);
        figures(ui, live, is_paused);
        for warning in &live.warnings {
            widgets::notice(ui, widgets::Tone::Stale, &sentence(warning));
        }
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            let can = if is_stopping { Err("It is being stopped.".to_owned()) } else { Ok(()) };
            let (icon, text, help) = if is_paused {
                (icons::PLAY, "Go on", "Let the run go on.")
            } else {
                (icons::PAUSE, "Pause", "Hold the run at once; nothing is lost, and the memory stays taken.")
            };
            let can_pause = match live.begun {
                None if !is_stopping => Err("It has not begun to train yet.".to_owned()),
                _ => can.clone(),
            };
            if widgets::button_if(ui, icon, text, help, &can_pause).clicked() {
                cx.send(Action::Tune(TuneAction::Pause));
            }
            let help = "End the run after its last whole step, with a checkpoint and an adapter. It can go on later.";
            if widgets::button_if(ui, icons::STOP, "Stop", help, &can).clicked() {
                cx.send(Action::Tune(TuneAction::Stop));
            }
            match live.checkpoint {
                Some(step) => {
                    widgets::muted(ui, format!("Saved behind step {}.", words::count(step)));
                }
                None => drop(widgets::muted(ui, "Nothing is saved yet.")),
            }
        });
    });
}

fn figures(ui: &mut Ui, live: &Live, is_paused: bool) {
    let none = || "–".to_owned();
    let last = live.steps.last();
    let held_out = live.steps.iter().rev().find_map(|step| step.evaluation);
    let total = live.begun.map_or(0, |begun| begun.steps);
    let left = match last {
        Some(step) if !is_paused => words::duration(step.seconds_left),
        _ => none(),
    };
    let of = |value: Option<f64>, digits: usize| value.map_or_else(none, |value| format!("{value:.digits$}"));
    let all = [
        (
            last.map_or_else(none, |step| format!("{} / {}", words::count(step.step), words::count(total))),
            "step",
            "Optimiser steps done, of all.",
        ),
        (of(last.map(|step| step.loss), 3), "loss", "The weighted loss of the last step's rows."),
        (of(held_out, 3), "held out", "The mean loss of the held-out rows, last measured."),
        (
            last.map_or_else(none, |step| words::count(step.tokens_per_second.round() as u64)),
            "tokens a second",
            "Tokens of the last step by its time.",
        ),
        (
            last.and_then(|step| step.memory).map_or_else(none, words::bytes),
            "memory",
            "Memory that the whole program takes now.",
        ),
        (left, "left", "By the mean time of the steps so far."),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 28.0;
        for (value, name, help) in all {
            widgets::stat(ui, &value, name, help);
        }
    });
    if let Some(begun) = live.begun {
        let resumed = match begun.resumed_at {
            0 => String::new(),
            step => format!(" · resumed behind step {}", words::count(step)),
        };
        widgets::muted_line(
            ui,
            format!(
                "{} learnt, {} held out · {} trained parameters · estimate for the training {}{resumed}",
                words::rows(begun.rows),
                words::count(begun.held_out),
                words::count(begun.parameters),
                words::bytes(begun.memory.total()),
            ),
        );
    }
}

/// The run that is shown: what came of it, and where to go on.
pub fn result(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(shown) = &cx.app.session().tune.shown else { return };
    let stored = &shown.run;
    let run = &stored.run;
    let colours = palette(ui.style());
    widgets::card(ui, |ui| {
        let (icon, ink, text) = state_words(stored);
        let ink = ink.of(ui);
        ui.horizontal(|ui| {
            ui.label(RichText::new(icon).size(20.0).color(ink));
            widgets::heading(ui, &text);
        });
        widgets::muted_line(ui, format!("{} on {} · {}", name_of(&run.base), run.origin, words::moment(&run.began)));
        if let RunState::Failed(error) = &run.state {
            ui.add(Label::new(RichText::new(sentence(error)).color(*colours.error)).wrap());
        }
        run_figures(ui, run);
        rows_line(ui, run);
        if stored.has_adapter {
            path_line(ui, "Adapter", &stored.adapter().display().to_string());
        }
        if stored.has_merged {
            path_line(ui, "Merged model", &stored.merged().display().to_string());
        }
        ui.add_space(4.0);
        buttons(ui, cx, stored);
    });
}

fn run_figures(ui: &mut Ui, run: &TuneRun) {
    let mut all = Vec::new();
    if let (Some(first), Some(last)) = (run.first_loss, run.last_loss) {
        all.push((
            format!("{first:.3} → {last:.3}"),
            "loss, first and last step",
            "The weighted loss of a step's rows.",
        ));
    }
    if let Some(evaluation) = run.evaluation {
        all.push((format!("{evaluation:.3}"), "lowest held-out loss", "Measured on rows that were not trained on."));
    }
    if run.steps > 0 {
        let steps = format!("{} / {}", words::count(run.steps_done), words::count(run.steps));
        all.push((steps, "steps", "Optimiser steps done, of all."));
    }
    all.push((words::duration(run.seconds), "time", "Work of all sessions together."));
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 28.0;
        for (value, name, help) in all {
            widgets::stat(ui, &value, name, help);
        }
    });
}

/// What became of the rows, and with which settings, on a line each.
fn rows_line(ui: &mut Ui, run: &TuneRun) {
    let rows = &run.rows;
    if rows.read > 0 {
        let mut parts = vec![format!("{} used, {} tokens", words::rows(rows.used), words::count(rows.tokens))];
        for (count, what) in [
            (rows.truncated, "cut short"),
            (rows.refused, "without an answer"),
            (rows.weightless, "of weight 0 left out"),
        ] {
            if count > 0 {
                parts.push(format!("{} {what}", words::count(count)));
            }
        }
        widgets::muted_line(ui, parts.join(" · "));
    }
    widgets::muted_line(ui, settings_words(&run.settings));
}

/// A run's settings on one line.
pub fn settings_words(settings: &TrainSettings) -> String {
    let targets: Vec<&str> = settings.targets.iter().map(|target| target.name()).collect();
    format!(
        "rank {} · α {} · {} · rate {} · {} rows a step · seed {}{}",
        settings.rank,
        settings.alpha,
        targets.join(", "),
        settings.learning_rate,
        settings.batch_rows,
        settings.seed,
        if settings.use_weights { "" } else { " · weights set aside" }
    )
}

/// A path that can be copied.
fn path_line(ui: &mut Ui, name: &str, path: &str) {
    ui.horizontal(|ui| {
        widgets::caption(ui, name);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::icon_button(ui, icons::COPY, &format!("Copy the path: {}", name.to_lowercase())).clicked() {
                ui.ctx().copy_text(path.to_owned());
            }
            let room = ui.available_size();
            ui.allocate_ui_with_layout(room, Layout::left_to_right(Align::Center), |ui| {
                let text = RichText::new(path).font(theme::mono_font());
                ui.add(Label::new(text).truncate()).on_hover_text(path);
            });
        });
    });
}

fn buttons(ui: &mut Ui, cx: &mut Cx<'_>, stored: &StoredRun) {
    let folder = stored.folder.clone();
    ui.horizontal_wrapped(|ui| {
        let can_resume = stored.can_resume();
        if can_resume {
            let text = match stored.checkpoint {
                Some(step) => format!("Go on behind step {}", words::count(step)),
                None => "Try again from the beginning".to_owned(),
            };
            if widgets::primary(ui, icons::PLAY, &text, 160.0, &Ok(()), "Go on to the end of this run.").clicked() {
                cx.send(Action::Tune(TuneAction::Resume(folder.clone())));
            }
        }
        if stored.has_adapter {
            let help = "Ask the model the same prompts with and without the adapter.";
            let compare = if can_resume {
                widgets::button(ui, icons::CHATS, "Compare answers", help)
            } else {
                widgets::primary(ui, icons::CHATS, "Compare answers", 160.0, &Ok(()), help)
            };
            if compare.clicked() {
                cx.send(Action::Tune(TuneAction::Compare(CompareAction::Of(folder.clone()))));
            }
            match &cx.app.session().tune.merging {
                Some(merging) if merging.folder == folder => {
                    ui.spinner();
                    widgets::muted(ui, "Merging …");
                }
                _ if stored.has_merged => {}
                merging => {
                    let enabled = match merging {
                        Some(_) => Err("Another adapter is being merged.".to_owned()),
                        None => Ok(()),
                    };
                    let help = "Write a whole model folder with the adapter worked in; it needs no adapter then.";
                    if widgets::button_if(ui, icons::MERGE, "Merge into the model", help, &enabled).clicked() {
                        cx.send(Action::Tune(TuneAction::Merge(folder)));
                    }
                }
            }
        }
    });
}

/// A colour by its meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Good,
    Stale,
    Error,
    Accent,
}

impl Ink {
    pub fn of(self, ui: &Ui) -> egui::Color32 {
        let colours = palette(ui.style());
        match self {
            Self::Good => *colours.good,
            Self::Stale => *colours.stale,
            Self::Error => *colours.error,
            Self::Accent => *colours.accent,
        }
    }
}

/// How a run stands, in a sign and words.
pub fn state_words(stored: &StoredRun) -> (&'static str, Ink, String) {
    let run = &stored.run;
    let step = words::count(run.steps_done);
    match &run.state {
        _ if stored.is_live => (icons::PLAY, Ink::Accent, "Going on".to_owned()),
        RunState::Ended(Finish::Complete) => (icons::CHECK, Ink::Good, "Done".to_owned()),
        RunState::Ended(Finish::EarlyStop) => {
            (icons::CHECK, Ink::Good, "Ended early: the held-out loss no longer fell".to_owned())
        }
        RunState::Ended(Finish::Stopped) => (icons::PAUSE, Ink::Stale, format!("Stopped behind step {step}")),
        RunState::Begun => match stored.checkpoint {
            Some(step) => {
                (icons::WARNING, Ink::Stale, format!("Interrupted; saved behind step {}", words::count(step)))
            }
            None => (icons::WARNING, Ink::Stale, "Interrupted before its first checkpoint".to_owned()),
        },
        RunState::Failed(_) => (icons::ERROR, Ink::Error, "Failed".to_owned()),
    }
}
