//! What can be typed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::data::FieldRole;
use crate::embedding::{ChoiceError, EncoderChoice, Views};
use crate::project::{Folders, STARTER, unpack_starter};
use crate::selection::{Keep, RankBy, WeightMode};
use crate::transport::{EngineChoice, SolverKind};

/// Make fine-tuning data safe before it reaches a model.
///
/// Without a command the window opens. Nothing here uses the network.
#[derive(Debug, Parser)]
#[command(name = "dipole", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Files to open in the window: the custom set, then the safe, then the harmful reference
    pub files: Vec<PathBuf>,
    /// Print one JSON object for machines instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more to standard error (repeat for more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the window on the sample data and purify it; without a display, do it here and print the result
    Demo(Demo),
    /// Say what is in a file: schema, counts, findings, quarantine, duplicates
    Inspect(Inspect),
    /// Learn a weight for every row, keep the best, and export
    Purify(Box<Purify>),
    /// Compare an export's ranking and cut with labels
    Evaluate(Evaluate),
    /// Put every ranking of the field beside the method: what each would drop, and, with labels, how well it separates
    CompareRankings(Box<CompareRankings>),
    /// Measure the rankings on labelled sets
    Study(Study),
    /// Check every file of an export against its manifest
    Verify(Verify),
    /// Fine-tune a language model on rows and their weights; writes an adapter that Hugging Face peft loads
    Tune(Box<super::tune::Tune>),
    /// Work an adapter into the weights of its model
    Merge(super::merge::Merge),
    /// Let a language model answer, with or without an adapter
    Generate(super::generate::Generate),
    /// Talk with a language model, line by line; from a pipe too
    Chat(super::chat::Chat),
    /// Put a model beside its adapters: answers, refusals, over-refusal, perplexity
    Compare(super::compare::Compare),
    /// Turn rows into a file of vectors
    Embed(super::embed::Embed),
    /// Say how much the vector cache takes, or empty it
    Cache(Cache),
    /// List the graphics adapters, test what they compute, and measure how fast they read
    Gpu(Gpu),
    /// Measure a part of the program on this machine
    Bench {
        #[command(subcommand)]
        what: super::bench::Bench,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Where to write the export when there is no display
    #[arg(long, value_name = "DIR", default_value = "dipole-demo")]
    pub out: PathBuf,
    /// Do not open a window even if there is a display
    #[arg(long)]
    pub headless: bool,
}

#[derive(Debug, Args)]
pub struct Inspect {
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A safe reference of the first FILE; with --harmful, tells what speaks against the references (repeat)
    #[arg(long, value_name = "FILE", requires = "harmful")]
    pub safe: Vec<PathBuf>,
    /// A harmful reference of the first FILE (repeat)
    #[arg(long, value_name = "FILE", requires = "safe")]
    pub harmful: Vec<PathBuf>,
    /// How rows and references are compared, as in `dipole purify`
    #[arg(long, default_value = "lexical", value_parser = encoder, value_name = "ENCODER")]
    pub encoder: EncoderChoice,
    /// Which field plays which role, for example question=prompt (repeat)
    #[arg(long, value_name = "FIELD=ROLE", value_parser = field_role)]
    pub map: Vec<(String, FieldRole)>,
    /// Skip near-duplicates and languages, which read every text once more
    #[arg(long)]
    pub fast: bool,
}

