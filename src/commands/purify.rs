//! `dipole purify`: the main job without a window.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::arguments::{Preset, Purify};
use super::terminal::{Terminal, thousands};
use crate::data::{Dataset, Mapping, OpenOptions};
use crate::project::{self, Export, ExportContext, ExportReport, Folders, HealthReport, Plan, Purified, Sets};
use crate::selection::calibration::CalibrationSettings;
use crate::selection::{Decisions, Selection, SelectionSettings, WeightMode};
use crate::transport::{ChosenEngine, Regularisation, Settings};

pub fn run(arguments: &Purify, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let plan = plan(arguments)?;
    let decisions = match &arguments.decisions {
        Some(path) => Decisions::read(path)?,
        None => Decisions::default(),
    };
    let cache = arguments.cache.clone().or_else(|| Folders::of_user().cache);
    let context = ExportContext {
        licences: arguments.licence.clone(),
        origin: "dipole purify".to_owned(),
        journal_head: None,
        skip_explanations: arguments.no_explanations,
    };
    let done = purify(&plan, &decisions, &context, cache, &arguments.out, terminal)?;
    terminal.result(&done.json(), &done.text()?)?;
    Ok(ExitCode::SUCCESS)
}

/// A finished purification and its export.
pub struct Done {
    pub purified: Purified,
    pub selection: Selection,
    pub report: ExportReport,
    pub health: HealthReport,
}

/// Opens, embeds, solves, selects and exports.
pub fn purify(
    plan: &Plan,
    decisions: &Decisions,
    context: &ExportContext,
    cache: Option<std::path::PathBuf>,
    out: &std::path::Path,
    terminal: &Terminal,
) -> anyhow::Result<Done> {
    project::check_folder(out, plan)?;
    let sets = Sets::open(plan, terminal)?;
    let purified = project::purify(&sets, plan, &ChosenEngine::default(), cache, terminal)?;
    let numbers: Vec<u64> = (0..sets.custom.len()).filter_map(|index| sets.custom.number(index)).collect();
    let selection = Selection::from(&purified.outcome, &plan.selection, &numbers, &sets.custom, decisions)?;
    let export = Export { sets: &sets, plan, purified: &purified, selection: &selection, decisions, context };
    // Before the export: once that is written nothing may fail or be stopped any more.
    let health = project::health(&sets, Some(&purified.vectors), plan.settings.seed, terminal)?;
    let report = project::export(out, &export, terminal).with_context(|| "the export was not written")?;
    Ok(Done { purified, selection, report, health })
}

impl Done {
    /// Rows that the machine's cut drops.
    fn dropped(&self) -> usize {
        self.purified.outcome.weights.len().saturating_sub(self.selection.machine_keep)
    }

    pub fn json(&self) -> serde_json::Value {
        let outcome = &self.purified.outcome;
        json!({
            "export": self.report,
            "selection": {
                "kept": self.selection.kept,
                "kept_by_hand": self.selection.kept_by_hand,
                "dropped_by_hand": self.selection.dropped_by_hand,
                "cut": self.selection.cut,
            },
            "solve": {
                "engine": outcome.engine,
                "engine_reason": outcome.engine_reason,
                "kernel": outcome.kernel,
                "stop": outcome.stop,
                "iterations": outcome.iterations,
                "residual": outcome.residual,
                "objective": outcome.objective,
                "effective_rows": outcome.effective_rows,
                "divergence": outcome.divergence,
                "warnings": outcome.warnings,
            },
            "calibration": self.purified.calibration.as_ref().map(|found| json!({
                "found": found,
                "statement": found.statement(self.dropped()),
            })),
            "health": self.health,
            "seconds": self.purified.timing,
            "vectors": { "computed": self.purified.computed, "cached": self.purified.cached },
        })
    }

    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let (outcome, report) = (&self.purified.outcome, &self.report);
        let mut text = String::new();
        let rows = outcome.weights.len();
        writeln!(text, "kept          {:>9}   {}", thousands(report.kept), report.purified_file)?;
        writeln!(text, "removed       {:>9}   removed.jsonl", thousands(report.removed))?;
        writeln!(text, "quarantined   {:>9}   quarantine.jsonl", thousands(report.quarantined))?;
        let by_hand = self.selection.kept_by_hand + self.selection.dropped_by_hand;
        if by_hand > 0 {
            writeln!(text, "by hand       {:>9}", thousands(by_hand as u64))?;
        }
        writeln!(
            text,
            "weights count like {} of {} rows; {} after {} steps, residual {:.1e}",
            thousands(outcome.effective_rows.round() as u64),
            thousands(rows as u64),
            stop_in_words(outcome.stop),
            outcome.iterations,
            outcome.residual,
        )?;
        if let Some(found) = &self.purified.calibration {
            let chosen = found.grid.iter().filter(|point| point.chosen);
            let pairs: Vec<String> = chosen.map(|point| format!("{}/{}", point.lambda, point.epsilon)).collect();
            writeln!(text, "calibrated: lambda/epsilon {}; canary AUROC {:.4}", pairs.join(" "), found.auroc)?;
            writeln!(text, "{}", found.statement(self.dropped()))?;
            writeln!(
                text,
                "--keep {} would drop {} % of the canaries",
                found.suggested_keep,
                100.0 * found.settings.recall
            )?;
        }
        writeln!(
            text,
            "embedding {:.1} s, transport {:.1} s on {} ({} kernel)",
            self.purified.timing.embed, self.purified.timing.solve, outcome.engine, outcome.kernel,
        )?;
        if !outcome.engine_reason.is_empty() {
            writeln!(text, "engine {}: {}", outcome.engine, outcome.engine_reason)?;
        }
        if self.health.warnings() > 0 {
            writeln!(text, "the references:")?;
            self.health.write(false, &mut text)?;
        }
        writeln!(text, "export: {}", report.folder.display())?;
        Ok(text)
    }
}

