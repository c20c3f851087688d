//! The CPU engine beside the field's solvers and beside the machine's own limits, in one run.
//!
//! `cargo bench --bench transport -- [peers] [iteration] [relaxation] [passes] [large] [threads=N] [rounds=N]`; without
//! a name, all parts.
//! - `peers`: cosine cost, d = 384, kernel construction counted, to a marginal L1 error of at most 1e-4 that is judged
//!   here in float64. Each solve is a process of its own, solvers take turns, medians of the rounds are printed. The
//!   peers are in `benches/peers/sinkhorn.py`, run by `$DIPOLE_PYTHON` or `python3`; what cannot be imported there is
//!   `skipped`.
//! - `iteration`: one read of the kernel, beside the memory bandwidth measured between the reads, for 1 to N threads.
//! - `relaxation`: sweeps with and without over-relaxation.
//! - `passes`: kernel reads of the push-pull problem, fused (`scaling`) and nested (`adam`).
//! - `large`: a whole push-pull solve of 100,000 × (2,000 + 865).

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dipole::jobs::Silent;
use dipole::transport::{
    CpuEngine, Engine, KernelFormat, Points, Problem, Settings, SinkhornSettings, SolverKind, sinkhorn,
};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use npyz::WriterBuilder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const DIM: usize = 384;
const TOLERANCE: f64 = 1e-4;
const SOLVERS: [&str; 5] = ["dipole", "numpy", "torch", "pot", "ott"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, folder, epsilon, threads] = arguments.as_slice()
        && first == "solve-one"
    {
        return solve_one(Path::new(folder), epsilon.parse()?, threads.parse()?);
    }
    let number = |name: &str| arguments.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
    let threads = number("threads").unwrap_or(std::thread::available_parallelism()?.get());
    let rounds = number("rounds").unwrap_or(5);
    let parts = ["peers", "iteration", "relaxation", "passes", "large"];
    let all = !arguments.iter().any(|argument| parts.contains(&argument.as_str()));
    let asked = |part: &str| all || arguments.iter().any(|argument| argument == part);
    if asked("peers") {
        for (n, m) in [(4096, 1024), (20_000, 2000)] {
            peers(n, m, threads, rounds)?;
        }
    }
    if asked("iteration") {
        iteration(threads, rounds)?;
    }
    if asked("relaxation") {
        relaxation(threads)?;
    }
    if asked("passes") {
        passes(threads)?;
    }
    if asked("large") {
        large(threads)?;
    }
    Ok(())
}

/// Unit rows around 40 shared topics.
fn cloud(rows: usize, topics: u64, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(topics);
    let topics: Vec<f32> = (0..40 * DIM).map(|_| random.random_range(-1.0..1.0)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut data = Vec::with_capacity(rows * DIM);
    for _ in 0..rows {
        let topic = random.random_range(0..40) * DIM;
        let row: Vec<f32> = topics[topic..topic + DIM].iter().map(|t| t + random.random_range(-1.0f32..1.0)).collect();
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        data.extend(row.iter().map(|v| v / norm));
    }
    data
}

fn weights(rows: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let drawn: Vec<f64> = (0..rows).map(|_| random.random_range(0.1..1.0)).collect();
    let total: f64 = drawn.iter().sum();
    // As float32, which is what every solver gets.
    drawn.iter().map(|w| f64::from((w / total) as f32)).collect()
}

fn points(data: &[f32]) -> Result<Points<'_>> {
    Ok(Points::new(data, data.len() / DIM, DIM).ok_or("sizes do not fit")?)
}

fn write(path: &Path, data: impl ExactSizeIterator<Item = f32>, shape: &[u64]) -> Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
    writer.extend(data)?;
    Ok(writer.finish()?)
}

fn read(path: &Path) -> Result<Vec<f32>> {
    Ok(npyz::NpyFile::new(std::io::BufReader::new(std::fs::File::open(path)?))?.into_vec()?)
}

/// A field of /proc/self/status, in kilobytes.
fn kilobytes(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().nth(1)?.parse().ok())
}

