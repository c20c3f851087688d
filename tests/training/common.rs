//! A tiny chat model, rows with weights, and short runs.

use std::path::{Path, PathBuf};

use candle_core::Device;
use dipole::data::{Dataset, OpenOptions};
use dipole::jobs::Silent;
use dipole::model::{ChatTokenizer, Decoder, Module, Precision};
use dipole::training::{
    Control, Outcome, Prepared, StepReport, TrainError, TrainEvent, TrainSettings, Trainer, prepare,
};
use serde_json::json;

pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model")
}

pub fn decoder() -> Decoder {
    Decoder::open(&model(), Precision::F32, &Device::Cpu, &Silent).expect("the fixture")
}

/// Rows of different lengths with the given weights.
pub fn rows(folder: &Path, weights: &[f64]) -> PathBuf {
    let path = folder.join("rows.jsonl");
    let line = |(number, weight): (usize, &f64)| {
        let answer = format!("boil {} eggs in water{}", number % 7, " and wait".repeat(number % 5));
        json!({
            "messages": [
                { "role": "user", "content": format!("How to cook {number}?") },
                { "role": "assistant", "content": answer },
            ],
            "weight": weight,
        })
        .to_string()
    };
    let text: Vec<String> = weights.iter().enumerate().map(line).collect();
    std::fs::write(&path, text.join("\n") + "\n").expect("writes");
    path
}

pub fn prepared(decoder: &Decoder, path: &Path, settings: &TrainSettings) -> Result<Prepared, TrainError> {
    let tokenizer = ChatTokenizer::open(&model(), decoder.spec()).expect("a tokenizer");
    let data = Dataset::open(path, &OpenOptions::default(), &Silent).expect("rows");
    prepare(&data, &tokenizer, settings, &Silent)
}

pub fn settings() -> TrainSettings {
    TrainSettings {
        rank: 4,
        targets: vec![Module::Query, Module::Value, Module::Down],
        batch_rows: 4,
        micro_tokens: 64,
        steps: Some(6),
        learning_rate: 5e-3,
        ..TrainSettings::default()
    }
}

pub struct Run {
    pub outcome: Outcome,
    pub events: Vec<TrainEvent>,
}

impl Run {
    pub fn steps(&self) -> Vec<&StepReport> {
        let mut steps = Vec::new();
        for event in &self.events {
            if let TrainEvent::Step(report) = event {
                steps.push(report);
            }
        }
        steps
    }

    pub fn adapter(&self) -> Vec<u8> {
        std::fs::read(self.outcome.adapter.join("adapter_model.safetensors")).expect("an adapter")
    }
}

/// Trains on `path`; `on_event` may steer.
pub fn train(
    path: &Path,
    settings: &TrainSettings,
    out: &Path,
    threads: usize,
    resume: bool,
    control: &Control,
    on_event: impl Fn(&TrainEvent),
) -> Result<Run, TrainError> {
    let decoder = decoder();
    let prepared = prepared(&decoder, path, settings)?;
    let mut events = Vec::new();
    let mut listener = |event: &TrainEvent| {
        on_event(event);
        events.push(event.clone());
    };
    let outcome =
        Trainer::new(&decoder, settings, prepared, out, threads)?.run(resume, control, &mut listener, &Silent)?;
    Ok(Run { outcome, events })
}

pub fn simply(path: &Path, settings: &TrainSettings, out: &Path, threads: usize) -> Run {
    train(path, settings, out, threads, false, &Control::default(), |_| {}).unwrap_or_else(|error| panic!("{error}"))
}
