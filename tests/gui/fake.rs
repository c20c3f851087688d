//! A backend in memory: any number of rows, scores at will, and a journal that a test can hold still or break.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dipole::data::analysis::{Analysis, Leakage, Lengths, Overlap, Spread};
use dipole::data::{Compression, Container, Format, Mapping, Quarantined, Row, RowId, Schema, Speaker, Stats, Turn};
use dipole::embedding::{CacheSize, Embeddings};
use dipole::gui::backend::{Backend, DecisionLog, Explain, ExportRequest, Facts, Handle, OpenSets, Ranked, RowSource};
use dipole::jobs::Progress;
use dipole::project::{
    Beside, ExportReport, HealthFinding, HealthKind, HealthReport, Past, Plan, Purified, RowReasons, Timing,
};
use dipole::selection::comparison::Contender;
use dipole::selection::{Decision, Decisions, RankBy, Verdict};
use dipole::transport::{Observer, Outcome, SideOutcome, Stop};
use parking_lot::{Condvar, Mutex};

/// What tests look at and turn.
#[derive(Default)]
pub struct Board {
    /// Rows whose text was asked for, in order.
    pub asked: Mutex<Vec<usize>>,
    /// What the journal was told, in order.
    pub journal: Mutex<Vec<String>>,
    /// While true, the journal does not return.
    pub held: Mutex<bool>,
    pub released: Condvar,
    /// While some, only so many rows are read and reading goes on.
    pub read_so_far: Mutex<Option<usize>>,
    pub read: Condvar,
    /// While true, looking into a file goes on.
    pub looking: AtomicBool,
    /// The runs bring vectors: even rows are alike and close to safe references, odd ones close to harmful ones.
    pub has_vectors: AtomicBool,
    /// While true, the journal fails, and so do looks at references and rankings.
    pub broken: AtomicBool,
    /// While true, a run goes on calibrating.
    pub calibrating: AtomicBool,
    /// While true, looks at references and rankings go on.
    pub thinking: AtomicBool,
}

impl Board {
    pub fn hold(&self) {
        *self.held.lock() = true;
    }

    /// Lets reading come to its end.
    pub fn finish_reading(&self) {
        *self.read_so_far.lock() = None;
        self.read.notify_all();
    }

    /// Goes on while `thinking`, then fails where `broken`.
    fn think(&self, progress: &dyn Progress) -> Result<(), String> {
        while self.thinking.load(Ordering::Relaxed) {
            progress.tick("thinking", 1, Some(3));
            progress.check().map_err(|cancelled| cancelled.to_string())?;
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.broken.load(Ordering::Relaxed) { Err("a file changed".to_owned()) } else { Ok(()) }
    }

    pub fn release(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }
}

/// A set of `rows` rows at the places `forces` = (pull, push) of each.
pub struct Fake {
    pub rows: usize,
    pub forces: fn(usize) -> (f64, f64),
    pub board: Arc<Board>,
}

/// Rows of each reference, where runs bring vectors.
pub const REFERENCES: usize = 6;

impl Fake {
    fn vectors(&self) -> [Embeddings; 3] {
        let set = |rows: usize, odd: fn(usize) -> bool| {
            let one = |row: usize| {
                let turn = 0.3 * ((row * 7919 % 97) as f32 / 97.0 - 0.5);
                if odd(row) { [turn.sin(), turn.cos(), 0.0] } else { [turn.cos(), 0.0, turn.sin()] }
            };
            Embeddings::new(rows, 3, (0..rows).flat_map(one).collect()).expect("a matrix")
        };
        [set(self.rows, |row| row % 2 == 1), set(REFERENCES, |_| false), set(REFERENCES, |_| true)]
    }
}

struct Source {
    path: PathBuf,
    rows: usize,
    board: Arc<Board>,
}

impl RowSource for Source {
    fn index(&self, progress: &dyn Progress) -> Result<(), String> {
        let mut so_far = self.board.read_so_far.lock();
        while let Some(rows) = *so_far {
            progress.tick("reading", rows as u64 * 10, Some(self.rows as u64 * 10));
            progress.check().map_err(|cancelled| cancelled.to_string())?;
            self.board.read.wait_for(&mut so_far, Duration::from_millis(5));
        }
        Ok(())
    }

