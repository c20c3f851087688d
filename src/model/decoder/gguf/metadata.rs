//! The shape of a network from a GGUF file's metadata.

use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};

use crate::model::ModelError;
use crate::model::decoder::{DecoderSpec, GateActivation, RopeScaling, RopeSpec};

const KNOWN: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// Metadata of the file at `path`.
pub(super) struct Metadata<'a> {
    pub path: &'a Path,
    pub content: &'a Content,
}

impl Metadata<'_> {
    /// # Errors
    /// The architecture is not known, or an entry is missing or out of range; it is named.
    pub(super) fn spec(&self) -> Result<DecoderSpec, ModelError> {
        let architecture = match self.content.metadata.get("general.architecture") {
            Some(Value::String(name)) => name.as_str(),
            _ => return Err(self.malformed("its metadata have no text \"general.architecture\"")),
        };
        if !KNOWN.contains(&architecture) {
            let known = KNOWN.join(", ");
            return Err(self.unsupported(format!("its architecture {architecture:?} is not known; {known} are")));
        }
        if self.number("split.count", 1 << 16)?.is_some_and(|count| count > 1) {
            return Err(self.unsupported("it is one of several parts; merge them (llama-gguf-split --merge)"));
        }
        let key = |name: &str| format!("{architecture}.{name}");
        if self.number(&key("expert_count"), 1 << 16)?.is_some_and(|count| count > 0) {
            return Err(self.unsupported("it is a mixture of experts, which is not known"));
        }
        let layers = self.size(&key("block_count"), 512)?;
        let hidden = self.size(&key("embedding_length"), 1 << 17)?;
        let heads = self.size(&key("attention.head_count"), 1 << 12)?;
        let kv_heads = self.number(&key("attention.head_count_kv"), 1 << 12)?.unwrap_or(heads as u64).max(1) as usize;
        if !heads.is_multiple_of(kv_heads) {
            return Err(self.malformed(format!("its {heads} heads are no multiple of its {kv_heads} key-value heads")));
        }
        let head_dim = self.number(&key("attention.key_length"), 1 << 12)?.map_or(hidden / heads, |dim| dim as usize);
        for name in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = self.number(&key(name), 1 << 12)?.filter(|dim| *dim != head_dim as u64) {
                let reason = format!("\"{}\" is {other}, but heads are {head_dim} wide, which is not known", key(name));
                return Err(self.unsupported(reason));
            }
        }
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(self.malformed(format!("its heads are {head_dim} wide")));
        }
        let vocabulary = match self.content.tensor_infos.get("token_embd.weight").map(|info| info.shape.dims()) {
            Some(&[rows, _]) if (1..=1 << 24).contains(&rows) => rows,
            Some(other) => return Err(self.malformed(format!("tensor \"token_embd.weight\" has shape {other:?}"))),
            None => return Err(self.malformed("there is no tensor \"token_embd.weight\"")),
        };
        let window = self.number(&key("attention.sliding_window"), 1 << 32)?.filter(|window| *window > 0);
        let theta = self.positive(&key("rope.freq_base"))?.unwrap_or(1e4);
        let has = |name: &str| self.content.tensor_infos.contains_key(name);
        let mut end_tokens = Vec::new();
        for name in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
            let token = self.number(name, u64::from(u32::MAX))?;
            end_tokens.extend(token.filter(|token| *token < vocabulary as u64).map(|token| token as u32));
        }
        end_tokens.sort_unstable();
        end_tokens.dedup();
        let epsilon = key("attention.layer_norm_rms_epsilon");
        let Some(epsilon) = self.positive(&epsilon)? else {
            return Err(self.malformed(format!("its metadata have no {epsilon:?}")));
        };
        Ok(DecoderSpec {
            model_type: architecture.to_owned(),
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            inner: self.size(&key("feed_forward_length"), 1 << 20)?,
            vocabulary,
            positions: self.size(&key("context_length"), 1 << 24)?,
            epsilon: epsilon as f32,
            norm_plus_one: false,
            four_norms: false,
            qk_norm: architecture == "qwen3",
            qkv_bias: has("blk.0.attn_q.bias"),
            out_bias: has("blk.0.attn_output.bias"),
            mlp_bias: has("blk.0.ffn_gate.bias"),
            activation: GateActivation::Silu,
            attention_scale: (1.0 / (head_dim as f64).sqrt()) as f32,
            windows: vec![window.map(|window| window as usize); layers],
            rope_of_layer: vec![0; layers],
            ropes: vec![RopeSpec { theta, scaling: self.scaling(architecture)? }],
            embedding_scale: 1.0,
            tied: !has("output.weight"),
            logit_cap: None,
            end_tokens,
        })
    }

    fn scaling(&self, architecture: &str) -> Result<RopeScaling, ModelError> {
        let kind = match self.content.metadata.get(&format!("{architecture}.rope.scaling.type")) {
            None => "none",
            Some(Value::String(kind)) => kind.as_str(),
            Some(other) => return Err(self.malformed(format!("its rotary scaling is {:?}", other.value_type()))),
        };
        let old = format!("{architecture}.rope.scale_linear");
        match kind {
            "none" => Ok(self
                .positive(&old)?
                .filter(|f| *f != 1.0)
                .map_or(RopeScaling::None, |factor| RopeScaling::Linear { factor })),
            "linear" => {
                let name = format!("{architecture}.rope.scaling.factor");
                let factor = self.positive(&name)?;
                let factor = factor.ok_or_else(|| self.malformed(format!("its metadata have no {name:?}")))?;
                Ok(RopeScaling::Linear { factor })
            }
            other => Err(self.unsupported(format!("its rotary scaling {other:?} is not known; none and linear are"))),
        }
    }

    /// A whole number from 1 to `most`.
    fn size(&self, name: &str, most: u64) -> Result<usize, ModelError> {
        match self.number(name, most)? {
            Some(number) if number > 0 => Ok(number as usize),
            Some(number) => Err(self.malformed(format!("{name:?} is {number}, not a number from 1 to {most}"))),
            None => Err(self.malformed(format!("its metadata have no {name:?}"))),
        }
    }

    fn number(&self, name: &str, most: u64) -> Result<Option<u64>, ModelError> {
        let Some(value) = self.content.metadata.get(name) else { return Ok(None) };
        let number = match value {
            Value::I8(number) => u64::try_from(*number).ok(),
            Value::I16(number) => u64::try_from(*number).ok(),
            Value::I32(number) => u64::try_from(*number).ok(),
            Value::I64(number) => u64::try_from(*number).ok(),
            Value::Array(_) => {
                return Err(self.unsupported(format!("{name:?} differs from layer to layer, which is not known")));
            }
            other => other.to_u64().ok(),
        };
        match number.filter(|number| *number <= most) {
            Some(number) => Ok(Some(number)),
            None => Err(self.malformed(format!("{name:?} is no whole number up to {most}"))),
        }
    }

    fn positive(&self, name: &str) -> Result<Option<f64>, ModelError> {
        let number = match self.content.metadata.get(name) {
            None => return Ok(None),
            Some(Value::F32(number)) => f64::from(*number),
            Some(Value::F64(number)) => *number,
            Some(_) => f64::NAN,
        };
        if number > 0.0 && number.is_finite() {
            return Ok(Some(number));
        }
        Err(self.malformed(format!("{name:?} is no number above 0")))
    }

    fn malformed(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Malformed { path: self.path.to_owned(), reason: reason.into() }
    }

    fn unsupported(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Unsupported { path: self.path.to_owned(), reason: reason.into() }
    }
}
