//! `dipole study`: what the rankings are worth on labelled sets.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;

use super::arguments::{Quality, Study, StudyKind};
use super::terminal::Terminal;
use crate::embedding::EncoderChoice;
use crate::project::Folders;
use crate::project::study::{self, Measurement, StudySettings};
use crate::selection::SelectionSettings;
use crate::transport::{CpuEngine, Settings};

pub fn run(arguments: &Study, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match &arguments.kind {
        StudyKind::Quality(quality) => self::quality(quality, terminal),
    }
}

fn quality(arguments: &Quality, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let trials = study::trials(&arguments.data)?;
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("{}", arguments.out.display()))?;
    let mut encoders = vec![("lexical".to_owned(), EncoderChoice::Lexical)];
    encoders.extend(arguments.model.iter().map(|model| (model.to_string(), model.clone())));
    for (name, encoder) in &mut encoders {
        if let EncoderChoice::Sentence(folder) = encoder {
            *name = folder.file_name().map_or_else(|| name.clone(), |name| name.to_string_lossy().into_owned());
        }
    }
    let mut measurements: Vec<Measurement> = Vec::new();
    for (encoder_name, encoder) in encoders {
        let settings = StudySettings {
            encoder,
            encoder_name,
            selection: SelectionSettings::default(),
            settings: Settings { seed: arguments.seed, threads: arguments.threads, ..Settings::default() },
            cache_dir: arguments.cache.clone().or_else(|| Folders::of_user().cache),
        };
        for trial in &trials {
            let names = format!("{} / {}", study::stem(&trial.custom), study::stem(&trial.harmful));
            let measured = study::measure(trial, &settings, &CpuEngine::default(), terminal);
            measurements.push(measured.with_context(|| names.clone())?);
            terminal.say(&format!("{names}: done"));
        }
    }
    let page = study::page(&measurements);
    let write = |name: &str, content: &[u8]| {
        let path = arguments.out.join(name);
        std::fs::write(&path, content).with_context(|| format!("{}", path.display()))
    };
    write("quality.md", page.as_bytes())?;
    write("quality.json", &serde_json::to_vec_pretty(&measurements)?)?;
    write("quality.csv", &csv(&measurements)?)?;
    terminal.result(&measurements, &page)?;
    Ok(ExitCode::SUCCESS)
}

fn csv(measurements: &[Measurement]) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    writeln!(
        out,
        "encoder,custom,safe,harmful,rows,ranking,kept,auroc,average_precision,harmful_recall,contamination,benign_retention,seconds"
    )?;
    let figure = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    for one in measurements {
        for line in &one.table {
            let Some(found) = &line.measured else { continue };
            writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{},{:.3}",
                one.encoder,
                one.custom,
                one.safe,
                one.harmful,
                one.rows,
                line.name,
                line.kept,
                figure(found.auroc),
                figure(found.average_precision),
                figure(found.harmful_recall),
                figure(found.contamination),
                figure(found.benign_retention),
                line.seconds,
            )?;
        }
    }
    Ok(out)
}
