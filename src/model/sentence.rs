//! A sentence encoder in a Hugging Face directory: tokenizer, network, pooling, unit length.
//!
//! What is read: `config.json`, `tokenizer.json`, `model.safetensors`, `1_Pooling/config.json`, and where they are
//! there `modules.json` (which parts, and where), `sentence_bert_config.json` (maximum length, lower case),
//! `config_sentence_transformers.json` (prompt), `tokenizer_config.json` (maximum length). Constraint: a part that
//! is not known is refused by name, never left out, so vectors are those that the model's author means.

use std::io::Read;
use std::path::{Component, Path};

use serde_json::{Map, Value, json};

use super::folder::Folder;
use super::network::Network;
use super::pooling::Pooling;
use super::spec::{CONFIG, Spec};
use super::tensors::TensorFile;
use super::tokens::{TOKENIZER, TextTokenizer, Tokens};
use super::weights::Weights;
use super::{ModelError, network};
use crate::jobs::{Cancelled, Progress};

const WEIGHTS: &str = "model.safetensors";
const PICKLE: &str = "pytorch_model.bin";
const MODULES: &str = "modules.json";
const PROMPTS: &str = "config_sentence_transformers.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The newest name first.
const LENGTHS: [&str; 5] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_xlm-roberta_config.json",
];

/// A sentence encoder, ready to run.
#[derive(Debug)]
pub struct SentenceModel {
    network: Network,
    tokenizer: TextTokenizer,
    pooling: Pooling,
    max_tokens: usize,
    hash: blake3::Hash,
    name: String,
}

/// Working memory of one thread.
#[derive(Debug, Default)]
pub struct SentenceScratch(network::Scratch);

/// Where the parts of a model lie below its folder.
struct Parts {
    transformer: String,
    pooling: String,
}

