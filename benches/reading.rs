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
    let rate = |seconds: f64| bytes as f64 / 1e6 / seconds;
    let (plain, hashed) = (median(plain), median(hashed));
    println!("dipole without hashes  {plain:7.3} s  {:6.0} MB/s", rate(plain));
    println!("dipole with hashes     {hashed:7.3} s  {:6.0} MB/s", rate(hashed));
    if theirs.is_empty() {
        println!("polars                 not measured: no Python with polars (set DIPOLE_PYTHON)");
        return;
    }
    let theirs = median(theirs);
    println!("polars.read_ndjson     {theirs:7.3} s  {:6.0} MB/s", rate(theirs));
    println!("polars / dipole: {:.2} without hashes, {:.2} with them", theirs / plain, theirs / hashed);
}

/// Seconds from opening to counts, schema and findings.
fn read(path: &Path, with_hashes: bool) -> f64 {
    let began = Instant::now();
    let dataset = Dataset::begin(path, &OpenOptions::default()).expect("opens");
    let result = if with_hashes { dataset.index(&Silent) } else { dataset.index_without_hashes(&Silent) };
    result.expect("usable");
    let (stats, mapping, findings) = (dataset.stats(), dataset.mapping(), dataset.findings());
    let seconds = began.elapsed().as_secs_f64();
    assert!(stats.rows > 0 && !mapping.fields.is_empty(), "{findings:?}");
    seconds
}

fn median(mut values: Vec<f64>) -> f64 {
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

    fn read(&mut self) -> f64 {
        writeln!(self.process.stdin.as_mut().expect("a pipe"), "go").expect("the script listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        line.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds")
    }
}

impl Drop for Polars {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
