//! An opened file as the window and the pipeline use it: growing, cancelled, changed under us.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use dipole::data::{DataError, Dataset, OpenOptions};
use dipole::jobs::{Progress, Silent};

use super::{file, usable};

fn many(rows: usize) -> String {
    (0..rows).map(|row| format!("{{\"text\":\"row number {row} {}\"}}\n", "x".repeat(80))).collect()
}

/// Looks at the data set at every tick; stops at the tick named.
struct Watcher<'a> {
    dataset: &'a Dataset,
    ticks: AtomicU64,
    seen: AtomicU64,
    stop_at: u64,
}

impl Progress for Watcher<'_> {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        assert!(stage.contains("rows.jsonl") && done <= total.expect("a total"));
        let rows = self.dataset.len();
        if rows > 0 && !self.dataset.is_complete() {
            self.seen.store(rows as u64, Ordering::Relaxed);
            assert!(self.dataset.row(rows - 1).expect("a row").text().contains(&format!("number {}", rows - 1)));
        }
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.ticks.load(Ordering::Relaxed) >= self.stop_at
    }
}

#[test]
fn rows_are_there_while_the_rest_is_still_read() {
    let scratch = file("rows.jsonl", many(150_000));
    let dataset = Dataset::begin(&scratch.path, &OpenOptions::default()).expect("opens");
    assert_eq!((dataset.len(), dataset.is_complete()), (0, false));
    let watcher = Watcher { dataset: &dataset, ticks: AtomicU64::new(0), seen: AtomicU64::new(0), stop_at: u64::MAX };
    dataset.index(&watcher).expect("reads");
    assert!(watcher.seen.load(Ordering::Relaxed) > 0, "rows were visible before the end");
    assert_eq!((dataset.len(), dataset.is_complete()), (150_000, true));
    dataset.index(&Silent).expect("a second call does nothing");
    assert_eq!(dataset.len(), 150_000);
    assert_eq!(dataset.file_bytes(), std::fs::metadata(&scratch.path).expect("metadata").len());
    let expected = *blake3::hash(&std::fs::read(&scratch.path).expect("reads")).as_bytes();
    assert_eq!(dataset.file_hash(&Silent).expect("hashes"), expected);
}

#[test]
fn reading_stops_when_the_user_asks() {
    let scratch = file("rows.jsonl", many(150_000));
    let dataset = Dataset::begin(&scratch.path, &OpenOptions::default()).expect("opens");
    let watcher = Watcher { dataset: &dataset, ticks: AtomicU64::new(0), seen: AtomicU64::new(0), stop_at: 2 };
    assert!(matches!(dataset.index(&watcher), Err(DataError::Cancelled(_))));
    assert!(!dataset.is_complete() && dataset.len() < 150_000);
    assert!(dataset.index(&Silent).expect_err("was stopped").to_string().contains("open it again"));
}

#[test]
fn a_file_that_changes_is_noticed() {
    let scratch = file("rows.jsonl", many(10));
    let dataset = usable(&scratch);
    let copy = dataset.clone();
    std::fs::OpenOptions::new().append(true).open(&scratch.path).expect("opens").write_all(b"{}\n").expect("writes");
    assert!(matches!(copy.row(3), Err(DataError::Changed { .. })));
    assert!(matches!(copy.record_json(3), Err(DataError::Changed { .. })));
    assert!(matches!(copy.file_hash(&Silent), Err(DataError::Changed { .. })));

    let scratch = file("rows.jsonl", many(10));
    let dataset = usable(&scratch);
    let file = std::fs::OpenOptions::new().write(true).open(&scratch.path).expect("opens");
    file.set_len(20).expect("truncates");
    assert!(matches!(dataset.row(9), Err(DataError::Changed { .. })));
}

/// Does something to the file at the first sign of rows.
struct Meddler<'a> {
    path: &'a std::path::Path,
    change: fn(&std::path::Path),
    done: AtomicU64,
}

impl Progress for Meddler<'_> {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {
        if self.done.fetch_add(1, Ordering::Relaxed) == 1 {
            (self.change)(self.path);
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_never_half_trusted() {
    let shrink = |path: &std::path::Path| {
        std::fs::OpenOptions::new().write(true).open(path).expect("opens").set_len(1_000_000).expect("truncates");
    };
    let grow = |path: &std::path::Path| {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("opens");
        file.write_all(b"{\"text\":\"late\"}\n").expect("writes");
    };
    for change in [shrink as fn(&std::path::Path), grow] {
        let scratch = file("rows.jsonl", many(300_000));
        let dataset = Dataset::begin(&scratch.path, &OpenOptions::default()).expect("opens");
        let meddler = Meddler { path: &scratch.path, change, done: AtomicU64::new(0) };
        assert!(matches!(dataset.index(&meddler), Err(DataError::Changed { .. })));
        assert!(!dataset.is_complete());
        assert!(matches!(dataset.row(0), Err(DataError::Changed { .. })));
    }
    // A new file under the same name is another file: the old one is read to its end.
    let scratch = file("rows.jsonl", many(100_000));
    let dataset = Dataset::begin(&scratch.path, &OpenOptions::default()).expect("opens");
    let replace = |path: &std::path::Path| {
        std::fs::remove_file(path).expect("removes");
        std::fs::write(path, "{\"text\":\"new\"}\n").expect("writes");
    };
    let meddler = Meddler { path: &scratch.path, change: replace, done: AtomicU64::new(0) };
    dataset.index(&meddler).expect("the open file is whole");
    assert_eq!(dataset.len(), 100_000);
}

#[test]
fn a_row_that_is_not_there_is_an_error() {
    let dataset = usable(&file("rows.jsonl", many(3)));
    assert!(matches!(dataset.row(3), Err(DataError::Row { row: 3, .. })));
    assert_eq!((dataset.id(3), dataset.number(usize::MAX), dataset.tokens(3)), (None, None, None));
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let scratch = file("rows.jsonl", many(20_000).replacen("{\"text\"", "{\"txet\"", 7));
    let read = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let dataset = pool.install(|| usable(&scratch));
        let ids: Vec<_> = (0..dataset.len()).map(|index| (dataset.id(index), dataset.line(index))).collect();
        (ids, dataset.stats(), dataset.findings(), dataset.quarantine())
    };
    assert_eq!(read(1), read(4));
}
