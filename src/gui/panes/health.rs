//! Reference health: what speaks against the references, each finding with its figures and the way out.
//!
//! Constraint: the look itself is a job; a frame lists at most a few dozen findings.

use egui::{RichText, ScrollArea, Ui};

use super::{Cx, widgets};
use crate::data::Severity;
use crate::gui::action::{Action, hint};
use crate::gui::insight::{DataTab, InsightAction};
use crate::gui::insight_work::warnings_words;
use crate::gui::theme::{icons, palette, tokens};
use crate::gui::words;
use crate::project::{HealthFinding, HealthKind, HealthReport};

/// Text lines are kept short enough to read, in points.
const MEASURE: f32 = 920.0;
/// Rows that a finding names on its card.
const NAMED: usize = 10;

/// The tab.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    let (key, state) = (cx.app.health_key(), &session.insight.health);
    let report = state.report.as_ref().map(|(of, report)| (key.as_ref() == Some(of), report.clone()));
    let error = state.error.as_ref().filter(|(of, _)| key.as_ref() == Some(of)).map(|(_, error)| error.clone());
    if report.is_none() && error.is_none() && state.job.is_none() {
        return nothing_yet(ui, cx);
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(MEASURE.min(ui.available_width()));
        ui.spacing_mut().item_spacing.y = 12.0;
        if state.job.is_some() {
            going_on(ui, cx);
        }
        if let Some(error) = error {
            widgets::banner(ui, widgets::Tone::Error, &super::data_file::sentence(&error), |ui| {
                if ui.button("Try again").clicked() {
                    cx.send(Action::Insight(InsightAction::CheckReferences));
                }
            });
        }
        let Some((is_new, report)) = report else { return };
        if !is_new && state.job.is_none() {
            let text = "Files or the encoder changed since this look.";
            widgets::banner(ui, widgets::Tone::Stale, text, |ui| {
                check_button(ui, cx, "Check again");
            });
        }
        list(ui, cx, &report, is_new);
    });
}

fn nothing_yet(ui: &mut Ui, cx: &mut Cx<'_>) {
    let missing = cx.app.session().missing_for_run();
    let text = match &missing {
        Some(missing) => format!(
            "{missing} Then the references can be checked: whether they overlap, look like your rows, hold rows on the wrong side, and leave rows without a reference."
        ),
        None => "A ranking is worth what its references are worth. The check embeds all files, which the run does not do again, and looks whether the references overlap, look like your rows, hold rows on the wrong side, and leave rows without a reference.".to_owned(),
    };
    widgets::empty(ui, icons::SAFE, "The references were not checked yet", &text, |ui| {
        if missing.is_some() {
            let help = "Show the three role cards.";
            if widgets::button(ui, icons::DATA, "Show the files", help).clicked() {
                cx.send(Action::Insight(InsightAction::ShowData(DataTab::Files)));
            }
        } else {
            let enabled = cx.app.can_check_references();
            let help = hint(ui.ctx(), &Action::Insight(InsightAction::CheckReferences));
            if widgets::primary(ui, icons::SAFE, "Check the references", 220.0, &enabled, &help).clicked() {
                cx.send(Action::Insight(InsightAction::CheckReferences));
            }
        }
    });
}

fn check_button(ui: &mut Ui, cx: &mut Cx<'_>, name: &str) {
    let enabled = cx.app.can_check_references();
    let help = hint(ui.ctx(), &Action::Insight(InsightAction::CheckReferences));
    if widgets::button_if(ui, icons::AGAIN, name, &help, &enabled).clicked() {
        cx.send(Action::Insight(InsightAction::CheckReferences));
    }
}

