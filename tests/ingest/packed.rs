//! Gzip and zstd around every container, and what is wrong with packed files.

use std::io::Write;

use dipole::data::{Compression, Container, DataError, Dataset, FindingKind, OpenOptions};
use dipole::jobs::Silent;

use super::{file, open};

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

pub fn zstd(content: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(content, 3).expect("memory")
}

/// The same three rows in every container.
fn containers() -> Vec<(&'static str, Container, Vec<u8>)> {
    let rows = [("Say hello", "Hello!"), ("Größe?", "12 cm, \"ungefähr\""), ("x", "line\nbreak")];
    let objects: Vec<String> = rows
        .iter()
        .map(|(prompt, answer)| serde_json::json!({ "prompt": prompt, "completion": answer }).to_string())
        .collect();
    let table = |delimiter: u8| {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(["prompt", "completion"]).expect("memory");
        rows.iter().for_each(|(prompt, answer)| writer.write_record([prompt, answer]).expect("memory"));
        writer.into_inner().expect("memory")
    };
    vec![
        ("rows.jsonl", Container::Jsonl, objects.join("\n").into_bytes()),
        ("rows.json", Container::Json, format!("[{}]", objects.join(",\n")).into_bytes()),
        ("rows.csv", Container::Csv, table(b',')),
        ("rows.tsv", Container::Tsv, table(b'\t')),
        ("rows.parquet", Container::Parquet, super::parquet::prompts(&rows)),
    ]
}

#[test]
fn every_container_is_read_packed_as_it_is_unpacked() {
    for (name, container, content) in containers() {
        let plain = open(&file(name, &content));
        assert_eq!((plain.len(), plain.format().container), (3, container), "{name}");
        assert_eq!(plain.format().compression, Compression::None);
        for (packed, compression) in [(gzip(&content), Compression::Gzip), (zstd(&content), Compression::Zstd)] {
            // The name says nothing of the packing.
            let dataset = open(&file(name, packed));
            assert_eq!((dataset.format().container, dataset.format().compression), (container, compression));
            assert_eq!((dataset.stats(), dataset.findings()), (plain.stats(), plain.findings()), "{name}");
            for row in 0..3 {
                assert_eq!(dataset.row(row).expect("row"), plain.row(row).expect("row"), "{name}");
                assert_eq!(dataset.id(row), plain.id(row));
            }
        }
    }
}

#[test]
fn members_are_one_stream_and_what_follows_them_is_told() {
    let line = |row: usize| format!("{{\"text\":\"row {row}\"}}\n");
    let members: Vec<u8> = (0..50).flat_map(|row| gzip(line(row).as_bytes())).collect();
    assert_eq!(open(&file("rows.jsonl.gz", &members)).len(), 50);
    let frames: Vec<u8> = (0..50).flat_map(|row| zstd(line(row).as_bytes())).collect();
    assert_eq!(open(&file("rows.jsonl.zst", &frames)).len(), 50);
    // A record may go over the border of two members.
    let halves = [gzip(b"{\"text\":\"one "), gzip(b"and two\"}\n")].concat();
    assert_eq!(open(&file("rows.gz", halves)).row(0).expect("row").text(), "one and two");
    let garbage = [gzip(line(0).as_bytes()), b"garbage behind the end".to_vec()].concat();
    let dataset = open(&file("rows.gz", garbage));
    assert_eq!(dataset.len(), 1);
    assert_eq!(dataset.findings()[0].kind, FindingKind::DecompressionFailed);
}