/// The child process of a round: one solve, told as its peers tell theirs.
fn solve_one(folder: &Path, epsilon: f64, threads: usize) -> Result<()> {
    let (x, y) = (read(&folder.join("x.npy"))?, read(&folder.join("y.npy"))?);
    let a: Vec<f64> = read(&folder.join("a.npy"))?.into_iter().map(f64::from).collect();
    let settings = SinkhornSettings { epsilon, tolerance: TOLERANCE, threads, ..SinkhornSettings::default() };
    // Where the system allows it, the peak is counted from here.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = kilobytes("VmRSS").unwrap_or(f64::NAN);
    let began = Instant::now();
    let found = sinkhorn(points(&x)?, points(&y)?, Some(&a), &settings, &Silent)?;
    let whole = began.elapsed().as_secs_f64();
    let extra = (kilobytes("VmHWM").unwrap_or(f64::NAN) - before) / 1000.0;
    for (name, values) in [("f.npy", &found.row_potential), ("g.npy", &found.column_potential)] {
        write(&folder.join(name), values.iter().map(|v| *v as f32), &[values.len() as u64])?;
    }
    let solve = found.solve.as_secs_f64();
    let told = serde_json::json!({
        "build": whole - solve, "solve": solve, "iterations": found.sweeps, "extra_mb": extra, "kernel": found.kernel,
    });
    println!("{told}");
    Ok(())
}

/// What one solver told over the rounds.
#[derive(Default)]
struct Told {
    build: Vec<f64>,
    solve: Vec<f64>,
    whole: Vec<f64>,
    extra: Vec<f64>,
    iterations: u64,
    error: f64,
    note: String,
}

fn peers(n: usize, m: usize, threads: usize, rounds: usize) -> Result<()> {
    let (x, y, a) = (cloud(n, 1, 2), cloud(m, 1, 3), weights(n));
    let folder = tempfile::tempdir()?;
    write(&folder.path().join("x.npy"), x.iter().copied(), &[n as u64, DIM as u64])?;
    write(&folder.path().join("y.npy"), y.iter().copied(), &[m as u64, DIM as u64])?;
    write(&folder.path().join("a.npy"), a.iter().map(|w| *w as f32), &[n as u64])?;
    for epsilon in [0.05, 0.02] {
        let mut told: [Told; SOLVERS.len()] = Default::default();
        for round in 0..rounds {
            for (solver, told) in SOLVERS.iter().zip(&mut told) {
                if !told.note.starts_with("skipped") {
                    one_round(solver, folder.path(), epsilon, threads, told)?;
                    if round == 0 && told.note.is_empty() {
                        told.error = judge(folder.path(), &x, &y, &a, epsilon)?;
                    }
                }
            }
        }
        println!(
            "\n{n} x {m}, d = {DIM}, epsilon {epsilon}, {threads} threads; milliseconds, median (range) of {rounds}"
        );
        println!(
            "{:<8} {:>24} {:>22} {:>22} {:>6} {:>9} {:>9}",
            "", "whole", "build", "iterations", "count", "extra MB", "L1"
        );
        for (solver, told) in SOLVERS.iter().zip(&told) {
            if told.whole.is_empty() {
                println!("{solver:<8} {}", told.note);
                continue;
            }
            println!(
                "{solver:<8} {:>24} {:>22} {:>22} {:>6} {:>9.0} {:>9.1e}",
                shown(&told.whole),
                shown(&told.build),
                shown(&told.solve),
                told.iterations,
                median(&told.extra),
                told.error
            );
        }
        let ours = &told[0];
        for (solver, peer) in SOLVERS.iter().zip(&told).skip(1).filter(|(_, peer)| !peer.whole.is_empty()) {
            println!(
                "dipole is {:.1} times as fast as {solver} ({:.1} in the iterations alone), with {:.2} of its extra memory",
                median(&peer.whole) / median(&ours.whole),
                median(&peer.solve) / median(&ours.solve),
                median(&ours.extra) / median(&peer.extra),
            );
        }
    }
    Ok(())
}

