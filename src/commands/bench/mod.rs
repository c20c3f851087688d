//! `dipole bench`: measures parts of the program on this machine. Ratios beside other tools come from `benches/peers/`.

mod arrays;
mod map;
mod project;
mod purify;
mod sinkhorn;

use std::process::ExitCode;

use clap::Subcommand;

use super::terminal::Terminal;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Solve balanced entropic transport between two clouds; say seconds, iterations, error and memory
    Sinkhorn(sinkhorn::Arguments),
    /// Learn push-pull weights on synthetic vectors; say seconds, reads of the kernel and memory
    Purify(purify::Arguments),
    /// Place vectors on the map's plane; say how long it takes and how far the picture can be trusted
    Project(project::Arguments),
    /// Draw the map without a window; say what a frame costs the CPU and the GPU
    Map(map::Arguments),
}

pub fn run(bench: &Bench, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Sinkhorn(arguments) => sinkhorn::run(arguments, terminal),
        Bench::Purify(arguments) => purify::run(arguments, terminal),
        Bench::Project(arguments) => project::run(arguments, terminal),
        Bench::Map(arguments) => map::run(arguments, terminal),
    }
}

/// The most memory this process has held at once, in bytes, where the system tells it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    kilobytes.map(|kilobytes: u64| kilobytes * 1024)
}

/// Begins to count [`peak_bytes`] anew, where the system allows it.
fn forget_peak() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!(%error, "the peak counts from the start of the process");
    }
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("unknown".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6))
}

/// The middle of the values in order; the lower one of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(super::median(vec![9.0, 1.0, 4.0]), 4.0);
        assert_eq!(super::median(vec![2.0, 1.0]), 1.0);
        assert_eq!(super::median(Vec::new()), 0.0);
    }
}
