//! Rows a second of the sentence encoder.
//!
//! `cargo bench --bench sentence -- MODEL TEXTS [THREADS] [ROUNDS]`, where TEXTS is a JSON list of strings. Prints
//! one JSON object a round; reading the model is part of the time. `benches/peers/sentence.py` runs it turn by turn
//! with the sentence-transformers package on the same texts.

use std::process::ExitCode;
use std::time::Instant;

use dipole::embedding::{EmbedSettings, EncoderChoice, Views, embed};
use dipole::jobs::Silent;

// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, texts, rest @ ..] = arguments.as_slice() else {
        println!("skipped: give MODEL TEXTS [THREADS] [ROUNDS]");
        return ExitCode::SUCCESS;
    };
    let number = |at: usize, usual: usize| rest.get(at).map_or(usual, |text| text.parse().expect("a number"));
    let texts: Vec<String> =
        serde_json::from_slice(&std::fs::read(texts).expect("reads the texts")).expect("a JSON list of strings");
    let settings = EmbedSettings {
        encoder: EncoderChoice::Sentence(model.into()),
        views: Some(Views::Row),
        cache_dir: None,
        threads: number(0, 2),
        seed: 0,
    };
    for _ in 0..number(1, 1) {
        let began = Instant::now();
        let embedded = embed(&[&texts], &settings, &Silent).expect("embeds");
        let seconds = began.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({ "rows": embedded.computed, "seconds": seconds }));
    }
    ExitCode::SUCCESS
}
