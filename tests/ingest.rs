//! From a file to rows and back: duplicates against a slow oracle, packed input, and writers that change nothing.

#[path = "ingest/duplicates.rs"]
mod duplicates;
#[path = "ingest/leakage.rs"]
mod leakage;
#[path = "ingest/packed.rs"]
mod packed;
#[path = "ingest/parquet.rs"]
mod parquet;
#[path = "ingest/round_trip.rs"]
mod round_trip;

use std::path::PathBuf;

use dipole::data::{Dataset, OpenOptions, WeightedRow, fuzzing};
use dipole::jobs::Silent;

/// A file of the test's own that is gone after it.
pub struct Scratch {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
}

pub fn file(name: &str, content: impl AsRef<[u8]>) -> Scratch {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("writes");
    Scratch { folder, path }
}

pub fn open(scratch: &Scratch) -> Dataset {
    let dataset = Dataset::open(&scratch.path, &OpenOptions::default(), &Silent).expect("usable");
    same_as_fuzzed(scratch, &dataset);
    dataset
}

/// The reading that the fuzz targets drive finds the same, packed and columnar files included.
fn same_as_fuzzed(scratch: &Scratch, opened: &Dataset) {
    let content = std::fs::read(&scratch.path).expect("reads");
    let (fuzzed, result) = fuzzing::read(&content, &OpenOptions::default());
    result.expect("usable too");
    let fuzzed = fuzzed.expect("opened too");
    assert_eq!(
        (fuzzed.format(), fuzzed.mapping(), fuzzed.header()),
        (opened.format(), opened.mapping(), opened.header())
    );
    assert_eq!((fuzzed.stats(), fuzzed.findings()), (opened.stats(), opened.findings()));
    assert_eq!(fuzzed.quarantine(), opened.quarantine());
    for index in 0..opened.len().min(200) {
        assert_eq!((fuzzed.id(index), fuzzed.line(index)), (opened.id(index), opened.line(index)));
        assert_eq!(fuzzed.row(index).expect("a row"), opened.row(index).expect("a row"));
    }
}

/// Every row of a data set, with weights 0.5, 1.5, 2.5, …
pub fn all_rows(dataset: &Dataset) -> Vec<WeightedRow> {
    (0..dataset.len()).map(|index| WeightedRow { index, weight: index as f64 + 0.5 }).collect()
}
