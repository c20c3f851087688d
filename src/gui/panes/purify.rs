//! The Purify step: what a run will do in words, the run while it goes on, and what came of it.
//!
//! Constraint: one primary button; every state of a run (impossible, ready, running, done, stale, failed) says what to
//! do next.

use egui::{RichText, ScrollArea, Ui};

use super::convergence::plots;
use super::{Cx, Pane, widgets};
use crate::embedding::EncoderChoice;
use crate::gui::action::{Action, hint};
use crate::gui::insight::{InsightAction, PurifyTab};
use crate::gui::roles::Role;
use crate::gui::solved::Solved;
use crate::gui::state::{RunSettings, Step};
use crate::gui::theme::{self, icons, palette};
use crate::gui::words;
use crate::selection::{Keep, RankBy};
use crate::transport::{Regularisation, SolverKind, Stop};

/// Text lines are kept short enough to read, in points.
const MEASURE: f32 = 920.0;
/// The table of rankings has room for its sentences, in points.
const TABLE: f32 = 1240.0;

/// The run.
#[derive(Default)]
pub struct PurifyPane {
    rankings: super::rankings::RankingsPane,
}

impl Pane for PurifyPane {
    fn title(&self) -> &'static str {
        "Purify"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let app = cx.app;
        let session = app.session();
        let running = session.run.job.is_some();
        if !running
            && session.solved.is_none()
            && session.run.error.is_none()
            && let Some(missing) = session.missing_for_run()
        {
            return impossible(ui, cx, &missing);
        }
        let tab = tabs(ui, cx);
        ui.add_space(4.0);
        ScrollArea::vertical().id_salt(tab).auto_shrink(false).show(ui, |ui| {
            // What says that nothing is there stands in the middle; a table needs more room than a text.
            let measure = match tab {
                PurifyTab::Run => MEASURE,
                PurifyTab::Calibration if session.solved.is_some() => MEASURE,
                PurifyTab::Rankings if session.insight.rankings.beside.is_some() => TABLE,
                PurifyTab::Calibration | PurifyTab::Rankings => f32::INFINITY,
            };
            ui.set_max_width(measure.min(ui.available_width()));
            ui.spacing_mut().item_spacing.y = 12.0;
            if running {
                going_on(ui, cx);
            }
            match tab {
                PurifyTab::Run if !running => at_rest(ui, cx),
                PurifyTab::Run => {}
                PurifyTab::Calibration => {
                    if !running || session.solved.is_some() {
                        super::calibration::ui(ui, cx);
                    }
                    return;
                }
                PurifyTab::Rankings => return self.rankings.ui(ui, cx),
            }
            warnings(ui, &app.session().run.warnings);
            if !session.run.trace.is_empty() {
                let target = match session.solved.as_ref().filter(|_| !running) {
                    Some(solved) => &solved.plan.settings,
                    None => &app.state().run.solver,
                };
                let share = match target.regularisation {
                    Regularisation::EffectiveShare(share) => Some(share),
                    Regularisation::Tau(_) => None,
                };
                widgets::card(ui, |ui| plots(ui, &session.run.trace, share));
            }
        });
    }
}

/// Title and tabs; gives the one that is open.
fn tabs(ui: &mut Ui, cx: &mut Cx<'_>) -> PurifyTab {
    let open = cx.app.session().insight.purify;
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new("Purification").font(theme::title_font()));
        ui.add_space(12.0);
        ui.spacing_mut().item_spacing.x = 4.0;
        for (tab, name, help) in [
            (PurifyTab::Run, "Run", "What runs, and what came of it."),
            (PurifyTab::Calibration, "Calibration", "What canaries say of λ, ε and the cut."),
            (PurifyTab::Rankings, "Compare rankings", "What simpler rankings would drop."),
        ] {
            if widgets::chip(ui, name, tab == open, help).clicked() {
                cx.send(Action::Insight(InsightAction::ShowPurify(tab)));
            }
        }
    });
    open
}

fn impossible(ui: &mut Ui, cx: &mut Cx<'_>, missing: &str) {
    widgets::empty(ui, icons::PURIFY, "Nothing to purify yet", missing, |ui| {
        if widgets::button(ui, icons::DATA, "Go to Data", &hint(ui.ctx(), &Action::GoTo(Step::Data))).clicked() {
            cx.send(Action::GoTo(Step::Data));
        }
        if cx.app.session().files.is_empty()
            && widgets::button(ui, icons::SAMPLE, "Try the sample data", &hint(ui.ctx(), &Action::TrySample)).clicked()
        {
            cx.send(Action::TrySample);
        }
    });
}

