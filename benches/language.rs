//! Tokens a second of a training step, and rows a second of embedding, of a language model.
//!
//! `cargo bench --bench language -- train MODEL ROWS.json [--threads N] [--steps N] [--targets a,b] [--keep] [--precision P]`
//! `cargo bench --bench language -- embed MODEL TEXTS.json [--threads N]`
//!
//! ROWS is a list of lists of token numbers, of which each step takes all; TEXTS a list of strings. Prints one JSON
//! object. `benches/peers/language.py` makes both and runs torch, transformers and peft on the same, turn by turn.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::Device;
use dipole::embedding::{EmbedSettings, EncoderChoice, Views, embed};
use dipole::jobs::Silent;
use dipole::model::{Decoder, Precision};
use dipole::training::{Control, Prepared, TrainEvent, TrainRow, TrainSettings, Trainer};
use serde_json::json;

// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [verb, model, data, rest @ ..] = arguments.as_slice() else {
        println!("skipped: give train|embed MODEL DATA.json");
        return ExitCode::SUCCESS;
    };
    let option = |name: &str| {
        let at = rest.iter().position(|argument| argument == name)?;
        rest.get(at + 1).cloned()
    };
    let number = |name: &str, usual: u64| option(name).map_or(usual, |text| text.parse().expect("a number"));
    let bytes = std::fs::read(data).expect("reads the data");
    let threads = number("--threads", 2) as usize;
    let told = if verb == "train" {
        let settings = TrainSettings {
            targets: option("--targets").map_or_else(
                || TrainSettings::default().targets,
                |list| list.split(',').map(|name| name.parse().expect("a linear map")).collect(),
            ),
            steps: Some(number("--steps", 5)),
            recompute: !rest.iter().any(|argument| argument == "--keep"),
            precision: option("--precision").map_or(Precision::F32, |name| name.parse().expect("a precision")),
            checkpoint_every: 1_000_000,
            ..TrainSettings::default()
        };
        train(model.as_ref(), &serde_json::from_slice::<Vec<Vec<u32>>>(&bytes).expect("lists"), settings, threads)
    } else {
        let texts: Vec<String> = serde_json::from_slice(&bytes).expect("a list of strings");
        let settings = EmbedSettings {
            encoder: EncoderChoice::Sentence(model.into()),
            views: Some(Views::Row),
            cache_dir: None,
            threads,
            seed: 0,
        };
        // Opening the model is not measured: one text alone first.
        let once = |texts: &Vec<String>| {
            let began = Instant::now();
            let embedded = embed(&[texts], &settings, &Silent).expect("embeds");
            (began.elapsed().as_secs_f64(), embedded.computed)
        };
        let (opening, _) = once(&texts.iter().take(1).cloned().collect());
        let (seconds, rows) = once(&texts);
        json!({ "rows": rows, "rate": (rows - 1) as f64 / (seconds - opening) })
    };
    println!("{told}");
    ExitCode::SUCCESS
}

fn train(model: &Path, rows: &[Vec<u32>], settings: TrainSettings, threads: usize) -> serde_json::Value {
    let settings = TrainSettings { batch_rows: rows.len(), ..settings };
    let decoder = Decoder::open(model, settings.precision, &Device::Cpu, &Silent).expect("a model");
    let row = |(index, tokens): (usize, &Vec<u32>)| TrainRow {
        index,
        tokens: tokens.clone(),
        supervised: vec![true; tokens.len()],
        weight: 1.0,
    };
    let prepared = Prepared { rows: rows.iter().enumerate().map(row).collect(), ..Prepared::default() };
    let out = tempfile::tempdir().expect("a folder");
    let trainer = Trainer::new(&decoder, &settings, prepared, out.path(), threads).expect("a trainer");
    let (mut rates, mut losses) = (Vec::new(), Vec::new());
    let mut listener = |event: &TrainEvent| {
        if let TrainEvent::Step(report) = event {
            rates.push(report.tokens_per_second);
            losses.push(report.loss);
        }
    };
    trainer.run(false, &Control::default(), &mut listener, &Silent).expect("trains");
    // The first step warms the caches.
    let mut rates = rates.split_off(1.min(rates.len().saturating_sub(1)));
    rates.sort_by(f64::total_cmp);
    json!({ "rate": rates[rates.len() / 2], "losses": losses })
}
