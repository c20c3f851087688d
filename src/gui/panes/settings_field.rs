//! Fields of the settings panel: a name with a one-sentence explanation, a control, and the error at the field.
//!
//! Constraint: what is typed applies at once when it is valid; an invalid text stays in the field, marked, and the
//! setting keeps its last valid value.

use std::collections::HashMap;

use egui::{RichText, TextEdit, Ui, vec2};

use super::data_file::sentence;
use super::{Cx, widgets};
use crate::gui::action::Action;
use crate::gui::state::RunSettings;
use crate::gui::theme::{icons, palette, tokens};

/// Texts being typed, by the name of their field, with what is wrong with each.
#[derive(Default)]
pub struct Drafts(HashMap<&'static str, Draft>);

struct Draft {
    text: String,
    error: Option<String>,
}

impl Drafts {
    /// Forgets all that is being typed.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A text field for one setting. `set` puts the text into the settings or says what is wrong with it.
    pub fn field(
        &mut self,
        ui: &mut Ui,
        cx: &mut Cx<'_>,
        name: &'static str,
        help: &str,
        value: String,
        set: impl FnOnce(&mut RunSettings, &str) -> Result<(), String>,
    ) {
        self.text(ui, name, help, value, |text| apply(cx, text, set));
    }

    /// A text field for anything. `accept` takes the text or says what is wrong with it.
    pub fn text(
        &mut self,
        ui: &mut Ui,
        name: &'static str,
        help: &str,
        value: String,
        accept: impl FnOnce(&str) -> Result<(), String>,
    ) {
        let name_label = label(ui, name, help);
        let draft = self.0.get(name);
        let mut text = draft.map_or(value, |draft| draft.text.clone());
        let colours = palette(ui.style());
        let mut field = TextEdit::singleline(&mut text).min_size(vec2(0.0, 28.0)).desired_width(f32::INFINITY);
        if draft.is_some_and(|draft| draft.error.is_some()) {
            field = field.text_color(*colours.error);
        }
        let response = ui.add(field).labelled_by(name_label);
        if response.changed() {
            let error = accept(&text).err();
            self.0.insert(name, Draft { text, error });
        }
        let wrong = self.0.get(name).and_then(|draft| draft.error.clone());
        match &wrong {
            Some(error) => field_error(ui, error),
            // The field shows the setting as it is written again.
            None if !response.has_focus() => drop(self.0.remove(name)),
            None => {}
        }
    }
}

fn apply(
    cx: &mut Cx<'_>,
    text: &str,
    set: impl FnOnce(&mut RunSettings, &str) -> Result<(), String>,
) -> Result<(), String> {
    let mut run = cx.app.state().run.clone();
    set(&mut run, text)?;
    run.solver.clone().checked().map_err(|error| error.to_string())?;
    run.selection.checked().map_err(|error| error.to_string())?;
    if run != cx.app.state().run {
        cx.send(Action::SetRun(Box::new(run)));
    }
    Ok(())
}

/// Sends the settings after a change by a control that cannot be wrong.
pub fn change(cx: &mut Cx<'_>, with: impl FnOnce(&mut RunSettings)) {
    let mut run = cx.app.state().run.clone();
    with(&mut run);
    if run != cx.app.state().run {
        cx.send(Action::SetRun(Box::new(run)));
    }
}

/// A number, or what is wrong with the text.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().replace(',', ".").parse().map_err(|_| format!("“{}” is no number", text.trim()))
}

/// A field's name; its sentence is behind the mark.
///
/// Gives the label's id, which names the control that it stands over.
pub fn label(ui: &mut Ui, name: &str, help: &str) -> egui::Id {
    let colours = palette(ui.style());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let id = ui.label(name).on_hover_text(help).id;
        ui.label(RichText::new(icons::INFO).color(*colours.muted)).on_hover_text(help);
        id
    })
    .inner
}

/// What is wrong with a field, below it.
pub fn field_error(ui: &mut Ui, error: &str) {
    let colours = palette(ui.style());
    let text = format!("{}  {}", icons::ERROR, sentence(error));
    ui.add(egui::Label::new(RichText::new(text).size(tokens().sizes.small).color(*colours.error)).wrap());
}

/// One of a few: buttons side by side, of equal width.
pub fn segments<T: PartialEq + Copy>(ui: &mut Ui, now: T, choices: &[(T, &str, &str)]) -> Option<T> {
    let mut chosen = None;
    let gap = 4.0;
    let width = (ui.available_width() - gap * choices.len().saturating_sub(1) as f32) / choices.len().max(1) as f32;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        ui.spacing_mut().button_padding.x = 4.0;
        for (value, text, help) in choices {
            let on = *value == now;
            let colours = palette(ui.style());
            let ink = if on { *colours.text } else { *colours.muted };
            let mut button = egui::Button::new(RichText::new(*text).color(ink)).truncate().min_size(vec2(width, 28.0));
            if on {
                button = button.fill(*colours.selection).stroke(egui::Stroke::new(1.0, *colours.accent));
            }
            let size = vec2(width, 28.0);
            let response = ui.add_sized(size, button.selected(on)).on_hover_text(*help).accessible_name(*text);
            if response.clicked() && !on {
                chosen = Some(*value);
            }
        }
    });
    chosen
}

/// The small title over a group of fields.
pub fn group(ui: &mut Ui, text: &str) {
    ui.add_space(8.0);
    ui.separator();
    widgets::heading(ui, text);
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_with_point_or_comma() {
        assert_eq!(number::<f64>(" 0,25 "), Ok(0.25));
        assert_eq!(number::<u64>("7"), Ok(7));
        assert_eq!(number::<u64>("x"), Err("“x” is no number".to_owned()));
    }
}
