//! Embedding: every encoder against a slow oracle, the cache against crashes, and bad files against a named error.

#[path = "embedding/cache.rs"]
mod cache;
#[path = "embedding/folders.rs"]
mod folders;
#[path = "embedding/language.rs"]
mod language;
#[path = "embedding/lexical.rs"]
mod lexical;
#[path = "embedding/minilm.rs"]
mod minilm;
#[path = "embedding/precomputed.rs"]
mod precomputed;
#[path = "embedding/projection.rs"]
mod projection;
#[path = "embedding/sentence.rs"]
mod sentence;
#[path = "embedding/views.rs"]
mod views;

use std::path::{Path, PathBuf};

use dipole::embedding::{EmbedSettings, Embedded, EmbeddingError, Embeddings, EncoderChoice, Texts, Views, embed};
use dipole::jobs::Silent;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// No cache, two threads, the view of the row alone.
pub fn settings(encoder: EncoderChoice) -> EmbedSettings {
    EmbedSettings { encoder, views: Some(Views::Row), cache_dir: None, threads: 2, seed: 0 }
}

pub fn run(sets: &[&dyn Texts], settings: &EmbedSettings) -> Embedded {
    embed(sets, settings, &Silent).expect("embeds")
}

/// The message of the error that `embed` must give.
pub fn refused(sets: &[&dyn Texts], settings: &EmbedSettings) -> String {
    let error: EmbeddingError = embed(sets, settings, &Silent).expect_err("must be refused");
    error.to_string()
}

pub fn texts(of: &[&str]) -> Vec<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

/// `count` different texts of up to `words` words, the same every time.
pub fn corpus(count: usize, words: usize) -> Vec<String> {
    const WORDS: [&str; 48] = [
        "egg", "boil", "water", "the", "a", "how", "do", "I", "quick", "brown", "fox", "jumps", "over", "lazy", "dog",
        "put", "it", "into", "for", "seven", "minutes", "letter", "write", "to", "my", "landlord", "about", "heating",
        "sum", "column", "sheet", "formula", "plant", "tomato", "sun", "bread", "dough", "rise", "train", "ticket",
        "refund", "polite", "sleep", "better", "coffee", "garden", "winter", "school",
    ];
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..count)
        .map(|_| {
            // Words of a text come from one stretch of the list, so that texts have topics.
            let (topic, length) = (random(WORDS.len()), 1 + random(words));
            (0..length).map(|_| WORDS[(topic + random(14)) % WORDS.len()]).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

pub fn bits(matrix: &Embeddings) -> Vec<u32> {
    matrix.data().iter().map(|x| x.to_bits()).collect()
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

pub fn assert_unit(row: &[f32]) {
    let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    assert!((norm - 1.0).abs() < 1e-5, "length {norm}");
}