fn one_round(solver: &str, folder: &Path, epsilon: f64, threads: usize, told: &mut Told) -> Result<()> {
    let output = if solver == "dipole" {
        let program = std::env::current_exe()?;
        Command::new(program).arg("solve-one").arg(folder).args([epsilon.to_string(), threads.to_string()]).output()
    } else {
        let python = std::env::var_os("DIPOLE_PYTHON").unwrap_or("python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/sinkhorn.py");
        let numbers = [epsilon.to_string(), TOLERANCE.to_string()];
        Command::new(python).arg(script).arg(folder).args([&threads.to_string(), solver]).args(numbers).output()
    };
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            told.note = format!("skipped ({})", said.lines().last().unwrap_or("it failed without a word"));
            return Ok(());
        }
        Err(error) => {
            told.note = format!("skipped ({error})");
            return Ok(());
        }
    };
    let line: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| line[name].as_f64().ok_or(format!("{solver} told no {name}"));
    told.build.push(number("build")?);
    told.solve.push(number("solve")?);
    told.whole.push(number("build")? + number("solve")?);
    told.extra.push(number("extra_mb")?);
    told.iterations = number("iterations")? as u64;
    Ok(())
}

/// L1 errors of both marginals of the plan of the written potentials, in float64.
fn judge(folder: &Path, x: &[f32], y: &[f32], a: &[f64], epsilon: f64) -> Result<f64> {
    let (f, g) = (read(&folder.join("f.npy"))?, read(&folder.join("g.npy"))?);
    let m = g.len();
    let wide = |data: &[f32]| -> Vec<f64> { data.iter().map(|v| f64::from(*v)).collect() };
    let (x, y) = (wide(x), wide(y));
    let parts: Vec<(f64, Vec<f64>)> = f
        .par_chunks(256)
        .enumerate()
        .map(|(part, f)| {
            let rows = part * 256..part * 256 + f.len();
            let mut cosines = vec![0.0; f.len() * m];
            matmul(
                MatMut::from_row_major_slice_mut(&mut cosines, f.len(), m),
                Accum::Replace,
                MatRef::from_row_major_slice(&x[rows.start * DIM..rows.end * DIM], f.len(), DIM),
                MatRef::from_row_major_slice(&y, m, DIM).transpose(),
                1.0,
                Par::Seq,
            );
            let (mut error, mut columns) = (0.0, vec![0.0; m]);
            for ((cosines, f), a) in cosines.chunks_exact(m).zip(f).zip(&a[rows]) {
                let mut row = 0.0;
                for ((cosine, g), column) in cosines.iter().zip(&g).zip(&mut columns) {
                    let entry = a / m as f64 * ((f64::from(f + g) + cosine - 1.0) / epsilon).exp();
                    row += entry;
                    *column += entry;
                }
                error += (row - a).abs();
            }
            (error, columns)
        })
        .collect();
    let rows: f64 = parts.iter().map(|part| part.0).sum();
    let column = |j: usize| parts.iter().map(|part| part.1[j]).sum::<f64>();
    Ok(rows + (0..m).map(|j| (column(j) - 1.0 / m as f64).abs()).sum::<f64>())
}

/// GB/s of reading an array that no cache holds, by `threads` threads.
fn bandwidth(data: &[f32], pool: &rayon::ThreadPool) -> f64 {
    let began = Instant::now();
    let sum: f32 = pool.install(|| {
        data.par_chunks(1 << 18)
            .map(|part| {
                let mut lanes = [0.0f32; 64];
                for chunk in part.as_chunks::<64>().0 {
                    for (lane, value) in lanes.iter_mut().zip(chunk) {
                        *lane += value;
                    }
                }
                lanes.iter().sum::<f32>()
            })
            .sum()
    });
    std::hint::black_box(sum);
    size_of_val(data) as f64 / began.elapsed().as_secs_f64() * 1e-9
}

