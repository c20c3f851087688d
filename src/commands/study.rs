//! `dipole study`: what the rankings are worth on labelled sets.

use std::process::ExitCode;

use anyhow::Context;

use super::arguments::{Measured, Quality, Study, StudyKind, TuningStudy};
use super::terminal::Terminal;
use crate::embedding::EncoderChoice;
use crate::project::study::{
    self, EfficiencySettings, Measurement, Records, Report, StudySettings, Trial, TuningSettings,
};
use crate::project::{self, Folders, ProjectError};
use crate::selection::SelectionSettings;
use crate::training::{Probe, ProbeKind, TrainSettings};
use crate::transport::{CpuEngine, Observer, Settings};

pub fn run(arguments: &Study, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match &arguments.kind {
        StudyKind::Quality(quality) => self::quality(quality, terminal),
        StudyKind::Ablation(given) => measured(&given.measured, terminal, &|trials, study, observer| {
            study::ablation(trials, study, given.seeds, &CpuEngine::default(), observer)
        }),
        StudyKind::Sensitivity(given) => measured(&given.measured, terminal, &|trials, study, observer| {
            study::sensitivity(trials, study, given.seeds, &CpuEngine::default(), observer)
        }),
        StudyKind::Geometry(given) => measured(&given.measured, terminal, &|trials, study, observer| {
            study::geometry(trials, study, given.seeds, &CpuEngine::default(), observer)
        }),
        StudyKind::Robustness(given) => measured(&given.measured, terminal, &|trials, study, observer| {
            study::robustness(trials, study, given.seeds, &CpuEngine::default(), observer)
        }),
        StudyKind::Efficiency(given) => {
            let starter = Folders::of_user().starter;
            let model = given.model.as_ref().map(|model| project::model_folder(model, &starter)).transpose()?;
            let settings = EfficiencySettings { largest: given.largest as usize, model };
            measured(&given.measured, terminal, &|trials, study, observer| {
                study::efficiency(trials, study, &settings, &CpuEngine::default(), observer)
            })
        }
        StudyKind::Tuning(given) => tuning(given, terminal),
    }
}

/// Prompts of a file that a study asks at most.
const MOST_PROMPTS: usize = 1_000;

/// A study from trials to a report.
type Work<'a> = dyn Fn(&[Trial], &StudySettings, &dyn Observer) -> Result<Report, ProjectError> + 'a;

/// The same model on all rows, the purified and the benign ones.
fn tuning(arguments: &TuningStudy, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let prompts = arguments.prompts.as_ref();
    let settings = TuningSettings {
        model: project::model_folder(&arguments.model, &Folders::of_user().starter)?,
        train: TrainSettings {
            steps: Some(arguments.steps),
            learning_rate: arguments.learning_rate,
            batch_rows: arguments.batch,
            max_tokens: arguments.max_tokens,
            // A run is short: whole runs are kept, no parts of one.
            checkpoint_every: arguments.steps,
            seed: arguments.measured.seed,
            ..TrainSettings::default()
        },
        probes: prompts
            .map(|path| Probe::read(path, ProbeKind::Unlabelled, MOST_PROMPTS, terminal))
            .transpose()?
            .unwrap_or_default(),
        seeds: arguments.seeds,
        threads: super::threads(arguments.measured.threads),
    };
    let records = Records::open(arguments.measured.out.join("runs"))?;
    let own = match (&arguments.custom, &arguments.labels, &arguments.harmful) {
        (Some(custom), Some(labels), Some(harmful)) => {
            let (custom, labels, harmful) = (custom.clone(), labels.clone(), harmful.clone());
            Some(Trial { custom, labels, safe: arguments.safe.clone(), harmful })
        }
        _ => None,
    };
    let trials = own.map_or_else(|| trials(&arguments.measured), |trial| Ok(vec![trial]))?;
    measured_on(trials, &arguments.measured, terminal, &|trials, study, observer| {
        study::tuning(trials, study, &settings, &records, &CpuEngine::default(), observer)
    })
}

