//! What each stage costs from a hundred rows to a hundred thousand, beside fine-tuning on the same rows.
//!
//! Constraints: every stage is timed by itself with its own peak of memory, from cold vectors; rows that the set does not
//! have are made from its own by a number in the text, so that no two texts are equal. Fine-tuning is timed where a model
//! is given, and estimated otherwise from the products per second of this machine.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Device;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{Cell, Plot, Report, Scale, Series, Shape, Spot, StudySettings, Table, Trial};
use crate::data::{Dataset, OpenOptions};
use crate::jobs::Progress;
use crate::model::{ChatTokenizer, Decoder, Precision};
use crate::project::pipeline::{prepare, solve};
use crate::project::{Export, ExportContext, Plan, ProjectError, Sets, export};
use crate::selection::calibration::{CalibrationSettings, calibrate};
use crate::selection::{Decisions, Selection};
use crate::training::{self, Control, TrainError, TrainEvent, TrainSettings, Trainer};
use crate::transport::{Engine, Observer};

const SIZES: [usize; 7] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];
const STAGES: [&str; 5] = ["reading", "embedding", "transport", "calibration", "cut and export"];
/// Sizes of models that are estimated: name and parameters.
const MODELS: [(&str, f64); 3] = [("0.5 billion", 0.5e9), ("1.5 billion", 1.5e9), ("7 billion", 7e9)];
/// Products and sums a parameter and token: 2 forward, 2 for what the adapter needs back through the frozen weights, 2
/// for computing activations again.
const PER_PARAMETER: f64 = 6.0;
const TRIAL_ROWS: usize = 64;
const TRIAL_STEPS: u64 = 5;

/// What is asked of the study.
#[derive(Debug, Clone)]
pub struct EfficiencySettings {
    /// Rows of the largest size.
    pub largest: usize,
    /// A language model to time fine-tuning with.
    pub model: Option<PathBuf>,
}

impl Default for EfficiencySettings {
    fn default() -> Self {
        Self { largest: 100_000, model: None }
    }
}

/// Seconds and the peak of memory of one stage.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Of the whole process, where the system tells it.
    peak_mib: Option<f64>,
}

impl Cost {
    fn of<T>(work: impl FnOnce() -> Result<T, ProjectError>) -> Result<(T, Self), ProjectError> {
        // Linux forgets the old peak at this; elsewhere there is no such file.
        let forgot = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        let began = Instant::now();
        let done = work()?;
        let seconds = began.elapsed().as_secs_f64();
        Ok((done, Self { seconds, peak_mib: peak_mib().filter(|_| forgot) }))
    }
}

fn peak_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// One size: its rows, its tokens (words and marks), and the cost of every stage.
struct Found {
    rows: usize,
    tokens: u64,
    costs: [Cost; 5],
}

/// Runs the study on the trial with most rows.
///
/// # Errors
/// As [`super::measure`], and where the model cannot be trained.
pub fn efficiency(
    trials: &[Trial],
    study: &StudySettings,
    settings: &EfficiencySettings,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    let (trial, source) = largest(trials, observer)?;
    let folder = tempfile::tempdir().map_err(ProjectError::io(&std::env::temp_dir()))?;
    let mut sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size < settings.largest).collect();
    sizes.push(settings.largest.max(1));
    let mut found = Vec::new();
    for (at, rows) in sizes.iter().enumerate() {
        observer.tick("efficiency", at as u64, Some(sizes.len() as u64));
        let custom = folder.path().join(format!("custom-{rows}.jsonl"));
        write_rows(&source, *rows, &custom, observer)?;
        found.push(size(trial, &custom, *rows, folder.path(), study, engine, observer)?);
    }
    let epochs = TrainSettings::default().epochs as f64;
    let mut tuning: Vec<(String, f64)> = Vec::new();
    let mut about = vec![
        format!(
            "{} with encoder {}; {} threads; seed {}. Vectors are computed, not cached; transport and calibration on engine {}.",
            trial.name(),
            study.encoder_name,
            threads(study),
            study.settings.seed,
            engine.name()
        ),
        format!(
            "Rows beyond the {} of the set are its own with a number added. Peak memory is that of the process during a stage, what stands from earlier stages included.",
            source.len()
        ),
    ];
    if let Some(model) = &settings.model {
        let custom = folder.path().join("tuning.jsonl");
        write_rows(&source, TRIAL_ROWS, &custom, observer)?;
        let (name, seconds_a_token, tokens_a_word) = timed(model, &custom, folder.path(), threads(study), observer)?;
        about.push(format!(
            "Fine-tuning of {name} was timed over {TRIAL_STEPS} steps of 8 rows ({:.0} tokens a second) and is carried on to {epochs} epochs.",
            1.0 / seconds_a_token
        ));
        tuning.push((format!("fine-tuning {name} (timed)"), seconds_a_token * tokens_a_word * epochs));
    } else {
        let rate = products_a_second(threads(study))?;
        about.push(format!(
            "Fine-tuning is estimated as {PER_PARAMETER} operations a parameter and token over {epochs} epochs at the {:.0} GFLOP/s that a float32 product reached here, a word or mark counted as one token (models make a third more of them); --model times a real one.",
            rate / 1e9
        ));
        let of = |(name, parameters): (&str, f64)| {
            (format!("fine-tuning {name} (estimate)"), PER_PARAMETER * parameters / rate * epochs)
        };
        tuning.extend(MODELS.map(of));
    }
    observer.tick("efficiency", sizes.len() as u64, Some(sizes.len() as u64));
    Ok(Report {
        name: "efficiency".to_owned(),
        about,
        tables: vec![table(&found, &tuning)],
        plots: plots(&found, &tuning),
    })
}

