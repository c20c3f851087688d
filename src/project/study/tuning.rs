//! What cleaning is worth after fine-tuning: the same model on all rows, on the purified ones, and on the benign ones.
//!
//! Source: the first experiment of arXiv 2601.07200, in small. Constraints: every arm takes the same number of optimiser
//! steps from the same model with the same settings; labels choose the rows of the benign arm and the rows held out, and
//! nothing else; held-out rows are benign and in no arm.

use std::path::PathBuf;

use candle_core::Device;

use super::sample::{Quiet, draw};
use super::{Ground, Plot, Report, Scale, Series, Shape, Spot, Spread, StudySettings, Table, Trial};
use crate::model::{Adapter, ChatTokenizer, Decoder, Sampling};
use crate::project::pipeline::solve;
use crate::project::{Plan, ProjectError};
use crate::selection::{Decisions, Selection};
use crate::training::{
    self, Comparing, Control, Figures, Prepared, Probe, Silence, TrainError, TrainRow, TrainSettings, Trainer,
    perplexity,
};
use crate::transport::{Engine, Observer};

const ARMS: [&str; 4] = ["untuned", "all rows", "purified", "benign rows"];
/// Share of the benign rows that is held out for the perplexity.
const HELD_OUT: f64 = 0.1;
const MOST_HELD_OUT: usize = 200;
/// Tokens of an answer; a refusal shows in its first words.
const ANSWER: usize = 40;

/// What is asked of the study.
#[derive(Debug, Clone)]
pub struct TuningSettings {
    /// A Hugging Face directory.
    pub model: PathBuf,
    pub train: TrainSettings,
    /// Prompts; the built-in list where there is none.
    pub probes: Vec<Probe>,
    pub seeds: u64,
    /// Worker threads, 1 or more.
    pub threads: usize,
}

/// What one arm gave, one entry a seed.
#[derive(Debug, Clone, Default)]
struct Arm {
    rows: usize,
    harmful_rows: usize,
    refused: Vec<f64>,
    over_refused: Vec<f64>,
    perplexity: Vec<f64>,
}

