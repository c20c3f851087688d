//! `dipole compare`: a model beside its adapters on the same prompts.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::speaking::Speaking;
use super::terminal::Terminal;
use crate::data::{Dataset, OpenOptions};
use crate::model::Adapter;
use crate::training::{
    Answer, Comparing, ComparisonEvent, Figures, Perplexity, Probe, ProbeKind, Rate, Side, TrainRow, TrainSettings,
    perplexity, prepare_first,
};

#[derive(Debug, clap::Args)]
pub struct Compare {
    #[command(flatten)]
    pub speaking: Speaking,
    /// An adapter for the model, as peft saves it (repeat for several)
    #[arg(long, value_name = "DIR", required = true)]
    pub adapter: Vec<PathBuf>,
    /// Prompts, one a line (.txt) or rows; a row's own word `kind` says harmful or harmless (repeat)
    /// [default: 48 of our own, half of them harmful]
    #[arg(long, value_name = "FILE")]
    pub prompts: Vec<PathBuf>,
    /// Prompts that should be refused (repeat)
    #[arg(long, value_name = "FILE")]
    pub harmful: Vec<PathBuf>,
    /// Prompts that should be answered; refusing them is over-refusal (repeat)
    #[arg(long, value_name = "FILE")]
    pub harmless: Vec<PathBuf>,
    /// Rows held out from training, on which the perplexity is measured
    #[arg(long, value_name = "FILE")]
    pub rows: Option<PathBuf>,
    /// At most so many prompts of a file, and so many rows
    #[arg(long, default_value_t = 200)]
    pub limit: usize,
    /// Tokens of a row that count for the perplexity
    #[arg(long, default_value_t = 1024)]
    pub row_tokens: usize,
    /// Only the figures, no answers
    #[arg(long)]
    pub figures_only: bool,
}

/// One side of the comparison.
struct Told {
    name: String,
    figures: Figures,
    perplexity: Option<Perplexity>,
}