/// Those of the given folder, or the sample.
fn trials(arguments: &Measured) -> anyhow::Result<Vec<Trial>> {
    Ok(match &arguments.data {
        Some(data) => study::trials(data)?,
        None => study::demo(&Folders::of_user().demo)?,
    })
}

/// Runs a study on the given data or the sample, writes what it found, and says where.
fn measured(arguments: &Measured, terminal: &Terminal, work: &Work<'_>) -> anyhow::Result<ExitCode> {
    measured_on(trials(arguments)?, arguments, terminal, work)
}

fn measured_on(
    mut trials: Vec<Trial>,
    arguments: &Measured,
    terminal: &Terminal,
    work: &Work<'_>,
) -> anyhow::Result<ExitCode> {
    let folders = Folders::of_user();
    narrow(&mut trials, arguments.only.as_deref())?;
    let settings = StudySettings {
        encoder: arguments.encoder.clone(),
        encoder_name: name_of(&arguments.encoder),
        selection: SelectionSettings { keep: arguments.keep, ..SelectionSettings::default() },
        settings: Settings { seed: arguments.seed, threads: arguments.threads, ..Settings::default() },
        cache_dir: arguments.cache.clone().or(folders.cache),
    };
    let report = work(&trials, &settings, terminal)?;
    let files = report.write(&arguments.out)?;
    let names: Vec<String> =
        files.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect();
    let text = format!("{}Written to {}: {}\n", report.text(), arguments.out.display(), names.join(", "));
    let json = serde_json::json!({
        "study": report.name, "about": report.about, "tables": report.tables, "files": files,
    });
    terminal.result(&json, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn narrow(trials: &mut Vec<Trial>, only: Option<&str>) -> anyhow::Result<()> {
    if let Some(only) = only {
        trials.retain(|trial| trial.name().contains(only));
        anyhow::ensure!(!trials.is_empty(), "--only {only}: no trial has this in its name");
    }
    Ok(())
}

/// How an encoder is called in a table.
fn name_of(encoder: &EncoderChoice) -> String {
    match encoder {
        EncoderChoice::Sentence(folder) => {
            folder.file_name().map_or_else(|| encoder.to_string(), |name| name.to_string_lossy().into_owned())
        }
        other => other.to_string(),
    }
}

fn quality(arguments: &Quality, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let mut trials = study::trials(&arguments.data)?;
    narrow(&mut trials, arguments.only.as_deref())?;
    let records = Records::open(arguments.out.join("pairs"))?;
    let mut measurements: Vec<Measurement> = Vec::new();
    let encoders = std::iter::once(&EncoderChoice::Lexical).filter(|_| !arguments.no_lexical).chain(&arguments.model);
    for encoder in encoders {
        let settings = StudySettings {
            encoder: encoder.clone(),
            encoder_name: name_of(encoder),
            selection: SelectionSettings::default(),
            settings: Settings { seed: arguments.seed, threads: arguments.threads, ..Settings::default() },
            cache_dir: arguments.cache.clone().or_else(|| Folders::of_user().cache),
        };
        for trial in &trials {
            let names = trial.name();
            let measured = records.measure(trial, &settings, &CpuEngine::default(), terminal);
            let (measurement, was_there) = measured.with_context(|| names.clone())?;
            measurements.push(measurement);
            terminal.say(&format!("{names}: {}", if was_there { "measured before" } else { "done" }));
            write(arguments, &measurements)?;
        }
    }
    terminal.result(&measurements, &study::page(&measurements))?;
    Ok(ExitCode::SUCCESS)
}

/// The tables of what is measured so far.
fn write(arguments: &Quality, measurements: &[Measurement]) -> anyhow::Result<()> {
    for (name, content) in [
        ("quality.md", study::page(measurements)),
        ("quality.json", serde_json::to_string_pretty(measurements)?),
        ("quality.csv", study::csv(measurements)),
    ] {
        let path = arguments.out.join(name);
        project::write_file(&path, content.as_bytes())?;
    }
    Ok(())
}
