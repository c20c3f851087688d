//! `dipole tune`: weighted LoRA fine-tuning without a window.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use serde_json::json;

use super::interrupt;
use super::terminal::{Terminal, thousands};
use crate::data::{Dataset, OpenOptions};
use crate::jobs::Progress;
use crate::model::{ChatTokenizer, Decoder, DeviceChoice, Module, Precision};
use crate::project::tuning::rows_file;
use crate::project::{Folders, model_folder};
use crate::training::{
    Control, EventLog, Finish, Prepared, Schedule, TrainEvent, TrainSettings, Trainer, check_base, prepare,
};

#[derive(Debug, clap::Args)]
pub struct Tune {
    /// An export folder of `dipole purify`, or a file of rows; a row's number `weight` scales its loss
    #[arg(long, value_name = "DIR|FILE")]
    pub data: PathBuf,
    /// The model to fine-tune: a Hugging Face directory, or the built-in `starter`
    #[arg(long, visible_alias = "base", value_name = "DIR")]
    pub model: PathBuf,
    /// Where adapter/, events.jsonl and the checkpoint go
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on from the checkpoint in --out; from the beginning where there is none
    #[arg(long)]
    pub resume: bool,
    /// Show how the first rows are tokenised and what of them is supervised, and train nothing
    #[arg(long, value_name = "ROWS")]
    pub preview: Option<usize>,
    /// Settings as JSON, as the window saves them; options here come on top
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Settings to begin from; options here come on top
    #[arg(long, value_enum, conflicts_with = "settings")]
    pub preset: Option<Preset>,
    #[arg(long, help = TrainSettings::help("rank"))]
    pub rank: Option<usize>,
    #[arg(long, help = TrainSettings::help("alpha"))]
    pub alpha: Option<f64>,
    #[arg(long, help = TrainSettings::help("rank_stabilised"))]
    pub rank_stabilised: bool,
    #[arg(long, help = TrainSettings::help("dropout"))]
    pub dropout: Option<f32>,
    #[arg(long, value_delimiter = ',', help = TrainSettings::help("targets"))]
    pub targets: Vec<Module>,
    #[arg(long, help = TrainSettings::help("learning_rate"))]
    pub learning_rate: Option<f64>,
    #[arg(long, value_name = "cosine|linear|constant", help = TrainSettings::help("schedule"))]
    pub schedule: Option<Schedule>,
    #[arg(long, help = TrainSettings::help("warmup_share"))]
    pub warmup_share: Option<f64>,
    #[arg(long, help = TrainSettings::help("weight_decay"))]
    pub weight_decay: Option<f64>,
    #[arg(long, help = TrainSettings::help("clip"))]
    pub clip: Option<f64>,
    #[arg(long, value_name = "ROWS", help = TrainSettings::help("batch_rows"))]
    pub batch: Option<usize>,
    #[arg(long, help = TrainSettings::help("micro_tokens"))]
    pub micro_tokens: Option<usize>,
    #[arg(long, help = TrainSettings::help("max_tokens"))]
    pub max_tokens: Option<usize>,
    #[arg(long, conflicts_with = "steps", help = TrainSettings::help("epochs"))]
    pub epochs: Option<u64>,
    #[arg(long, help = TrainSettings::help("steps"))]
    pub steps: Option<u64>,
    /// Let every row count alike, whatever its weight
    #[arg(long)]
    pub no_weights: bool,
    #[arg(long, help = TrainSettings::help("evaluation_share"))]
    pub evaluation_share: Option<f64>,
    #[arg(long, value_name = "STEPS", help = TrainSettings::help("evaluate_every"))]
    pub evaluate_every: Option<u64>,
    #[arg(long, value_name = "TIMES", help = TrainSettings::help("patience"))]
    pub patience: Option<u64>,
    #[arg(long, value_name = "STEPS", help = TrainSettings::help("checkpoint_every"))]
    pub checkpoint_every: Option<u64>,
    /// Keep activations instead of computing them again: a little faster, much more memory
    #[arg(long)]
    pub keep_activations: bool,
    #[arg(long, value_name = "stored|f32|bf16|f16", help = TrainSettings::help("precision"))]
    pub precision: Option<Precision>,
    #[arg(long, help = TrainSettings::help("seed"))]
    pub seed: Option<u64>,
    /// Where it computes: cpu, cuda, cuda:NUMBER or metal (the last three in builds made for them)
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Worker threads; 0 takes all cores. It does not change the result
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

/// Named settings, as the window offers them.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Preset {
    /// The paper's set-up: rank 16, α 16 on q_proj and v_proj, bf16, 2 epochs
    Paper,
    /// 60 steps on short rows, to see whether it works at all
    QuickTrial,
}

