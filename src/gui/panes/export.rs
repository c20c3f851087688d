//! The Export step: where to, what will be written, the writing, and what was written.
//!
//! Constraint: the folder is written whole or not at all; this pane only says so and shows it.

use std::path::Path;

use egui::{RichText, ScrollArea, TextEdit, Ui, vec2};

use super::{Cx, Pane, widgets};
use crate::data::Container;
use crate::gui::action::{Action, hint};
use crate::gui::state::Step;
use crate::gui::theme::{self, icons, palette};
use crate::gui::words;
use crate::project::ExportReport;

const MEASURE: f32 = 760.0;

/// The export form.
#[derive(Default)]
pub struct ExportPane;

impl Pane for ExportPane {
    fn title(&self) -> &'static str {
        "Export"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if cx.app.session().solved.is_none() && cx.app.session().export.report.is_none() {
            return nothing_yet(ui, cx);
        }
        ui.label(RichText::new("Export the purified data").font(theme::title_font()));
        ui.add_space(4.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(MEASURE.min(ui.available_width()));
            ui.spacing_mut().item_spacing.y = 12.0;
            obstacles(ui, cx);
            if let Some(report) = &cx.app.session().export.report {
                written(ui, report);
            }
            widgets::card(ui, |ui| form(ui, cx));
            widgets::card(ui, |ui| contents(ui, cx));
        });
    }
}

fn nothing_yet(ui: &mut Ui, cx: &mut Cx<'_>) {
    let text = "An export holds the kept rows with their weights, the removed rows, and the record of how it was made.";
    widgets::empty(ui, icons::EXPORT, "Nothing to export yet", text, |ui| match cx.app.session().missing_for_run() {
        Some(_) => {
            if widgets::button(ui, icons::DATA, "Go to Data", &hint(ui.ctx(), &Action::GoTo(Step::Data))).clicked() {
                cx.send(Action::GoTo(Step::Data));
            }
        }
        None => {
            let help = hint(ui.ctx(), &Action::GoTo(Step::Purify));
            if widgets::button(ui, icons::PURIFY, "Go to Purify", &help).clicked() {
                cx.send(Action::GoTo(Step::Purify));
            }
        }
    });
}

/// What went wrong, and what the user should know before she exports.
fn obstacles(ui: &mut Ui, cx: &mut Cx<'_>) {
    let app = cx.app;
    if let Some(error) = &app.session().export.error {
        widgets::banner(ui, widgets::Tone::Error, &super::data_file::sentence(error), |ui| {
            widgets::muted(ui, "The folder is as it was.");
        });
    }
    if let Some(what) = app.session().stale(&app.state().run, app.options.threads) {
        widgets::banner(ui, widgets::Tone::Stale, what, |ui| {
            let help = hint(ui.ctx(), &Action::GoTo(Step::Purify));
            if widgets::button(ui, icons::PURIFY, "Go to Purify", &help).clicked() {
                cx.send(Action::GoTo(Step::Purify));
            }
        });
    }
}

fn form(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Where to");
    let app = cx.app;
    let mut folder = app.state().export_folder.clone();
    widgets::caption(ui, "Folder");
    ui.horizontal(|ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if widgets::button(ui, icons::FOLDER, "Choose…", "Choose the export folder.")
                .accessible_name("Choose the export folder")
                .clicked()
            {
                cx.send(Action::PickFolder);
            }
            let field = TextEdit::singleline(&mut folder)
                .hint_text("a new folder, or an earlier export")
                .min_size(vec2(0.0, 28.0))
                .desired_width(ui.available_width());
            if ui.add(field).accessible_name("Export folder").changed() {
                cx.send(Action::SetExportFolder(folder.clone()));
            }
        });
    });
    if folder.trim().is_empty()
        && let Some(path) = app.session().custom().and_then(|file| beside(&file.path))
    {
        let link = ui.link("Use a new folder beside the custom file");
        if link.on_hover_text(&path).accessible_name("Export beside the custom file").clicked() {
            cx.send(Action::SetExportFolder(path));
        }
    } else {
        widgets::muted(ui, "An earlier export in this folder is replaced; a folder with other files is left alone.");
    }
    let mut licences = app.state().licences.clone();
    widgets::caption(ui, "Licences of the custom data");
    let field = TextEdit::singleline(&mut licences)
        .hint_text("for example CC-BY-4.0, MIT")
        .min_size(vec2(0.0, 28.0))
        .desired_width(f32::INFINITY);
    if ui.add(field).accessible_name("Licences").changed() {
        cx.send(Action::SetLicences(licences));
    }
    widgets::muted(ui, "They stand in the manifest and the data card. Separate several by commas.");
    ui.add_space(4.0);
    match &app.session().export.job {
        Some(job) => {
            widgets::progress(ui, &job.snapshot(), false);
            let can = if job.is_cancelling() { Err("It is being stopped.".to_owned()) } else { Ok(()) };
            let help = "Stop writing. The folder stays as it was.";
            if widgets::button_if(ui, icons::STOP, "Stop the export", help, &can).clicked() {
                cx.send(Action::StopExport);
            }
        }
        None => {
            let enabled = app.can_export();
            ui.horizontal_wrapped(|ui| {
                let help = hint(ui.ctx(), &Action::Export);
                if widgets::primary(ui, icons::EXPORT, "Export", 160.0, &enabled, &help).clicked() {
                    cx.send(Action::Export);
                }
                if let Err(reason) = &enabled {
                    widgets::muted(ui, reason);
                }
            });
        }
    }
}

