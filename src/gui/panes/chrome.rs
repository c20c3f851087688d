//! The frame of the window: top bar, the rail of steps, the status line.

use egui::{Align, Button, Layout, RichText, Sense, Stroke, Ui, vec2};

use super::{Cx, widgets};
use crate::gui::action::{Action, COMMANDS, Section, hint, key_words};
use crate::gui::state::Step;
use crate::gui::theme::{self, icons, palette, tokens};
use crate::gui::words;

pub fn top_bar(ui: &mut Ui, cx: &mut Cx<'_>) {
    let colours = palette(ui.style());
    ui.horizontal_centered(|ui| {
        let menu = widgets::icon_button(ui, icons::MENU, "Menu");
        egui::Popup::menu(&menu).width(280.0).show(|ui| menu_items(ui, cx));
        ui.label(RichText::new("Dipole").font(theme::heading_font()));
        if let Some(file) = cx.app.session().custom() {
            ui.label(RichText::new("/").color(*colours.border_strong));
            let room = (ui.available_width() - 420.0).max(60.0);
            ui.allocate_ui(vec2(room.min(320.0), 24.0), |ui| {
                ui.add(egui::Label::new(RichText::new(file.name()).color(*colours.muted)).truncate());
            });
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let dark = cx.app.state().dark;
            let (icon, name) = if dark { (icons::SUN, "Light theme") } else { (icons::MOON, "Dark theme") };
            if widgets::icon_button(ui, icon, name).clicked() {
                cx.send(Action::ToggleTheme);
            }
            if widgets::icon_button(ui, icons::KEYBOARD, "Keys").clicked() {
                cx.send(Action::ToggleCheatSheet);
            }
            let cover = cx.app.state().cover_texts;
            let (icon, name) = if cover { (icons::EYE_OFF, "Show texts") } else { (icons::EYE, "Cover texts") };
            if widgets::icon_button(ui, icon, name).clicked() {
                cx.send(Action::ToggleCover);
            }
            let text = RichText::new(format!("{}  All commands", icons::SEARCH)).color(*colours.muted);
            let keys = RichText::new("Ctrl+Shift+P").size(tokens().sizes.small).color(*colours.muted);
            let width = (ui.available_width() - 16.0).clamp(120.0, 280.0);
            let button = Button::new(text).fill(*colours.sunken).min_size(vec2(width, 28.0));
            let button = if width > 220.0 { button.right_text(keys) } else { button };
            let help = hint(ui.ctx(), &Action::OpenPalette);
            if ui.add(button).on_hover_text(help).accessible_name("All commands").clicked() {
                cx.send(Action::OpenPalette);
            }
        });
    });
}

fn menu_items(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.spacing_mut().item_spacing.y = 2.0;
    for section in Section::ALL {
        ui.menu_button(section.title(), |ui| {
            ui.set_min_width(260.0);
            for command in COMMANDS.iter().filter(|command| command.section == section) {
                let enabled = (command.enabled)(cx.app);
                let mut button = Button::new(command.name);
                if let Some(shortcut) = command.shortcuts.first() {
                    button = button.shortcut_text(key_words(ui.ctx(), shortcut));
                }
                let response = ui.add_enabled(enabled.is_ok(), button);
                let response = match &enabled {
                    Ok(()) => response.on_hover_text(command.help),
                    Err(reason) => response.on_disabled_hover_text(reason),
                };
                if response.clicked() {
                    cx.send((command.action)());
                    ui.close();
                }
            }
        });
    }
}

/// How a step stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Open,
    Busy,
    Done,
    Stale,
    Failed,
}

