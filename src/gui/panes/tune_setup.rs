//! What is trained, and on what: the base model and the rows.
//!
//! Constraint: paths are looked at by jobs; an unusable one says at the field which file is missing or wrong.

use std::path::Path;

use egui::{Align, Button, Layout, RichText, TextEdit, Ui, vec2};

use super::settings_field::{field_error, label, segments};
use super::{Cx, widgets};
use crate::gui::action::{Action, hint};
use crate::gui::roles::name_of;
use crate::gui::state::Step;
use crate::gui::theme::{icons, palette};
use crate::gui::tune::{BaseModel, RowsFrom, TuneAction, TuneChoices};
use crate::gui::words;

/// How the built-in model is called.
pub const STARTER: &str = "Starter model (built in)";

/// Sends the choices after a change.
pub fn change(cx: &mut Cx<'_>, with: impl FnOnce(&mut TuneChoices)) {
    let mut choices = cx.app.state().tune.clone();
    with(&mut choices);
    if choices != cx.app.state().tune {
        cx.send(Action::Tune(TuneAction::Set(Box::new(choices))));
    }
}

/// A path with a button that picks it and, where there are some, those used before. `Some` when it changed.
pub fn path_field(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    name: &str,
    hint_text: &str,
    value: &str,
    recent: &[std::path::PathBuf],
    pick: TuneAction,
) -> Option<String> {
    let mut text = value.to_owned();
    let mut changed = false;
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::icon_button(ui, icons::FOLDER, &format!("Choose: {}", name.to_lowercase())).clicked() {
                cx.send(Action::Tune(pick));
            }
            if let Some(used) = recent_menu(ui, name, recent, cx.app.options.starter.as_deref()) {
                (text, changed) = (used, true);
            }
            let field = TextEdit::singleline(&mut text)
                .hint_text(hint_text.to_owned())
                .min_size(vec2(0.0, 28.0))
                .desired_width(ui.available_width());
            changed |= ui.add(field).accessible_name(name).changed();
        });
    });
    (changed && text != value).then_some(text)
}

/// A button with the folders used before, of which `starter` is called by its name; `Some` when one was taken. Nothing
/// where there is none.
pub fn recent_menu(ui: &mut Ui, name: &str, recent: &[std::path::PathBuf], starter: Option<&Path>) -> Option<String> {
    if recent.is_empty() {
        return None;
    }
    let mut taken = None;
    let button = widgets::icon_button(ui, icons::HISTORY, &format!("Used before: {}", name.to_lowercase()));
    egui::Popup::menu(&button).width(320.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for path in recent {
            let shown = path.display().to_string();
            let called = if starter == Some(path) { STARTER.to_owned() } else { tail(path) };
            let item = Button::new(called).min_size(vec2(320.0, 28.0)).truncate();
            if ui.add(item).on_hover_text(&shown).accessible_name(format!("Use {shown}")).clicked() {
                taken = Some(shown);
                ui.close();
            }
        }
    });
    taken
}

/// The last two parts of a path: models are often called `snapshots/abc`.
fn tail(path: &Path) -> String {
    let name = name_of(path);
    match path.parent().filter(|parent| parent.parent().is_some()) {
        Some(parent) => format!("{} / {name}", name_of(parent)),
        None => name,
    }
}

pub fn model(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Base model");
    let choices = cx.app.state().tune.clone();
    let starter = cx.app.options.starter.clone();
    let own = choices.recent.iter().filter(|path| Some(*path) != starter.as_ref());
    let is_starter = starter.as_ref() == Some(&choices.base_path());
    if let Some(starter) = &starter {
        let options = [
            (true, STARTER, "A small chat model inside Dipole, to try everything with. It knows little."),
            (false, "Model folder", "A Hugging Face model on this machine."),
        ];
        if let Some(is_starter) = segments(ui, is_starter, &options) {
            let chosen = if is_starter { Some(starter) } else { own.clone().next() };
            change(cx, |choices| choices.base = chosen.map_or_else(String::new, |path| path.display().to_string()));
        }
    }
    if !is_starter {
        let recent: Vec<_> = own.filter(|path| **path != choices.base_path()).cloned().collect();
        let example = "the folder of a Hugging Face model";
        let typed = path_field(ui, cx, "Base model folder", example, &choices.base, &recent, TuneAction::PickBase);
        if let Some(base) = typed {
            change(cx, |choices| choices.base = base);
        }
    }
    match cx.app.session().tune.base.found() {
        Some(Ok(model)) => {
            facts(ui, model);
            if is_starter {
                widgets::muted(
                    ui,
                    "For demonstration: it refuses and chats a little. Use a model of yours for real work.",
                );
            }
        }
        Some(Err(error)) => wrong(ui, cx, error),
        None if choices.base.trim().is_empty() => {
            widgets::muted(
                ui,
                "Llama, Mistral, Qwen2, Qwen3 or Gemma3, as transformers saves them: config.json, tokenizer.json and safetensors.",
            );
        }
        None => drop(widgets::muted(ui, "Looking …")),
    }
}

