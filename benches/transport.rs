//! One solve and one iteration of the CPU engine beside a hand-written NumPy loop: same arrays, same run, same threads.
//!
//! `cargo bench --bench transport -- [ROWS SAFE HARMFUL DIM THREADS]`, by default 20000 1000 1000 384 and all cores.
//! The work is `one-shot` at ρ = 0.1: ten Sinkhorn iterations on both references at uniform weights. Dipole's time
//! counts its checks, medians and the choice of a kernel format, the peer's only products, exponentials and sums.
//! The peer is `benches/peers/sinkhorn.py`, run by `$DIPOLE_PYTHON` or `python3`; without NumPy its columns are
//! `skipped`. Rounds alternate between the two; medians and ranges are printed, and the largest difference of the
//! potentials, in standard deviations, to show that both did the same.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dipole::jobs::Progress;
use dipole::transport::{
    CheckedSettings, CpuEngine, Engine, Observer, Outcome, Points, Problem, Settings, SideOutcome, SolverKind,
    TracePoint,
};
use npyz::WriterBuilder;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROUNDS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: usize| numbers.get(place).copied().unwrap_or(default);
    let (rows, safe, harmful, dim) = (number(0, 20_000), number(1, 1000), number(2, 1000), number(3, 384));
    let threads = number(4, std::thread::available_parallelism()?.get());
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let topics: Vec<f32> = (0..40 * dim).map(|_| random.random_range(-1.0..1.0)).collect();
    let sets = [rows, safe, harmful].map(|rows| cloud(rows, dim, &topics, &mut random));
    let folder = tempfile::tempdir()?;
    for (name, data) in ["custom", "safe", "harmful"].iter().zip(&sets) {
        write(&folder.path().join(format!("{name}.npy")), data, dim)?;
    }
    let points = |set: usize| Points::new(&sets[set], sets[set].len() / dim, dim).ok_or("sizes do not fit");
    let problem = Problem { custom: points(0)?, safe: points(1)?, harmful: points(2)? };
    let settings = Settings { solver: SolverKind::OneShot, threads, ..Settings::default() }.checked()?;

    let (mut ours, mut theirs) = (Times::default(), Times::default());
    let mut found = None;
    for _ in 0..ROUNDS {
        let outcome = dipole(&problem, &settings, &mut ours)?;
        if let Err(reason) = numpy(folder.path(), threads, &outcome, &mut theirs) {
            println!("numpy: skipped ({reason})");
        }
        found = Some(outcome);
    }
    let outcome = found.ok_or("no round ran")?;
    println!("{rows} x ({safe} + {harmful}), d = {dim}, {threads} threads, kernel {}", outcome.kernel);
    println!("{:<10} {:>26} {:>26} {:>8}", "", "dipole, ms", "numpy, ms", "ratio");
    for (name, ours, theirs) in [
        ("build", &ours.build, &theirs.build),
        ("iteration", &ours.iteration, &theirs.iteration),
        ("solve", &ours.solve, &theirs.solve),
    ] {
        let ratio = theirs.first().map_or("skipped".to_owned(), |_| format!("{:.2}", median(theirs) / median(ours)));
        println!("{name:<10} {:>26} {:>26} {ratio:>8}", shown(ours), shown(theirs));
    }
    if !theirs.solve.is_empty() {
        for (name, side) in [("safe", &outcome.safe), ("harmful", &outcome.harmful)] {
            println!(
                "{name}: potentials differ by at most {:.1e} standard deviations",
                difference(folder.path(), name, side)?
            );
        }
    }
    Ok(())
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

fn write(path: &Path, data: &[f32], dim: usize) -> Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let shape = [(data.len() / dim) as u64, dim as u64];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
    writer.extend(data.iter().copied())?;
    Ok(writer.finish()?)
}

/// Seconds, one entry a round (or an iteration).
#[derive(Default)]
struct Times {
    build: Vec<f64>,
    iteration: Vec<f64>,
    solve: Vec<f64>,
}

/// When the kernel stood and when each step was done.
struct Clock {
    marks: Mutex<Vec<Instant>>,
}

impl Progress for Clock {
    fn tick(&self, stage: &str, done: u64, _total: Option<u64>) {
        if stage == "aligning" && done == 1 {
            self.marks.lock().push(Instant::now());
        }
    }
}

impl Observer for Clock {
    fn step(&self, _point: &TracePoint) {
        self.marks.lock().push(Instant::now());
    }
}

fn dipole(problem: &Problem<'_>, settings: &CheckedSettings, times: &mut Times) -> Result<Outcome> {
    let clock = Clock { marks: Mutex::default() };
    let began = Instant::now();
    let outcome = CpuEngine::new().solve(problem, settings, &clock)?;
    times.solve.push(began.elapsed().as_secs_f64());
    let marks = clock.marks.into_inner();
    times.build.push(marks.first().ok_or("the solver told no progress")?.duration_since(began).as_secs_f64());
    times.iteration.extend(marks.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()));
    Ok(outcome)
}

fn numpy(folder: &Path, threads: usize, outcome: &Outcome, times: &mut Times) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/sinkhorn.py");
    let output = Command::new(std::env::var_os("DIPOLE_PYTHON").unwrap_or_else(|| "python3".into()))
        .arg(script)
        .arg(folder)
        .args([threads.to_string(), outcome.iterations.to_string()])
        .args([outcome.safe.epsilon.to_string(), outcome.harmful.epsilon.to_string()])
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("it failed without a word").to_owned().into());
    }
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let seconds = |value: &serde_json::Value| value.as_f64().ok_or("the peer told no number");
    times.build.push(seconds(&told["build"])?);
    times.solve.push(seconds(&told["solve"])?);
    for step in told["iterations"].as_array().ok_or("the peer told no iterations")? {
        times.iteration.push(seconds(step)?);
    }
    Ok(())
}

/// Largest difference of the centred potentials over the standard deviation of the peer's.
fn difference(folder: &Path, name: &str, side: &SideOutcome) -> Result<f64> {
    let file = std::io::BufReader::new(std::fs::File::open(folder.join(format!("{name}.f.npy")))?);
    let theirs: Vec<f32> = npyz::NpyFile::new(file)?.into_vec()?;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let theirs: Vec<f64> = theirs.into_iter().map(f64::from).collect();
    let (centre, ours) = (mean(&theirs), mean(&side.row_potential));
    let spread = (theirs.iter().map(|f| (f - centre).powi(2)).sum::<f64>() / theirs.len() as f64).sqrt();
    let pairs = side.row_potential.iter().zip(&theirs);
    Ok(pairs.map(|(a, b)| ((a - ours) - (b - centre)).abs() / spread).fold(0.0, f64::max))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn shown(values: &[f64]) -> String {
    if values.is_empty() {
        return "skipped".to_owned();
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.1} ({:.1}-{:.1})", 1e3 * median(values), 1e3 * least, 1e3 * most)
}