    fn facts(&self) -> Facts {
        let rows = self.rows as u64;
        Facts {
            path: self.path.clone(),
            bytes: rows * 10,
            format: Format { container: Container::Jsonl, compression: Compression::None },
            mapping: Mapping { schema: Schema::Text, fields: Default::default() },
            complete: true,
            stats: Stats { records: rows, rows, ..Stats::default() },
            findings: Vec::new(),
            quarantine: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.board.read_so_far.lock().unwrap_or(self.rows)
    }

    fn number(&self, index: usize) -> Option<u64> {
        (index < self.rows).then_some(index as u64)
    }

    fn id(&self, index: usize) -> Option<RowId> {
        (index < self.rows).then(|| RowId(format!("{index:016x}")))
    }

    fn row(&self, index: usize) -> Result<Row, String> {
        self.board.asked.lock().push(index);
        let turn = |speaker, text: String| Turn { speaker, text };
        Ok(Row {
            number: index as u64,
            line: index as u64 + 1,
            turns: vec![
                turn(Speaker::User, format!("question {index}")),
                turn(Speaker::Assistant, format!("answer {index}")),
            ],
            rejected: Vec::new(),
        })
    }

    fn quarantined_raw(&self, _record: &Quarantined) -> Result<Vec<u8>, String> {
        Err("there is none".to_owned())
    }
}

/// Undo and redo as the journal has them, in memory.
struct Log {
    board: Arc<Board>,
    now: BTreeMap<u64, Decision>,
    done: Vec<BTreeMap<u64, Decision>>,
    undone: Vec<BTreeMap<u64, Decision>>,
}

impl Log {
    fn enter(&self, what: String) -> Result<(), String> {
        let mut held = self.board.held.lock();
        while *held {
            self.board.released.wait(&mut held);
        }
        self.board.journal.lock().push(what);
        if self.board.broken.load(Ordering::Relaxed) { Err("the disk is full".to_owned()) } else { Ok(()) }
    }
}

impl DecisionLog for Log {
    fn decisions(&self) -> Decisions {
        Decisions(self.now.clone())
    }

    fn decide(&mut self, rows: &[(u64, RowId)], verdict: Option<Verdict>) -> Result<(), String> {
        let numbers: Vec<u64> = rows.iter().map(|(row, _)| *row).collect();
        self.enter(format!("{verdict:?} {numbers:?}"))?;
        self.done.push(self.now.clone());
        self.undone.clear();
        for (row, id) in rows {
            match verdict {
                Some(verdict) => {
                    let at = "2026-11-24T14:03:22Z".to_owned();
                    self.now.insert(*row, Decision { row: *row, id: id.clone(), verdict, note: None, at });
                }
                None => drop(self.now.remove(row)),
            }
        }
        Ok(())
    }

    fn undo(&mut self) -> Result<bool, String> {
        self.enter("undo".to_owned())?;
        let Some(before) = self.done.pop() else { return Ok(false) };
        self.undone.push(std::mem::replace(&mut self.now, before));
        Ok(true)
    }

    fn redo(&mut self) -> Result<bool, String> {
        self.enter("redo".to_owned())?;
        let Some(after) = self.undone.pop() else { return Ok(false) };
        self.done.push(std::mem::replace(&mut self.now, after));
        Ok(true)
    }

    fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    fn save_plan(&mut self, _plan: &Plan) -> Result<(), String> {
        Ok(())
    }
}

impl Backend for Fake {
    fn engine(&self) -> String {
        "none".to_owned()
    }

    fn adapters(&self) -> Vec<dipole::gpu::Adapter> {
        Vec::new()
    }

    fn open(&self, path: &Path, _mapping: Option<Mapping>, _progress: &dyn Progress) -> Result<Handle, String> {
        if path.ends_with("broken") {
            return Err("no record in it can be read".to_owned());
        }
        Ok(Arc::new(Source { path: path.to_owned(), rows: self.rows, board: self.board.clone() }))
    }

    fn project(&self, _custom: &Handle, _progress: &dyn Progress) -> Result<Box<dyn DecisionLog>, String> {
        Ok(Box::new(Log { board: self.board.clone(), now: BTreeMap::new(), done: Vec::new(), undone: Vec::new() }))
    }