pub(super) fn stop_in_words(stop: crate::transport::Stop) -> &'static str {
    use crate::transport::Stop;
    match stop {
        Stop::Converged => "converged",
        Stop::FixedIterations => "one shot",
        Stop::StepLimit => "NOT converged: the step limit came first",
        Stop::Stalled => "NOT converged: the residual stopped falling",
    }
}

fn plan(arguments: &Purify) -> anyhow::Result<Plan> {
    let paper = arguments.preset == Some(Preset::Paper);
    let base = if paper { Settings::paper() } else { Settings::default() };
    let regularisation = match (arguments.tau, arguments.effective_share) {
        (Some(tau), _) => Regularisation::Tau(tau),
        (None, Some(share)) => Regularisation::EffectiveShare(share),
        (None, None) => base.regularisation,
    };
    let settings = Settings {
        solver: arguments.solver.map_or(base.solver, Into::into),
        lambda: arguments.lambda.unwrap_or(base.lambda),
        epsilon: arguments.epsilon.unwrap_or(base.epsilon),
        regularisation,
        seed: arguments.seed,
        threads: arguments.threads,
        memory_budget: arguments.memory.unwrap_or(base.memory_budget),
        engine: arguments.engine.into(),
        adapter: arguments.adapter.clone(),
        ..base
    };
    settings.clone().checked()?;
    let default_weights = if paper { WeightMode::Paper } else { WeightMode::Proportional };
    let default = SelectionSettings::default();
    let selection = SelectionSettings {
        keep: arguments.keep,
        rank_by: arguments.rank.unwrap_or(default.rank_by),
        weights: arguments.weights.unwrap_or(default_weights),
    };
    Ok(Plan {
        custom: arguments.custom.clone(),
        safe: arguments.safe.clone(),
        harmful: arguments.harmful.clone(),
        mapping: mapping(arguments)?,
        encoder: arguments.encoder.clone(),
        views: arguments.views,
        settings,
        calibration: arguments.calibrate.then(|| grid(arguments)),
        selection,
    })
}

/// The default grid with what the user fixed.
fn grid(arguments: &Purify) -> CalibrationSettings {
    let mut grid = CalibrationSettings::default();
    if let Some(lambda) = arguments.lambda {
        grid.lambdas = vec![lambda];
    }
    if let Some(epsilon) = arguments.epsilon {
        grid.epsilons = vec![epsilon];
    }
    if arguments.lambda.is_some() || arguments.epsilon.is_some() {
        grid.single_source.clear();
    }
    grid.best = grid.best.min(grid.lambdas.len() * grid.epsilons.len());
    grid
}

/// The detected mapping of the custom set with the user's corrections; `None` when there are none.
fn mapping(arguments: &Purify) -> anyhow::Result<Option<Mapping>> {
    if arguments.map.is_empty() {
        return Ok(None);
    }
    let detected = Dataset::begin(&arguments.custom, &OpenOptions::default())?.mapping();
    let corrected = detected.with_overrides(&arguments.map);
    Ok(Some(corrected.with_context(|| format!("{}: --map", arguments.custom.display()))?))
}
