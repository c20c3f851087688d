//! What transformers and peft computed: `tests/fixtures/decoder/`, made by `tools/make_decoder_fixture.py`.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use dipole::jobs::Silent;
use dipole::model::decoder::Example;
use dipole::model::{Adapter, Decoder, Precision, TensorFile};

pub const FAMILIES: [&str; 5] = ["llama", "mistral", "qwen2", "qwen3", "gemma3"];
/// Texts of every fixture.
pub const TEXTS: usize = 4;

pub fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoder").join(family)
}

pub struct Expected {
    pub family: &'static str,
    file: TensorFile,
}

impl Expected {
    pub fn open(family: &'static str) -> Self {
        let file = TensorFile::open(&folder(family).join("expected.safetensors")).expect("the fixture");
        Self { family, file }
    }

    pub fn get(&mut self, name: &str) -> Vec<f32> {
        self.file.read(name).unwrap_or_else(|error| panic!("{}: {error}", self.family))
    }

    pub fn tokens(&mut self, text: usize) -> Vec<u32> {
        self.get(&format!("ids.{text}")).into_iter().map(|id| id as u32).collect()
    }

    pub fn texts(&mut self) -> Vec<Vec<u32>> {
        (0..TEXTS).map(|text| self.tokens(text)).collect()
    }

    pub fn examples(&mut self) -> Vec<Example> {
        let of = |text: usize| Example { tokens: self.tokens(text), weights: self.get(&format!("weights.{text}")) };
        (0..TEXTS).map(of).collect()
    }

    pub fn decoder(&self) -> Decoder {
        open(&folder(self.family))
    }

    pub fn adapter(&self, decoder: &Decoder) -> Adapter {
        Adapter::read(&folder(self.family).join("adapter"), decoder).expect("peft's adapter")
    }
}

pub fn open(path: &Path) -> Decoder {
    Decoder::open(path, Precision::Stored, &Device::Cpu, &Silent).unwrap_or_else(|error| panic!("{error}"))
}

pub fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).expect("numbers")
}

/// The largest difference, after checking the length.
pub fn distance(got: &[f32], want: &[f32], what: &str) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}");
    got.iter().zip(want).fold(0.0, |worst, (got, want)| {
        assert!(got.is_finite(), "{what}: {got}");
        worst.max((got - want).abs())
    })
}

pub fn assert_close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    let worst = distance(got, want, what);
    assert!(worst <= tolerance, "{what}: off by {worst}, {tolerance} is allowed");
}

pub fn norm(values: &[f32]) -> f32 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32
}