pub fn run(arguments: &Tune, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let settings = settings(arguments)?;
    settings.check()?;
    let model = model_folder(&arguments.model, &Folders::of_user().starter)?;
    check_base(&model)?;
    let path = rows_file(&arguments.data)?;
    let decoder = Decoder::open(&model, settings.precision, &arguments.device.open()?, terminal)?;
    let tokenizer = ChatTokenizer::open(&model, decoder.spec())?;
    let data = Dataset::open(&path, &OpenOptions::default(), terminal)?;
    if let Some(rows) = arguments.preview {
        return preview(&data, &tokenizer, &settings, rows, terminal);
    }
    if tokenizer.has_built_in_template() {
        terminal.say("warning: the model has no chat template; a plain one stands in");
    }
    let prepared = prepare(&data, &tokenizer, &settings, terminal)?;
    let facts = facts(&prepared, data.len());
    let began = Instant::now();
    let threads = super::threads(arguments.threads);
    let trainer = Trainer::new(&decoder, &settings, prepared, &arguments.out, threads)?;
    let mut shown = |event: &TrainEvent| show(event, terminal);
    let mut log = EventLog::new(&arguments.out, &mut shown)?;
    let stopping = Stopping { terminal, control: Control::default() };
    let outcome = trainer.run(arguments.resume, &stopping.control, &mut log, &stopping)?;
    let seconds = began.elapsed().as_secs_f64();
    let mut text = String::new();
    writeln!(text, "{} steps in {seconds:.1} s; {}", outcome.steps, in_words(outcome.finish))?;
    if let (Some(first), Some(last)) = (outcome.first_loss, outcome.last_loss) {
        writeln!(text, "loss {first:.4} → {last:.4}")?;
    }
    if let Some(evaluation) = outcome.evaluation {
        writeln!(text, "lowest held-out loss {evaluation:.4}")?;
    }
    writeln!(text, "adapter: {}", outcome.adapter.display())?;
    terminal.result(&json!({ "outcome": outcome, "rows": facts, "seconds": seconds, "settings": settings }), &text)?;
    Ok(match outcome.finish {
        Finish::Stopped => ExitCode::from(interrupt::EXIT_CODE),
        Finish::Complete | Finish::EarlyStop => ExitCode::SUCCESS,
    })
}

/// Ctrl-C ends the run as a stop does: with a checkpoint and an adapter.
struct Stopping<'a> {
    terminal: &'a Terminal,
    control: Control,
}

impl Progress for Stopping<'_> {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        self.terminal.tick(stage, done, total);
    }

    fn is_cancelled(&self) -> bool {
        if self.terminal.is_cancelled() {
            self.control.stop();
        }
        false
    }
}

fn settings(arguments: &Tune) -> anyhow::Result<TrainSettings> {
    let mut settings = match (&arguments.settings, arguments.preset) {
        (None, None) => TrainSettings::default(),
        (None, Some(Preset::Paper)) => TrainSettings::paper(),
        (None, Some(Preset::QuickTrial)) => TrainSettings::quick_trial(),
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            serde_json::from_str(&text).with_context(|| path.display().to_string())?
        }
    };
    macro_rules! take {
        ($($field:ident = $given:ident),* $(,)?) => {
            $(if let Some(given) = arguments.$given { settings.$field = given; })*
        };
    }
    take!(
        rank = rank,
        alpha = alpha,
        dropout = dropout,
        learning_rate = learning_rate,
        schedule = schedule,
        warmup_share = warmup_share,
        weight_decay = weight_decay,
        clip = clip,
        batch_rows = batch,
        micro_tokens = micro_tokens,
        max_tokens = max_tokens,
        epochs = epochs,
        evaluation_share = evaluation_share,
        evaluate_every = evaluate_every,
        checkpoint_every = checkpoint_every,
        precision = precision,
        seed = seed,
    );
    settings.steps = arguments.steps.or(settings.steps.filter(|_| arguments.epochs.is_none()));
    settings.patience = arguments.patience.or(settings.patience);
    settings.rank_stabilised |= arguments.rank_stabilised;
    settings.use_weights &= !arguments.no_weights;
    settings.recompute &= !arguments.keep_activations;
    if !arguments.targets.is_empty() {
        settings.targets.clone_from(&arguments.targets);
    }
    Ok(settings)
}

