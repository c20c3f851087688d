//! Which field of a file plays which role: shown, and corrected by reading the file again.

use egui::{CollapsingHeader, ComboBox, RichText, Ui};

use super::data_file::for_window;
use super::{Cx, widgets};
use crate::data::{FieldRole, Mapping, Schema};
use crate::gui::action::Action;
use crate::gui::backend::Facts;
use crate::gui::roles::RoleFile;
use crate::gui::theme::{icons, palette, tokens};

/// A mapping that the user changes; `None` while the file's own is shown.
#[derive(Default)]
pub struct MappingDraft(Option<Mapping>);

impl MappingDraft {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile, facts: &Facts, open: bool) {
        let header = CollapsingHeader::new("Fields and their roles").id_salt((file.id, "fields")).default_open(open);
        header.show_unindented(ui, |ui| {
            let mut mapping = self.0.clone().unwrap_or_else(|| facts.mapping.clone());
            schema_choice(ui, file.id, &mut mapping);
            let required = mapping.schema.required();
            for role in required.iter().chain(mapping.schema.optional()) {
                let must = required.contains(role);
                role_choice(ui, file, &mut mapping, *role, must);
            }
            let carried = carried(file, &mapping);
            if !carried.is_empty() {
                let text = format!("Carried along untouched: {}", carried.join(", "));
                widgets::muted_line(ui, text.clone()).on_hover_text(text);
            }
            let changed = mapping != facts.mapping;
            let valid = mapping.validate().map_err(|error| for_window(&error.to_string()));
            if let (true, Err(reason)) = (changed, &valid) {
                let colour = *palette(ui.style()).error;
                ui.label(RichText::new(reason).size(tokens().sizes.small).color(colour));
            }
            ui.horizontal_wrapped(|ui| {
                let ready = if changed { valid } else { Err("These are the fields in use.".to_owned()) };
                let help = "Read the file again with these roles.";
                let name = format!("Read {} with these fields", file.name());
                if widgets::button_if(ui, icons::AGAIN, "Read with these fields", help, &ready)
                    .accessible_name(name)
                    .clicked()
                {
                    cx.send(Action::ReadAgain(file.id, Some(mapping.clone())));
                }
                if file.mapping.is_some()
                    && widgets::button(ui, icons::UNDO, "Detect again", "Let Dipole decide.").clicked()
                {
                    cx.send(Action::ReadAgain(file.id, None));
                }
            });
            self.0 = changed.then_some(mapping);
        });
    }
}

fn schema_choice(ui: &mut Ui, file: u64, mapping: &mut Mapping) {
    let before = mapping.schema;
    row(ui, "Layout", "How a row is laid out.", |ui| {
        ComboBox::from_id_salt((file, "schema"))
            .width(ui.available_width())
            .selected_text(schema_words(mapping.schema))
            .truncate()
            .show_ui(ui, |ui| {
                for schema in Schema::ALL {
                    ui.selectable_value(&mut mapping.schema, schema, schema_words(schema));
                }
            })
            .response
            .accessible_name("Layout of the rows");
    });
    if mapping.schema != before {
        let schema = mapping.schema;
        mapping.fields.retain(|_, role| schema.required().contains(role) || schema.optional().contains(role));
    }
}

fn role_choice(ui: &mut Ui, file: &RoleFile, mapping: &mut Mapping, role: FieldRole, must: bool) {
    let now = mapping.field(role).map(str::to_owned);
    let mut chosen = now.clone();
    let (name, help) = role_words(role);
    let none = if must { "choose a field" } else { "none" };
    row(ui, name, help, |ui| {
        ComboBox::from_id_salt((file.id, role))
            .width(ui.available_width())
            .selected_text(now.as_deref().unwrap_or(none))
            .truncate()
            .show_ui(ui, |ui| {
                if !must {
                    ui.selectable_value(&mut chosen, None, none);
                }
                for field in &file.fields {
                    ui.selectable_value(&mut chosen, Some(field.clone()), field);
                }
            })
            .response
            .accessible_name(format!("Field for {}", name.to_lowercase()));
    });
    if chosen != now {
        mapping.fields.retain(|field, played| *played != role && Some(field) != chosen.as_ref());
        if let Some(field) = chosen {
            mapping.fields.insert(field, role);
        }
    }
}

/// A name at the left, its control at the right.
fn row(ui: &mut Ui, name: &str, help: &str, add: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        let left = ui.available_width() * 0.36;
        ui.allocate_ui_with_layout(egui::vec2(left, 28.0), egui::Layout::left_to_right(egui::Align::Center), |ui| {
            ui.set_min_width(left);
            widgets::muted_line(ui, name).on_hover_text(help);
        });
        add(ui);
    });
}

fn carried<'a>(file: &'a RoleFile, mapping: &Mapping) -> Vec<&'a str> {
    file.fields.iter().filter(|field| !mapping.fields.contains_key(*field)).map(String::as_str).collect()
}

/// `Alpaca: instruction, input → output`.
pub fn mapping_words(mapping: &Mapping) -> String {
    let fields: Vec<&str> = mapping.fields.keys().map(String::as_str).collect();
    format!("{} ({})", schema_words(mapping.schema), fields.join(", "))
}

pub fn schema_words(schema: Schema) -> &'static str {
    match schema {
        Schema::Alpaca => "Alpaca",
        Schema::ShareGpt => "ShareGPT",
        Schema::Messages => "Chat messages",
        Schema::PromptCompletion => "Prompt and completion",
        Schema::QuestionAnswer => "Question and answer",
        Schema::Text => "Plain text",
        Schema::Preference => "Preference pairs",
    }
}

fn role_words(role: FieldRole) -> (&'static str, &'static str) {
    match role {
        FieldRole::System => ("System prompt", "The standing instruction to the model."),
        FieldRole::Prompt => ("User's words", "Instruction, prompt or question."),
        FieldRole::Input => ("More input", "A second field of the user's words, such as Alpaca's input."),
        FieldRole::Response => ("Model's answer", "Output, completion or answer."),
        FieldRole::History => ("Earlier turns", "A list of pairs of user's and model's words."),
        FieldRole::Conversation => ("Conversation", "A list of messages."),
        FieldRole::Text => ("Text", "One text that is neither question nor answer."),
        FieldRole::Chosen => ("Chosen answer", "The answer that was preferred."),
        FieldRole::Rejected => ("Rejected answer", "The answer that was not preferred."),
    }
}