pub fn rail(ui: &mut Ui, cx: &mut Cx<'_>, narrow: bool) {
    ui.spacing_mut().item_spacing.y = 4.0;
    for (number, step) in Step::ALL.into_iter().enumerate() {
        step_button(ui, cx, step, number + 1, narrow);
    }
    ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
        ui.spacing_mut().item_spacing.y = 8.0;
        let enabled = cx.app.can_purify();
        let width = ui.available_width();
        if matches!(cx.app.step(), Step::Purify | Step::Tune | Step::Compare) {
            // The pane of these steps has the button itself, with what it will do.
        } else if cx.app.session().run.job.is_some() {
            let label = if narrow { String::new() } else { "  Stop".to_owned() };
            let button = Button::new(format!("{}{label}", icons::STOP)).min_size(vec2(width, 36.0));
            if ui.add(button).on_hover_text("End the run; nothing is lost.").accessible_name("Stop").clicked() {
                cx.send(Action::StopRun);
            }
        } else {
            let (text, help) = (if narrow { "" } else { "Purify" }, hint(ui.ctx(), &Action::Purify));
            let response = widgets::primary(ui, icons::PURIFY, text, width, &enabled, &help).accessible_name("Purify");
            if response.clicked() {
                cx.send(Action::Purify);
            }
        }
        let label = if narrow { icons::SETTINGS.to_owned() } else { format!("{}  Settings", icons::SETTINGS) };
        let settings = ui.add(Button::new(label).min_size(vec2(width, 32.0)));
        if settings.on_hover_text(hint(ui.ctx(), &Action::ToggleSettings)).accessible_name("Settings").clicked() {
            cx.send(Action::ToggleSettings);
        }
        if !narrow {
            if let Err(reason) = &enabled
                && cx.app.session().run.job.is_none()
            {
                widgets::muted(ui, reason);
            } else if let Some(what) = cx.app.session().stale(&cx.app.state.run, cx.app.options.threads) {
                let colours = palette(ui.style());
                ui.label(RichText::new(what).size(tokens().sizes.small).color(*colours.stale));
            }
        }
    });
}

fn step_button(ui: &mut Ui, cx: &mut Cx<'_>, step: Step, number: usize, narrow: bool) {
    let colours = palette(ui.style());
    let chosen = cx.app.step() == step;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::click());
    let name = step.title();
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, format!("{name} step")));
    let ground = if chosen {
        Some(*colours.selection)
    } else if response.hovered() || response.has_focus() {
        Some(*colours.hover)
    } else {
        None
    };
    if let Some(ground) = ground {
        ui.painter().rect_filled(rect, tokens().radius, ground);
    }
    let ink = if chosen { *colours.text } else { *colours.muted };
    let icon = match step {
        Step::Data => icons::DATA,
        Step::Purify => icons::PURIFY,
        Step::Review => icons::TABLE,
        Step::Export => icons::EXPORT,
        Step::Tune => icons::TUNE,
        Step::Compare => icons::CHATS,
    };
    let middle = rect.center().y;
    let painter = ui.painter();
    let x = if narrow { rect.center().x } else { rect.left() + 20.0 };
    painter.text(egui::pos2(x, middle), egui::Align2::CENTER_CENTER, icon, egui::FontId::proportional(17.0), ink);
    if !narrow {
        let font = if chosen { theme::semibold() } else { egui::FontFamily::Proportional };
        let font = egui::FontId::new(tokens().sizes.body, font);
        painter.text(egui::pos2(rect.left() + 40.0, middle), egui::Align2::LEFT_CENTER, name, font, ink);
    }
    let (mark, words) = mark_of(cx, step);
    let at = if narrow { rect.right_top() + vec2(-7.0, 8.0) } else { egui::pos2(rect.right() - 16.0, middle) };
    match mark {
        Mark::Open => {}
        Mark::Done if narrow => {
            painter.circle_filled(at, 3.0, *colours.good);
        }
        Mark::Done => {
            painter.text(
                at,
                egui::Align2::CENTER_CENTER,
                icons::CHECK,
                egui::FontId::proportional(14.0),
                *colours.good,
            );
        }
        Mark::Stale => {
            painter.circle_filled(at, 4.0, *colours.stale);
        }
        Mark::Failed => {
            let font = egui::FontId::proportional(15.0);
            painter.text(at, egui::Align2::CENTER_CENTER, icons::ERROR, font, *colours.error);
        }
        Mark::Busy => {
            painter.circle_stroke(at, 4.0, Stroke::new(2.0, *colours.accent));
        }
    }
    let help = format!("{name}: {words} (Ctrl+{number})");
    if response.on_hover_text(help).clicked() {
        cx.send(Action::GoTo(step));
    }
}

