//! `dipole bench purify`: a whole push-pull solve on synthetic vectors.

use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;

use super::arrays::around;
use super::{forget_peak, median, megabytes, peak_bytes};
use crate::commands::arguments::{EngineName, Solver};
use crate::commands::purify::stop_in_words;
use crate::commands::terminal::Terminal;
use crate::transport::{ChosenEngine, Engine as _, Problem, Settings};

/// Directions of the custom rows; the safe reference shares the first half, the harmful one the last.
const TOPICS: usize = 40;

/// Sizes and settings of the problem.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Custom rows
    #[arg(long, default_value_t = 100_000)]
    pub rows: usize,
    /// Safe reference rows
    #[arg(long, default_value_t = 2_000)]
    pub safe: usize,
    /// Harmful reference rows
    #[arg(long, default_value_t = 865)]
    pub harmful: usize,
    #[arg(long, default_value_t = 384)]
    pub dim: usize,
    #[arg(long, default_value_t = 0.7)]
    pub lambda: f64,
    /// ε as a multiple of each reference's median cost
    #[arg(long, default_value_t = 0.1)]
    pub epsilon: f64,
    #[arg(long, value_enum, default_value = "scaling")]
    pub solver: Solver,
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: EngineName,
    /// Graphics adapter by its name in `dipole gpu`
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Worker threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Runs; medians are told
    #[arg(long, default_value_t = 1)]
    pub repeat: usize,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let set = |rows, directions, kind: u64| {
        around(rows, arguments.dim, directions, arguments.seed, arguments.seed.wrapping_add(kind))
    };
    let (custom, safe) = (set(arguments.rows, TOPICS, 1)?, set(arguments.safe, TOPICS, 2)?);
    let harmful = set(arguments.harmful, TOPICS / 4, 3)?;
    let problem = Problem { custom: (&custom).into(), safe: (&safe).into(), harmful: (&harmful).into() };
    let settings = Settings {
        solver: arguments.solver.into(),
        lambda: arguments.lambda,
        epsilon: arguments.epsilon,
        seed: arguments.seed,
        threads: arguments.threads,
        engine: arguments.engine.into(),
        adapter: arguments.adapter.clone(),
        ..Settings::default()
    }
    .checked()?;
    let engine = ChosenEngine::default();
    forget_peak();
    let mut seconds = Vec::new();
    let mut solve = || -> anyhow::Result<_> {
        let began = Instant::now();
        let outcome = engine.solve(&problem, &settings, terminal)?;
        seconds.push(began.elapsed().as_secs_f64());
        Ok(outcome)
    };
    let mut outcome = solve()?;
    for _ in 1..arguments.repeat {
        outcome = solve()?;
    }
    let (peak, seconds) = (peak_bytes(), median(seconds));
    let text = format!(
        "{} rows × ({} safe + {} harmful), {} dimensions, lambda {}, epsilon {}\nwhole solve  {seconds:.3} s\n\
         iterations   {} ({})\nresidual     {:.1e}\npeak memory  {}\nkernel       {}\nengine       {} ({})\n",
        arguments.rows,
        arguments.safe,
        arguments.harmful,
        arguments.dim,
        arguments.lambda,
        arguments.epsilon,
        outcome.iterations,
        stop_in_words(outcome.stop),
        outcome.residual,
        megabytes(peak),
        outcome.kernel,
        outcome.engine,
        outcome.engine_reason,
    );
    let value = json!({
        "rows": arguments.rows, "safe": arguments.safe, "harmful": arguments.harmful, "dim": arguments.dim,
        "lambda": arguments.lambda, "epsilon": arguments.epsilon, "solve_s": seconds, "iterations": outcome.iterations,
        "stop": outcome.stop, "residual": outcome.residual, "peak_bytes": peak, "kernel": outcome.kernel,
        "engine": outcome.engine, "engine_reason": outcome.engine_reason, "repeat": arguments.repeat.max(1),
    });
    terminal.result(&value, &text)?;
    Ok(ExitCode::SUCCESS)
}
