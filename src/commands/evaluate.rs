//! `dipole evaluate`: a ranking and a cut against labels.

use std::fmt::Write;
use std::process::ExitCode;

use super::arguments::Evaluate;
use super::terminal::{Terminal, thousands};
use crate::selection;

pub fn run(arguments: &Evaluate, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let evaluation = selection::evaluate(&arguments.weights, &arguments.labels)?;
    let share = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.2} %", value * 100.0));
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let mut text = String::new();
    writeln!(
        text,
        "rows {}   harmful {}   kept {}   without label {}",
        thousands(evaluation.rows as u64),
        thousands(evaluation.harmful as u64),
        thousands(evaluation.kept as u64),
        thousands(evaluation.unlabelled as u64),
    )?;
    writeln!(text)?;
    writeln!(text, "                     by score   by weight")?;
    writeln!(
        text,
        "AUROC                {:>8}   {:>9}",
        figure(evaluation.auroc_score),
        figure(evaluation.auroc_weight)
    )?;
    writeln!(
        text,
        "average precision    {:>8}   {:>9}",
        figure(evaluation.average_precision_score),
        figure(evaluation.average_precision_weight)
    )?;
    writeln!(text)?;
    writeln!(text, "harmful rows dropped by the cut    {:>9}", share(evaluation.harmful_recall))?;
    writeln!(text, "harmful among the kept rows        {:>9}", share(evaluation.residual_contamination))?;
    writeln!(text, "other rows kept                    {:>9}", share(evaluation.benign_retention))?;
    terminal.result(&evaluation, &text)?;
    Ok(ExitCode::SUCCESS)
}
