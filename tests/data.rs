//! Reading data files: what a file holds is found, and whatever is in it, no record is lost and nothing panics.

#[path = "data/dataset.rs"]
mod dataset;
#[path = "data/hostile.rs"]
mod hostile;
#[path = "data/layouts.rs"]
mod layouts;
#[path = "data/oracle.rs"]
mod oracle;

use std::path::PathBuf;

use dipole::data::{DataError, Dataset, Finding, FindingKind, OpenOptions, Quarantined};
use dipole::jobs::Silent;

/// A file of the test's own that is gone after it.
pub struct Scratch {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

pub fn file(name: &str, content: impl AsRef<[u8]>) -> Scratch {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("writes");
    Scratch { _folder: folder, path }
}

/// Opens, indexes, and checks what must hold of every file: each record is exactly one row or quarantined, rows can
/// be read, and the quarantine shows the file's own bytes.
pub fn read_with(scratch: &Scratch, options: &OpenOptions) -> (Option<Dataset>, Result<(), DataError>) {
    let dataset = match Dataset::begin(&scratch.path, options) {
        Ok(dataset) => dataset,
        Err(error) => return (None, Err(error)),
    };
    let result = dataset.index(&Silent);
    let stats = dataset.stats();
    let quarantine = dataset.quarantine();
    assert_eq!(stats.rows + stats.quarantined, stats.records);
    assert_eq!((stats.rows, stats.quarantined), (dataset.len() as u64, quarantine.len() as u64));
    let mut numbers: Vec<u64> = (0..dataset.len()).filter_map(|index| dataset.number(index)).collect();
    assert!(numbers.is_sorted());
    numbers.extend(quarantine.iter().map(|record| record.row));
    numbers.sort_unstable();
    assert_eq!(numbers, (0..stats.records).collect::<Vec<_>>());
    for index in 0..dataset.len() {
        let row = dataset.row(index).expect("an indexed row can be read");
        assert_eq!(Some(row.text().chars().count() as u32), dataset.chars(index));
        let record = dataset.record_json(index).expect("an indexed record can be read");
        serde_json::from_slice::<std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>>(&record)
            .expect("a record is a JSON object");
    }
    for record in &quarantine {
        assert!(!record.reason.is_empty());
        let raw = dataset.quarantined_raw(record).expect("a quarantined record can be read");
        assert_eq!(raw.len() as u64, record.bytes.min(1 << 20));
        assert_eq!(record.hash.is_some(), record.bytes > 1 << 20);
    }
    let ids: std::collections::HashSet<_> = (0..dataset.len()).filter_map(|index| dataset.id(index)).collect();
    assert_eq!(ids.len(), dataset.len());
    (Some(dataset), result)
}

pub fn read(scratch: &Scratch) -> (Option<Dataset>, Result<(), DataError>) {
    read_with(scratch, &OpenOptions::default())
}

/// A file that must be usable.
pub fn usable(scratch: &Scratch) -> Dataset {
    let (dataset, result) = read(scratch);
    result.expect("usable");
    dataset.expect("opened")
}

/// A file of which nothing can be used: the reason, and the data set if it could be opened.
pub fn unusable(scratch: &Scratch) -> (String, Option<Dataset>) {
    let (dataset, result) = read(scratch);
    (result.expect_err("unusable").to_string(), dataset)
}

pub fn kinds(dataset: &Dataset) -> Vec<FindingKind> {
    dataset.findings().into_iter().map(|finding: Finding| finding.kind).collect()
}

pub fn aside(dataset: &Dataset) -> Vec<(u64, FindingKind, Option<String>)> {
    dataset.quarantine().into_iter().map(|record: Quarantined| (record.row, record.kind, record.field)).collect()
}
