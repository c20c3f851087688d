//! The sentence encoder on tiny random networks.
//!
//! `tests/fixtures/sentence/` holds four networks of 32 dimensions and two layers, and the vectors that the
//! sentence-transformers package gives for `texts.json` (padded batches, mask). To make them anew:
//! `python tools/make_sentence_fixture.py tiny`. Tolerance: 1e-5 a number, as candle's and PyTorch's own differ.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use dipole::embedding::{EmbedSettings, EmbeddingError, EncoderChoice, Texts, embed};
use dipole::jobs::Progress;
use safetensors::SafeTensors;

use super::{bits, corpus, fixtures, run, settings, texts};

pub const FAMILIES: [&str; 4] = ["bert", "roberta", "mpnet", "distilbert"];
const TOLERANCE: f32 = 1e-5;

/// A copy of a tiny network's folder that a test may change.
pub struct Model {
    folder: tempfile::TempDir,
}

impl Model {
    pub fn copy(family: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = fixtures().join("sentence").join(family);
        std::fs::create_dir(folder.path().join("1_Pooling")).expect("a folder");
        for name in [
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "modules.json",
            "sentence_bert_config.json",
            "tokenizer_config.json",
            "1_Pooling/config.json",
        ] {
            std::fs::copy(source.join(name), folder.path().join(name)).expect("copies");
        }
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).expect("writes");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("removes");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("reads")
    }

    /// Replaces text in a file; it must be there.
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.read(name)).expect("text");
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, text.replace(from, to));
    }

    pub fn pool(&self, mode: &str) {
        self.write("1_Pooling/config.json", format!("{{\"embedding_dimension\": 32, \"pooling_mode\": \"{mode}\"}}"));
    }

    pub fn settings(&self) -> EmbedSettings {
        settings(EncoderChoice::Sentence(self.path().to_owned()))
    }
}

fn fixture_texts() -> Vec<String> {
    let path = fixtures().join("sentence/texts.json");
    serde_json::from_slice(&std::fs::read(path).expect("reads")).expect("a list of texts")
}

fn assert_expected(family: &str, name: &str, model: &Model) {
    let bytes = std::fs::read(fixtures().join("sentence/expected.safetensors")).expect("reads");
    let expected = SafeTensors::deserialize(&bytes).expect("safetensors");
    let expected = expected.tensor(&format!("{family}.{name}")).expect("the expected vectors");
    let numbers: Vec<f32> = expected.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    let texts = fixture_texts();
    let embedded = run(&[&texts], &model.settings());
    assert_eq!(expected.shape(), [texts.len(), 32]);
    for (i, (got, want)) in embedded.sets[0].data().chunks(32).zip(numbers.chunks(32)).enumerate() {
        let apart = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= TOLERANCE, "{family}, {name}, text {i}: {apart} apart");
    }
}

#[test]
fn tiny_networks_agree_with_sentence_transformers_in_every_pooling() {
    for family in FAMILIES {
        let model = Model::copy(family);
        for mode in ["mean", "cls", "max"] {
            model.pool(mode);
            assert_expected(family, mode, &model);
        }
    }
}

#[test]
fn default_prompt_and_lower_case_are_those_of_sentence_transformers() {
    for family in FAMILIES {
        let model = Model::copy(family);
        model.pool("mean");
        model.write(
            "config_sentence_transformers.json",
            r#"{"prompts": {"passage": "passage: "}, "default_prompt_name": "passage"}"#,
        );
        model.replace("sentence_bert_config.json", "false", "true");
        assert_expected(family, "prompt", &model);
    }
}

#[test]
fn folders_as_older_and_plainer_tools_write_them_are_read() {
    let model = Model::copy("bert");
    // Without the optional files: usual parts, the tokenizer's own maximum.
    model.remove("modules.json");
    model.remove("sentence_bert_config.json");
    model.replace("tokenizer_config.json", "512", "24");
    assert_expected("bert", "mean", &model);
    // Network in a folder of its own.
    let moved = Model::copy("bert");
    std::fs::create_dir(moved.path().join("0_Transformer")).expect("a folder");
    for name in ["config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json"] {
        let (from, to) = (moved.path().join(name), moved.path().join("0_Transformer").join(name));
        std::fs::rename(from, to).expect("moves");
    }
    moved.replace("modules.json", "\"path\": \"\"", "\"path\": \"0_Transformer\"");
    assert_expected("bert", "mean", &moved);
    // Names with the family's prefix, and the names of TensorFlow in norms.
    let renamed = Model::copy("bert");
    let bytes = renamed.read("model.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let named = tensors.iter().map(|(name, tensor)| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        (format!("bert.{name}"), tensor)
    });
    renamed.write("model.safetensors", safetensors::serialize(named, None).expect("serialises"));
    assert_expected("bert", "mean", &renamed);
}

