//! A short test of an adapter: does it compute what plain float64 loops compute, and how fast does it read?

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::one_shot::ITERATIONS;
use super::super::{Engine, Points, Problem, Settings, SideOutcome, SolverKind, TransportError};
use super::GpuEngine;
use crate::gpu::{Device, GpuError, bandwidth};
use crate::jobs::{Progress, Silent};

const ROWS: usize = 192;
const REFERENCES: [usize; 2] = [72, 50];
const DIM: usize = 48;
/// Largest error of a float32 engine, in standard deviations of the potentials.
const TOLERANCE: f64 = 1e-4;

/// What a test of an adapter found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GpuCheck {
    pub passed: bool,
    /// Largest error of a potential against float64, in standard deviations of the potentials; at most 1e-4 passes.
    pub error: f64,
    pub seconds: f64,
    /// Bytes a second that plain reads reach.
    pub bytes_per_second: f64,
    /// What went wrong.
    pub reason: Option<String>,
}

/// Tests the adapter of this name.
///
/// # Errors
/// There is no such adapter, or its device failed.
pub fn check_adapter(name: &str) -> Result<GpuCheck, GpuError> {
    let began = Instant::now();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut cloud = |rows: usize| -> Vec<f32> {
        let mut data: Vec<f32> = (0..rows * DIM).map(|_| random.random_range(-0.6f32..1.0)).collect();
        for row in data.chunks_exact_mut(DIM) {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter_mut().for_each(|v| *v /= norm);
        }
        data
    };
    let (x, safe, harmful) = (cloud(ROWS), cloud(REFERENCES[0]), cloud(REFERENCES[1]));
    let points = |data, rows| Points { data, rows, dim: DIM };
    let problem = Problem {
        custom: points(&x, ROWS),
        safe: points(&safe, REFERENCES[0]),
        harmful: points(&harmful, REFERENCES[1]),
    };
    let settings = Settings { solver: SolverKind::OneShot, ..Settings::default() }.checked();
    let refused = |error: TransportError| GpuError::Refused { reason: error.to_string() };
    let outcome =
        GpuEngine::on(name.to_owned()).solve(&problem, &settings.map_err(refused)?, &Silent).map_err(refused)?;
    let error = [(&outcome.safe, &safe), (&outcome.harmful, &harmful)]
        .into_iter()
        .map(|(side, reference)| largest_error(&x, reference, side))
        .fold(0.0, f64::max);
    let device = Device::open(Some(name))?;
    let bytes_per_second = bandwidth(&device, &Silent as &dyn Progress)?;
    let reason = if outcome.engine == "cpu" {
        outcome.warnings.first().cloned()
    } else if error.is_nan() || error > TOLERANCE {
        Some("the adapter's arithmetic is too coarse".to_owned())
    } else {
        None
    };
    Ok(GpuCheck { passed: reason.is_none(), error, seconds: began.elapsed().as_secs_f64(), bytes_per_second, reason })
}

/// Against ten Sinkhorn iterations in the log domain.
fn largest_error(x: &[f32], y: &[f32], side: &SideOutcome) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let costs: Vec<Vec<f64>> =
        x.chunks_exact(DIM).map(|a| y.chunks_exact(DIM).map(|b| 1.0 - dot(a, b)).collect()).collect();
    let (n, m, epsilon) = (costs.len(), y.len() / DIM, side.epsilon);
    let soft = |values: Vec<f64>| {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + (values.iter().map(|v| (v - largest).exp()).sum::<f64>() / values.len() as f64).ln()
    };
    let (mut f, mut g) = (vec![0.0; n], vec![0.0; m]);
    for iteration in 0..ITERATIONS {
        f = costs
            .iter()
            .map(|row| -epsilon * soft(row.iter().zip(&g).map(|(c, g)| (g - c) / epsilon).collect()))
            .collect();
        if iteration + 1 < ITERATIONS {
            let column = |j: usize| costs.iter().zip(&f).map(|(row, f)| (f - row[j]) / epsilon).collect();
            g = (0..m).map(|j| -epsilon * soft(column(j))).collect();
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (ours, exact) = (mean(&side.row_potential), mean(&f));
    let deviation = (f.iter().map(|f| (f - exact).powi(2)).sum::<f64>() / n as f64).sqrt();
    let pairs = side.row_potential.iter().zip(&f);
    // f64::max would swallow a NaN.
    let errors = pairs.map(|(a, b)| ((a - ours) - (b - exact)).abs() / deviation);
    errors.fold(0.0, |worst: f64, error| if error.is_nan() || worst.is_nan() { f64::NAN } else { worst.max(error) })
}