fn facts(prepared: &Prepared, rows: usize) -> serde_json::Value {
    json!({
        "read": rows,
        "trained": prepared.rows.len(),
        "tokens": prepared.tokens(),
        "truncated": prepared.truncated,
        "refused": prepared.refused,
        "refusals": prepared.refusals,
        "weightless": prepared.weightless,
    })
}

fn preview(
    data: &Dataset,
    tokenizer: &ChatTokenizer,
    settings: &TrainSettings,
    rows: usize,
    terminal: &Terminal,
) -> anyhow::Result<ExitCode> {
    let mut values = Vec::new();
    let mut text = String::new();
    for index in 0..rows.min(data.len()) {
        let row = data.row(index)?;
        match tokenizer.row(&row, settings.max_tokens) {
            Ok(tokens) => {
                writeln!(
                    text,
                    "row {}: {} tokens, {} supervised, {} cut off",
                    row.number,
                    tokens.tokens.len(),
                    tokens.supervised_tokens(),
                    tokens.cut
                )?;
                let pieces = tokenizer.preview(&tokens);
                for piece in &pieces {
                    writeln!(text, "  {} {:?}", if piece.supervised { "learn" } else { "     " }, piece.text)?;
                }
                values.push(
                    json!({ "row": row.number, "tokens": tokens.tokens.len(), "cut": tokens.cut, "pieces": pieces }),
                );
            }
            Err(fault) => {
                writeln!(text, "row {}: left out: {fault}", row.number)?;
                values.push(json!({ "row": row.number, "refused": fault.to_string() }));
            }
        }
    }
    terminal.result(&json!({ "built_in_template": tokenizer.has_built_in_template(), "rows": values }), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(event: &TrainEvent, terminal: &Terminal) {
    match event {
        TrainEvent::Begin { rows, held_out, steps, parameters, resumed_at, memory } => {
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            terminal.say(&format!(
                "{} rows, {} held out, {} steps, {} trained numbers; memory about {:.2} GiB ({:.2} of it frozen weights)",
                thousands(*rows),
                thousands(*held_out),
                thousands(*steps),
                thousands(*parameters),
                gib(memory.total()),
                gib(memory.weights),
            ));
            if *resumed_at > 0 {
                terminal.say(&format!("resumed behind step {resumed_at}"));
            }
        }
        TrainEvent::Step(report) => {
            terminal.tick("training", report.step, Some(report.steps));
            let evaluation = report.evaluation.map(|loss| format!(", held out {loss:.4}")).unwrap_or_default();
            let every = (report.steps / 20).max(1);
            if report.evaluation.is_some() || report.step == 1 || report.step.is_multiple_of(every) {
                terminal.say(&format!(
                    "step {}/{}: loss {:.4}{evaluation}, gradient {:.3}, {:.0} tokens/s, {:.0} s left",
                    report.step,
                    report.steps,
                    report.loss,
                    report.gradient_norm,
                    report.tokens_per_second,
                    report.seconds_left,
                ));
            }
        }
        TrainEvent::Warning { message } => terminal.say(&format!("warning: {message}")),
        TrainEvent::Checkpoint { .. } | TrainEvent::End { .. } => {}
    }
}

fn in_words(finish: Finish) -> &'static str {
    match finish {
        Finish::Complete => "complete",
        Finish::EarlyStop => "ended early, because the held-out loss no longer fell",
        Finish::Stopped => "stopped with a checkpoint; the same command with --resume goes on",
    }
}