    fn analyse(&self, _set: &Handle, progress: &dyn Progress) -> Result<Analysis, String> {
        while self.board.looking.load(Ordering::Relaxed) {
            progress.tick("comparing rows", 0, None);
            progress.check().map_err(|cancelled| cancelled.to_string())?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let spread = Spread::default();
        Ok(Analysis {
            exact: Default::default(),
            near: Default::default(),
            languages: Vec::new(),
            lengths: Lengths { tokens: spread, chars: spread, token_histogram: Vec::new() },
            near_group: Vec::new(),
            language: Vec::new(),
        })
    }

    fn overlap(&self, _: &Handle, _: &Handle, texts: bool, _: &dyn Progress) -> Result<Leakage, String> {
        let none = || texts.then(Overlap::default);
        Ok(Leakage { reference: String::new(), exact: Overlap::default(), near: none(), prompt: none() })
    }

    fn cache_size(&self) -> Result<Option<CacheSize>, String> {
        Ok(None)
    }

    fn clear_cache(&self) -> Result<(), String> {
        Err("there is no cache".to_owned())
    }

    fn last_plan(&self) -> Result<Option<Plan>, String> {
        Ok(None)
    }

    fn purify(&self, _sets: &OpenSets, plan: &Plan, observer: &dyn Observer) -> Result<Purified, String> {
        while self.board.calibrating.load(Ordering::Relaxed) {
            observer.tick("calibrating", 4, Some(10));
            observer.check().map_err(|cancelled| cancelled.to_string())?;
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.board.broken.load(Ordering::Relaxed) {
            return Err("the vectors are not finite".to_owned());
        }
        let lambda = plan.settings.lambda;
        let (pull, push): (Vec<f64>, Vec<f64>) = (0..self.rows).map(self.forces).unzip();
        let score: Vec<f64> =
            pull.iter().zip(&push).map(|(pull, push)| (1.0 - lambda) * pull - lambda * push).collect();
        let has_vectors = self.board.has_vectors.load(Ordering::Relaxed);
        let side = SideOutcome {
            epsilon: 0.1,
            median_cost: 1.0,
            row_potential: Vec::new(),
            column_potential: if has_vectors { vec![0.0; REFERENCES] } else { Vec::new() },
            cost: 0.0,
            marginal_error: 0.0,
        };
        let outcome = Outcome {
            weights: vec![1.0 / self.rows as f64; self.rows],
            score,
            pull,
            push,
            safe: side.clone(),
            harmful: side,
            tau: 1.0,
            effective_rows: self.rows as f64,
            divergence: 0.0,
            residual: 0.0,
            objective: 0.0,
            trace: Vec::new(),
            stop: Stop::Converged,
            iterations: 1,
            warnings: Vec::new(),
            kernel: "none".to_owned(),
            engine: "none".to_owned(),
            engine_reason: String::new(),
        };
        let fingerprint = dipole::embedding::Fingerprint {
            encoder: "none".to_owned(),
            hash: String::new(),
            details: Default::default(),
        };
        let timing = Timing::default();
        let vectors = Arc::new(if has_vectors { self.vectors() } else { std::array::from_fn(|_| Embeddings::empty()) });
        Ok(Purified {
            outcome,
            calibration: None,
            vectors,
            fingerprint,
            timing,
            cached: 0,
            computed: 0,
            truncated: [0; 3],
        })
    }

    fn rank(&self, outcome: &Outcome, _by: RankBy, _numbers: &[u64]) -> Result<Ranked, String> {
        let mut order: Vec<u32> = (0..self.rows as u32).collect();
        order.sort_by(|a, b| outcome.score[*b as usize].total_cmp(&outcome.score[*a as usize]));
        let mut ranks = vec![0; self.rows];
        order.iter().enumerate().for_each(|(place, row)| ranks[*row as usize] = place as u32 + 1);
        Ok(Ranked { ranks, order })
    }

    fn export(&self, _: &Path, _: &ExportRequest, _: &dyn Progress) -> Result<ExportReport, String> {
        Err("there is nothing to export".to_owned())
    }

    fn explain(&self, _: &OpenSets, _: &Arc<Purified>, _: u64, _: &dyn Progress) -> Result<Arc<dyn Explain>, String> {
        struct Nothing;
        impl Explain for Nothing {
            fn row(&self, row: u32) -> Result<RowReasons, String> {
                Err(format!("row {row} has no text"))
            }
        }
        Ok(Arc::new(Nothing))
    }

    fn health(
        &self,
        _: &OpenSets,
        _: &Plan,
        _: Option<Arc<[Embeddings; 3]>>,
        observer: &dyn Observer,
    ) -> Result<HealthReport, String> {
        self.board.think(observer)?;
        let finding = HealthFinding {
            kind: HealthKind::Overlap,
            severity: dipole::data::Severity::Warning,
            title: "The references overlap".to_owned(),
            text: "Half of both lie nearer to the other side.".to_owned(),
            way_out: "Take these rows out.".to_owned(),
            rows: Vec::new(),
            count: 3,
        };
        Ok(HealthReport { findings: vec![finding], figures: None })
    }

    fn compare(
        &self,
        _: &OpenSets,
        plan: &Plan,
        purified: &Purified,
        observer: &dyn Observer,
    ) -> Result<Beside, String> {
        self.board.think(observer)?;
        let of = |name, score| {
            let about = "One of the fakes.".to_owned();
            Contender { name, about, score, weights: None, keeps_all: false, seconds: 0.0 }
        };
        let score = purified.outcome.score.clone();
        let turned = score.iter().map(|score| -score).collect();
        let flat = vec![0.0; score.len()];
        let all = vec![of("this result", score), of("centroid", turned), of("sft", flat)];
        Beside::at(all, plan.selection.keep).map_err(|error| error.to_string())
    }

    fn past(&self, _: &Path, _: u64) -> Result<Vec<Past>, String> {
        Err("there is no journal on disk".to_owned())
    }

    fn sample(&self) -> Result<[PathBuf; 3], String> {
        Err("there is no sample".to_owned())
    }
}