#[derive(Debug, Args)]
pub struct Purify {
    /// The data set to purify
    #[arg(long, value_name = "FILE")]
    pub custom: PathBuf,
    /// Trusted reference rows that look like the task (repeat for several files)
    #[arg(long, value_name = "FILE", required = true)]
    pub safe: Vec<PathBuf>,
    /// Harmful reference rows (repeat for several files)
    #[arg(long, value_name = "FILE", required = true)]
    pub harmful: Vec<PathBuf>,
    /// The export folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// lexical, a Hugging Face directory, the built-in `starter`, or a .npy/.safetensors file (three: custom,safe,harmful)
    #[arg(long, default_value = "lexical", value_parser = encoder)]
    pub encoder: EncoderChoice,
    /// What is embedded of each row [default: row+response+prompt for sentence encoders, row for lexical]
    #[arg(long, value_name = "row|row+response|row+response+prompt")]
    pub views: Option<Views>,
    #[arg(long, value_enum)]
    pub solver: Option<Solver>,
    /// Pull 0 … push 1
    #[arg(long)]
    pub lambda: Option<f64>,
    /// Blur of the transport, as a multiple of each reference's median cost
    #[arg(long)]
    pub epsilon: Option<f64>,
    /// Find lambda and epsilon by canaries: a part of the harmful reference is planted among the custom rows, and the
    /// pairs that bring it up best rank the rows. --lambda and --epsilon fix their side of the grid
    #[arg(long)]
    pub calibrate: bool,
    /// Share of rows that the weights effectively count [default: 0.7]
    #[arg(long, value_name = "SHARE", conflicts_with = "tau")]
    pub effective_share: Option<f64>,
    /// Strength of the hold on uniform weights, in the unit of the cost
    #[arg(long)]
    pub tau: Option<f64>,
    /// paper: λ 0.5 and its export weights (the paper publishes no ε)
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,
    /// How many rows to keep: 0.8, 80% or 4000
    #[arg(long, default_value = "0.8")]
    pub keep: Keep,
    /// uniform, paper, proportional or tempered:T [default: proportional]
    #[arg(long)]
    pub weights: Option<WeightMode>,
    /// What the cut is made by
    #[arg(long, value_name = "score|weight")]
    pub rank: Option<RankBy>,
    /// Which field of the custom set plays which role, for example question=prompt (repeat)
    #[arg(long, value_name = "FIELD=ROLE", value_parser = field_role)]
    pub map: Vec<(String, FieldRole)>,
    /// A reviewer's decisions to apply (journal, JSONL or CSV with row and decision)
    #[arg(long, value_name = "FILE")]
    pub decisions: Option<PathBuf>,
    /// Worker threads; 0 takes all cores. It does not change the result
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Folder of the vector cache [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// What computes the weights; auto takes whichever a short trial finds faster
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: EngineName,
    /// Graphics adapter by its name in `dipole gpu` [default: the likely fastest]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Bytes the kept kernel may take, for example 2GiB
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub memory: Option<u64>,
    /// Leave explanations.csv out of the export
    #[arg(long)]
    pub no_explanations: bool,
    /// Licence of the custom data, for the record (repeat)
    #[arg(long, value_name = "NAME")]
    pub licence: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Solver {
    Scaling,
    Adam,
    OneShot,
}

impl From<Solver> for SolverKind {
    fn from(solver: Solver) -> Self {
        match solver {
            Solver::Scaling => Self::Scaling,
            Solver::Adam => Self::Adam,
            Solver::OneShot => Self::OneShot,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    Paper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    Auto,
    Gpu,
    Cpu,
}

impl From<EngineName> for EngineChoice {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Auto => Self::Auto,
            EngineName::Gpu => Self::Gpu,
            EngineName::Cpu => Self::Cpu,
        }
    }
}

#[derive(Debug, Args)]
pub struct Gpu {
    /// Only list them
    #[arg(long)]
    pub no_test: bool,
}

#[derive(Debug, Args)]
pub struct Evaluate {
    /// weights.csv of an export
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// CSV with the columns index (0-based row) and _label; harmful is the positive
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
}

#[derive(Debug, Args)]
pub struct CompareRankings {
    /// The data set to rank
    #[arg(long, value_name = "FILE")]
    pub custom: PathBuf,
    /// Trusted reference rows that look like the task (repeat for several files)
    #[arg(long, value_name = "FILE", required = true)]
    pub safe: Vec<PathBuf>,
    /// Harmful reference rows (repeat for several files)
    #[arg(long, value_name = "FILE", required = true)]
    pub harmful: Vec<PathBuf>,
    /// lexical, a Hugging Face directory, or vector files, as for purify
    #[arg(long, default_value = "lexical", value_parser = encoder)]
    pub encoder: EncoderChoice,
    /// What is embedded of each row, as for purify
    #[arg(long, value_name = "row|row+response|row+response+prompt")]
    pub views: Option<Views>,
    /// How many rows each ranking keeps: 0.8, 80% or 4000
    #[arg(long, default_value = "0.8")]
    pub keep: Keep,
    /// CSV with the columns index (0-based row) and _label, to measure with; no ranking sees it
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Add SEAL, which tunes this language model (a Hugging Face directory, or the built-in `starter`) to learn what to
    /// leave out
    #[arg(long, value_name = "DIR")]
    pub with_seal: Option<PathBuf>,
    /// Model steps of SEAL, instead of three epochs
    #[arg(long, value_name = "STEPS", requires = "with_seal")]
    pub seal_steps: Option<u64>,
    /// Write every ranking's score of every row as CSV
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,
    /// Worker threads; 0 takes all cores. It does not change the result
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Folder of the vector cache [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct Study {
    #[command(subcommand)]
    pub kind: StudyKind,
}

#[derive(Debug, Subcommand)]
pub enum StudyKind {
    /// Every ranking on every labelled custom set with every harmful reference
    Quality(Quality),
    /// What each force is worth: pull alone, push alone, both, and how each spreads the weights
    Ablation(Drawn),
    /// How the fixed ranking answers to lambda, epsilon, the cut, the size of each reference, and wrong rows in each
    Sensitivity(Drawn),
    /// Whether distances to the two references agree with labels, on rows that were held out
    Geometry(Drawn),
    /// Whether harmful rows are found in disguise: wrapped, encoded, split, translated
    Robustness(Drawn),
    /// Seconds and memory of each stage, from 100 rows to 100,000, beside fine-tuning on the same rows
    Efficiency(Efficiency),
    /// Refusals and perplexity of one model after fine-tuning on all rows, on the purified ones, and on the benign ones
    Tuning(TuningStudy),
}

/// What most studies take.
#[derive(Debug, Args)]
pub struct Measured {
    /// Folder with custom/NAME.jsonl and NAME.labels.csv, ref_safe/ and ref_harmful/ [default: the sample data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where NAME.md, its tables as CSV, and its plots as SVG with their data go
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only trials with this in their name, CUSTOM / HARMFUL
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// lexical, a Hugging Face directory, as for purify
    #[arg(long, default_value = "lexical", value_parser = encoder)]
    pub encoder: EncoderChoice,
    /// How many rows are kept: 0.8, 80% or 4000
    #[arg(long, default_value = "0.8")]
    pub keep: Keep,
    /// Worker threads; 0 takes all cores. It does not change the result
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Folder of the vector cache [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A study with draws.
#[derive(Debug, Args)]
pub struct Drawn {
    #[command(flatten)]
    pub measured: Measured,
    /// Draws that intervals over seeds are made of
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
}

#[derive(Debug, Args)]
pub struct Efficiency {
    #[command(flatten)]
    pub measured: Measured,
    /// Rows of the largest size
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(20..=10_000_000))]
    pub largest: u32,
    /// Time fine-tuning with this language model instead of estimating it
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TuningStudy {
    #[command(flatten)]
    pub measured: Measured,
    /// One contaminated set instead of --data; its labels choose the benign arm and the rows held out, nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "data", requires_all = ["labels", "safe", "harmful"])]
    pub custom: Option<PathBuf>,
    /// CSV with `index` and `_label` of every row of --custom
    #[arg(long, value_name = "FILE", requires = "custom")]
    pub labels: Option<PathBuf>,
    /// Trusted rows that look like the task (repeat)
    #[arg(long, value_name = "FILE", requires = "custom")]
    pub safe: Vec<PathBuf>,
    /// Rows of the kind that must not stay in
    #[arg(long, value_name = "FILE", requires = "custom")]
    pub harmful: Option<PathBuf>,
    /// The model that is fine-tuned: a Hugging Face directory, or the built-in `starter`
    #[arg(long, visible_alias = "base", value_name = "DIR", default_value = crate::project::STARTER)]
    pub model: PathBuf,
    /// Runs of each arm; a finished one is kept in OUT/runs, and a study that was ended goes on there
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Optimiser steps of each run
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Highest step size of the optimiser
    #[arg(long, default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// Rows of one optimiser step
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    /// Longer rows are cut to so many tokens
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    /// Prompts, each with its word `kind`: harmful or harmless [default: the built-in list]
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Quality {
    /// Folder with custom/NAME.jsonl and NAME.labels.csv, ref_safe/ and ref_harmful/
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where quality.md, quality.csv and quality.json go. Each finished pair is kept in pairs/, and a study that was ended
    /// goes on there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only trials with this in their name, CUSTOM / HARMFUL
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Leave lexical vectors out
    #[arg(long, requires = "model")]
    pub no_lexical: bool,
    /// Besides lexical vectors: a Hugging Face directory, or the built-in `starter` (repeat)
    #[arg(long, value_name = "DIR", value_parser = encoder)]
    pub model: Vec<EncoderChoice>,
    /// Worker threads; 0 takes all cores. It does not change the result
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Folder of the vector cache [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct Verify {
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct Cache {
    /// Delete every cached vector; they are computed again when needed
    #[arg(long)]
    pub clear: bool,
    /// Folder of the vector cache [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// An encoder, of which `starter` (or `starter#mean`) is the built-in model, unpacked when it is first wanted.
pub(super) fn encoder(given: &str) -> Result<EncoderChoice, String> {
    let (name, rest) = given.split_at(given.find('#').unwrap_or(given.len()));
    if name != STARTER || Path::new(given).exists() || Path::new(name).exists() {
        return given.parse().map_err(|error: ChoiceError| error.to_string());
    }
    let folder = unpack_starter(&Folders::of_user().starter).map_err(|error| error.to_string())?;
    format!("{}{rest}", folder.display()).parse().map_err(|error: ChoiceError| error.to_string())
}

pub fn field_role(text: &str) -> Result<(String, FieldRole), String> {
    let (field, role) = text.rsplit_once('=').ok_or("write it as FIELD=ROLE")?;
    if field.is_empty() {
        return Err("the field's name is empty".to_owned());
    }
    Ok((field.to_owned(), role.parse().map_err(|error| format!("{error}"))?))
}

fn byte_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1_u64 << 30,
        _ => return Err("the unit must be KiB, MiB or GiB".to_owned()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| "it must be a number with an optional unit, such as 2GiB")?;
    let bytes = number * unit as f64;
    if bytes.is_finite() && bytes >= 1.0 { Ok(bytes as u64) } else { Err("it must be more than zero".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_read_with_and_without_units() {
        assert_eq!(byte_size("2GiB"), Ok(2 << 30));
        assert_eq!(byte_size("512m"), Ok(512 << 20));
        assert_eq!(byte_size("100"), Ok(100));
        assert!(byte_size("2 parsecs").is_err());
        assert!(byte_size("0").is_err());
    }
}
