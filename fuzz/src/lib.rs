//! What the targets share: inputs as files, edits of a good file, and the checks.

use std::cell::RefCell;
use std::path::PathBuf;

use dipole::data::{Container, DataError, Dataset, OpenOptions, WeightedRow, fuzzing, write_quarantine, write_rows};
use dipole::jobs::Silent;

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// The path of a file in a folder of this process' own.
pub fn path(name: &str) -> PathBuf {
    FOLDER.with_borrow_mut(|folder| {
        folder.get_or_insert_with(|| tempfile::tempdir_in(memory()).expect("a temporary folder")).path().join(name)
    })
}

/// `content` as a file.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = path(name);
    std::fs::write(&path, content).expect("writes");
    path
}

/// `good` with bytes changed, inserted or cut as `edits` says: 4 bytes an edit.
pub fn edited(good: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut content = good.to_vec();
    for edit in edits.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (content.len() + 1);
        match edit[2] % 8 {
            0 => content.insert(at, edit[3]),
            1 => content.truncate(at.max(1)),
            2 if at < content.len() => drop(content.remove(at)),
            _ if at < content.len() => content[at] = edit[3],
            _ => content.push(edit[3]),
        }
    }
    content
}

/// Reads `content` as a data file and checks what must hold.
pub fn check(content: &[u8]) {
    check_with(content, &OpenOptions::default());
}

pub fn check_with(content: &[u8], options: &OpenOptions) {
    // The calling thread is the whole pool: waking another one for every input would take most of the time.
    static POOL: std::sync::Once = std::sync::Once::new();
    POOL.call_once(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        pool.build_global().expect("the first pool of this process");
    });
    let (max_spool_bytes, max_record_bytes) = (1 << 22, 1 << 16);
    let options = OpenOptions { max_spool_bytes, max_record_bytes, spool_dir: Some(memory()), ..options.clone() };
    let (dataset, result) = fuzzing::read(content, &options);
    if let Err(error) = &result {
        told(error, fuzzing::NAME);
    }
    let Some(dataset) = dataset else {
        assert!(result.is_err());
        return;
    };
    check_read(&dataset);
    // Writing makes files, which costs more than reading: some inputs will do.
    let sum = content.iter().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    if sum.is_multiple_of(16) && !dataset.is_empty() {
        check_written(content, &options);
    }
}

fn check_read(dataset: &Dataset) {
    let stats = dataset.stats();
    let quarantine = dataset.quarantine();
    assert_eq!(stats.rows + stats.quarantined, stats.records);
    assert_eq!((dataset.len(), quarantine.len()), (stats.rows as usize, stats.quarantined as usize));
    assert!(dataset.findings().iter().all(|finding| !finding.message.is_empty()));
    for index in 0..dataset.len() {
        let row = dataset.row(index).expect("an indexed row can be read");
        assert_eq!(dataset.chars(index), Some(row.text().chars().count() as u32));
        let record = dataset.record_json(index).expect("an indexed record can be read");
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&record)
            .map(drop)
            .or_else(
                |error| if error.is_data() || error.to_string().contains("out of range") { Ok(()) } else { Err(error) },
            )
            .expect("a record is a JSON object");
    }
    for record in &quarantine {
        assert!(!record.reason.is_empty());
        let raw = dataset.quarantined_raw(record).expect("a quarantined record can be read");
        assert_eq!(raw.len() as u64, record.bytes.min(1 << 20));
    }
}

/// As users do it: a file with a name, opened and written again.
fn check_written(content: &[u8], options: &OpenOptions) {
    let path = file("input", content);
    let dataset = Dataset::open(&path, options, &Silent).expect("usable as before");
    let rows: Vec<WeightedRow> = (0..dataset.len()).map(|index| WeightedRow { index, weight: 0.5 }).collect();
    let out = self::path("out");
    write_rows(&dataset, &rows, Container::Jsonl, &out, &Silent).expect("rows can be written as JSON lines");
    let own = dataset.format().container;
    // Damage behind the readable rows of a Parquet file is met again when it is written.
    match write_rows(&dataset, &rows, own, &out, &Silent) {
        Err(error) if own == Container::Parquet => told(&error, "input"),
        result => result.expect("rows can be written to their own container"),
    }
    write_quarantine(&dataset, &out, &Silent).expect("the quarantine can be written");
}

/// An error names the file and is no failure of ours.
fn told(error: &DataError, name: &str) {
    let text = error.to_string();
    assert!(text.contains(name) || text.contains("out"), "{text}");
    assert!(!text.contains("please report"), "{text}");
}

/// A folder in memory where there is one.
fn memory() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}
