//! The table of rows with its filters, its search, and what is to be said about it.
//!
//! Constraint: the search field keeps only the draft that is typed; filter, order and selection live in the session.

use egui::{Id, RichText, TextEdit, Ui, vec2};

use super::widgets::{self, Tone};
use super::{Cx, Pane, table};
use crate::gui::action::{Action, hint};
use crate::gui::roles::{FileState, Role};
use crate::gui::session::ProjectState;
use crate::gui::state::Step;
use crate::gui::theme::{icons, palette};
use crate::gui::view::{Filter, Shown};
use crate::gui::words;

/// The field that searches row texts.
#[derive(Default)]
pub struct ReviewPane {
    draft: String,
    /// What the draft was last set from or sent as.
    sent: String,
    wants_focus: bool,
}

impl Pane for ReviewPane {
    fn title(&self) -> &'static str {
        "review"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if self.nothing_to_show(ui, cx) {
            return;
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        egui::Frame::new().inner_margin(egui::Margin { left: 12, right: 12, top: 8, bottom: 8 }).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            self.filters(ui, cx);
            banners(ui, cx);
        });
        if cx.app.session().table.rows.is_empty() && !cx.app.session().table.filter.is_empty() {
            filter_shows_nothing(ui, cx);
        } else {
            table::show(ui, cx);
        }
    }
}

impl ReviewPane {
    pub fn focus_search(&mut self) {
        self.wants_focus = true;
    }

    /// The states without a table; true when one was drawn.
    fn nothing_to_show(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) -> bool {
        let session = cx.app.session();
        let Some(file) = session.custom() else {
            let text = "Add the file that you want to make safe, and one file for each reference.";
            widgets::empty(ui, icons::TABLE, "No rows to review yet", text, |ui| {
                if widgets::primary(ui, icons::ADD_FILE, "Add files", 200.0, &Ok(()), "Go to the three role cards.")
                    .clicked()
                {
                    cx.send(Action::GoTo(Step::Data));
                }
                let help = hint(ui.ctx(), &Action::TrySample);
                if widgets::button(ui, icons::SAMPLE, "Try the sample data", &help).clicked() {
                    cx.send(Action::TrySample);
                }
            });
            return true;
        };
        let name = file.name();
        match &file.state {
            FileState::Failed(reason) => {
                widgets::empty(ui, icons::ERROR, &format!("{name} cannot be used"), reason, |ui| {
                    let help = "Go to the cards to replace the file, read it again or correct its mapping.";
                    if widgets::button(ui, icons::DATA, "Go to Data", help).clicked() {
                        cx.send(Action::GoTo(Step::Data));
                    }
                });
                true
            }
            FileState::Reading if session.rows() == 0 => {
                let (id, progress) = (file.id, file.progress());
                let text = "The first rows show here while the rest is read.";
                widgets::empty(ui, icons::FILE, &format!("Reading {name}"), text, |ui| {
                    if let Some(progress) = progress {
                        widgets::progress(ui, &progress, true);
                    }
                    if widgets::button(ui, icons::STOP, "Stop reading", "The file stays on its card.").clicked() {
                        cx.send(Action::StopReading(id));
                    }
                });
                true
            }
            FileState::Ready if session.rows() == 0 => {
                let text = "Every record is in the quarantine; the Data step shows why.";
                widgets::empty(ui, icons::WARNING, &format!("{name} has no readable row"), text, |ui| {
                    if widgets::button(ui, icons::DATA, "Go to Data", "See what was found in the file.").clicked() {
                        cx.send(Action::GoTo(Step::Data));
                    }
                });
                true
            }
            _ => false,
        }
    }

