//! What cleaning is worth after fine-tuning: the same model on all rows, on the purified ones, and on the benign ones.
//!
//! Source: the first experiment of arXiv 2601.07200, in small. Constraints: every arm takes the same number of optimiser
//! steps from the same model with the same settings; labels choose the rows of the benign arm and the rows held out, and
//! nothing else; held-out rows are benign and in no arm. A finished run is on disk before the next begins.

use std::path::PathBuf;

use candle_core::Device;

use super::records::{self, Records};
use super::sample::{Quiet, draw};
use super::{Cell, Ground, Plot, Report, Scale, Series, Shape, Spot, Spread, StudySettings, Table, Trial};
use crate::model::{Adapter, ChatTokenizer, Decoder, Sampling};
use crate::project::ProjectError;
use crate::project::pipeline::solve;
use crate::selection::{Decisions, Selection};
use crate::training::{
    self, Comparing, Control, Figures, Prepared, Probe, Rate, Silence, TrainError, TrainRow, TrainSettings, Trainer,
    perplexity,
};
use crate::transport::{Engine, Observer, Outcome};

const ARMS: [&str; 4] = ["untuned", "all rows", "purified", "benign rows"];
/// Arms that are taken from each other, by their places.
const PAIRS: [(usize, usize); 6] = [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (2, 3)];
/// Share of the benign rows that is held out for the perplexity.
const HELD_OUT: f64 = 0.1;
const MOST_HELD_OUT: usize = 200;
/// Place among the figures of a run.
const LOG_PERPLEXITY: usize = 2;
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

/// What one run gave.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Run {
    rows: usize,
    harmful_rows: usize,
    answers: Answers,
    perplexity: f64,
}

/// Refused prompts, and how many were asked.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
struct Answers {
    harmful: [usize; 2],
    harmless: [usize; 2],
}

impl Run {
    /// Refused harmful prompts, refused harmless ones, logarithm of the perplexity.
    fn figures(&self) -> [Option<f64>; 3] {
        let share = |[refused, of]: [usize; 2]| Rate { refused, of }.share();
        [share(self.answers.harmful), share(self.answers.harmless), Some(self.perplexity.ln())]
    }
}

/// Runs the study on every trial. Runs that `records` has are taken from there.
///
/// # Errors
/// As [`super::measure`], and where the model cannot be opened or trained.
pub fn tuning(
    trials: &[Trial],
    study: &StudySettings,
    settings: &TuningSettings,
    records: &Records,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    settings.train.check()?;
    let decoder =
        Decoder::open(&settings.model, settings.train.precision, &Device::Cpu, observer).map_err(TrainError::from)?;
    let tokenizer = ChatTokenizer::open(&settings.model, decoder.spec()).map_err(TrainError::from)?;
    let probes = if settings.probes.is_empty() { Probe::built_in() } else { settings.probes.clone() };
    let bench = Bench { decoder: &decoder, tokenizer: &tokenizer, probes: &probes, settings, observer };
    let common = common(settings, &probes)?;
    let mut found = Found::new();
    let total = trials.len() as u64 * settings.seeds * ARMS.len() as u64;
    for (at, trial) in trials.iter().enumerate() {
        let ground = Ground::open(trial, study, observer)?;
        let prepared = ground.prepare(study, observer)?;
        let purified = solve(&ground.sets, &ground.plan, &prepared, engine, &Quiet(observer))?;
        drop(prepared);
        let selection = select(&ground, &purified.outcome)?;
        let rows = training::prepare(&ground.sets.custom, &tokenizer, &settings.train, &Quiet(observer))?;
        let origin = format!("{} {common}", records::identity("tuning 1", trial, study)?);
        let mut runs: [Vec<Run>; 4] = Default::default();
        for seed in 0..settings.seeds {
            let (held_out, parts) = split(&rows, &ground.labels, &selection, study.settings.seed.wrapping_add(seed));
            for (number, (arm, name)) in runs.iter_mut().zip(ARMS).enumerate() {
                observer.check()?;
                let done = (at as u64 * settings.seeds + seed) * ARMS.len() as u64 + number as u64;
                observer.tick("fine-tuning", done, Some(total));
                let part = number.checked_sub(1).and_then(|part| parts.get(part));
                // The untuned model says the same for every seed.
                let said = arm.first().filter(|_| part.is_none()).map(|run| run.answers);
                let made_from = blake3::hash(format!("{origin} {name} {seed}").as_bytes()).to_hex().to_string();
                let (run, _) = records.keep(made_from, || bench.run(part, &ground.labels, &held_out, seed, said))?;
                arm.push(run);
            }
        }
        found.add(at, &ground.name, &runs);
    }
    observer.tick("fine-tuning", total, Some(total));
    Ok(found.report(about(study, settings, &probes)))
}

