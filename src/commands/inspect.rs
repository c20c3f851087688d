//! `dipole inspect`: what is in a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serializer;
use serde::ser::SerializeStruct;

use super::arguments::Inspect;
use super::terminal::{Terminal, in_full, thousands};
use crate::data::analysis::{Analysis, AnalysisSettings, Leakage, analyse, leakage};
use crate::data::{Dataset, Finding, OpenOptions};
use crate::project::{self, Folders, HealthReport, Plan, Sets, prepare};
use crate::selection::SelectionSettings;
use crate::transport::Settings;

pub fn run(arguments: &Inspect, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let mut reports = Vec::new();
    let mut text = String::new();
    let mut usable = true;
    let mut readable: Vec<Dataset> = Vec::new();
    for path in arguments.files.iter().chain(&arguments.safe).chain(&arguments.harmful) {
        match inspect(path, arguments, terminal) {
            Ok(report) => {
                usable &= !report.dataset.is_empty();
                report.write(&mut text)?;
                readable.extend(report.unusable.is_none().then(|| report.dataset.clone()));
                reports.push(Answer::Report(Box::new(report)));
            }
            Err(error) => {
                usable = false;
                writeln!(text, "✗ {}\n", in_full(&error))?;
                reports.push(Answer::Failure { path: path.clone(), error: in_full(&error) });
            }
        }
    }
    let overlaps = if arguments.fast { Vec::new() } else { overlaps(&readable, terminal)? };
    for overlap in &overlaps {
        let findings = overlap.findings();
        if findings.is_empty() {
            writeln!(text, "no overlap with {}", overlap.reference)?;
        }
        findings.iter().try_for_each(|finding| write_finding(finding, &mut text))?;
    }
    let health = if arguments.safe.is_empty() { None } else { health(&readable, arguments, terminal)? };
    if let Some(health) = &health {
        writeln!(text, "\nreference health: {} to act on", health.warnings())?;
        health.write(true, &mut text)?;
    }
    terminal.result(&Answers { files: reports, overlaps, health }, &text)?;
    Ok(if usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the first file shares with each of the others, as a custom set does with its references.
fn overlaps(readable: &[Dataset], terminal: &Terminal) -> anyhow::Result<Vec<Leakage>> {
    let Some((custom, references)) = readable.split_first() else { return Ok(Vec::new()) };
    let settings = AnalysisSettings::default();
    let found = references.iter().map(|reference| leakage(custom, reference, &settings, terminal));
    Ok(found.collect::<Result<_, _>>()?)
}

/// What speaks against the references; `None` where one of the files has no usable row.
fn health(readable: &[Dataset], arguments: &Inspect, terminal: &Terminal) -> anyhow::Result<Option<HealthReport>> {
    let of = |path: &PathBuf| readable.iter().find(|set| set.path() == path.as_path()).cloned();
    let all = |paths: &[PathBuf]| paths.iter().map(of).collect::<Option<Vec<_>>>();
    let custom = arguments.files.first().and_then(of);
    let (Some(custom), Some(safe), Some(harmful)) = (custom, all(&arguments.safe), all(&arguments.harmful)) else {
        return Ok(None);
    };
    let plan = Plan {
        custom: custom.path().to_owned(),
        safe: arguments.safe.clone(),
        harmful: arguments.harmful.clone(),
        mapping: None,
        encoder: arguments.encoder.clone(),
        views: None,
        settings: Settings::default(),
        calibration: None,
        selection: SelectionSettings::default(),
    };
    let sets = Sets { custom, safe, harmful };
    let prepared = prepare(&sets, &plan, Folders::of_user().cache, terminal)?;
    Ok(Some(project::health(&sets, Some(&prepared.vectors()), plan.settings.seed, terminal)?))
}

fn write_finding(finding: &Finding, text: &mut String) -> std::fmt::Result {
    let field = finding.field.as_deref().map(|field| format!(" in {field}")).unwrap_or_default();
    let rows: Vec<_> = finding.rows.iter().map(u64::to_string).collect();
    let more = if finding.count > finding.rows.len() as u64 { ", …" } else { "" };
    let places = if rows.is_empty() { String::new() } else { format!(" (rows {}{more})", rows.join(", ")) };
    writeln!(text, "  {}{field}: {} × {}{places}", finding.severity, thousands(finding.count), finding.message)
}

/// What is said to machines.
#[derive(serde::Serialize)]
struct Answers {
    files: Vec<Answer>,
    /// The first file against each of the others.
    overlaps: Vec<Leakage>,
    /// Where references were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthReport>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Answer {
    Report(Box<Report>),
    Failure { path: PathBuf, error: String },
}

impl serde::Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dataset = &self.dataset;
        let mut object = serializer.serialize_struct("Report", 9)?;
        object.serialize_field("path", dataset.path())?;
        object.serialize_field("bytes", &dataset.file_bytes())?;
        object.serialize_field("format", &dataset.format())?;
        object.serialize_field("mapping", &dataset.mapping())?;
        object.serialize_field("counts", &dataset.stats())?;
        object.serialize_field("findings", &dataset.findings())?;
        object.serialize_field("quarantine", &Aside(dataset))?;
        object.serialize_field("analysis", &self.analysis)?;
        object.serialize_field("error", &self.unusable)?;
        object.end()
    }
}