/// `…/custom.jsonl.gz` gives `…/custom-purified`.
fn beside(custom: &Path) -> Option<String> {
    let name = custom.file_name()?.to_string_lossy().into_owned();
    let stem = name.split('.').find(|part| !part.is_empty())?;
    Some(custom.parent()?.join(format!("{stem}-purified")).display().to_string())
}

/// Every file of the export with its rows, and the sum that must hold.
fn contents(ui: &mut Ui, cx: &Cx<'_>) {
    let session = cx.app.session();
    let counts = session.counts;
    let Some(facts) = session.custom().and_then(|file| file.facts.as_ref()) else {
        widgets::muted(ui, "The custom file was removed; add it again to export.");
        return;
    };
    widgets::heading(ui, "What will be written");
    let (kept, dropped, aside) = (counts.kept as u64, counts.dropped as u64, facts.stats.quarantined);
    let by_hand = match counts.by_hand {
        0 => String::new(),
        hand => format!(", {} by hand", words::rows(hand as u64)),
    };
    let end = match facts.format.container {
        Container::Jsonl => "jsonl",
        Container::Json => "json",
        Container::Csv => "csv",
        Container::Tsv => "tsv",
        Container::Parquet => "parquet",
    };
    let files = [
        (format!("purified.{end}"), words::rows(kept), format!("The kept rows with their weights{by_hand}.")),
        ("removed.jsonl".into(), words::rows(dropped), "The rows left out.".to_owned()),
        ("quarantine.jsonl".into(), words::rows(aside), "Records that cannot be read as rows.".into()),
        ("weights.csv".into(), words::rows(facts.stats.rows), "Score, weight, rank and decision of every row.".into()),
        (
            "explanations.csv".into(),
            words::rows(facts.stats.rows),
            "Why: forces, groups and nearest references.".into(),
        ),
        ("decisions.jsonl".into(), words::rows(counts.by_hand as u64), "Your decisions.".into()),
        ("manifest.json".into(), String::new(), "Hashes, settings and versions, to check it later.".into()),
        ("croissant.json".into(), String::new(), "Metadata that machines read.".into()),
        ("README.md".into(), String::new(), "The data card: what is in it and how it was made.".into()),
    ];
    file_table(ui, &files);
    let sum = format!(
        "{} kept + {} removed + {} set aside = {} records in the file",
        words::count(kept),
        words::count(dropped),
        words::count(aside),
        words::count(facts.stats.records)
    );
    let colours = palette(ui.style());
    let holds = kept + dropped + aside == facts.stats.records;
    ui.horizontal(|ui| {
        let (icon, ink) = if holds { (icons::CHECK, *colours.good) } else { (icons::WARNING, *colours.stale) };
        ui.label(RichText::new(icon).color(ink));
        ui.add(egui::Label::new(sum).wrap());
    });
}

fn file_table(ui: &mut Ui, files: &[(String, String, String)]) {
    egui::Grid::new("files of the export").num_columns(3).spacing(vec2(16.0, 8.0)).show(ui, |ui| {
        for (name, rows, what) in files {
            ui.label(RichText::new(name).font(theme::mono_font()));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| ui.label(rows));
            widgets::muted_line(ui, what);
            ui.end_row();
        }
    });
}

fn written(ui: &mut Ui, report: &ExportReport) {
    let colours = palette(ui.style());
    widgets::card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(icons::CHECK).size(20.0).color(*colours.good));
            widgets::heading(ui, "Written");
        });
        let text = format!(
            "{} kept in {}, {} removed, {} set aside, {} in all.",
            words::rows(report.kept),
            report.purified_file,
            words::count(report.removed),
            words::count(report.quarantined),
            words::bytes(report.bytes)
        );
        ui.add(egui::Label::new(text).wrap());
        let folder = report.folder.display().to_string();
        ui.horizontal(|ui| {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_button(ui, icons::FOLDER, "Copy the folder's path").clicked() {
                    ui.ctx().copy_text(folder.clone());
                }
                let room = ui.available_size();
                ui.allocate_ui_with_layout(room, egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    let label = egui::Label::new(RichText::new(&folder).font(theme::mono_font())).truncate();
                    ui.add(label).on_hover_text(&folder);
                });
            });
        });
        widgets::muted(ui, "Check it at any time with: dipole verify FOLDER");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_goes_beside_its_file() {
        assert_eq!(beside(Path::new("/d/custom.jsonl.gz")).as_deref(), Some("/d/custom-purified"));
        assert_eq!(beside(Path::new("/d/.hidden.csv")).as_deref(), Some("/d/hidden-purified"));
        assert_eq!(beside(Path::new("/")), None);
    }
}