/// What is wrong with a path, and a way to look again once it is mended.
fn wrong(ui: &mut Ui, cx: &mut Cx<'_>, error: &str) {
    field_error(ui, error);
    if ui.link("Look again").on_hover_text("Look at the folder anew, after you changed it.").clicked() {
        cx.send(Action::Tune(TuneAction::LookAgain));
    }
}

fn facts(ui: &mut Ui, model: &BaseModel) {
    let colours = palette(ui.style());
    let spec = &model.facts.spec;
    let text = format!(
        "{} · {} parameters · {} layers · {}",
        spec.model_type,
        millions(model.facts.parameters()),
        spec.layers,
        words::bytes(model.facts.stored_bytes)
    );
    ui.horizontal(|ui| {
        ui.label(RichText::new(icons::CHECK).color(*colours.good));
        widgets::muted_line(ui, text).on_hover_text(format!(
            "{} on disk. {} heads of {}, {} hidden, {} tokens in the vocabulary, made for texts of {} tokens.",
            words::bytes(model.facts.stored_bytes),
            spec.heads,
            spec.head_dim,
            words::count(spec.hidden as u64),
            words::count(spec.vocabulary as u64),
            words::count(spec.positions as u64)
        ));
    });
    if model.tokenizer.has_built_in_template() {
        let text = "It has no chat template; a plain one with headings stands in. Base models rarely have one.";
        widgets::notice(ui, widgets::Tone::Stale, text);
    }
}

/// `7.2 billion`, `494 million`, `23,552`.
fn millions(count: u64) -> String {
    let millions = count as f64 / 1e6;
    match millions {
        m if m >= 1000.0 => format!("{:.1} billion", m / 1000.0),
        m if m >= 10.0 => format!("{m:.0} million"),
        m if m >= 0.1 => format!("{m:.1} million"),
        _ => words::count(count),
    }
}

pub fn rows(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Rows");
    let choices = cx.app.state().tune.clone();
    let options = [
        (
            RowsFrom::Kept,
            "Kept rows",
            "The rows that the last purification keeps, with their weights and your decisions.",
        ),
        (RowsFrom::File, "File or export", "An export folder, or any file of rows that Dipole reads."),
    ];
    if let Some(rows_from) = segments(ui, choices.rows_from, &options) {
        change(cx, |choices| choices.rows_from = rows_from);
    }
    match choices.rows_from {
        RowsFrom::Kept => kept(ui, cx),
        RowsFrom::File => file(ui, cx, &choices),
    }
    label(ui, "Weights", crate::training::TrainSettings::help("use_weights"));
    let options = [
        (true, "Scale the loss", "A row of weight 2 teaches twice as much as one of weight 1."),
        (false, "All alike", "Weights are set aside; dropped rows stay dropped."),
    ];
    if let Some(use_weights) = segments(ui, choices.settings.use_weights, &options) {
        change(cx, |choices| choices.settings.use_weights = use_weights);
    }
}

fn kept(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    match cx.app.can_tune_kept() {
        Ok(()) => {
            let name = session.custom().map_or_else(String::new, |file| file.name());
            let text = format!("{} of {name}", words::rows(session.counts.kept as u64));
            widgets::muted_line(ui, text);
            if let Some(what) = session.stale(&cx.app.state.run, cx.app.options.threads) {
                let text = format!("{what} The kept rows are those of the older result.");
                widgets::notice(ui, widgets::Tone::Stale, &text);
            }
        }
        Err(reason) => {
            widgets::muted(ui, reason);
            if session.solved.is_none() && session.run.job.is_none() {
                let (step, icon, text) = match session.missing_for_run() {
                    Some(_) => (Step::Data, icons::DATA, "Go to Data"),
                    None => (Step::Purify, icons::PURIFY, "Go to Purify"),
                };
                if widgets::button(ui, icon, text, &hint(ui.ctx(), &Action::GoTo(step))).clicked() {
                    cx.send(Action::GoTo(step));
                }
            }
        }
    }
}

fn file(ui: &mut Ui, cx: &mut Cx<'_>, choices: &TuneChoices) {
    let example = "an export folder, or rows.jsonl";
    if let Some(file) = path_field(ui, cx, "File of rows", example, &choices.file, &[], TuneAction::PickRows) {
        change(cx, |choices| choices.file = file);
    }
    match cx.app.session().tune.rows.found() {
        Some(Ok(rows)) => {
            let text = format!("{} in {}", words::rows(rows.data.len() as u64), name_of(&rows.path));
            widgets::muted_line(ui, text);
        }
        Some(Err(error)) => wrong(ui, cx, error),
        None if choices.file.trim().is_empty() => {
            widgets::muted(ui, "A row's number “weight”, where it has one, scales its loss.");
        }
        None => match cx.app.session().tune.rows.progress() {
            Some((_, snapshot)) => widgets::progress(ui, &snapshot, true),
            None => drop(widgets::muted(ui, "Looking …")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_paths_are_short() {
        let counts = [23_552, 100_000, 494_000_000, 7_240_000_000].map(millions);
        assert_eq!(counts, ["23,552", "0.1 million", "494 million", "7.2 billion"]);
        assert_eq!(tail(Path::new("/hub/models/qwen")), "models / qwen");
        assert_eq!(tail(Path::new("/qwen")), "qwen");
    }
}