fn going_on(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some((_, job)) = &cx.app.session().insight.health.job else { return };
    widgets::card(ui, |ui| {
        let stopping = job.is_cancelling();
        ui.horizontal(|ui| {
            ui.spinner();
            widgets::heading(ui, if stopping { "Stopping" } else { "Checking the references" });
            widgets::muted(ui, format!("for {}", words::duration(job.elapsed().as_secs_f64())));
        });
        widgets::progress(ui, &job.snapshot(), false);
        let can = if stopping { Err("It ends at the next safe point.".to_owned()) } else { Ok(()) };
        let help = "End the check. Vectors made so far are not made again.";
        if widgets::button_if(ui, icons::STOP, "Stop checking", help, &can).clicked() {
            cx.send(Action::Insight(InsightAction::StopChecking));
        }
    });
}

fn list(ui: &mut Ui, cx: &mut Cx<'_>, report: &HealthReport, is_new: bool) {
    let warnings = report.warnings();
    ui.horizontal_wrapped(|ui| {
        let colours = palette(ui.style());
        let (icon, ink) = if warnings > 0 { (icons::WARNING, *colours.stale) } else { (icons::CHECK, *colours.good) };
        ui.label(RichText::new(icon).size(18.0).color(ink));
        widgets::heading(ui, &super::data_file::sentence(&warnings_words(warnings)));
        if is_new && cx.app.session().insight.health.job.is_none() {
            check_button(ui, cx, "Check again");
        }
    });
    for finding in &report.findings {
        card(ui, cx, finding, is_new);
    }
}

fn card(ui: &mut Ui, cx: &mut Cx<'_>, finding: &HealthFinding, is_new: bool) {
    let colours = palette(ui.style());
    let warned = finding.severity != Severity::Info;
    widgets::card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.horizontal_top(|ui| {
            let (icon, ink) = match (warned, finding.count) {
                (true, _) => (icons::WARNING, *colours.stale),
                (false, 0) => (icons::CHECK, *colours.good),
                (false, _) => (icons::INFO, *colours.accent),
            };
            ui.label(RichText::new(icon).size(16.0).color(ink));
            ui.add(egui::Label::new(RichText::new(&finding.title).family(crate::gui::theme::semibold())).wrap());
        });
        ui.add(egui::Label::new(&finding.text).wrap());
        if !finding.way_out.is_empty() {
            let text = RichText::new(&finding.way_out).color(*colours.muted);
            ui.add(egui::Label::new(text).wrap());
        }
        rows(ui, finding);
        if finding.kind == HealthKind::Coverage && finding.count > 0 && is_new {
            let text = format!("Show {} in the table", words::rows(finding.count));
            let help = "Filter the table to the rows that no reference is near.";
            let button = widgets::button(ui, icons::TABLE, &text, help).accessible_name("Show uncovered rows");
            if button.clicked() {
                cx.send(Action::Insight(InsightAction::ShowUncovered));
            }
        }
    });
}

/// The rows that a finding names, by file.
fn rows(ui: &mut Ui, finding: &HealthFinding) {
    if finding.rows.is_empty() {
        return;
    }
    let mut by_file: Vec<(&str, Vec<String>)> = Vec::new();
    for row in finding.rows.iter().take(NAMED) {
        let number = words::count(row.row);
        match by_file.iter_mut().find(|(file, _)| *file == row.file) {
            Some((_, numbers)) => numbers.push(number),
            None => by_file.push((&row.file, vec![number])),
        }
    }
    let more = if finding.rows.len() > NAMED || finding.count > finding.rows.len() as u64 { ", …" } else { "" };
    let named: Vec<String> = by_file
        .into_iter()
        .map(|(file, numbers)| {
            format!("{file}: {} {}", if numbers.len() == 1 { "row" } else { "rows" }, numbers.join(", "))
        })
        .collect();
    let colour = *palette(ui.style()).muted;
    let text = RichText::new(format!("{}{more}", named.join(" · "))).size(tokens().sizes.small).color(colour);
    ui.add(egui::Label::new(text).wrap());
}

/// What is known of the references in a few words, for the head of the Data step.
pub fn in_short(cx: &Cx<'_>) -> Option<(usize, String)> {
    let key = cx.app.health_key()?;
    let (of, report) = cx.app.session().insight.health.report.as_ref()?;
    (*of == key).then(|| (report.warnings(), warnings_words(report.warnings())))
}
