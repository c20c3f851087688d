//! `dipole demo`: the sample data through the main job, in the window or here.

use std::fmt::Write;
use std::process::ExitCode;

use super::arguments::Demo as Arguments;
use super::preflight;
use super::purify::purify;
use super::terminal::{Terminal, in_full};
use crate::gui::{self, GuiOptions};
use crate::project::{Demo, ExportContext, Folders};
use crate::selection::{Decisions, evaluate};

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let folders = Folders::of_user();
    let demo = Demo::unpack(&folders.demo)?;
    let why = if arguments.headless { Some("--headless was given".to_owned()) } else { preflight::obstacle() };
    let why = match why {
        Some(why) => why,
        None => match gui::run(GuiOptions {
            open: vec![demo.custom.clone(), demo.safe.clone(), demo.harmful.clone()],
            auto_purify: true,
            cache_dir: folders.cache.clone(),
            project_root: Some(folders.projects.clone()),
            screenshot: super::window::picture(),
            ..GuiOptions::default()
        }) {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            Err(error) => in_full(&error),
        },
    };
    terminal.say(&format!("No window: {why}. Doing the same here."));
    terminal.catch_interrupts();
    let context = ExportContext {
        licences: vec!["MIT OR Apache-2.0".to_owned()],
        origin: "dipole demo".to_owned(),
        ..ExportContext::default()
    };
    let done = purify(&demo.plan(), &Decisions::default(), &context, folders.cache, &arguments.out, terminal)?;
    let figures = evaluate(&done.report.folder.join("weights.csv"), &demo.labels)?;
    let mut text = done.text()?;
    let share = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", value * 100.0));
    writeln!(text, "\nAgainst the labels of the sample (which the method never sees):")?;
    writeln!(text, "  planted unsafe rows dropped   {:>8}", share(figures.harmful_recall))?;
    writeln!(text, "  unsafe among the kept rows    {:>8}", share(figures.residual_contamination))?;
    writeln!(text, "  other rows kept               {:>8}", share(figures.benign_retention))?;
    writeln!(text, "The sample is synthetic and easy; it proves nothing about your data.")?;
    let json = serde_json::json!({ "no_window": why, "result": done.json(), "evaluation": figures });
    terminal.result(&json, &text)?;
    Ok(ExitCode::SUCCESS)
}