/// Slow and readable: candle's own BERT, one padded batch with a mask, mean over the tokens that are not padding.
fn by_candle(folder: &Path, texts: &[String]) -> Vec<Vec<f32>> {
    let config: Config =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).expect("reads")).expect("a configuration");
    let device = Device::Cpu;
    let weights = std::fs::read(folder.join("model.safetensors")).expect("reads");
    let builder = VarBuilder::from_buffered_safetensors(weights, DType::F32, &device).expect("weights");
    let model = BertModel::load(builder, &config).expect("loads");
    let mut tokenizer = tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).expect("a tokenizer");
    tokenizer.with_padding(None);
    let truncation = tokenizers::TruncationParams { max_length: 24, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).expect("truncates");
    let ids: Vec<Vec<u32>> =
        texts.iter().map(|text| tokenizer.encode(text.as_str(), true).expect("encodes").get_ids().to_vec()).collect();
    let longest = ids.iter().map(Vec::len).max().expect("texts");
    let padded: Vec<u32> = ids.iter().flat_map(|ids| (0..longest).map(|i| ids.get(i).copied().unwrap_or(0))).collect();
    let mask: Vec<u32> = ids.iter().flat_map(|ids| (0..longest).map(|i| u32::from(i < ids.len()))).collect();
    let tensor = |of: Vec<u32>| Tensor::from_vec(of, (ids.len(), longest), &device).expect("a tensor");
    let (padded, mask) = (tensor(padded), tensor(mask));
    let types = padded.zeros_like().expect("zeros");
    let hidden: Vec<Vec<Vec<f32>>> =
        model.forward(&padded, &types, Some(&mask)).expect("runs").to_vec3().expect("numbers");
    hidden
        .iter()
        .zip(&ids)
        .map(|(rows, ids)| {
            let sum: Vec<f32> = (0..32).map(|d| rows.iter().take(ids.len()).map(|row| row[d]).sum()).collect();
            let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
            sum.iter().map(|x| x / norm).collect()
        })
        .collect()
}

#[test]
fn unpadded_batches_agree_with_candle_on_padded_ones() {
    let model = Model::copy("bert");
    let texts = corpus(200, 40);
    let embedded = run(&[&texts], &model.settings());
    for (i, want) in by_candle(model.path(), &texts).iter().enumerate() {
        let apart = embedded.sets[0].row(i).iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= TOLERANCE, "text {i}: {apart} apart");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for family in FAMILIES {
        let model = Model::copy(family);
        let texts = corpus(700, 40);
        let with = |threads| run(&[&texts], &EmbedSettings { threads, ..model.settings() });
        let one = with(1);
        for threads in [2, 3, 8] {
            assert_eq!(bits(&with(threads).sets[0]), bits(&one.sets[0]), "{family}, {threads} threads");
        }
    }
}

