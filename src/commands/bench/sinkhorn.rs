//! `dipole bench sinkhorn`: one balanced solve, on given arrays or synthetic ones.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::arrays::around;
use super::{forget_peak, median, megabytes, peak_bytes};
use crate::commands::arguments::EngineName;
use crate::commands::terminal::Terminal;
use crate::embedding::{Embeddings, write_npy};
use crate::transport::{SinkhornSettings, sinkhorn};

/// Directions that both synthetic clouds share.
const TOPICS: usize = 40;

/// What is transported, and how exactly.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Vectors to transport from, n × d; without it synthetic clusters are made
    #[arg(long, value_name = "FILE.npy", requires = "y")]
    pub x: Option<PathBuf>,
    /// Vectors to transport to, m × d
    #[arg(long, value_name = "FILE.npy", requires = "x")]
    pub y: Option<PathBuf>,
    /// Weights of x, n numbers, normalised here [default: uniform]
    #[arg(long, value_name = "FILE.npy", requires = "x")]
    pub a: Option<PathBuf>,
    /// Rows of the synthetic x
    #[arg(long, default_value_t = 20_000)]
    pub rows: usize,
    /// Rows of the synthetic y
    #[arg(long, default_value_t = 2_000)]
    pub columns: usize,
    /// Dimensions of the synthetic clusters
    #[arg(long, default_value_t = 384)]
    pub dim: usize,
    /// ε in the unit of the cosine cost 1 - x·y
    #[arg(long, default_value_t = 0.05)]
    pub epsilon: f64,
    /// L1 error of the marginals to stop at
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,
    /// Iterations at most
    #[arg(long, default_value_t = 10_000)]
    pub max_iterations: usize,
    /// What computes; the graphics engine solves the push-pull problem only
    #[arg(long, value_enum, default_value = "cpu")]
    pub engine: EngineName,
    /// Worker threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Runs; medians are told
    #[arg(long, default_value_t = 1)]
    pub repeat: usize,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder for the potentials f.npy and g.npy, float32; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub potentials: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    if arguments.engine == EngineName::Gpu {
        bail!(
            "--engine gpu: the graphics engine solves the push-pull problem only; see `dipole bench purify --engine gpu`"
        );
    }
    let (x, y) = match (&arguments.x, &arguments.y) {
        (Some(x), Some(y)) => (Embeddings::read_npy(x)?, Embeddings::read_npy(y)?),
        _ => {
            let (place, seed) = (arguments.seed, arguments.seed.wrapping_add(1));
            (
                around(arguments.rows, arguments.dim, TOPICS, place, seed)?,
                around(arguments.columns, arguments.dim, TOPICS, place, seed.wrapping_add(1))?,
            )
        }
    };
    if x.dim() != y.dim() {
        bail!("x has {} dimensions and y {}; they must be alike", x.dim(), y.dim());
    }
    let a: Option<Vec<f64>> = match &arguments.a {
        Some(path) => Some(Embeddings::read_npy_vector(path)?.into_iter().map(f64::from).collect()),
        None => None,
    };
    let settings = SinkhornSettings {
        epsilon: arguments.epsilon,
        tolerance: arguments.tolerance,
        max_sweeps: arguments.max_iterations,
        threads: arguments.threads,
        ..SinkhornSettings::default()
    };
    forget_peak();
    let mut found = sinkhorn((&x).into(), (&y).into(), a.as_deref(), &settings, terminal)?;
    let (mut build, mut solve) = (vec![found.build.as_secs_f64()], vec![found.solve.as_secs_f64()]);
    for _ in 1..arguments.repeat {
        found = sinkhorn((&x).into(), (&y).into(), a.as_deref(), &settings, terminal)?;
        build.push(found.build.as_secs_f64());
        solve.push(found.solve.as_secs_f64());
    }
    let peak = peak_bytes();
    if let Some(folder) = &arguments.potentials {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        for (name, values) in [("f.npy", &found.row_potential), ("g.npy", &found.column_potential)] {
            write_npy(&folder.join(name), &[values.len()], values.iter().map(|value| *value as f32))?;
        }
    }
    let (build, solve) = (median(build), median(solve));
    let text = format!(
        "{} × {}, {} dimensions, epsilon {}\nbuild       {build:.3} s\nsolve       {solve:.3} s\niterations  {}{}\n\
         L1 error    {:.2e}\npeak memory {}\nkernel      {}\n",
        x.rows(),
        y.rows(),
        x.dim(),
        settings.epsilon,
        found.sweeps,
        if found.converged { "" } else { ", which did not reach the tolerance" },
        found.marginal_error,
        megabytes(peak),
        found.kernel,
    );
    let value = json!({
        "rows": x.rows(), "columns": y.rows(), "dim": x.dim(), "epsilon": settings.epsilon,
        "tolerance": settings.tolerance, "engine": "cpu", "kernel": found.kernel, "repeat": arguments.repeat.max(1),
        "build_s": build, "solve_s": solve, "iterations": found.sweeps, "l1": found.marginal_error,
        "converged": found.converged, "cost": found.cost, "peak_bytes": peak,
    });
    terminal.result(&value, &text)?;
    Ok(if found.converged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