#[test]
fn a_cut_off_stream_keeps_what_came_before() {
    let text: String = (0..60_000_u64)
        .map(|row| format!("{{\"text\":\"row {row} {:x}\"}}\n", row.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .collect();
    for packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        let half = packed.get(..packed.len() / 2).expect("half");
        let dataset = open(&file("rows.jsonl.gz", half));
        let stats = dataset.stats();
        assert!(stats.rows > 10_000 && stats.rows < 60_000, "{stats:?}");
        assert_eq!(stats.rows + stats.quarantined, stats.records);
        let finding = dataset.findings().into_iter().next().expect("a finding");
        assert_eq!(finding.kind, FindingKind::DecompressionFailed);
        assert!(finding.message.contains("fetch it again"), "{}", finding.message);
        assert_eq!(dataset.row(100).expect("row").number, 100);
    }
}

#[test]
fn damage_anywhere_is_a_finding_or_an_error() {
    let text: String = (0..300).map(|row| format!("{{\"text\":\"row {row}\"}}\n")).collect();
    for packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            let scratch = file("rows.jsonl", &damaged);
            match Dataset::open(&scratch.path, &OpenOptions::default(), &Silent) {
                Ok(dataset) => assert_eq!(dataset.stats().records, dataset.stats().rows + dataset.stats().quarantined),
                Err(error) => assert!(error.to_string().contains("rows.jsonl"), "{error}"),
            }
        }
        for length in 0..packed.len() {
            let scratch = file("rows.jsonl", packed.get(..length).expect("a part"));
            if let Ok(dataset) = Dataset::open(&scratch.path, &OpenOptions::default(), &Silent) {
                // zstd ends with its frame, gzip with its checksum: a shorter file is never silently whole.
                assert!(!dataset.findings().is_empty(), "{length} of {} bytes", packed.len());
            }
        }
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let mut bomb = b"{\"text\":\"".to_vec();
    bomb.resize(40_000_000, b'a');
    let options = OpenOptions { max_spool_bytes: 1_000_000, ..OpenOptions::default() };
    for packed in [gzip(&bomb), zstd(&bomb)] {
        assert!(packed.len() < 100_000);
        let scratch = file("rows.jsonl.gz", packed);
        match Dataset::open(&scratch.path, &options, &Silent) {
            Err(DataError::Io { path, source }) => {
                assert_eq!(path, scratch.path);
                assert!(source.to_string().contains("limit of 1000000 bytes"), "{source}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Lines that could be read do not make it a whole file.
    let many = gzip("{\"text\":\"abc\"}\n".repeat(400_000).as_bytes());
    let scratch = file("rows.jsonl.gz", many);
    assert!(matches!(Dataset::open(&scratch.path, &options, &Silent), Err(DataError::Io { .. })));
}

#[test]
fn packing_inside_packing_is_named() {
    let inner = gzip(b"{\"text\":\"a\"}\n");
    for packed in [gzip(&inner), zstd(&inner), gzip(&zstd(b"{\"text\":\"a\"}\n"))] {
        let scratch = file("rows.jsonl.gz", packed);
        let error = Dataset::open(&scratch.path, &OpenOptions::default(), &Silent).expect_err("twice").to_string();
        assert!(error.contains("packed twice"), "{error}");
    }
}

#[test]
fn a_spool_folder_that_is_not_there_is_named() {
    let scratch = file("rows.jsonl.gz", gzip(b"{\"text\":\"a\"}\n"));
    let missing = scratch.folder.path().join("missing");
    let options = OpenOptions { spool_dir: Some(missing.clone()), ..OpenOptions::default() };
    let error = Dataset::open(&scratch.path, &options, &Silent).expect_err("no folder").to_string();
    assert!(error.contains(&missing.display().to_string()), "{error}");
}

#[test]
fn unpacking_a_packed_parquet_file_is_told_and_can_be_stopped() {
    #[derive(Default)]
    struct Stops {
        stages: std::sync::Mutex<Vec<String>>,
        stopped: bool,
    }
    impl dipole::jobs::Progress for Stops {
        fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
            assert!(total.is_some_and(|total| done <= total));
            self.stages.lock().expect("unpoisoned").push(stage.to_owned());
        }

        fn is_cancelled(&self) -> bool {
            self.stopped
        }
    }

    let scratch = file("rows.gz", gzip(&super::parquet::prompts(&[("Say hello", "Hello!")])));
    let listens = Stops::default();
    let dataset = Dataset::begin_watched(&scratch.path, &OpenOptions::default(), &listens).expect("opens");
    assert_eq!(dataset.format().container, Container::Parquet);
    assert_eq!(*listens.stages.lock().expect("unpoisoned"), ["unpacking rows.gz"]);
    let stops = Stops { stopped: true, ..Stops::default() };
    let result = Dataset::begin_watched(&scratch.path, &OpenOptions::default(), &stops);
    assert!(matches!(result, Err(DataError::Cancelled(_))), "{result:?}");
}