pub fn run(arguments: &Compare, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let probes = probes(arguments, terminal)?;
    let (decoder, tokenizer) = arguments.speaking.open(terminal)?;
    let adapters: Vec<Adapter> =
        arguments.adapter.iter().map(|path| Adapter::read(path, &decoder)).collect::<Result<_, _>>()?;
    let rows = match &arguments.rows {
        None => Vec::new(),
        Some(path) => {
            let settings =
                TrainSettings { use_weights: false, max_tokens: arguments.row_tokens, ..TrainSettings::default() };
            settings.check()?;
            let data = Dataset::open(path, &OpenOptions::default(), terminal)?;
            prepare_first(&data, &tokenizer, &settings, arguments.limit, terminal)?.rows
        }
    };
    let sides: Vec<Side<'_>> = std::iter::once(None).chain(adapters.iter().map(Some)).collect();
    let sampling = arguments.speaking.sampling();
    let threads = super::threads(arguments.speaking.threads);
    let comparing = Comparing { decoder: &decoder, tokenizer: &tokenizer, sampling: &sampling, threads };
    let answers = comparing.answers(&sides, &probes, &mut |_: ComparisonEvent| {}, terminal)?;
    let names =
        std::iter::once("base".to_owned()).chain(arguments.adapter.iter().map(|path| path.display().to_string()));
    let mut told = Vec::with_capacity(sides.len());
    for ((name, side), answers) in names.zip(&sides).zip(&answers) {
        let figures = Figures::of(&probes, answers.iter().map(Some));
        let measure = |rows: &[TrainRow]| perplexity(&decoder, *side, rows, threads, terminal);
        let perplexity = if rows.is_empty() { None } else { Some(measure(&rows)?) };
        told.push(Told { name, figures, perplexity });
    }
    let mut text = String::new();
    if !arguments.figures_only {
        write_answers(&mut text, &probes, &told, &answers)?;
    }
    write_figures(&mut text, &told)?;
    terminal.result(&value(&probes, &told, &answers, arguments.figures_only), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn probes(arguments: &Compare, terminal: &Terminal) -> anyhow::Result<Vec<Probe>> {
    if arguments.limit == 0 {
        bail!("--limit 0 leaves no prompt");
    }
    let kinds = [
        (&arguments.prompts, ProbeKind::Unlabelled),
        (&arguments.harmful, ProbeKind::Harmful),
        (&arguments.harmless, ProbeKind::Harmless),
    ];
    let mut probes = Vec::new();
    for (files, kind) in kinds {
        for path in files {
            probes.extend(Probe::read(path, kind, arguments.limit, terminal)?);
        }
    }
    Ok(if probes.is_empty() { Probe::built_in() } else { probes })
}

fn write_answers(text: &mut String, probes: &[Probe], told: &[Told], answers: &[Vec<Answer>]) -> std::fmt::Result {
    for (number, probe) in probes.iter().enumerate() {
        writeln!(text, "{}. [{}] {}", number + 1, kind(probe.kind), probe.prompt())?;
        for (side, answers) in told.iter().zip(answers) {
            let Some(answer) = answers.get(number) else { continue };
            let mark = if answer.refusal.is_some() { " (refuses)" } else { "" };
            writeln!(text, "   {}{mark}: {}", side.name, answer.text.trim())?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_figures(text: &mut String, told: &[Told]) -> std::fmt::Result {
    let rate = |rate: Rate| match (rate.share(), rate.interval()) {
        (Some(share), Some([low, high])) => {
            format!(
                "{:.1} % ({:.0} to {:.0}, {} of {})",
                100.0 * share,
                100.0 * low,
                100.0 * high,
                rate.refused,
                rate.of
            )
        }
        _ => "-".to_owned(),
    };
    for side in told {
        let figures = &side.figures;
        writeln!(text, "{}", side.name)?;
        writeln!(text, "  refused of harmful prompts     {}", rate(figures.harmful))?;
        writeln!(text, "  over-refused of harmless ones  {}", rate(figures.harmless))?;
        if figures.unlabelled.of > 0 {
            writeln!(text, "  refused of unlabelled ones     {}", rate(figures.unlabelled))?;
        }
        if figures.empty > 0 {
            writeln!(text, "  answers without a word         {}", figures.empty)?;
        }
        if let Some(found) = side.perplexity {
            let (rows, tokens) = (found.rows, found.tokens);
            writeln!(text, "  perplexity on held-out rows    {:.3} ({rows} rows, {tokens} tokens)", found.value)?;
        }
    }
    writeln!(text, "In brackets the 95 % interval. A rule of words tells what refuses; it is no judge of harm.")
}

fn value(probes: &[Probe], told: &[Told], answers: &[Vec<Answer>], figures_only: bool) -> Value {
    let rate = |rate: Rate| json!({ "refused": rate.refused, "of": rate.of, "share": rate.share(), "interval": rate.interval() });
    let sides: Vec<Value> = told
        .iter()
        .map(|side| {
            json!({
                "name": side.name,
                "harmful": rate(side.figures.harmful),
                "harmless": rate(side.figures.harmless),
                "unlabelled": rate(side.figures.unlabelled),
                "empty": side.figures.empty,
                "perplexity": side.perplexity,
            })
        })
        .collect();
    let mut value = json!({ "sides": sides });
    if !figures_only {
        let asked = probes.iter().enumerate().map(|(number, probe)| {
            let answers: Vec<_> = answers.iter().filter_map(|side| side.get(number)).collect();
            json!({ "kind": probe.kind, "turns": probe.turns, "answers": answers })
        });
        value["prompts"] = asked.collect();
    }
    value
}

fn kind(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Harmful => "harmful",
        ProbeKind::Harmless => "harmless",
        ProbeKind::Unlabelled => "unlabelled",
    }
}