fn mark_of(cx: &Cx<'_>, step: Step) -> (Mark, &'static str) {
    let session = cx.app.session();
    let stale = session.stale(&cx.app.state.run, cx.app.options.threads);
    match step {
        Step::Data if session.files.iter().any(|f| matches!(f.state, crate::gui::roles::FileState::Failed(_))) => {
            (Mark::Failed, "a file cannot be used")
        }
        Step::Data if session.files.iter().any(|f| f.progress().is_some()) => (Mark::Busy, "reading"),
        Step::Data if session.missing_for_run().is_none() => (Mark::Done, "all roles are filled"),
        Step::Data => (Mark::Open, "roles are missing"),
        Step::Purify if session.run.job.is_some() => (Mark::Busy, "running"),
        Step::Purify if session.run.error.is_some() => (Mark::Failed, "the last run failed"),
        Step::Purify => match stale {
            Some(what) => (Mark::Stale, what),
            None if session.solved.is_some() => (Mark::Done, "done"),
            None => (Mark::Open, "not run yet"),
        },
        Step::Review if stale.is_some() && session.solved.is_some() => (Mark::Stale, "shows an older result"),
        Step::Review => (Mark::Open, "look at rows and decide"),
        Step::Export if session.export.job.is_some() => (Mark::Busy, "writing"),
        Step::Export if session.export.error.is_some() => (Mark::Failed, "the last export failed"),
        Step::Export if session.export.report.is_some() => (Mark::Done, "written"),
        Step::Export => (Mark::Open, "write the purified data"),
        Step::Tune if session.tune.live.is_some() => (Mark::Busy, "training"),
        Step::Tune if session.tune.error.is_some() => (Mark::Failed, "the last run failed"),
        Step::Tune if session.tune.shown.as_ref().is_some_and(|shown| shown.run.has_adapter) => {
            (Mark::Done, "an adapter is written")
        }
        Step::Tune => (Mark::Open, "train a model on the kept rows"),
        Step::Compare if session.tune.compare.job.is_some() => (Mark::Busy, "answering"),
        Step::Compare if session.tune.compare.error.is_some() => (Mark::Failed, "the last comparison failed"),
        Step::Compare => (Mark::Open, "see what fine-tuning changed"),
    }
}

pub fn status_bar(ui: &mut Ui, cx: &mut Cx<'_>) {
    let colours = palette(ui.style());
    ui.style_mut().override_text_style = Some(egui::TextStyle::Small);
    ui.visuals_mut().override_text_color = Some(*colours.muted);
    ui.horizontal_centered(|ui| {
        let session = cx.app.session();
        let rows = session.rows();
        if rows > 0 {
            let shown = session.table.rows.len().min(rows);
            let mut text = format!("{} of {} shown", words::count(shown as u64), words::rows(rows as u64));
            if session.table.selected.len() > 1 {
                text.push_str(&format!(" · {} selected", words::count(session.table.selected.len() as u64)));
            }
            ui.label(text);
        } else {
            ui.label("No rows yet");
        }
        let missing = cx.app.system_fonts.missing_scripts();
        if !missing.is_empty() {
            let text = format!("No font for: {}", missing.join(", "));
            ui.label(RichText::new(text).color(*colours.stale)).on_hover_text(
                "This system has no font for some characters in your rows. They show as boxes; the data is intact.",
            );
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new("●").color(*colours.good));
            ui.label("offline").on_hover_text("Dipole uses no network. Your rows stay on this machine.");
            ui.separator();
            let outcome = cx.app.session().solved.as_ref().map(|solved| &solved.purified.outcome);
            let engine = outcome.map_or(cx.app.engine.as_str(), |outcome| outcome.engine.as_str());
            let why = outcome.map_or("", |outcome| outcome.engine_reason.as_str());
            let why = if why.is_empty() { "What computes the weights." } else { why };
            ui.label(format!("engine: {engine}")).on_hover_text(why);
            let running = cx.app.session().running();
            if let Some((name, snapshot)) = running.first() {
                ui.separator();
                let mut text = name.clone();
                if let Some(fraction) = snapshot.fraction() {
                    text.push_str(&format!(" {:.0} %", fraction * 100.0));
                }
                if let Some(left) = snapshot.seconds_left().filter(|left| *left > 1.0) {
                    text.push_str(&format!(" · {}", words::duration(left)));
                }
                if running.len() > 1 {
                    text.push_str(&format!(" · {} jobs", running.len()));
                }
                ui.add(egui::Label::new(RichText::new(text).color(*colours.accent)).truncate());
            }
        });
    });
}
