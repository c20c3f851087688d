//! `dipole compare-rankings`: every ranking of the field beside the method.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::arguments::CompareRankings;
use super::terminal::{Terminal, thousands};
use crate::model::DecoderFacts;
use crate::project::{self, Compared, Folders, Plan, Sets};
use crate::selection::comparison::{self, Comparison};
use crate::selection::{SelectionSettings, labels_of};
use crate::training::{SealSettings, TrainSettings, check_base};
use crate::transport::{CpuEngine, Settings};

pub fn run(arguments: &CompareRankings, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        custom: arguments.custom.clone(),
        safe: arguments.safe.clone(),
        harmful: arguments.harmful.clone(),
        mapping: None,
        encoder: arguments.encoder.clone(),
        views: arguments.views,
        settings: Settings { seed: arguments.seed, threads: arguments.threads, ..Settings::default() },
        calibration: None,
        selection: SelectionSettings { keep: arguments.keep, ..SelectionSettings::default() },
    };
    // What cannot be tuned is said before anything is computed.
    let seal = arguments.with_seal.as_ref().map(|model| project::model_folder(model, &Folders::of_user().starter));
    let seal = seal.transpose()?;
    if let Some(model) = &seal {
        check_base(model)?;
        DecoderFacts::read(model)?;
    }
    let cache = arguments.cache.clone().or_else(|| Folders::of_user().cache);
    let sets = Sets::open(&plan, terminal)?;
    let numbers: Vec<u64> = (0..sets.custom.len()).filter_map(|index| sets.custom.number(index)).collect();
    let labels = arguments.labels.as_ref().map(|path| labels_of(path, &numbers)).transpose()?;
    let mut compared = project::compare(&sets, &plan, &CpuEngine::default(), cache, labels.as_deref(), terminal)?;
    if let Some(model) = &seal {
        let defaults = SealSettings::default();
        let training = TrainSettings { steps: arguments.seal_steps, seed: arguments.seed, ..defaults.training };
        let settings = SealSettings { training, ..defaults };
        compared.contenders.push(project::seal(&sets, model, &settings, arguments.threads, terminal)?);
        compared.table = comparison::compare(&compared.contenders, plan.selection.keep, labels.as_deref())?;
    }
    if let Some(path) = &arguments.scores {
        project::write_file(path, scores(&compared, &numbers)?.as_bytes())?;
    }
    terminal.result(&compared.table, &table(&compared.table)?)?;
    Ok(ExitCode::SUCCESS)
}

/// One line a row, one column a ranking; higher is more suspicious.
fn scores(compared: &Compared, numbers: &[u64]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let names: Vec<&str> = compared.contenders.iter().map(|one| one.name).collect();
    writeln!(out, "row,{}", names.join(","))?;
    for (index, number) in numbers.iter().enumerate() {
        write!(out, "{number}")?;
        for one in &compared.contenders {
            write!(out, ",{:?}", one.score.get(index).copied().unwrap_or(f64::NAN))?;
        }
        writeln!(out)?;
    }
    Ok(out)
}

fn table(rows: &[Comparison]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let measured = rows.iter().any(|row| row.measured.is_some());
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let share = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value));
    write!(text, "{:<14} {:>9} {:>9} {:>9} {:>9}", "ranking", "kept", "counts as", "overlap", "order")?;
    if measured {
        write!(text, " {:>7} {:>7} {:>8} {:>8} {:>9}", "AUROC", "AP", "caught", "left in", "good kept")?;
    }
    writeln!(text)?;
    for row in rows {
        write!(
            text,
            "{:<14} {:>9} {:>9} {:>9} {:>9}",
            row.name,
            thousands(row.kept as u64),
            thousands(row.effective_rows.round() as u64),
            share(row.overlap),
            figure(row.correlation),
        )?;
        if let Some(found) = &row.measured {
            write!(
                text,
                " {:>7} {:>7} {:>8} {:>8} {:>9}",
                figure(found.auroc),
                figure(found.average_precision),
                share(found.harmful_recall),
                share(found.contamination),
                share(found.benign_retention),
            )?;
        }
        writeln!(text)?;
    }
    writeln!(text)?;
    writeln!(text, "overlap: rows that both this ranking and the first drop, of those that either drops")?;
    writeln!(text, "order: Spearman's correlation with the first")?;
    for row in rows {
        writeln!(text, "{:<14} {}", row.name, row.about)?;
    }
    Ok(text)
}