fn going_on(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(job) = &cx.app.session().run.job else { return };
    widgets::card(ui, |ui| {
        let stopping = job.is_cancelling();
        ui.horizontal(|ui| {
            ui.spinner();
            widgets::heading(ui, if stopping { "Stopping" } else { "Purifying" });
            widgets::muted(ui, format!("for {}", words::duration(job.elapsed().as_secs_f64())));
        });
        widgets::progress(ui, &job.snapshot(), false);
        ui.add_space(4.0);
        let can = if stopping { Err("It ends at the next safe point.".to_owned()) } else { Ok(()) };
        let help = "End the run. The result before it stays, and vectors made so far are not made again.";
        if widgets::button_if(ui, icons::STOP, "Stop the run", help, &can).clicked() {
            cx.send(Action::StopRun);
        }
    });
}

fn at_rest(ui: &mut Ui, cx: &mut Cx<'_>) {
    let app = cx.app;
    let session = app.session();
    let stale = session.stale(&app.state().run, app.options.threads);
    if let Some(error) = &session.run.error {
        widgets::notice(ui, widgets::Tone::Error, &super::data_file::sentence(error));
    } else if let Some(what) = stale {
        widgets::banner(ui, widgets::Tone::Stale, what, |ui| {
            widgets::muted(ui, "Purify again to bring it up to date; your decisions stay.");
        });
    }
    if let Some(solved) = &session.solved {
        result(ui, cx, solved);
    }
    widgets::card(ui, |ui| {
        widgets::heading(ui, if session.solved.is_some() { "Purify again" } else { "What will run" });
        for line in plan_words(cx) {
            ui.horizontal_top(|ui| {
                widgets::muted(ui, icons::RIGHT);
                ui.add(egui::Label::new(line).wrap());
            });
        }
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            let fresh = session.solved.is_some() && stale.is_none() && session.run.error.is_none();
            let enabled = app.can_purify();
            let help = hint(ui.ctx(), &Action::Purify);
            let clicked = if fresh {
                // The result stands; the way on is the review.
                widgets::button_if(ui, icons::AGAIN, "Purify", &help, &enabled).clicked()
            } else {
                let label = if session.run.error.is_some() { "Try again" } else { "Purify" };
                widgets::primary(ui, icons::PURIFY, label, 160.0, &enabled, &help).accessible_name("Purify").clicked()
            };
            if clicked {
                cx.send(Action::Purify);
            }
            let change = ui.button(format!("{}  Change settings", icons::SETTINGS));
            if change.accessible_name("Change settings").clicked() && !app.settings_open {
                cx.send(Action::ToggleSettings);
            }
            if let Err(reason) = enabled {
                widgets::muted(ui, reason);
            }
        });
    });
}

/// What came of the run, and where to go on.
fn result(ui: &mut Ui, cx: &mut Cx<'_>, solved: &Solved) {
    let colours = palette(ui.style());
    let app = cx.app;
    let counts = app.session().counts;
    let outcome = &solved.purified.outcome;
    widgets::card(ui, |ui| {
        ui.horizontal(|ui| {
            let (icon, ink, text) = match outcome.stop {
                Stop::Converged => (icons::CHECK, *colours.good, "Done: the weights settled"),
                Stop::FixedIterations => (icons::CHECK, *colours.good, "Done in one shot"),
                Stop::StepLimit => (icons::WARNING, *colours.stale, "Not settled: the step limit came first"),
                Stop::Stalled => (icons::WARNING, *colours.stale, "Not settled: the weights stopped improving"),
            };
            ui.label(RichText::new(icon).size(20.0).color(ink));
            widgets::heading(ui, text);
        });
        let timing = &solved.purified.timing;
        let rows = solved.ranking.len() as u64;
        let figures = [
            (words::count(counts.kept as u64), "rows kept", "Rows that the export will hold."),
            (words::count(counts.dropped as u64), "rows dropped", "Rows that the export leaves out."),
            (words::count(counts.by_hand as u64), "by hand", "Rows that you decided yourself."),
            (
                format!("{:.0} %", solved.effective_share() * 100.0),
                "effective share",
                "Effective sample size (ESS): how many equally weighted rows would inform a model as much, in per cent.",
            ),
            (words::count(outcome.iterations as u64), "steps", "Steps until the weights settled."),
            (
                words::duration(app.session().run.seconds.max(timing.embed + timing.solve)),
                "time",
                "From the click to the ranked table.",
            ),
        ];
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 32.0;
            for (value, name, help) in figures {
                widgets::stat(ui, &value, name, help);
            }
        });
        let vectors = &solved.purified;
        widgets::muted_line(
            ui,
            format!(
                "{} on {} · vectors: {} made, {} from the cache · kernel {}",
                words::rows(rows),
                outcome.engine,
                words::count(vectors.computed),
                words::count(vectors.cached),
                outcome.kernel,
            ),
        );
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            let help = hint(ui.ctx(), &Action::GoTo(Step::Review));
            let stale = app.session().stale(&app.state().run, app.options.threads).is_some();
            let review = if stale || app.session().run.error.is_some() {
                widgets::button(ui, icons::TABLE, "Review rows", &help)
            } else {
                widgets::primary(ui, icons::TABLE, "Review rows", 160.0, &Ok(()), &help)
            };
            if review.clicked() {
                cx.send(Action::GoTo(Step::Review));
            }
            let help = hint(ui.ctx(), &Action::GoTo(Step::Export));
            if widgets::button(ui, icons::EXPORT, "Go to Export", &help).clicked() {
                cx.send(Action::GoTo(Step::Export));
            }
        });
    });
}