fn iteration(threads: usize, rounds: usize) -> Result<()> {
    const SWEEPS: usize = 40;
    let (n, m) = (20_000, 2000);
    let (x, y) = (cloud(n, 1, 2), cloud(m, 1, 3));
    let stream = vec![1.0f32; 64 << 20];
    println!("\none iteration of {n} x {m}, in the kept kernel; medians of {rounds} x {SWEEPS} sweeps");
    let mut first = [0.0; 2];
    for threads in 1..=threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        for (k, (format, bytes)) in [(KernelFormat::Half, 2), (KernelFormat::Single, 4)].into_iter().enumerate() {
            let settings = SinkhornSettings {
                tolerance: 0.0,
                max_sweeps: SWEEPS,
                relaxed: false,
                threads,
                format: Some(format),
                ..SinkhornSettings::default()
            };
            let (mut seconds, mut shares, mut limits) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..rounds {
                let before = bandwidth(&stream, &pool);
                let found = sinkhorn(points(&x)?, points(&y)?, None, &settings, &Silent)?;
                let limit = (before + bandwidth(&stream, &pool)) / 2.0;
                let sweep = found.solve.as_secs_f64() / found.sweeps as f64;
                shares.push((n * m.next_multiple_of(32) * bytes) as f64 * 1e-9 / sweep / limit);
                seconds.push(sweep);
                limits.push(limit);
            }
            if threads == 1 {
                first[k] = median(&seconds);
            }
            println!(
                "{threads} threads {format:?}: {} ms, {:.0} % of the measured {:.0} GB/s, {:.2} times one thread",
                shown(&seconds),
                100.0 * median(&shares),
                median(&limits),
                first[k] / median(&seconds)
            );
        }
    }
    Ok(())
}

fn relaxation(threads: usize) -> Result<()> {
    let (n, m) = (4096, 1024);
    let (x, y, a) = (cloud(n, 1, 2), cloud(m, 1, 3), weights(n));
    println!("\nsweeps to a marginal L1 error of {TOLERANCE:.0e}, {n} x {m}: plain, over-relaxed");
    for epsilon in [0.1, 0.05, 0.03, 0.02, 0.015, 0.01] {
        let sweeps = |relaxed| -> Result<String> {
            let settings =
                SinkhornSettings { epsilon, tolerance: TOLERANCE, relaxed, threads, ..SinkhornSettings::default() };
            let found = sinkhorn(points(&x)?, points(&y)?, Some(&a), &settings, &Silent)?;
            Ok(if found.converged { found.sweeps.to_string() } else { format!("not in {}", found.sweeps) })
        };
        println!("epsilon {epsilon:<6} {:>6} {:>6}", sweeps(false)?, sweeps(true)?);
    }
    Ok(())
}

fn passes(threads: usize) -> Result<()> {
    let sets = [cloud(5000, 1, 2), cloud(1500, 1, 3), cloud(865, 4, 5)];
    let problem = Problem { custom: points(&sets[0])?, safe: points(&sets[1])?, harmful: points(&sets[2])? };
    println!("\nkernel reads of the push-pull problem, 5,000 x (1,500 + 865), to r <= 1e-3 with w frozen");
    for epsilon in [0.2, 0.1, 0.05] {
        let solved = |solver| -> Result<_> {
            let settings = Settings { solver, epsilon, threads, ..Settings::default() }.checked()?;
            Ok(CpuEngine::new().solve(&problem, &settings, &Silent)?)
        };
        let (fused, nested) = (solved(SolverKind::Scaling)?, solved(SolverKind::Adam)?);
        println!(
            "rho {epsilon}: fused {} ({:?}, r {:.0e}), nested {} ({:?}, r {:.0e}): {:.1} times as many",
            fused.iterations,
            fused.stop,
            fused.residual,
            nested.iterations,
            nested.stop,
            nested.residual,
            nested.iterations as f64 / fused.iterations as f64
        );
    }
    Ok(())
}

fn large(threads: usize) -> Result<()> {
    let sets = [cloud(100_000, 1, 2), cloud(2000, 1, 3), cloud(865, 4, 5)];
    let problem = Problem { custom: points(&sets[0])?, safe: points(&sets[1])?, harmful: points(&sets[2])? };
    let settings = Settings { threads, ..Settings::default() }.checked()?;
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let began = Instant::now();
    let found = CpuEngine::new().solve(&problem, &settings, &Silent)?;
    println!(
        "\n100,000 x (2,000 + 865), d = {DIM}, {threads} threads: {:.1} s, {} reads of the kernel ({}), {:?}, peak {:.2} GB",
        began.elapsed().as_secs_f64(),
        found.iterations + 10,
        found.kernel,
        found.stop,
        kilobytes("VmHWM").unwrap_or(f64::NAN) * 1e-6
    );
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Milliseconds: the median and the range.
fn shown(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.1} ({:.1}-{:.1})", 1e3 * median(values), 1e3 * least, 1e3 * most)
}