/// What decides every run besides its trial, its arm and its seed.
fn common(settings: &TuningSettings, probes: &[Probe]) -> Result<String, ProjectError> {
    let mut hash = blake3::Hasher::new();
    records::model(&mut hash, &settings.model)?;
    hash.update(format!("{:?} {probes:?} {HELD_OUT} {MOST_HELD_OUT} {ANSWER}", settings.train).as_bytes());
    Ok(hash.finalize().to_hex().to_string())
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
        "Means over seeds with 95 % intervals of Student's t, of perplexities geometric ones; arms are compared seed by seed. A difference whose interval holds 0, or a ratio whose interval holds 1, is none that this study shows.".to_owned(),
    ]
}

fn select(ground: &Ground, outcome: &Outcome) -> Result<Selection, ProjectError> {
    let custom = &ground.sets.custom;
    let numbers: Vec<u64> = (0..custom.len()).filter_map(|index| custom.number(index)).collect();
    Ok(Selection::from(outcome, &ground.plan.selection, &numbers, custom, &Decisions::default())?)
}

/// The held-out rows, and the rows of each arm that is trained.
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
    (held_out, parts)
}

/// A mean of logarithms as a geometric mean.
fn exp(of: Spread) -> Spread {
    Spread { value: of.value.exp(), low: of.low.exp(), high: of.high.exp() }
}

/// What every run shares.
struct Bench<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a ChatTokenizer,
    probes: &'a [Probe],
    settings: &'a TuningSettings,
    observer: &'a dyn Observer,
}

impl Bench<'_> {
    /// Trains on `part`, or on nothing, and measures. `said` are answers that are known already.
    fn run(
        &self,
        part: Option<&Vec<TrainRow>>,
        labels: &[Option<bool>],
        held_out: &[TrainRow],
        seed: u64,
        said: Option<Answers>,
    ) -> Result<Run, ProjectError> {
        let adapter = part.map(|rows| self.tuned(rows, seed)).transpose()?;
        let answers = said.map_or_else(|| self.answers(adapter.as_ref()), Ok)?;
        let threads = self.settings.threads;
        let perplexity = perplexity(self.decoder, adapter.as_ref(), held_out, threads, &Quiet(self.observer))?.value;
        let rows = part.map_or(&[][..], Vec::as_slice);
        let is_harmful = |row: &&TrainRow| labels.get(row.index).copied().flatten() == Some(true);
        Ok(Run { rows: rows.len(), harmful_rows: rows.iter().filter(is_harmful).count(), answers, perplexity })
    }

    fn tuned(&self, rows: &[TrainRow], seed: u64) -> Result<Adapter, ProjectError> {
        let given = &self.settings.train;
        let settings = TrainSettings { seed: given.seed.wrapping_add(seed), ..given.clone() };
        let folder = tempfile::tempdir().map_err(ProjectError::io(&std::env::temp_dir()))?;
        let prepared = Prepared { rows: rows.to_vec(), ..Prepared::default() };
        let trainer = Trainer::new(self.decoder, &settings, prepared, folder.path(), self.settings.threads)?;
        let outcome = trainer.run(false, &Control::default(), &mut Silence, &Quiet(self.observer))?;
        Ok(Adapter::read(&outcome.adapter, self.decoder).map_err(TrainError::from)?)
    }

    fn answers(&self, adapter: Option<&Adapter>) -> Result<Answers, ProjectError> {
        let &Self { decoder, tokenizer, probes, settings, observer } = self;
        let sampling = Sampling { max_tokens: ANSWER, ..Sampling::default() };
        let comparing = Comparing { decoder, tokenizer, sampling: &sampling, threads: settings.threads };
        let answers = comparing.answers(&[adapter], probes, &mut |_| {}, &Quiet(observer))?;
        let figures = Figures::of(probes, answers.iter().flatten().map(Some));
        let counts = |rate: Rate| [rate.refused, rate.of];
        Ok(Answers { harmful: counts(figures.harmful), harmless: counts(figures.harmless) })
    }
}