fn threads(study: &StudySettings) -> usize {
    match study.settings.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

fn largest<'a>(trials: &'a [Trial], observer: &dyn Observer) -> Result<(&'a Trial, Dataset), ProjectError> {
    let mut best: Option<(&Trial, Dataset)> = None;
    let mut seen: Vec<&Path> = Vec::new();
    for trial in trials {
        if seen.contains(&trial.custom.as_path()) {
            continue;
        }
        seen.push(&trial.custom);
        let custom = Dataset::open(&trial.custom, &OpenOptions::default(), observer)?;
        if best.as_ref().is_none_or(|(_, most)| custom.len() > most.len()) {
            best = Some((trial, custom));
        }
    }
    best.ok_or_else(|| ProjectError::Inconsistent("there is no trial to measure".to_owned()))
}

/// So many rows as prompt and completion.
fn write_rows(source: &Dataset, rows: usize, path: &Path, progress: &dyn Progress) -> Result<(), ProjectError> {
    let file = std::fs::File::create(path).map_err(ProjectError::io(path))?;
    let mut out = BufWriter::new(file);
    for number in 0..rows {
        if number.is_multiple_of(1024) {
            progress.check()?;
        }
        let row = source.row(number % source.len().max(1))?;
        let mut prompt = row.prompt();
        if number >= source.len() {
            prompt.push_str(&format!(" (number {number})"));
        }
        let line = serde_json::json!({ "prompt": prompt, "completion": row.response() });
        writeln!(out, "{line}").map_err(ProjectError::io(path))?;
    }
    out.flush().map_err(ProjectError::io(path))
}