    /// Chips, search, undo and redo.
    fn filters(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let session = cx.app.session();
        let (shown, counts, rows) = (session.table.filter.shown, session.counts, session.rows());
        let known = session.solved.is_some();
        let count =
            |value: usize, known: bool| if known { format!("  {}", words::count(value as u64)) } else { String::new() };
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 8.0);
            for (chip, name, value, known, action) in [
                (Shown::All, "All", rows, true, Action::Show(Shown::All)),
                (Shown::Kept, "Kept", counts.kept, known, Action::Show(Shown::Kept)),
                (Shown::Dropped, "Dropped", counts.dropped, known, Action::Show(Shown::Dropped)),
                (Shown::ByHand, "By hand", counts.by_hand, true, Action::Show(Shown::ByHand)),
            ] {
                let help = hint(ui.ctx(), &action);
                let text = format!("{name}{}", count(value, known));
                if widgets::chip(ui, &text, shown == chip, &help).accessible_name(name).clicked() {
                    cx.send(action);
                }
            }
            if let Some(only) = cx.app.session().table.filter.only.clone() {
                let text = format!("{}  {}  {}", only.name, words::count(only.rows.len() as u64), icons::CLOSE);
                let help = "Only these rows are shown. Click to show all.";
                let name = format!("Stop showing only: {}", only.name);
                if widgets::chip(ui, &text, true, help).accessible_name(name).clicked() {
                    let filter = Filter { only: None, ..cx.app.session().table.filter.clone() };
                    cx.send(Action::SetFilter(filter));
                }
            }
            ui.add_space(4.0);
            self.search(ui, cx);
            ui.add_space(4.0);
            for (icon, name, action, can) in [
                (icons::UNDO, "Undo", Action::Undo, cx.app.can_undo()),
                (icons::REDO, "Redo", Action::Redo, cx.app.can_redo()),
            ] {
                let help = hint(ui.ctx(), &action);
                let button = egui::Button::new(icon).frame_when_inactive(false).min_size(vec2(28.0, 28.0));
                let response = ui.add_enabled(can.is_ok(), button).accessible_name(name);
                let response = match can {
                    Ok(()) => response.on_hover_text(help),
                    Err(reason) => response.on_disabled_hover_text(reason),
                };
                if response.clicked() {
                    cx.send(action);
                }
            }
            let map = cx.app.state().show_map;
            let name = if map { "Hide the map" } else { "Show the map" };
            if known && widgets::icon_button(ui, icons::MAP, name).clicked() {
                cx.send(Action::ToggleMap);
            }
        });
    }

    fn search(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let filter = &cx.app.session().table.filter;
        if self.sent != filter.text {
            // Changed elsewhere: Esc, another file.
            self.draft.clone_from(&filter.text);
            self.sent.clone_from(&filter.text);
        }
        // The buttons behind stay in this line, with the one that clears it, whether it is there yet or not.
        let (buttons, least) = (190.0, 120.0);
        let here = ui.available_size_before_wrap().x - buttons;
        let width = if here >= least { here } else { ui.available_width() - buttons }.clamp(least, 320.0);
        let id = Id::unique("search of row texts");
        let response = ui.add(
            TextEdit::singleline(&mut self.draft)
                .id(id)
                .hint_text("Find text")
                .prefix(icons::SEARCH)
                .desired_width(width)
                .align(egui::Align2::LEFT_CENTER)
                .margin(egui::Margin::symmetric(8, 4)),
        );
        let response = response.accessible_name("Find text");
        if std::mem::take(&mut self.wants_focus) {
            response.request_focus();
        }
        if response.changed() && self.draft != self.sent {
            self.sent.clone_from(&self.draft);
            let filter = Filter { text: self.draft.clone(), ..filter.clone() };
            cx.send(Action::SetFilter(filter));
        }
        if !self.draft.is_empty() && widgets::icon_button(ui, icons::CLOSE, "Clear the search").clicked() {
            cx.send(Action::StopSearch);
        }
    }
}

/// What is to be said above the table, the most pressing first.
fn banners(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    if let ProjectState::Failed(reason) = &session.project {
        let text = format!("Your decisions cannot be recorded, so none are taken: {reason}");
        widgets::banner(ui, Tone::Error, &text, |_| ());
    }
    if let Some(error) = &session.table.error {
        widgets::banner(ui, Tone::Error, &format!("The rows could not be sorted or searched: {error}"), |ui| {
            if ui.button("Try again").clicked() {
                cx.send(Action::RefreshView);
            }
        });
    }
    if let Some(error) = &session.run.error {
        widgets::banner(ui, Tone::Error, &format!("The last run failed: {error}"), |ui| {
            if ui.button("Go to Purify").clicked() {
                cx.send(Action::GoTo(Step::Purify));
            }
        });
    }
    let unapplied = session.record.decisions.len().saturating_sub(session.record.verdicts.len());
    if unapplied > 0 {
        let text = format!(
            "Not in force: {} of earlier. The rows have other words now, or another mapping reads them otherwise. The journal keeps them.",
            if unapplied == 1 {
                "1 decision".to_owned()
            } else {
                format!("{} decisions", words::count(unapplied as u64))
            }
        );
        widgets::banner(ui, Tone::Stale, &text, |_| ());
    }
    reading(ui, cx);
    run(ui, cx);
    searching(ui, cx);
    if session.table.outdated && session.table.job.is_none() {
        let text = "Your decisions changed what this filter shows.";
        widgets::banner(ui, Tone::Stale, text, |ui| {
            if ui.button(format!("{}  Filter again", icons::AGAIN)).accessible_name("Filter again").clicked() {
                cx.send(Action::RefreshView);
            }
        });
    }
}