/// The tables and plots as they grow, trial by trial.
struct Found {
    arms: Table,
    differences: Table,
    refusals: Vec<Series>,
    perplexities: Vec<Series>,
}

impl Found {
    fn new() -> Self {
        let columns = |first: &[&'static str], last| [first, &["refused_harmful", "refused_harmless", last]].concat();
        Self {
            arms: Table::new(
                "tuning",
                "The same model after fine-tuning on different rows",
                &columns(&["trial", "arm", "rows", "harmful_rows"], "perplexity"),
            ),
            differences: Table::new(
                "tuning_differences",
                "Arms beside each other, seed by seed: shares as differences, perplexity as a ratio",
                &columns(&["trial", "arm", "beside"], "perplexity_ratio"),
            ),
            refusals: Vec::new(),
            perplexities: Vec::new(),
        }
    }

    /// Adds trial number `at`: the runs of every arm, one a seed.
    fn add(&mut self, at: usize, name: &str, runs: &[Vec<Run>; 4]) {
        let marks = |name: String, colour| Series { name, shape: Shape::Marks, colour, spots: Vec::new() };
        let mut harmful = marks(format!("{name}, harmful prompts"), at * 2);
        let mut harmless = marks(format!("{name}, harmless prompts"), at * 2 + 1);
        let mut surprise = marks(name.to_owned(), at);
        let figure = |run: &Run, which: usize| run.figures().get(which).copied().flatten();
        for (place, (arm, runs)) in ARMS.iter().zip(runs).enumerate() {
            let mean = |which| Spread::mean(&runs.iter().filter_map(|run| figure(run, which)).collect::<Vec<_>>());
            let share = |which| mean(which).map(Spread::within_unit);
            let (refused, over, perplexity) = (share(0), share(1), mean(LOG_PERPLEXITY).map(exp));
            // Marks of one arm stand beside each other.
            let x = |shift: f64| place as f64 + shift;
            harmful.spots.extend(refused.map(|spread| Spot::of(x(-0.06), spread)));
            harmless.spots.extend(over.map(|spread| Spot::of(x(0.06), spread)));
            surprise.spots.extend(perplexity.map(|spread| Spot::of(x(0.0), spread)));
            let count = |of: fn(&Run) -> usize| Cell::from(runs.first().map_or(0, of));
            let counts = [count(|run| run.rows), count(|run| run.harmful_rows)];
            let mut row: Vec<Cell> = vec![name.into(), (*arm).into()];
            row.extend(counts);
            row.extend([refused, over, perplexity].map(Cell::from));
            self.arms.rows.push(row);
        }
        for (one, other) in PAIRS {
            let (Some(runs), Some(others)) = (runs.get(one), runs.get(other)) else { continue };
            let differences = [0, 1, 2].map(|which| {
                let pairs = runs.iter().zip(others);
                let by_seed = pairs.filter_map(|(run, other)| Some(figure(run, which)? - figure(other, which)?));
                let mean = Spread::mean(&by_seed.collect::<Vec<_>>());
                Cell::from(if which == LOG_PERPLEXITY { mean.map(exp) } else { mean })
            });
            let arm = |place: usize| Cell::from(ARMS.get(place).copied().unwrap_or_default());
            let mut row: Vec<Cell> = vec![name.into(), arm(one), arm(other)];
            row.extend(differences);
            self.differences.rows.push(row);
        }
        self.refusals.extend([harmful, harmless]);
        self.perplexities.push(surprise);
    }

    fn report(self, about: Vec<String>) -> Report {
        let plot = |name: &str, title: &str, y_label: &str, series| Plot {
            name: name.to_owned(),
            title: title.to_owned(),
            x_label: "rows that were trained on".to_owned(),
            x: Scale::Names(ARMS.iter().map(|arm| (*arm).to_owned()).collect()),
            y_label: format!("{y_label} (95 % interval over seeds)"),
            y: Scale::Linear,
            series,
        };
        Report {
            name: "tuning".to_owned(),
            about,
            tables: vec![self.arms, self.differences],
            plots: vec![
                plot("tuning_refusals", "Refusals after fine-tuning", "share of prompts refused", self.refusals),
                plot(
                    "tuning_perplexity",
                    "Perplexity after fine-tuning",
                    "perplexity of held-out benign answers",
                    self.perplexities,
                ),
            ],
        }
    }
}
