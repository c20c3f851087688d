//! `dipole bench`: measures parts of the program on this machine. Ratios beside other tools come from `benches/peers/`.

mod map;
mod project;

use std::process::ExitCode;

use clap::Subcommand;

use super::terminal::Terminal;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Place vectors on the map's plane; say how long it takes and how far the picture can be trusted
    Project(project::Arguments),
    /// Draw the map without a window; say what a frame costs the CPU and the GPU
    Map(map::Arguments),
}

pub fn run(bench: &Bench, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Project(arguments) => project::run(arguments, terminal),
        Bench::Map(arguments) => map::run(arguments, terminal),
    }
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