fn size(
    trial: &Trial,
    custom: &Path,
    rows: usize,
    folder: &Path,
    study: &StudySettings,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Found, ProjectError> {
    let plan = Plan {
        custom: custom.to_owned(),
        safe: trial.safe.clone(),
        harmful: vec![trial.harmful.clone()],
        mapping: None,
        encoder: study.encoder.clone(),
        views: None,
        settings: study.settings.clone(),
        calibration: None,
        selection: study.selection,
    };
    let (sets, reading) = Cost::of(|| Sets::open(&plan, observer))?;
    let (prepared, embedding) = Cost::of(|| prepare(&sets, &plan, None, observer))?;
    let (purified, transport) = Cost::of(|| solve(&sets, &plan, &prepared, engine, observer))?;
    let checked = plan.settings.clone().checked()?;
    let grid = CalibrationSettings::default();
    let (_, calibration) = Cost::of(|| {
        let found = calibrate(engine, &prepared.problem(), prepared.sources(), &grid, &checked, observer)?;
        Ok(found.calibration)
    })?;
    let out = folder.join("export");
    let (_, exporting) = Cost::of(|| {
        let numbers: Vec<u64> = (0..sets.custom.len()).filter_map(|index| sets.custom.number(index)).collect();
        let decisions = Decisions::default();
        let selection = Selection::from(&purified.outcome, &plan.selection, &numbers, &sets.custom, &decisions)?;
        let context = ExportContext { origin: "dipole study efficiency".to_owned(), ..ExportContext::default() };
        let what = Export {
            sets: &sets,
            plan: &plan,
            purified: &purified,
            selection: &selection,
            decisions: &decisions,
            context: &context,
        };
        export(&out, &what, observer)
    })?;
    let tokens = (0..sets.custom.len()).filter_map(|index| sets.custom.tokens(index)).map(u64::from).sum();
    Ok(Found { rows, tokens, costs: [reading, embedding, transport, calibration, exporting] })
}

/// A model's name, its seconds a token, and its tokens a word or mark.
fn timed(
    model: &Path,
    custom: &Path,
    folder: &Path,
    threads: usize,
    observer: &dyn Observer,
) -> Result<(String, f64, f64), ProjectError> {
    let settings = TrainSettings { steps: Some(TRIAL_STEPS), ..TrainSettings::default() };
    let data = Dataset::open(custom, &OpenOptions::default(), observer)?;
    let decoder = Decoder::open(model, Precision::Stored, &Device::Cpu, observer).map_err(TrainError::from)?;
    let tokenizer = ChatTokenizer::open(model, decoder.spec()).map_err(TrainError::from)?;
    let prepared = training::prepare(&data, &tokenizer, &settings, observer)?;
    let words: u64 = prepared.rows.iter().filter_map(|row| data.tokens(row.index)).map(u64::from).sum();
    let tokens_a_word = prepared.tokens() as f64 / words.max(1) as f64;
    let mut rates = Vec::new();
    let mut listener = |event: &TrainEvent| {
        if let TrainEvent::Step(report) = event {
            rates.push(report.tokens_per_second);
        }
    };
    let trainer = Trainer::new(&decoder, &settings, prepared, &folder.join("tuning"), threads)?;
    trainer.run(false, &Control::default(), &mut listener, observer)?;
    rates.sort_unstable_by(f64::total_cmp);
    let rate = rates.get(rates.len() / 2).copied().filter(|rate| *rate > 0.0).ok_or_else(|| {
        ProjectError::Inconsistent("the timed fine-tuning took no step; give a model that can be trained".to_owned())
    })?;
    let name = model.file_name().map_or_else(|| "the model".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok((name, 1.0 / rate, tokens_a_word))
}

/// Float32 operations a second of a square product, the median of five.
fn products_a_second(threads: usize) -> Result<f64, ProjectError> {
    const SIDE: usize = 1024;
    let values =
        |salt: usize| -> Vec<f32> { (0..SIDE * SIDE).map(|at| ((at * 31 + salt) % 97) as f32 / 97.0).collect() };
    let (a, b, mut c) = (values(1), values(2), vec![0.0f32; SIDE * SIDE]);
    let pool = crate::transport::pool(threads)?;
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let began = Instant::now();
            pool.install(|| {
                matmul(
                    MatMut::from_row_major_slice_mut(&mut c, SIDE, SIDE),
                    Accum::Replace,
                    MatRef::from_row_major_slice(&a, SIDE, SIDE),
                    MatRef::from_row_major_slice(&b, SIDE, SIDE),
                    1.0,
                    Par::rayon(0),
                );
            });
            2.0 * (SIDE as f64).powi(3) / began.elapsed().as_secs_f64().max(1e-9)
        })
        .collect();
    rates.sort_unstable_by(f64::total_cmp);
    Ok(rates.get(2).copied().unwrap_or(1.0))
}

fn table(found: &[Found], tuning: &[(String, f64)]) -> Table {
    let mut table = Table::new("efficiency", "Seconds and memory", &["rows", "stage", "seconds", "peak_mib"]);
    for one in found {
        for (stage, cost) in STAGES.iter().zip(&one.costs) {
            let peak = cost.peak_mib.map_or(Cell::Nothing, Cell::Number);
            table.rows.push(vec![one.rows.into(), (*stage).into(), Cell::Number(cost.seconds), peak]);
        }
        for (name, seconds_a_token) in tuning {
            let seconds = one.tokens as f64 * seconds_a_token;
            table.rows.push(vec![one.rows.into(), name.as_str().into(), Cell::Number(seconds), Cell::Nothing]);
        }
    }
    table
}

fn plots(found: &[Found], tuning: &[(String, f64)]) -> Vec<Plot> {
    let stages = |of: &dyn Fn(&Cost) -> Option<f64>| -> Vec<Series> {
        STAGES
            .iter()
            .enumerate()
            .map(|(stage, name)| {
                let spots =
                    found.iter().filter_map(|one| Some(Spot::exact(one.rows as f64, of(one.costs.get(stage)?)?)));
                Series { name: (*name).to_owned(), shape: Shape::Line, colour: stage, spots: spots.collect() }
            })
            .collect()
    };
    let mut seconds = stages(&|cost| Some(cost.seconds));
    seconds.extend(tuning.iter().enumerate().map(|(number, (name, seconds_a_token))| {
        let spots = found.iter().map(|one| Spot::exact(one.rows as f64, one.tokens as f64 * seconds_a_token));
        Series { name: name.clone(), shape: Shape::Dashed, colour: STAGES.len() + number, spots: spots.collect() }
    }));
    let plot = |name: &str, title: &str, label: &str, series| Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x_label: "custom rows".to_owned(),
        x: Scale::Log,
        y_label: label.to_owned(),
        y: Scale::Log,
        series,
    };
    vec![
        plot("efficiency_seconds", "What each stage takes", "seconds", seconds),
        plot("efficiency_memory", "Peak memory during each stage", "MiB", stages(&|cost| cost.peak_mib)),
    ]
}