fn warnings(ui: &mut Ui, warnings: &[String]) {
    for warning in warnings {
        widgets::notice(ui, widgets::Tone::Stale, &super::data_file::sentence(warning));
    }
}

/// The run in sentences.
fn plan_words(cx: &Cx<'_>) -> Vec<String> {
    let session = cx.app.session();
    let run = &cx.app.state().run;
    let rows = |role| -> u64 {
        session.of_role(role).filter_map(|file| file.facts.as_ref()).map(|facts| facts.stats.rows).sum()
    };
    let name = session.custom().map_or_else(|| "the custom file".to_owned(), |file| file.name());
    let mut lines = vec![format!(
        "Each of the {} of {name} is compared with {} to keep close to and {} to keep away from.",
        words::rows(rows(Role::Custom)),
        words::rows(rows(Role::Safe)),
        words::rows(rows(Role::Harmful)),
    )];
    lines.push(match &run.encoder {
        EncoderChoice::Lexical => {
            "Texts are compared by their words and parts of words; no model is needed.".to_owned()
        }
        EncoderChoice::Language(language) => {
            format!("Texts are compared by the inner states of the language model {language}.")
        }
        EncoderChoice::Sentence(folder) => format!(
            "Texts are compared by meaning, with the model in {}.",
            folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned())
        ),
        EncoderChoice::Precomputed(_) => "Texts are compared by the vectors in your own files.".to_owned(),
    });
    lines.push(balance_words(run, session.can_calibrate() || session.of_role(Role::Harmful).next().is_none()));
    lines.push(keep_words(run, rows(Role::Custom)));
    lines
}

/// The balance of pull and push in words; `can_calibrate` is false where too few harmful rows are there for canaries.
pub fn balance_words(run: &RunSettings, can_calibrate: bool) -> String {
    let push = (run.solver.lambda * 100.0).round();
    let how = match run.solver.solver {
        SolverKind::Scaling => "the weights are learned until they settle",
        SolverKind::Adam => "the weights are learned by gradient steps",
        SolverKind::OneShot => "the rows are ranked in one shot",
    };
    if run.calibration.is_some() && can_calibrate {
        return format!(
            "A part of the harmful reference is planted among the rows to rank by what brings it up and to tell how much a cut finds; {how}."
        );
    }
    let why = if run.calibration.is_some() { " (too few harmful rows to find this by canaries)" } else { "" };
    format!(
        "Closeness to the safe rows counts {:.0} %, distance from the harmful rows {push:.0} %{why}; {how}.",
        100.0 - push
    )
}

/// What is kept, in words.
pub fn keep_words(run: &RunSettings, rows: u64) -> String {
    let by = match run.selection.rank_by {
        RankBy::Score => "least suspicious",
        RankBy::Weight => "heaviest",
    };
    let kept = run.selection.keep.of(rows as usize).unwrap_or(0) as u64;
    match run.selection.keep {
        Keep::Share(share) => {
            format!("The {:.4} % {by} rows are kept: {}.", Trimmed(share * 100.0), words::rows(kept))
        }
        Keep::Count(_) => format!("The {} {by} rows are kept.", words::count(kept)),
    }
}

/// A figure without trailing zeros, at most as many decimals as the format asks for.
struct Trimmed(f64);

impl std::fmt::Display for Trimmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.*}", f.precision().unwrap_or(2), self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_said_in_plain_words() {
        let mut run = RunSettings::default();
        assert_eq!(keep_words(&run, 600), "The 80 % least suspicious rows are kept: 480 rows.");
        run.selection.keep = Keep::Share(0.125);
        assert_eq!(keep_words(&run, 600), "The 12.5 % least suspicious rows are kept: 75 rows.");
        run.selection.keep = Keep::Count(1000);
        assert_eq!(keep_words(&run, 600), "The 600 least suspicious rows are kept.");
        assert!(balance_words(&run, true).starts_with("A part of the harmful reference is planted"));
        assert!(balance_words(&run, false).contains("too few harmful rows"));
        run.calibration = None;
        assert!(balance_words(&run, true).starts_with("Closeness to the safe rows counts 30 %"));
    }
}