fn reading(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    let Some(file) = session.custom() else { return };
    let Some(progress) = file.progress() else { return };
    let (id, name) = (file.id, file.name());
    strip(ui, |ui| {
        ui.label(format!("Still reading {name}. These rows are here already."));
        if ui.button("Stop reading").clicked() {
            cx.send(Action::StopReading(id));
        }
    });
    widgets::progress(ui, &progress, true);
}

/// How the scores stand: running, stale or not made yet.
fn run(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    let enabled = cx.app.can_purify();
    if let Some(job) = &session.run.job {
        let snapshot = job.snapshot();
        strip(ui, |ui| {
            let text = if session.solved.is_some() {
                "Purifying again. The scores below are of the run before."
            } else {
                "Purifying. Scores show here when it is done."
            };
            ui.label(text);
            if ui.button("Stop").on_hover_text("End the run; nothing is lost.").clicked() {
                cx.send(Action::StopRun);
            }
        });
        widgets::progress(ui, &snapshot, false);
        return;
    }
    if let Some(what) = session.stale(&cx.app.state.run, cx.app.options.threads) {
        widgets::banner(ui, Tone::Stale, &format!("{what} The scores below are older."), |ui| {
            let response = widgets::button_if(ui, icons::AGAIN, "Purify again", "Weigh every row anew.", &enabled);
            if response.clicked() {
                cx.send(Action::Purify);
            }
        });
    } else if session.solved.is_none() && session.custom().is_some_and(|file| file.is_ready()) {
        strip(ui, |ui| {
            let missing = [Role::Safe, Role::Harmful].into_iter().any(|role| session.of_role(role).next().is_none());
            ui.label("Not purified yet: rows are in file order and have no score.");
            let help = hint(ui.ctx(), &Action::Purify);
            if missing {
                if widgets::button(ui, icons::ADD_FILE, "Add references", "Go to the three role cards.").clicked() {
                    cx.send(Action::GoTo(Step::Data));
                }
            } else if widgets::button_if(ui, icons::PURIFY, "Purify these rows", &help, &enabled).clicked() {
                cx.send(Action::Purify);
            }
        });
    }
}

fn searching(ui: &mut Ui, cx: &mut Cx<'_>) {
    let session = cx.app.session();
    let Some(job) = session.table.job.as_ref() else { return };
    // Most orders are ready in a blink; a bar for each would flicker.
    if job.elapsed().as_secs_f32() < 0.3 {
        return;
    }
    let (name, snapshot) = (job.name().to_owned(), job.snapshot());
    strip(ui, |ui| {
        ui.label(format!("{name}. The table shows what was there before."));
        if !session.table.filter.text.is_empty() && ui.button("Stop searching").clicked() {
            cx.send(Action::StopSearch);
        }
    });
    widgets::progress(ui, &snapshot, false);
}

/// A quiet line that holds one button.
fn strip(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let colours = palette(ui.style());
    egui::Frame::new().fill(*colours.raised).corner_radius(8).inner_margin(egui::Margin::symmetric(12, 8)).show(
        ui,
        |ui| {
            ui.set_min_width(ui.available_width());
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(icons::INFO).size(16.0).color(*colours.accent));
                add(ui);
            });
        },
    );
}

fn filter_shows_nothing(ui: &mut Ui, cx: &mut Cx<'_>) {
    let filter = &cx.app.session().table.filter;
    let what = match filter.shown {
        Shown::All => "row",
        Shown::Kept => "kept row",
        Shown::Dropped => "dropped row",
        Shown::ByHand => "row decided by hand",
    };
    let text = if filter.text.is_empty() {
        format!("There is no {what} yet.")
    } else {
        format!("No {what} contains \u{201c}{}\u{201d}.", crate::gui::roles::first_line(&filter.text, 60))
    };
    widgets::empty(ui, icons::SEARCH, "The filter shows nothing", &text, |ui| {
        let help = hint(ui.ctx(), &Action::ClearSelection);
        if widgets::button(ui, icons::CLEAR, "Show all rows", &help).clicked() {
            cx.send(Action::SetFilter(Filter::default()));
        }
    });
}
