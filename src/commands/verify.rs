//! `dipole verify`: does an export still hold?

use std::fmt::Write;
use std::process::ExitCode;

use super::arguments::Verify;
use super::terminal::Terminal;
use crate::project;

pub fn run(arguments: &Verify, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let report = project::verify(&arguments.folder, terminal)?;
    let mut text = String::new();
    for mismatch in &report.mismatches {
        writeln!(text, "✗ {mismatch}")?;
    }
    if report.mismatches.is_empty() {
        writeln!(text, "✓ {} files hold what the manifest says", report.files.len())?;
    } else {
        writeln!(text, "{} of the manifest's statements do not hold", report.mismatches.len())?;
    }
    terminal.result(&report, &text)?;
    Ok(if report.mismatches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