impl SentenceModel {
    /// Reads a model folder.
    ///
    /// # Errors
    /// A file is missing or malformed, a tensor is missing or of another shape than the configuration says, the
    /// network or a part of it is not known (all named), or the user cancelled.
    pub fn open(path: &Path, progress: &dyn Progress) -> Result<Self, ModelError> {
        progress.check()?;
        progress.tick("reading the model", 0, None);
        let top = Folder(path);
        let mut hash = blake3::Hasher::new();
        hash.update(b"dipole sentence 1");
        let parts = parts(top)?;
        let inner = path.join(&parts.transformer);
        let folder = Folder(&inner);

        let config = folder.required(CONFIG, "give the folder of a sentence model in Hugging Face layout")?;
        let spec = Spec::parse(folder, &config)?;
        let prompt = prompt(top)?;
        let pooling = format!("{}/config.json", parts.pooling);
        let pooling_bytes = top.required(
            &pooling,
            "sentence models have it; for mean pooling write {\"pooling_mode_mean_tokens\": true} into it",
        )?;
        let pooling = Pooling::parse(top, &pooling, &pooling_bytes, spec.hidden, !prompt.is_empty())?;
        let (max_tokens, lower_case) = limits(folder, &spec)?;
        let tokenizer_bytes = folder.required(
            TOKENIZER,
            "save the model with a fast tokenizer (transformers' AutoTokenizer … save_pretrained writes it)",
        )?;
        for part in [&config, &pooling_bytes, &tokenizer_bytes] {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        hash.update(&(max_tokens as u64).to_le_bytes()).update(&[u8::from(lower_case)]).update(prompt.as_bytes());
        let tokenizer = TextTokenizer::new(folder, &tokenizer_bytes, max_tokens, spec.vocabulary, prompt, lower_case)?;
        drop(tokenizer_bytes);

        let weights = folder.path(WEIGHTS);
        if !weights.exists() {
            return Err(no_weights(folder));
        }
        let mut tensors = TensorFile::open(&weights)?;
        let read = Weights::read(&mut tensors, &spec, progress)?;
        hash_file(&weights, &mut hash, progress)?;
        let name = path.canonicalize().ok().and_then(|full| full.file_name().map(|n| n.to_string_lossy().into_owned()));
        Ok(Self {
            network: Network::new(spec, read, max_tokens),
            tokenizer,
            pooling,
            max_tokens,
            hash: hash.finalize(),
            name: name.unwrap_or_default(),
        })
    }

    /// Length of every vector.
    pub fn dim(&self) -> usize {
        self.network.spec().hidden
    }

    /// Over everything that decides the vectors: weights, tokenizer, configuration, pooling, maximum length.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// Facts for people.
    pub fn details(&self) -> Map<String, Value> {
        let spec = self.network.spec();
        let details = json!({
            "model": self.name,
            "architecture": spec.model_type,
            "layers": spec.layers,
            "pooling": self.pooling.name(),
            "max_tokens": self.max_tokens,
        });
        details.as_object().cloned().unwrap_or_default()
    }

    /// Token numbers of a text.
    ///
    /// # Errors
    /// Tokenizer and network contradict each other.
    pub fn tokens(&self, text: &str) -> Result<Tokens, ModelError> {
        self.tokenizer.tokens(text)
    }

    /// One vector of unit length a text, in order. Runs on the calling thread.
    ///
    /// # Errors
    /// The user cancelled; that is asked several times a layer.
    pub fn encode(
        &self,
        texts: &[&Tokens],
        scratch: &mut SentenceScratch,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<f32>>, Cancelled> {
        let lengths: Vec<usize> = texts.iter().map(|tokens| tokens.len()).collect();
        let ids: Vec<u32> = texts.iter().flat_map(|tokens| tokens.ids()).copied().collect();
        let states = self.network.forward(&ids, &lengths, &mut scratch.0, progress)?;
        let mut rest = states;
        let mut vectors = Vec::with_capacity(texts.len());
        for length in lengths {
            let (text, after) = rest.split_at_checked(length * self.dim()).unwrap_or((rest, &[]));
            rest = after;
            vectors.push(self.pooling.pool(text, self.dim()));
        }
        Ok(vectors)
    }
}

/// The modules of the model; without `modules.json` the usual ones.
fn parts(top: Folder<'_>) -> Result<Parts, ModelError> {
    let mut parts = Parts { transformer: String::new(), pooling: "1_Pooling".to_owned() };
    let Some(bytes) = top.bytes(MODULES)? else { return Ok(parts) };
    let modules: Vec<Map<String, Value>> = serde_json::from_slice(&bytes)
        .map_err(|error| top.malformed(MODULES, format!("it is not a JSON list of modules: {error}")))?;
    let mut pooled = false;
    for (number, module) in modules.iter().enumerate() {
        let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
        let below = text("path");
        if !Path::new(below).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(top.malformed(MODULES, format!("its path {below:?} leads out of the folder")));
        }
        match (number, text("type").rsplit('.').next().unwrap_or_default()) {
            (0, "Transformer") => parts.transformer = below.to_owned(),
            (1, "Pooling") => {
                parts.pooling = below.to_owned();
                pooled = true;
            }
            (_, "Normalize") if pooled => {}
            (_, other) => {
                return Err(top.unsupported(
                    MODULES,
                    format!(
                        "its module {number} {other:?} is not known there; a Transformer, a Pooling and a Normalize are"
                    ),
                ));
            }
        }
    }
    if !pooled {
        return Err(top.unsupported(MODULES, "it has no Pooling after a Transformer; a sentence model is needed"));
    }
    Ok(parts)
}

/// What is put before every text: the prompt that the model names as its default.
fn prompt(top: Folder<'_>) -> Result<String, ModelError> {
    let Some(bytes) = top.bytes(PROMPTS)? else { return Ok(String::new()) };
    let config = top.object(PROMPTS, &bytes)?;
    let Some(name) = config.get("default_prompt_name").and_then(Value::as_str) else { return Ok(String::new()) };
    match config.get("prompts").and_then(|prompts| prompts.get(name)).and_then(Value::as_str) {
        Some(prompt) => Ok(prompt.to_owned()),
        None => Err(top.malformed(PROMPTS, format!("its default prompt {name:?} is not among its prompts"))),
    }
}

/// Most tokens of a text, and whether texts are put in lower case first.
fn limits(folder: Folder<'_>, spec: &Spec) -> Result<(usize, bool), ModelError> {
    let mut most = None;
    let mut lower_case = false;
    for name in LENGTHS {
        if let Some(bytes) = folder.bytes(name)? {
            let config = folder.object(name, &bytes)?;
            most = length(folder, name, &config, "max_seq_length")?;
            lower_case = config.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false);
            break;
        }
    }
    if most.is_none()
        && let Some(bytes) = folder.bytes(TOKENIZER_CONFIG)?
    {
        let config = folder.object(TOKENIZER_CONFIG, &bytes)?;
        most = length(folder, TOKENIZER_CONFIG, &config, "model_max_length")?;
    }
    Ok((most.unwrap_or(usize::MAX).min(spec.max_tokens()), lower_case))
}

/// A length of at least one token; huge numbers, which stand for none, are allowed.
fn length(folder: Folder<'_>, name: &str, config: &Map<String, Value>, key: &str) -> Result<Option<usize>, ModelError> {
    match config.get(key).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|&length| length >= 1.0) {
            Some(length) => Ok(Some(length as usize)),
            None => Err(folder.malformed(name, format!("{key:?} is {value}, not a number of tokens"))),
        },
    }
}

fn no_weights(folder: Folder<'_>) -> ModelError {
    if folder.path(PICKLE).exists() {
        let reason = "weights in pickle format can run code and are never read; save the model as model.safetensors \
                      (transformers: save_pretrained(folder, safe_serialization=True))";
        return folder.unsupported(PICKLE, reason);
    }
    if folder.path("model.safetensors.index.json").exists() {
        let reason = "weights in several files are not read; save the model as one model.safetensors";
        return folder.unsupported("model.safetensors.index.json", reason);
    }
    let way_out = "the weights belong there; download the model again".to_owned();
    ModelError::Missing { path: folder.path(WEIGHTS), way_out }
}

fn hash_file(path: &Path, hash: &mut blake3::Hasher, progress: &dyn Progress) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        progress.check()?;
        let read = file.read(&mut buffer).map_err(io)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(buffer.get(..read).unwrap_or(&[]));
    }
}
