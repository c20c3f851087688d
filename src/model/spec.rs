//! The shape of a BERT-family network, from its `config.json`.
//!
//! Families differ in names, in how positions are counted and in whether there are token types; the arithmetic
//! is one. Constraint: every size is bounded here and checked against the tensors before memory is taken.

use serde_json::{Map, Value};

use super::ModelError;
use super::folder::Folder;

pub(super) const CONFIG: &str = "config.json";

/// Which names and which way of counting positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT: positions are counted from the padding token's number.
    Roberta,
    /// As RoBERTa, without token types, with one table of relative positions for all layers.
    Mpnet,
    /// BERT without token types.
    Distilbert,
}

impl Family {
    /// What weights saved with a task head begin their names with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
            Self::Mpnet => "mpnet.",
            Self::Distilbert => "distilbert.",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// x·Φ(x).
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    Relu,
}

/// Sizes and constants. `hidden` is a multiple of `heads`; nothing is zero but `types`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub family: Family,
    pub model_type: String,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width of the feed-forward part.
    pub inner: usize,
    pub vocabulary: usize,
    /// Rows of the position table.
    pub positions: usize,
    /// Rows of the token-type table; 0 where there is none.
    pub types: usize,
    /// Rows of the relative-position table; 0 where there is none.
    pub buckets: usize,
    /// Number of the padding token.
    pub pad: usize,
    pub epsilon: f32,
    pub activation: Activation,
}

impl Spec {
    pub(super) fn parse(folder: Folder<'_>, bytes: &[u8]) -> Result<Self, ModelError> {
        let config = folder.object(CONFIG, bytes)?;
        let read = Fields { folder, config: &config };
        let Some(model_type) = config.get("model_type").and_then(Value::as_str) else {
            return Err(folder.malformed(CONFIG, "it has no \"model_type\"; is this a Hugging Face model folder?"));
        };
        let family = match model_type {
            "bert" => Family::Bert,
            "roberta" | "xlm-roberta" | "camembert" => Family::Roberta,
            "mpnet" => Family::Mpnet,
            "distilbert" => Family::Distilbert,
            other => {
                return Err(folder.unsupported(
                    CONFIG,
                    format!(
                        "its architecture {other:?} is not known; bert, roberta, xlm-roberta, camembert, mpnet and distilbert are"
                    ),
                ));
            }
        };
        read.refuse_variants()?;
        let distil = family == Family::Distilbert;
        let name = |usual: &'static str, distilled: &'static str| if distil { distilled } else { usual };
        let typed = matches!(family, Family::Bert | Family::Roberta);
        let spec = Self {
            family,
            model_type: model_type.to_owned(),
            hidden: read.size(name("hidden_size", "dim"), 1 << 15)?,
            layers: read.size(name("num_hidden_layers", "n_layers"), 512)?,
            heads: read.size(name("num_attention_heads", "n_heads"), 1 << 10)?,
            inner: read.size(name("intermediate_size", "hidden_dim"), 1 << 18)?,
            vocabulary: read.size("vocab_size", 1 << 24)?,
            positions: read.size("max_position_embeddings", 1 << 20)?,
            types: if typed { read.size("type_vocab_size", 1 << 10)? } else { 0 },
            buckets: if family == Family::Mpnet { read.size("relative_attention_num_buckets", 1 << 10)? } else { 0 },
            // MPNet ignores what its configuration says of the padding token.
            pad: if family == Family::Mpnet { 1 } else { read.number("pad_token_id", 0, 1 << 24)? },
            epsilon: if distil { 1e-12 } else { read.epsilon()? },
            activation: read.activation(name("hidden_act", "activation"))?,
        };
        if !spec.hidden.is_multiple_of(spec.heads) {
            let reason = format!("its hidden size {} is no multiple of its {} heads", spec.hidden, spec.heads);
            return Err(folder.malformed(CONFIG, reason));
        }
        if spec.max_tokens() == 0 {
            return Err(folder.malformed(CONFIG, "its position table leaves room for no token"));
        }
        Ok(spec)
    }

    /// The position of a text's first token.
    pub(super) fn first_position(&self) -> usize {
        match self.family {
            Family::Bert | Family::Distilbert => 0,
            Family::Roberta | Family::Mpnet => self.pad + 1,
        }
    }

    /// Tokens that the position table has room for.
    pub(super) fn max_tokens(&self) -> usize {
        self.positions.saturating_sub(self.first_position())
    }
}

struct Fields<'a> {
    folder: Folder<'a>,
    config: &'a Map<String, Value>,
}

impl Fields<'_> {
    /// A whole number from 1 to `most`.
    fn size(&self, name: &str, most: u64) -> Result<usize, ModelError> {
        match self.config.get(name) {
            None => Err(self.folder.malformed(CONFIG, format!("it has no {name:?}"))),
            Some(value) => match value.as_u64().filter(|size| (1..=most).contains(size)) {
                Some(size) => Ok(size as usize),
                None => {
                    Err(self.folder.malformed(CONFIG, format!("{name:?} is {value}, not a number from 1 to {most}")))
                }
            },
        }
    }

    /// A whole number up to `most`, `default` where it is absent or null.
    fn number(&self, name: &str, default: usize, most: u64) -> Result<usize, ModelError> {
        match self.config.get(name).filter(|value| !value.is_null()) {
            None => Ok(default),
            Some(value) => match value.as_u64().filter(|&number| number <= most) {
                Some(number) => Ok(number as usize),
                None => {
                    Err(self.folder.malformed(CONFIG, format!("{name:?} is {value}, not a number from 0 to {most}")))
                }
            },
        }
    }

    fn epsilon(&self) -> Result<f32, ModelError> {
        let name = "layer_norm_eps";
        match self.config.get(name) {
            None => Ok(1e-12),
            Some(value) => match value.as_f64().filter(|epsilon| (0.0..1.0).contains(epsilon)) {
                Some(epsilon) => Ok(epsilon as f32),
                None => Err(self.folder.malformed(CONFIG, format!("{name:?} is {value}, not a number from 0 to 1"))),
            },
        }
    }

    fn activation(&self, name: &str) -> Result<Activation, ModelError> {
        match self.config.get(name).and_then(Value::as_str).unwrap_or("gelu") {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => Err(self.folder.unsupported(
                CONFIG,
                format!("its activation {other:?} is not known; gelu, gelu_new, gelu_pytorch_tanh and relu are"),
            )),
        }
    }

    /// Variants of the known families that compute something else.
    fn refuse_variants(&self) -> Result<(), ModelError> {
        let kind = self.config.get("position_embedding_type").and_then(Value::as_str).unwrap_or("absolute");
        if kind != "absolute" {
            return Err(self.folder.unsupported(CONFIG, format!("its position embeddings {kind:?} are not known")));
        }
        for name in ["is_decoder", "add_cross_attention"] {
            if self.config.get(name).and_then(Value::as_bool) == Some(true) {
                return Err(self.folder.unsupported(CONFIG, format!("{name:?} is set; an encoder is needed")));
            }
        }
        Ok(())
    }
}