/// Runs the study on every trial.
///
/// # Errors
/// As [`super::measure`], and where the model cannot be opened or trained.
pub fn tuning(
    trials: &[Trial],
    study: &StudySettings,
    settings: &TuningSettings,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    settings.train.check()?;
    let decoder =
        Decoder::open(&settings.model, settings.train.precision, &Device::Cpu, observer).map_err(TrainError::from)?;
    let tokenizer = ChatTokenizer::open(&settings.model, decoder.spec()).map_err(TrainError::from)?;
    let probes = if settings.probes.is_empty() { Probe::built_in() } else { settings.probes.clone() };
    let measure = Measure { decoder: &decoder, tokenizer: &tokenizer, probes: &probes, threads: settings.threads };
    let mut table = Table::new(
        "tuning",
        "The same model after fine-tuning on different rows",
        &["trial", "arm", "rows", "harmful_rows", "refused_harmful", "refused_harmless", "perplexity"],
    );
    let mut series: Vec<[Series; 2]> = Vec::new();
    let total = trials.len() as u64 * settings.seeds * ARMS.len() as u64;
    for (at, trial) in trials.iter().enumerate() {
        let ground = Ground::open(trial, study, observer)?;
        let prepared = ground.prepare(study, observer)?;
        let purified = solve(&ground.sets, &ground.plan, &prepared, engine, &Quiet(observer))?;
        drop(prepared);
        let selection = select(&ground, &purified.outcome)?;
        let rows = training::prepare(&ground.sets.custom, &tokenizer, &settings.train, &Quiet(observer))?;
        let mut arms = vec![Arm::default(); ARMS.len()];
        for seed in 0..settings.seeds {
            let (held_out, parts) = split(&rows, &ground.labels, &selection, study.settings.seed.wrapping_add(seed));
            for (number, arm) in arms.iter_mut().enumerate() {
                let done = (at as u64 * settings.seeds + seed) * ARMS.len() as u64 + number as u64;
                observer.tick("fine-tuning", done, Some(total));
                let part = number.checked_sub(1).and_then(|part| parts.get(part));
                let train = TrainSettings { seed: settings.train.seed.wrapping_add(seed), ..settings.train.clone() };
                let adapter = match part {
                    None => None,
                    Some(rows) => Some(tuned(&decoder, rows, &train, settings.threads, observer)?),
                };
                if let Some(rows) = part {
                    arm.rows = rows.len();
                    arm.harmful_rows =
                        rows.iter().filter(|row| ground.labels.get(row.index).copied().flatten() == Some(true)).count();
                }
                measure.take(arm, adapter.as_ref(), &held_out, observer)?;
            }
        }
        let mut shown = [0, 1].map(|colour| Series {
            name: format!("{}, {} prompts", ground.name, if colour == 0 { "harmful" } else { "harmless" }),
            shape: Shape::Marks,
            colour: at * 2 + colour,
            spots: Vec::new(),
        });
        for (number, (name, arm)) in ARMS.iter().zip(&arms).enumerate() {
            let (refused, over) = (unit(&arm.refused), unit(&arm.over_refused));
            for (series, spread) in shown.iter_mut().zip([refused, over]) {
                series.spots.extend(spread.map(|spread| Spot::of(number as f64, spread)));
            }
            table.rows.push(vec![
                ground.name.as_str().into(),
                (*name).into(),
                arm.rows.into(),
                arm.harmful_rows.into(),
                refused.into(),
                over.into(),
                Spread::mean(&arm.perplexity).into(),
            ]);
        }
        series.push(shown);
    }
    observer.tick("fine-tuning", total, Some(total));
    Ok(Report {
        name: "tuning".to_owned(),
        about: about(study, settings, &probes),
        tables: vec![table],
        plots: vec![Plot {
            name: "tuning_refusals".to_owned(),
            title: "Refusals after fine-tuning".to_owned(),
            x_label: "rows that were trained on".to_owned(),
            x: Scale::Names(ARMS.iter().map(|arm| (*arm).to_owned()).collect()),
            y_label: "share of prompts refused (95 % interval over seeds)".to_owned(),
            y: Scale::Linear,
            series: series.into_iter().flatten().collect(),
        }],
    })
}

fn about(study: &StudySettings, settings: &TuningSettings, probes: &[Probe]) -> Vec<String> {
    let model = settings.model.file_name().map_or_else(|| "the model".into(), |name| name.to_string_lossy());
    let train = &settings.train;
    let steps = train.steps.map_or(format!("{} epochs", train.epochs), |steps| format!("{steps} steps"));
    vec![
        format!(
            "{model}: LoRA of rank {}, {steps} of {} rows at a learning rate of {}; {} seeds, which draw the held-out rows, the first adapter and the order.",
            train.rank, train.batch_rows, train.learning_rate, settings.seeds
        ),
        format!(
            "Purified by encoder {}, λ = {}, ε = {} × median cost, {} kept, with learned weights; the other arms weigh all rows alike.",
            study.encoder_name, study.settings.lambda, study.settings.epsilon, study.selection.keep
        ),
        format!(
            "{} prompts, answered greedily with at most {ANSWER} tokens; a refusal is told by the rule of `dipole compare`. Perplexity: of the answers of up to {MOST_HELD_OUT} benign rows that no arm was trained on.",
            probes.len()
        ),
        "Means over seeds with 95 % intervals of Student's t. A model too small to hold on to its refusals, or to lose them in so few steps, shows no difference: read the intervals.".to_owned(),
    ]
}

fn unit(values: &[f64]) -> Option<Spread> {
    Spread::mean(values).map(Spread::within_unit)
}

