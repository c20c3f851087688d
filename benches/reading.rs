//! Reading a large JSON lines file to counts, schema and the findings of every row, beside `polars.read_ndjson`.
//!
//!     cargo bench --bench reading [-- FILE]
//!
//! Without FILE a file of 600 MB is made (alpaca rows, seed 1). `DIPOLE_PYTHON` names the Python that has polars
//! (`python3`); without it only Dipole is measured. The programs read in turn, and the medians of the rounds are
//! compared. Dipole is measured with and without the content hashes that polars does not compute.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use dipole::data::{Dataset, OpenOptions};
use dipole::jobs::Silent;
use rand::{RngExt, SeedableRng};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BYTES: u64 = 600_000_000;
const ROUNDS: usize = 5;

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = given.unwrap_or_else(|| make(&folder.path().join("rows.jsonl")));
    let bytes = std::fs::metadata(&path).expect("the file is there").len();
    println!("{} MB, {} threads", bytes / 1_000_000, rayon::current_num_threads());

    let mut polars = Polars::start(&path);
    let (mut plain, mut hashed, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let results = [read(&path, false), read(&path, true)];
        let other = polars.as_mut().map(Polars::read);
        // The first round warms the page cache.
        if round > 0 {
            plain.push(results[0]);
            hashed.push(results[1]);
            theirs.extend(other);
        }
    }
    let tell = |name: &str, times: &[Times]| -> Times {
        let times = Times { wall: median(times, |t| t.wall), processor: median(times, |t| t.processor) };
        let rate = bytes as f64 / 1e6 / times.wall;
        println!("{name:22} {:7.3} s  {rate:6.0} MB/s  {:7.2} s of processor time", times.wall, times.processor);
        times
    };
    let (plain, hashed) = (tell("dipole without hashes", &plain), tell("dipole with hashes", &hashed));
    if theirs.is_empty() {
        println!("polars                 not measured: no Python with polars (set DIPOLE_PYTHON)");
        return;
    }
    let theirs = tell("polars.read_ndjson", &theirs);
    let ratio = |ours: Times| format!("{:.2} ({:.2})", theirs.wall / ours.wall, theirs.processor / ours.processor);
    println!("polars / dipole by the clock (and by processor time, where others work on the machine):");
    println!("{} without hashes, {} with them", ratio(plain), ratio(hashed));
}

/// Seconds that one reading took.
#[derive(Clone, Copy)]
struct Times {
    wall: f64,
    /// Of all threads; not a number where the system does not tell.
    processor: f64,
}

/// From opening to counts, schema and findings.
fn read(path: &Path, with_hashes: bool) -> Times {
    let (began, worked) = (Instant::now(), processor_seconds());
    let dataset = Dataset::begin(path, &OpenOptions::default()).expect("opens");
    let result = if with_hashes { dataset.index(&Silent) } else { dataset.index_without_hashes(&Silent) };
    result.expect("usable");
    let (stats, mapping, findings) = (dataset.stats(), dataset.mapping(), dataset.findings());
    let times = Times { wall: began.elapsed().as_secs_f64(), processor: processor_seconds() - worked };
    assert!(stats.rows > 0 && !mapping.fields.is_empty(), "{findings:?}");
    times
}

/// Processor time of this process so far, as Linux tells it in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may hold blanks.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

fn median(times: &[Times], of: impl Fn(&Times) -> f64) -> f64 {
    let mut values: Vec<f64> = times.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rows like those of instruction data: words of varied length, some escapes, some letters beyond ASCII.
fn make(path: &Path) -> PathBuf {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let words = [
        "the",
        "model",
        "answers",
        "größer",
        "with",
        "\\\"quotes\\\"",
        "and",
        "lines\\n",
        "42",
        "日本",
        "very",
        "extraordinary",
    ];
    let mut file = BufWriter::new(std::fs::File::create(path).expect("creates"));
    let mut written = 0;
    let mut line = String::new();
    while written < BYTES {
        let mut text = |length: usize| -> String {
            (0..length).map(|_| words[random.random_range(0..words.len())]).collect::<Vec<_>>().join(" ")
        };
        line.clear();
        line.push_str(&format!(
            "{{\"instruction\": \"{}\", \"input\": \"{}\", \"output\": \"{}\", \"id\": {written}}}\n",
            text(12),
            text(6),
            text(70)
        ));
        file.write_all(line.as_bytes()).expect("writes");
        written += line.len() as u64;
    }
    file.flush().expect("writes");
    path.to_owned()
}

/// The other program, waiting for its turn.
struct Polars {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Polars {
    fn start(path: &Path) -> Option<Self> {
        let python = std::env::var("DIPOLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/polars_read.py");
        let started = Command::new(python).arg(script).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.ok()?;
        let mut answers = BufReader::new(process.stdout.take()?);
        let mut version = String::new();
        answers.read_line(&mut version).ok().filter(|read| *read > 0)?;
        println!("{}", version.trim());
        Some(Self { process, answers })
    }

    fn read(&mut self) -> Times {
        writeln!(self.process.stdin.as_mut().expect("a pipe"), "go").expect("the script listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        let mut seconds = line.split(' ').map(|field| field.trim().parse().expect("a number"));
        Times { wall: seconds.next().expect("by the clock"), processor: seconds.next().expect("of the processor") }
    }
}

impl Drop for Polars {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
