//! The GPU engine beside torch and OTT-JAX on the same card: same arrays, same run, same iterations.
//!
//! `cargo bench --bench gpu -- [ROWS SAFE HARMFUL DIM]`, by default 100000 2000 2000 1024. The work is `one-shot` at
//! ρ = 0.1: ten Sinkhorn iterations on both references at uniform weights. The peers are
//! `benches/peers/gpu_sinkhorn.py`, run by `$DIPOLE_PYTHON` or `python3`; what is not installed is `skipped`, with the
//! reason. Told are medians of five rounds (a sixth, the first, opens the device and compiles), the share of the
//! measured read bandwidth that an iteration reaches, the operations a second of the build, and the largest error of
//! the potentials on sampled rows against float64.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dipole::jobs::{Progress, Silent};
use dipole::transport::{
    CheckedSettings, Engine, GpuEngine, Observer, Outcome, Points, Problem, Settings, SideOutcome, SolverKind,
    TracePoint,
};
use npyz::WriterBuilder;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROUNDS: usize = 5;
const SAMPLE: usize = 64;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: usize| numbers.get(place).copied().unwrap_or(default);
    let (rows, safe, harmful, dim) = (number(0, 100_000), number(1, 2000), number(2, 2000), number(3, 1024));
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let topics: Vec<f32> = (0..40 * dim).map(|_| random.random_range(-1.0..1.0)).collect();
    let sets = [rows, safe, harmful].map(|rows| cloud(rows, dim, &topics, &mut random));
    let points = |set: usize| Points::new(&sets[set], sets[set].len() / dim, dim).ok_or("sizes do not fit");
    let problem = Problem { custom: points(0)?, safe: points(1)?, harmful: points(2)? };
    let settings =
        Settings { solver: SolverKind::OneShot, memory_budget: 16 << 30, ..Settings::default() }.checked()?;

    let device = dipole::gpu::Device::open(None)?;
    let adapter = device.adapter.clone();
    let bandwidth = dipole::gpu::bandwidth(&device, &Silent)?;
    drop(device);
    println!("{} ({}), reads {:.0} GB/s", adapter.name, adapter.backend, bandwidth / 1e9);
    if adapter.is_software() {
        println!("This is a software adapter: its figures say nothing of a graphics processor.");
    }
    let (outcome, times) = measure(GpuEngine::new(), &problem, &settings)?;
    let (_, plain) = measure(GpuEngine::new().with_subgroups(false), &problem, &settings)?;
    let columns = (safe.next_multiple_of(32) + harmful.next_multiple_of(32)) as f64;
    let entries = rows as f64 * columns;
    println!("{rows} x ({safe} + {harmful}), d = {dim}, kernel {}", outcome.kernel);
    let (build, iteration, whole) = (median(&times.build), median(&times.iteration), median(&times.solve));
    println!("{:<20} {:>12} {:>14} {:>12} {:>10}", "", "build, ms", "iteration, ms", "solve, ms", "error");
    let error = largest_error(&problem, &sets, &outcome);
    println!("{:<20} {:>12.1} {:>14.3} {:>12.1} {error:>10.1e}", "dipole", 1e3 * build, 1e3 * iteration, 1e3 * whole);
    let [build_of, iteration_of, solve_of] =
        [&plain.build, &plain.iteration, &plain.solve].map(|times| 1e3 * median(times));
    println!("{:<20} {build_of:>12.1} {iteration_of:>14.3} {solve_of:>12.1}", "without subgroups");
    let bytes = match outcome.kernel.as_str() {
        "kept-u16" => 2.0,
        "kept-f32" => 4.0,
        _ => 0.0,
    };
    if bytes > 0.0 {
        let reached = bytes * entries / iteration;
        println!("sweep: {:.0} GB/s, {:.0} % of the measured reads", reached / 1e9, 100.0 * reached / bandwidth);
    }
    println!(
        "build: {:.2} TFLOP/s of products, uploads and medians counted",
        2.0 * entries * dim as f64 / build / 1e12
    );
    peers(&sets, dim, &outcome, [build, iteration, whole])
}

/// Unit rows around shared topics.
fn cloud(rows: usize, dim: usize, topics: &[f32], random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut data = Vec::with_capacity(rows * dim);
    for _ in 0..rows {
        let topic = random.random_range(0..topics.len() / dim) * dim;
        let row: Vec<f32> = topics[topic..topic + dim].iter().map(|t| t + random.random_range(-1.0f32..1.0)).collect();
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        data.extend(row.iter().map(|v| v / norm));
    }
    data
}

/// Seconds, one entry a round.
#[derive(Default)]
struct Times {
    build: Vec<f64>,
    iteration: Vec<f64>,
    solve: Vec<f64>,
}

/// When the kernel stood and when the newest step was told.
struct Clock {
    built: Mutex<Option<Instant>>,
    newest: Mutex<Option<Instant>>,
}

impl Progress for Clock {
    fn tick(&self, stage: &str, done: u64, _total: Option<u64>) {
        if stage == "aligning" && done == 1 {
            *self.built.lock() = Some(Instant::now());
        }
    }
}

