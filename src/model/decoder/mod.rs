//! Causal language models: Llama 2 and 3, Mistral, Qwen2, Qwen3, Gemma3 (text); Llama and Qwen from GGUF too.
//!
//! One forward pass serves embedding, generation (with a cache of keys and values) and training: its steps are
//! differentiable, and candle records them only for inputs that are variables. Constraints: texts of a batch lie
//! under each other without padding, so a text's result needs no mask; activations are float32 whatever the
//! weights are; everything that is asked for is checked against the configuration, nothing panics.

mod cache;
pub(crate) mod checkpoint;
pub(crate) mod config;
mod facts;
pub(crate) mod gguf;
mod gradient;
mod identity;
mod layer;
mod module;
mod rope;
mod source;

pub use cache::KeyValueCache;
pub use checkpoint::Precision;
pub use config::{DecoderSpec, GateActivation};
pub use facts::DecoderFacts;
pub use gguf::is_gguf;
pub use gradient::{Example, Gradients, Pass};
pub use identity::{decoder_hash, is_decoder};
pub use module::Module;
pub use rope::{RopeScaling, RopeSpec};

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use self::checkpoint::Checkpoint;
use self::gguf::Gguf;
use self::layer::{Batch, Layer, norm};
use self::source::Source;
use super::ModelError;
use super::adapter::Adapter;
use super::folder::Folder;
use super::ops::{Lora, Span, Tape, Weight, linear, rms_norm};
use crate::jobs::Progress;

/// Which hidden states are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Behind the last layer and the final norm.
    #[default]
    Last,
    /// Behind this many layers, before any final norm; 0 is the embedding table.
    After(usize),
}

/// A decoder and its frozen weights.
#[derive(Debug)]
pub struct Decoder {
    spec: DecoderSpec,
    path: PathBuf,
    prefix: &'static str,
    device: Device,
    table: Weight,
    layers: Vec<Layer>,
    norm: Tensor,
    /// vocabulary × hidden; the table itself where they are tied.
    head: Weight,
}

impl Decoder {
    /// Reads a Hugging Face directory, or a GGUF file.
    ///
    /// # Errors
    /// A file is missing or malformed, the architecture is not known, a tensor is missing or of another shape (all
    /// named), or the user cancelled.
    pub fn open(
        path: &Path,
        precision: Precision,
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<Self, ModelError> {
        if is_gguf(path) {
            let mut weights = Gguf::open(path)?;
            let spec = weights.spec().clone();
            return Self::read(path, spec, &mut weights, precision, device, progress);
        }
        let folder = Folder(path);
        let bytes = folder.required(config::CONFIG, "give the folder of a language model in Hugging Face layout")?;
        let spec = DecoderSpec::parse(folder, &bytes)?;
        Self::read(path, spec, &mut Checkpoint::open(folder)?, precision, device, progress)
    }

    fn read(
        path: &Path,
        spec: DecoderSpec,
        weights: &mut dyn Source,
        precision: Precision,
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<Self, ModelError> {
        let total = spec.layers as u64 + 1;
        progress.tick("reading the model", 0, Some(total));
        let table = weights.matrix("embed_tokens.weight", [spec.vocabulary, spec.hidden], precision, device)?;
        let mut layers = Vec::with_capacity(spec.layers);
        for number in 0..spec.layers {
            progress.check()?;
            layers.push(Layer::read(weights, &spec, number, precision, device)?);
            progress.tick("reading the model", number as u64 + 1, Some(total));
        }
        let norm = norm(weights, &spec, "norm", spec.hidden, device)?;
        let head = match weights.head(&spec, precision, device)? {
            Some(head) if !spec.tied => head,
            _ if spec.tied => table.clone(),
            _ => {
                let reason = "the head is not tied, but there is no \"lm_head.weight\"".to_owned();
                return Err(ModelError::Malformed { path: weights.path(), reason });
            }
        };
        progress.tick("reading the model", total, Some(total));
        let prefix = weights.prefix();
        Ok(Self { spec, path: path.to_owned(), prefix, device: device.clone(), table, layers, norm, head })
    }

    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands before `layers.0.…` in the names of the model's modules.
    pub fn module_prefix(&self) -> &'static str {
        self.prefix
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes of the frozen weights in memory.
    pub fn weight_bytes(&self) -> u64 {
        let head = if self.spec.tied { 0 } else { self.head.bytes() };
        self.table.bytes() + head + self.layers.iter().map(Layer::bytes).sum::<u64>()
    }

    /// Whether states are rounded to bfloat16 before each product on this CPU, as the weights' format makes it fast.
    pub fn rounds(&self) -> bool {
        self.head.rounds() || self.layers.iter().any(Layer::rounds)
    }

    /// Hidden states of several texts under each other, tokens × hidden.
    ///
    /// # Errors
    /// A text is empty or has a token that the model does not know, the depth is beyond the last layer, or the user
    /// cancelled; that is asked before every layer.
    pub fn hidden(
        &self,
        texts: &[&[u32]],
        depth: Depth,
        adapter: Option<&Adapter>,
        progress: &dyn Progress,
    ) -> Result<Tensor, ModelError> {
        let layers = match depth {
            Depth::Last => self.spec.layers,
            Depth::After(layers) if layers <= self.spec.layers => layers,
            Depth::After(layers) => {
                return Err(self.fault(format!("layer {layers} was asked for, it has {}", self.spec.layers)));
            }
        };
        let spans: Vec<Span> = texts.iter().map(|text| Span { queries: text.len(), keys: text.len() }).collect();
        let batch = self.batch(&spans, 0)?;
        let mut x = self.embed(&texts.concat())?;
        for number in 0..layers {
            progress.check()?;
            let lora = |module| adapter.and_then(|adapter| adapter.frozen(number, module));
            x = self.layer(number, None, &x, &batch, &lora)?;
        }
        match depth {
            Depth::Last => self.normed(None, &x),
            Depth::After(_) => Ok(x),
        }
    }

    /// Logits of the given hidden states (behind the final norm), rows × vocabulary.
    ///
    /// # Errors
    /// The states have another width.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        let compute = || {
            let logits = linear(None, hidden, &self.head, None, None)?;
            match self.spec.logit_cap {
                None => Ok(logits),
                Some(cap) => (logits / f64::from(cap))?.tanh()? * f64::from(cap),
            }
        };
        compute().map_err(|error| self.compute(error))
    }

