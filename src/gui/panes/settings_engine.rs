//! What computes the weights, in the settings: the engine, and the graphics adapter where there is a choice.

use egui::{ComboBox, Ui};

use super::data_file::sentence;
use super::settings_field::{change, label, segments};
use super::{Cx, widgets};
use crate::gpu::Adapter;
use crate::transport::EngineChoice;

pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let run = cx.app.state().run.clone();
    label(ui, "Engine", "What computes the weights. Results differ by rounding only.");
    let choices = [
        (EngineChoice::Auto, "Automatic", "Whichever a short trial finds faster (default)."),
        (EngineChoice::Gpu, "Graphics", "A graphics processor; the processor where there is none."),
        (EngineChoice::Cpu, "Processor", "All cores of the processor."),
    ];
    if let Some(engine) = segments(ui, run.solver.engine, &choices) {
        change(cx, |run| run.solver.engine = engine);
    }
    let adapters = &cx.app.session().adapters;
    if let Some(error) = &adapters.error {
        widgets::notice(ui, widgets::Tone::Error, &sentence(error));
    }
    let Some(list) = adapters.list.clone() else {
        widgets::muted(ui, "Looking for graphics adapters …");
        return;
    };
    if list.is_empty() {
        widgets::muted(ui, "No graphics adapter was found: the processor computes.");
        return;
    }
    let name = label(ui, "Graphics adapter", "Which one is used. `dipole gpu` tests them all.");
    let first = list.first().map_or("", |adapter| adapter.name.as_str());
    let now = match &run.solver.adapter {
        None => format!("The likely fastest ({first})"),
        Some(adapter) => adapter.clone(),
    };
    let mut picked = run.solver.adapter.clone();
    ComboBox::from_id_salt("Graphics adapter")
        .width(ui.available_width())
        .selected_text(now)
        .truncate()
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut picked, None, format!("The likely fastest ({first})"));
            for adapter in &list {
                ui.selectable_value(&mut picked, Some(adapter.name.clone()), words(adapter));
            }
        })
        .response
        .labelled_by(name);
    if picked != run.solver.adapter {
        change(cx, |run| run.solver.adapter = picked);
    }
    if list.iter().all(Adapter::is_software) {
        widgets::muted(ui, "It is a software adapter: the processor itself, only slower. Automatic never takes it.");
    }
}

fn words(adapter: &Adapter) -> String {
    let kind = if adapter.is_software() { ", software" } else { "" };
    format!("{} ({}{kind})", adapter.name, adapter.backend)
}