/// The records set aside, one after another, because there may be a million.
struct Aside<'a>(&'a Dataset);

impl serde::Serialize for Aside<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..).map_while(|place| self.0.quarantined(place)))
    }
}

struct Report {
    dataset: Dataset,
    unusable: Option<String>,
    analysis: Option<Analysis>,
}

fn inspect(path: &Path, arguments: &Inspect, terminal: &Terminal) -> anyhow::Result<Report> {
    let mut options = OpenOptions::default();
    if !arguments.map.is_empty() {
        let detected = Dataset::begin_watched(path, &options, terminal)?.mapping();
        options.mapping = Some(detected.with_overrides(&arguments.map)?);
    }
    let dataset = Dataset::begin_watched(path, &options, terminal)?;
    // A file without a usable row still has findings and a quarantine worth showing.
    let unusable = match dataset.index(terminal) {
        Ok(()) => None,
        Err(crate::data::DataError::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => Some(error.to_string()),
    };
    let analysis = if arguments.fast || unusable.is_some() {
        None
    } else {
        Some(analyse(&dataset, &AnalysisSettings::default(), terminal)?)
    };
    Ok(Report { dataset, unusable, analysis })
}

impl Report {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let dataset = &self.dataset;
        let stats = dataset.stats();
        writeln!(text, "{}", dataset.path().display())?;
        writeln!(text, "  {}, {} bytes", dataset.format(), thousands(dataset.file_bytes()))?;
        let mapping = dataset.mapping();
        let fields: Vec<_> = mapping.fields.iter().map(|(field, role)| format!("{field}={role}")).collect();
        writeln!(text, "  schema {}: {}", mapping.schema, fields.join(", "))?;
        writeln!(
            text,
            "  {} records = {} rows + {} quarantined",
            thousands(stats.records),
            thousands(stats.rows),
            thousands(stats.quarantined)
        )?;
        writeln!(text, "  {} tokens (estimated), {} characters", thousands(stats.tokens), thousands(stats.chars))?;
        writeln!(text, "  {} exact duplicates", thousands(stats.exact_duplicates))?;
        if let Some(analysis) = &self.analysis {
            analysis.summarise(text)?;
        }
        dataset.findings().iter().try_for_each(|finding| write_finding(finding, text))?;
        for record in (0..10).map_while(|place| dataset.quarantined(place)) {
            let field = record.field.as_deref().map(|field| format!(", field {field}")).unwrap_or_default();
            writeln!(text, "  quarantined row {} (line {}{field}): {}", record.row, record.line, record.reason)?;
        }
        if stats.quarantined > 10 {
            writeln!(text, "  … and {} more in quarantine (--json lists all)", thousands(stats.quarantined - 10))?;
        }
        if let Some(unusable) = &self.unusable {
            writeln!(text, "  ✗ {unusable}")?;
        }
        writeln!(text)
    }
}