    /// An empty memory for [`Decoder::step`].
    pub fn cache(&self) -> KeyValueCache {
        KeyValueCache::new(self.spec.layers)
    }

    /// Reads more tokens of a text and gives the logits of the last one.
    ///
    /// # Errors
    /// As [`Decoder::hidden`].
    pub fn step(
        &self,
        tokens: &[u32],
        cache: &mut KeyValueCache,
        adapter: Option<&Adapter>,
        progress: &dyn Progress,
    ) -> Result<Vec<f32>, ModelError> {
        let spans = [Span { queries: tokens.len(), keys: cache.tokens + tokens.len() }];
        let batch = self.batch(&spans, cache.tokens)?;
        let mut x = self.embed(tokens)?;
        for number in 0..self.spec.layers {
            progress.check()?;
            let lora = |module| adapter.and_then(|adapter| adapter.frozen(number, module));
            let layer = self.layers.get(number).zip(cache.layers.get_mut(number));
            let Some((layer, memory)) = layer else {
                return Err(self.fault("the cache is of another model".to_owned()));
            };
            x = layer.forward(None, &x, &batch, &lora, Some(memory)).map_err(|error| self.compute(error))?;
        }
        cache.tokens += tokens.len();
        let last = x.narrow(0, tokens.len().saturating_sub(1), 1).map_err(|error| self.compute(error))?;
        let logits = self.logits(&self.normed(None, &last)?)?;
        logits.flatten_all().and_then(|logits| logits.to_vec1()).map_err(|error| self.compute(error))
    }

    fn layer(
        &self,
        number: usize,
        tape: Option<&Tape>,
        x: &Tensor,
        batch: &Batch<'_>,
        lora: &dyn Fn(Module) -> Option<Lora>,
    ) -> Result<Tensor, ModelError> {
        let Some(layer) = self.layers.get(number) else {
            return Err(self.fault(format!("there is no layer {number}")));
        };
        layer.forward(tape, x, batch, lora, None).map_err(|error| self.compute(error))
    }

    fn normed(&self, tape: Option<&Tape>, x: &Tensor) -> Result<Tensor, ModelError> {
        rms_norm(tape, x, &self.norm, self.spec.epsilon).map_err(|error| self.compute(error))
    }

    /// Vectors of the tokens, scaled as the family does.
    fn embed(&self, tokens: &[u32]) -> Result<Tensor, ModelError> {
        if tokens.is_empty() {
            return Err(self.fault("there is no token to compute".to_owned()));
        }
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= self.spec.vocabulary) {
            let most = self.spec.vocabulary;
            return Err(self
                .fault(format!("token {token} was given, the network has {most}: the tokenizer is of another model")));
        }
        let compute = || {
            let rows = self.table.rows(tokens)?;
            if self.spec.embedding_scale == 1.0 { Ok(rows) } else { rows * f64::from(self.spec.embedding_scale) }
        };
        compute().map_err(|error| self.compute(error))
    }

    /// The rotary tables of texts whose first query stands at `start`.
    fn batch<'a>(&self, spans: &'a [Span], start: usize) -> Result<Batch<'a>, ModelError> {
        let positions: Vec<u32> = spans.iter().flat_map(|span| start as u32..(start + span.queries) as u32).collect();
        let tables = self.spec.ropes.iter().map(|rope| rope.tables(self.spec.head_dim, &positions, &self.device));
        let ropes = tables.collect::<candle_core::Result<_>>().map_err(|error| self.compute(error))?;
        Ok(Batch { spans, ropes })
    }

    fn fault(&self, reason: String) -> ModelError {
        ModelError::Compute { path: self.path.clone(), reason }
    }

    fn compute(&self, error: candle_core::Error) -> ModelError {
        self.fault(error.to_string())
    }
}