#[test]
fn a_vector_does_not_depend_on_the_texts_beside_it() {
    let model = Model::copy("mpnet");
    let many = corpus(120, 40);
    let together = run(&[&many], &model.settings());
    for (i, text) in many.iter().enumerate().step_by(7) {
        let alone = run(&[&vec![text.clone()]], &model.settings());
        assert_eq!(bits(&alone.sets[0]), together.sets[0].row(i).iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn texts_longer_than_the_network_reads_are_cut_and_counted() {
    for family in FAMILIES {
        let model = Model::copy(family);
        let short = texts(&["fox", "the quick brown fox"]);
        let long = texts(&["fox", &"dog ".repeat(23), &"dog ".repeat(200)]);
        let embedded = run(&[&short, &long], &model.settings());
        assert_eq!(embedded.truncated, [0, 2], "{family}");
    }
    // The response may be cut where the row is not said to be, and a row counts once.
    let model = Model::copy("bert");
    let set = dipole::embedding::MemoryTexts {
        name: "set".to_owned(),
        rows: vec![("fox".to_owned(), "dog ".repeat(50)), ("dog ".repeat(50), "dog ".repeat(60))],
    };
    let settings = EmbedSettings { views: None, ..model.settings() };
    assert_eq!(run(&[&set as &dyn Texts], &settings).truncated, [2]);
}

#[test]
fn of_a_huge_text_only_the_beginning_matters() {
    let model = Model::copy("bert");
    let huge = vec![
        "dog ".repeat(2_000_000),
        "dog ".repeat(100),
        // A word longer than the first look, then text: the look must widen, or the text would be missed.
        format!("{} fox jumps", "x".repeat(20_000)),
        format!("{} fox jumps", "x".repeat(200)),
        " ".repeat(3_000_000) + "fox",
    ];
    let embedded = run(&[&huge], &model.settings());
    let row = |i| embedded.sets[0].row(i);
    assert_eq!(row(0), row(1));
    assert_eq!(row(2), row(3));
    assert_eq!(embedded.truncated, [3], "the two of dogs, and the one whose words lie behind a megabyte of blanks");
}

#[test]
fn the_fingerprint_names_everything_that_decides_the_vectors() {
    let hash = |change: &dyn Fn(&Model)| {
        let model = Model::copy("bert");
        change(&model);
        run(&[&texts(&["fox"])], &model.settings()).fingerprint.hash
    };
    let same = hash(&|_| {});
    assert_eq!(same, hash(&|_| {}), "whatever the folder is called");
    let weights = |model: &Model| {
        let mut bytes = model.read("model.safetensors");
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        model.write("model.safetensors", bytes);
    };
    let changes: [&dyn Fn(&Model); 6] = [
        &weights,
        &|model| model.pool("cls"),
        &|model| model.replace("sentence_bert_config.json", "24", "23"),
        &|model| model.replace("sentence_bert_config.json", "false", "true"),
        &|model| model.replace("tokenizer.json", "\"lowercase\":true", "\"lowercase\":false"),
        &|model| model.replace("config.json", "\"gelu\"", "\"relu\""),
    ];
    let mut all: Vec<String> = changes.iter().map(|change| hash(*change)).chain([same]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), changes.len() + 1);
}

#[test]
fn the_choice_of_a_folder_is_a_sentence_encoder() {
    let model = Model::copy("bert");
    let given = model.path().display().to_string();
    assert_eq!(given.parse(), Ok(EncoderChoice::Sentence(PathBuf::from(&given))));
    let embedded = run(&[&texts(&["fox"])], &model.settings());
    assert_eq!(embedded.fingerprint.encoder, "sentence");
    for (key, value) in [("architecture", "bert"), ("pooling", "mean"), ("views", "row")] {
        assert_eq!(embedded.fingerprint.details[key], value);
    }
    assert_eq!(embedded.fingerprint.details["max_tokens"], 24);
}

/// Cancels at the n-th question.
struct CancelAt {
    left: AtomicU64,
}

impl Progress for CancelAt {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn it_stops_wherever_it_is_cancelled() {
    let model = Model::copy("bert");
    let texts = corpus(300, 40);
    let mut stopped = 0;
    for left in (0..).step_by(41) {
        let progress = CancelAt { left: AtomicU64::new(left) };
        match embed(&[&texts], &model.settings(), &progress) {
            Err(EmbeddingError::Cancelled(_)) => stopped += 1,
            Ok(_) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(stopped > 5, "asked for only {stopped} times");
}

/// Keeps what it is told.
#[derive(Default)]
struct Listening(std::sync::Mutex<Vec<(String, u64, Option<u64>)>>);

impl Progress for Listening {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        self.0.lock().expect("not poisoned").push((stage.to_owned(), done, total));
    }
}

#[test]
fn progress_counts_rows_up_to_all_of_them() {
    let model = Model::copy("bert");
    let texts = corpus(300, 40);
    let progress = Listening::default();
    embed(&[&texts], &model.settings(), &progress).expect("embeds");
    let told = progress.0.into_inner().expect("not poisoned");
    let rows: Vec<u64> = told.iter().filter(|(stage, ..)| stage == "embedding").map(|(_, done, _)| *done).collect();
    assert!(rows.len() > 3, "{rows:?}");
    assert_eq!(rows.last(), Some(&300));
    assert!(rows.iter().all(|done| *done <= 300));
}
