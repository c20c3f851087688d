//! `dipole bench map`: what a frame of the map costs the CPU and the GPU.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::json;

use super::median;
use crate::commands::terminal::{Terminal, thousands};
use crate::gui::map::measure;

/// How much is drawn.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[arg(long, default_value_t = 1_000_000)]
    pub points: usize,
    /// Frames of each series
    #[arg(long, default_value_t = 60)]
    pub frames: usize,
    /// Pixels across
    #[arg(long, default_value_t = 1280)]
    pub width: u32,
    /// Pixels down
    #[arg(long, default_value_t = 720)]
    pub height: u32,
}

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let size = [arguments.width, arguments.height].map(|side| side.clamp(16, 8192));
    let (adapter, all) = measure(arguments.points, arguments.frames.max(1), size).map_err(|error| anyhow!(error))?;
    let mut text =
        format!("{} points on {adapter}, median (largest) milliseconds a frame\n", thousands(arguments.points as u64));
    let mut series = serde_json::Map::new();
    for frames in all {
        let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let name = serde_json::to_value(frames.series)?.as_str().unwrap_or_default().to_owned();
        let (most_cpu, most_gpu) = (largest(&frames.cpu), largest(&frames.gpu));
        let (cpu, gpu) = (median(frames.cpu), median(frames.gpu));
        writeln!(text, "{name:<6} CPU {cpu:7.2} ({most_cpu:.2})   GPU after it {gpu:7.2} ({most_gpu:.2})")?;
        series.insert(
            name,
            json!({ "cpu_ms": cpu, "cpu_largest_ms": most_cpu, "gpu_ms": gpu, "gpu_largest_ms": most_gpu }),
        );
    }
    let value = json!({ "points": arguments.points, "adapter": adapter, "size": size, "series": series });
    terminal.result(&value, &text)?;
    Ok(ExitCode::SUCCESS)
}
