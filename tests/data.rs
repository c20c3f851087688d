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

use dipole::data::{DataError, Dataset, Finding, FindingKind, OpenOptions, Quarantined, fuzzing};
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
        Err(error) => {
            same_as_fuzzed(scratch, options, None, Some(&error));
            return (None, Err(error));
        }
    };
    let result = dataset.index(&Silent);
    same_as_fuzzed(scratch, options, Some(&dataset), result.as_ref().err());
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

/// The reading that the fuzz targets drive finds the same.
fn same_as_fuzzed(scratch: &Scratch, options: &OpenOptions, opened: Option<&Dataset>, error: Option<&DataError>) {
    let content = match std::fs::read(&scratch.path) {
        Ok(content) if content.len() < 16 << 20 => content,
        _ => return,
    };
    let (fuzzed, result) = fuzzing::read(&content, options);
    let unnamed = |error: &DataError, path: &str| error.to_string().replace(path, "");
    let path = scratch.path.display().to_string();
    assert_eq!(result.as_ref().err().map(|e| unnamed(e, fuzzing::NAME)), error.map(|e| unnamed(e, &path)));
    assert_eq!(fuzzed.is_some(), opened.is_some());
    let Some((fuzzed, opened)) = fuzzed.as_ref().zip(opened) else { return };
    assert_eq!(fuzzed.format(), opened.format());
    assert_eq!((fuzzed.mapping(), fuzzed.header()), (opened.mapping(), opened.header()));
    assert_eq!((fuzzed.stats(), fuzzed.findings()), (opened.stats(), opened.findings()));
    assert_eq!(fuzzed.quarantine(), opened.quarantine());
    for index in 0..opened.len() {
        assert_eq!((fuzzed.id(index), fuzzed.line(index)), (opened.id(index), opened.line(index)));
        assert_eq!(fuzzed.row(index).expect("a row"), opened.row(index).expect("a row"));
    }
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