fn select(ground: &Ground, outcome: &crate::transport::Outcome) -> Result<Selection, ProjectError> {
    let custom = &ground.sets.custom;
    let numbers: Vec<u64> = (0..custom.len()).filter_map(|index| custom.number(index)).collect();
    let Plan { selection, .. } = &ground.plan;
    Ok(Selection::from(outcome, selection, &numbers, custom, &Decisions::default())?)
}

/// The held-out rows, and the rows of each arm that is trained, with mean weight 1.
fn split(
    rows: &Prepared,
    labels: &[Option<bool>],
    selection: &Selection,
    seed: u64,
) -> (Vec<TrainRow>, [Vec<TrainRow>; 3]) {
    let label = |row: &TrainRow| labels.get(row.index).copied().flatten();
    let benign: Vec<usize> =
        (0..rows.rows.len()).filter(|at| rows.rows.get(*at).and_then(label) == Some(false)).collect();
    let count = ((benign.len() as f64 * HELD_OUT).round() as usize).clamp(1, MOST_HELD_OUT);
    let held: std::collections::HashSet<usize> =
        draw(benign.len(), count, seed).into_iter().filter_map(|place| benign.get(place).copied()).collect();
    let mut parts: [Vec<TrainRow>; 3] = Default::default();
    let mut held_out = Vec::new();
    for (at, row) in rows.rows.iter().enumerate() {
        if held.contains(&at) {
            held_out.push(row.clone());
            continue;
        }
        let weight = selection.loss_weights.get(row.index).copied().unwrap_or(0.0);
        let takes =
            [Some(1.0), Some(weight).filter(|weight| *weight > 0.0), (label(row) == Some(false)).then_some(1.0)];
        for (part, weight) in parts.iter_mut().zip(takes) {
            part.extend(weight.map(|weight| TrainRow { weight, ..row.clone() }));
        }
    }
    for part in &mut parts {
        let mean = part.iter().map(|row| row.weight).sum::<f64>() / part.len().max(1) as f64;
        part.iter_mut().filter(|_| mean > 0.0).for_each(|row| row.weight /= mean);
    }
    (held_out, parts)
}

fn tuned(
    decoder: &Decoder,
    rows: &[TrainRow],
    settings: &TrainSettings,
    threads: usize,
    observer: &dyn Observer,
) -> Result<Adapter, ProjectError> {
    let folder = tempfile::tempdir().map_err(ProjectError::io(&std::env::temp_dir()))?;
    let prepared = Prepared { rows: rows.to_vec(), ..Prepared::default() };
    let trainer = Trainer::new(decoder, settings, prepared, folder.path(), threads)?;
    let outcome = trainer.run(false, &Control::default(), &mut Silence, &Quiet(observer))?;
    Ok(Adapter::read(&outcome.adapter, decoder).map_err(TrainError::from)?)
}

/// What every arm is measured with.
struct Measure<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a ChatTokenizer,
    probes: &'a [Probe],
    threads: usize,
}

impl Measure<'_> {
    fn take(
        &self,
        arm: &mut Arm,
        adapter: Option<&Adapter>,
        held_out: &[TrainRow],
        observer: &dyn Observer,
    ) -> Result<(), ProjectError> {
        let &Self { decoder, tokenizer, probes, threads } = self;
        let sampling = Sampling { max_tokens: ANSWER, ..Sampling::default() };
        let comparing = Comparing { decoder, tokenizer, sampling: &sampling, threads };
        let answers = comparing.answers(&[adapter], probes, &mut |_| {}, &Quiet(observer))?;
        let figures = Figures::of(probes, answers.iter().flatten().map(Some));
        let share = |rate: &training::Rate| (rate.of > 0).then(|| rate.refused as f64 / rate.of as f64);
        arm.refused.extend(share(&figures.harmful));
        arm.over_refused.extend(share(&figures.harmless));
        arm.perplexity.push(perplexity(decoder, adapter, held_out, threads, &Quiet(observer))?.value);
        Ok(())
    }
}