impl Observer for Clock {
    fn step(&self, _point: &TracePoint) {
        *self.newest.lock() = Some(Instant::now());
    }
}

/// One round that opens the device and compiles, and those that count.
fn measure(engine: GpuEngine, problem: &Problem<'_>, settings: &CheckedSettings) -> Result<(Outcome, Times)> {
    let mut times = Times::default();
    let mut outcome = solve(&engine, problem, settings, None)?;
    for _ in 0..ROUNDS {
        outcome = solve(&engine, problem, settings, Some(&mut times))?;
    }
    if !outcome.engine.starts_with("gpu ") {
        return Err(format!("the GPU engine gave up: {:?}", outcome.warnings).into());
    }
    Ok((outcome, times))
}

fn solve(
    engine: &GpuEngine,
    problem: &Problem<'_>,
    settings: &CheckedSettings,
    times: Option<&mut Times>,
) -> Result<Outcome> {
    let clock = Clock { built: Mutex::default(), newest: Mutex::default() };
    let began = Instant::now();
    let outcome = engine.solve(problem, settings, &clock)?;
    let whole = began.elapsed().as_secs_f64();
    let (Some(built), Some(newest)) = (clock.built.into_inner(), clock.newest.into_inner()) else {
        return Err("the solver told no progress".into());
    };
    if let Some(times) = times {
        times.build.push(built.duration_since(began).as_secs_f64());
        times.iteration.push(newest.duration_since(built).as_secs_f64() / outcome.iterations as f64);
        times.solve.push(whole);
    }
    Ok(outcome)
}

/// Largest distance of f from the float64 row update of g on sampled rows, in standard deviations of f.
fn largest_error(problem: &Problem<'_>, sets: &[Vec<f32>; 3], outcome: &Outcome) -> f64 {
    let (n, dim) = (problem.custom.rows, problem.custom.dim);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let of = |side: &SideOutcome, y: &[f32]| {
        let mean = side.row_potential.iter().sum::<f64>() / n as f64;
        let deviation = (side.row_potential.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        let errors: Vec<f64> = (0..SAMPLE.min(n))
            .map(|k| k * n / SAMPLE.min(n))
            .map(|i| {
                let x = &sets[0][i * dim..(i + 1) * dim];
                let scores: Vec<f64> = y
                    .chunks_exact(dim)
                    .zip(&side.column_potential)
                    .map(|(y, g)| (g - 1.0 + dot(x, y)) / side.epsilon)
                    .collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - top).exp()).sum();
                side.row_potential[i] + side.epsilon * (top + (sum / scores.len() as f64).ln())
            })
            .collect();
        let shift = errors.iter().sum::<f64>() / errors.len() as f64;
        errors.iter().map(|e| (e - shift).abs() / deviation).fold(0.0, f64::max)
    };
    of(&outcome.safe, &sets[1]).max(of(&outcome.harmful, &sets[2]))
}

fn peers(sets: &[Vec<f32>; 3], dim: usize, outcome: &Outcome, ours: [f64; 3]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, data) in ["custom", "safe", "harmful"].iter().zip(sets) {
        write(&folder.path().join(format!("{name}.npy")), data, dim)?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/gpu_sinkhorn.py");
    let output = Command::new(std::env::var_os("DIPOLE_PYTHON").unwrap_or_else(|| "python3".into()))
        .arg(script)
        .arg(folder.path())
        .args([outcome.iterations.to_string(), outcome.safe.epsilon.to_string()])
        .args([outcome.harmful.epsilon.to_string(), ROUNDS.to_string()])
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        println!("peers: skipped ({})", said.lines().last().unwrap_or("the script failed without a word"));
        return Ok(());
    }
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if let Some(device) = told["device"].as_str() {
        let copy = told["copy_bytes_per_second"].as_f64().unwrap_or(f64::NAN);
        println!("peers on {device}, torch copies {:.0} GB/s", copy / 1e9);
    }
    for (name, peer) in told["peers"].as_object().into_iter().flatten() {
        if let Some(reason) = peer["skipped"].as_str() {
            println!("{name:<20} skipped ({reason})");
            continue;
        }
        let [build, iteration, whole] = ["build", "iteration", "solve"].map(|what| peer[what].as_f64());
        let shown = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |seconds| format!("{:.3}", 1e3 * seconds));
        let error = peer["error"].as_f64().map_or("-".to_owned(), |error| format!("{error:.1e}"));
        let ratio = |theirs: Option<f64>, ours: f64| theirs.map_or("-".to_owned(), |t| format!("{:.2}", t / ours));
        println!(
            "{name:<20} {:>12} {:>14} {:>12} {error:>10}   ratios: build {}, iteration {}, solve {}",
            shown(build),
            shown(iteration),
            shown(whole),
            ratio(build, ours[0]),
            ratio(iteration, ours[1]),
            ratio(whole, ours[2]),
        );
    }
    Ok(())
}

fn write(path: &Path, data: &[f32], dim: usize) -> Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let shape = [(data.len() / dim) as u64, dim as u64];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
    writer.extend(data.iter().copied())?;
    Ok(writer.finish()?)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
