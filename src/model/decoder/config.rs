//! The shape of a causal decoder, from its `config.json`.
//!
//! Llama 2 and 3, Mistral, Qwen2, Qwen3 and Gemma3 (text) are one arithmetic with switches. Both spellings of the
//! files are read: rotary settings at the top (`rope_theta`, `rope_scaling`) and below `rope_parameters`, text
//! settings at the top and below `text_config`. Constraints: what is not known is refused by name, never guessed;
//! every size is bounded here and checked against the tensors before memory is taken.

use serde_json::{Map, Value};

use super::rope::{RopeScaling, RopeSpec};
use crate::model::ModelError;
use crate::model::folder::Folder;

pub(crate) const CONFIG: &str = "config.json";
const KNOWN: [&str; 5] = ["llama", "mistral", "qwen2", "qwen3", "gemma3"];

/// The gate of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateActivation {
    /// x·σ(x).
    Silu,
    /// GELU by its tanh approximation.
    GeluTanh,
}

/// Sizes, switches and constants. `heads` is a multiple of `kv_heads`; no size is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderSpec {
    pub model_type: String,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Width of the feed-forward part.
    pub inner: usize,
    pub vocabulary: usize,
    /// Tokens that the model was made for.
    pub positions: usize,
    pub epsilon: f32,
    /// Norm weights are stored as w - 1.
    pub norm_plus_one: bool,
    /// Attention and feed-forward part are normalised again behind (Gemma3).
    pub four_norms: bool,
    /// Queries and keys are normalised per head (Qwen3, Gemma3).
    pub qk_norm: bool,
    pub qkv_bias: bool,
    pub out_bias: bool,
    pub mlp_bias: bool,
    pub activation: GateActivation,
    pub attention_scale: f32,
    /// Of each layer: how many tokens back a token sees, itself included; `None` is all.
    pub windows: Vec<Option<usize>>,
    /// Of each layer: which entry of `ropes`.
    pub rope_of_layer: Vec<usize>,
    pub ropes: Vec<RopeSpec>,
    pub embedding_scale: f32,
    /// The head is the embedding table.
    pub tied: bool,
    /// s → c·tanh(s/c) on logits. The cap on attention scores that Gemma3 files can name is not applied by
    /// transformers (5.24) either, and no published model sets it.
    pub logit_cap: Option<f32>,
    /// Tokens that end a text, from `config.json` and `generation_config.json`.
    pub end_tokens: Vec<u32>,
}

impl DecoderSpec {
    /// True where `config.json` names an architecture of this module.
    pub fn is_known(config: &Map<String, Value>) -> bool {
        let of = |object: &Map<String, Value>| object.get("model_type").and_then(Value::as_str).map(str::to_owned);
        of(config).is_some_and(|name| family(&name).is_some())
    }

    pub(crate) fn parse(folder: Folder<'_>, bytes: &[u8]) -> Result<Self, ModelError> {
        let outer = folder.object(CONFIG, bytes)?;
        let Some(model_type) = outer.get("model_type").and_then(Value::as_str).map(str::to_owned) else {
            return Err(folder.malformed(CONFIG, "it has no \"model_type\"; is this a Hugging Face model folder?"));
        };
        let Some(family) = family(&model_type) else {
            return Err(folder.unsupported(
                CONFIG,
                format!("its architecture {model_type:?} is not known; the language models {} are", KNOWN.join(", ")),
            ));
        };
        let inner = match outer.get("text_config") {
            Some(Value::Object(inner)) => Some(inner.clone()),
            None | Some(Value::Null) => None,
            Some(_) => return Err(folder.malformed(CONFIG, "\"text_config\" is no object")),
        };
        let config = inner.as_ref().unwrap_or(&outer);
        let read = Fields { folder, config };
        let gemma = family == Family::Gemma3;
        let layers = read.size("num_hidden_layers", 512)?;
        let hidden = read.size("hidden_size", 1 << 17)?;
        let heads = read.size_or("num_attention_heads", if gemma { Some(8) } else { None }, 1 << 12)?;
        let kv_heads = read.size_or("num_key_value_heads", Some(if gemma { 4 } else { heads }), 1 << 12)?;
        if !heads.is_multiple_of(kv_heads) {
            let reason = format!("its {heads} heads are no multiple of its {kv_heads} key-value heads");
            return Err(folder.malformed(CONFIG, reason));
        }
        let head_dim = match family {
            Family::Gemma3 => read.size_or("head_dim", Some(256), 1 << 12)?,
            Family::Qwen3 => read.size_or("head_dim", Some(128), 1 << 12)?,
            _ => read.size_or("head_dim", Some((hidden / heads).max(1)), 1 << 12)?,
        };
        if !head_dim.is_multiple_of(2) {
            return Err(folder.malformed(CONFIG, format!("its heads are {head_dim} wide, which is not even")));
        }
        let attention_bias = read.flag("attention_bias")?;
        let positions = read.size_or("max_position_embeddings", Some(if gemma { 131_072 } else { 2048 }), 1 << 24)?;
        let (qkv_bias, out_bias) = match family {
            Family::Qwen2 => (true, false),
            Family::Mistral => (false, false),
            _ => (attention_bias, attention_bias),
        };
        let attention_scale = match read.positive("query_pre_attn_scalar")? {
            Some(scalar) if gemma => 1.0 / scalar.sqrt(),
            None if gemma => 1.0 / 256f64.sqrt(),
            _ => 1.0 / (head_dim as f64).sqrt(),
        };
        let sliding = sliding_layers(&read, family, layers)?;
        let window = read.number("sliding_window")?.map(|window| window as usize);
        let window = window.or(gemma.then_some(4096)).filter(|window| *window > 0);
        if sliding.contains(&true) && window.is_none() {
            return Err(folder.malformed(CONFIG, "layers slide, but \"sliding_window\" is not given"));
        }
        let (ropes, rope_of_layer) = rotary(&read, gemma, &sliding)?;
        for key in ["partial_rotary_factor"] {
            if config.get(key).and_then(Value::as_f64).is_some_and(|share| share != 1.0) {
                return Err(folder.unsupported(CONFIG, format!("{key:?} other than 1 is not known")));
            }
        }
        if read.flag("use_bidirectional_attention")? {
            return Err(folder.unsupported(CONFIG, "attention to later tokens is not known; a causal model is needed"));
        }
        Ok(Self {
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            inner: read.size("intermediate_size", 1 << 20)?,
            vocabulary: read.size_or("vocab_size", gemma.then_some(262_208), 1 << 24)?,
            positions,
            epsilon: read.positive("rms_norm_eps")?.unwrap_or(1e-6) as f32,
            norm_plus_one: gemma,
            four_norms: gemma,
            qk_norm: matches!(family, Family::Qwen3 | Family::Gemma3),
            qkv_bias,
            out_bias,
            mlp_bias: family == Family::Llama && read.flag("mlp_bias")?,
            activation: read.activation(gemma)?,
            attention_scale: attention_scale as f32,
            windows: sliding.iter().map(|&slides| window.filter(|_| slides)).collect(),
            rope_of_layer,
            ropes,
            embedding_scale: if gemma { (hidden as f64).sqrt() as f32 } else { 1.0 },
            tied: tied(&outer, config, gemma),
            logit_cap: read.positive("final_logit_softcapping")?.filter(|_| gemma).map(|cap| cap as f32),
            end_tokens: end_tokens(folder, &[&outer, config])?,
            model_type,
        })
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads.
    pub fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Gemma3,
}

fn family(model_type: &str) -> Option<Family> {
    Some(match model_type {
        "llama" => Family::Llama,
        "mistral" => Family::Mistral,
        "qwen2" => Family::Qwen2,
        "qwen3" => Family::Qwen3,
        "gemma3" | "gemma3_text" => Family::Gemma3,
        _ => return None,
    })
}

fn tied(outer: &Map<String, Value>, inner: &Map<String, Value>, default: bool) -> bool {
    let of = |object: &Map<String, Value>| object.get("tie_word_embeddings").and_then(Value::as_bool);
    of(inner).or_else(|| of(outer)).unwrap_or(default)
}

fn end_tokens(folder: Folder<'_>, configs: &[&Map<String, Value>]) -> Result<Vec<u32>, ModelError> {
    let generation = "generation_config.json";
    let generation = match folder.bytes(generation)? {
        Some(bytes) => folder.object(generation, &bytes)?,
        None => Map::new(),
    };
    let mut tokens = Vec::new();
    for value in configs.iter().chain([&&generation]).filter_map(|config| config.get("eos_token_id")) {
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        tokens.extend(list.iter().filter_map(Value::as_u64).filter_map(|token| u32::try_from(token).ok()));
    }
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}

/// Of each layer, whether it sees only a window.
fn sliding_layers(read: &Fields<'_>, family: Family, layers: usize) -> Result<Vec<bool>, ModelError> {
    if let Some(types) = read.config.get("layer_types").filter(|value| !value.is_null()) {
        let types = types.as_array().map(Vec::as_slice).unwrap_or_default();
        let known: Option<Vec<bool>> = types
            .iter()
            .map(|name| match name.as_str() {
                Some("sliding_attention") => Some(true),
                Some("full_attention") => Some(false),
                _ => None,
            })
            .collect();
        return match known.filter(|known| known.len() == layers) {
            Some(known) => Ok(known),
            None => Err(read.folder.unsupported(
                CONFIG,
                format!("\"layer_types\" must name full_attention or sliding_attention for each of {layers} layers"),
            )),
        };
    }
    Ok(match family {
        Family::Llama => vec![false; layers],
        Family::Mistral => vec![read.number("sliding_window")?.is_some(); layers],
        Family::Qwen2 | Family::Qwen3 => {
            let slides = read.flag("use_sliding_window")? && read.number("sliding_window")?.is_some();
            let full = read.number("max_window_layers")?.unwrap_or(28) as usize;
            (0..layers).map(|layer| slides && layer >= full).collect()
        }
        Family::Gemma3 => {
            let pattern = read.number("sliding_window_pattern")?.unwrap_or(6).max(1) as usize;
            (1..=layers).map(|layer| !layer.is_multiple_of(pattern)).collect()
        }
    })
}

/// The rotary tables, and which one each layer uses.
fn rotary(read: &Fields<'_>, gemma: bool, sliding: &[bool]) -> Result<(Vec<RopeSpec>, Vec<usize>), ModelError> {
    let default_theta = if gemma { 1e6 } else { 1e4 };
    let nested = match read.config.get("rope_parameters") {
        Some(Value::Object(nested)) => Some(nested),
        None | Some(Value::Null) => None,
        Some(_) => return Err(read.folder.malformed(CONFIG, "\"rope_parameters\" is no object")),
    };
    let theta = read.positive("rope_theta")?;
    let scaling = match read.config.get("rope_scaling") {
        Some(Value::Object(scaling)) => Some(scaling),
        _ => None,
    };
    let rope = |object: Option<&Map<String, Value>>, theta: f64| read.rope(object, theta);
    if !gemma {
        let of = nested.or(scaling);
        return Ok((vec![rope(of, theta.unwrap_or(default_theta))?], vec![0; sliding.len()]));
    }
    let of_kind = |kind: &str| nested.and_then(|nested| nested.get(kind)).and_then(Value::as_object);
    let local = read.positive("rope_local_base_freq")?.unwrap_or(1e4);
    let full = match of_kind("full_attention") {
        Some(full) => rope(Some(full), theta.unwrap_or(default_theta))?,
        None => rope(nested.or(scaling), theta.unwrap_or(default_theta))?,
    };
    let near = rope(of_kind("sliding_attention"), local)?;
    Ok((vec![full, near], sliding.iter().map(|&slides| usize::from(slides)).collect()))
}

struct Fields<'a> {
    folder: Folder<'a>,
    config: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn size(&self, name: &str, most: u64) -> Result<usize, ModelError> {
        self.size_or(name, None, most)
    }

    /// A whole number from 1 to `most`; `default` where it is absent or null.
    fn size_or(&self, name: &str, default: Option<usize>, most: u64) -> Result<usize, ModelError> {
        match (self.config.get(name).filter(|value| !value.is_null()), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.folder.malformed(CONFIG, format!("it has no {name:?}"))),
            (Some(value), _) => match value.as_u64().filter(|size| (1..=most).contains(size)) {
                Some(size) => Ok(size as usize),
                None => {
                    Err(self.folder.malformed(CONFIG, format!("{name:?} is {value}, not a number from 1 to {most}")))
                }
            },
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, ModelError> {
        match self.config.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => match value.as_u64().filter(|&number| number <= 1 << 32) {
                Some(number) => Ok(Some(number)),
                None => Err(self.folder.malformed(CONFIG, format!("{name:?} is {value}, not a whole number"))),
            },
        }
    }

    fn positive(&self, name: &str) -> Result<Option<f64>, ModelError> {
        positive(self.folder, self.config, name)
    }

    fn flag(&self, name: &str) -> Result<bool, ModelError> {
        match self.config.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.folder.malformed(CONFIG, format!("{name:?} is {other}, not true or false"))),
        }
    }

    fn activation(&self, gemma: bool) -> Result<GateActivation, ModelError> {
        let named =
            ["hidden_activation", "hidden_act"].iter().find_map(|name| self.config.get(*name).and_then(Value::as_str));
        match named.unwrap_or(if gemma { "gelu_pytorch_tanh" } else { "silu" }) {
            "silu" | "swish" => Ok(GateActivation::Silu),
            "gelu_pytorch_tanh" | "gelu_new" => Ok(GateActivation::GeluTanh),
            other => Err(self
                .folder
                .unsupported(CONFIG, format!("its activation {other:?} is not known; silu and gelu_pytorch_tanh are"))),
        }
    }

    /// One table from an object of either form; `theta` where the object gives none.
    fn rope(&self, object: Option<&Map<String, Value>>, theta: f64) -> Result<RopeSpec, ModelError> {
        let Some(object) = object else { return Ok(RopeSpec { theta, scaling: RopeScaling::None }) };
        let theta = positive(self.folder, object, "rope_theta")?.unwrap_or(theta);
        let kind = ["rope_type", "type"].iter().find_map(|name| object.get(*name).and_then(Value::as_str));
        let needed = |name: &str| {
            positive(self.folder, object, name)?
                .ok_or_else(|| self.folder.malformed(CONFIG, format!("its rotary settings lack {name:?}")))
        };
        let scaling = match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: needed("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original: needed("original_max_position_embeddings")?,
            },
            other => {
                return Err(self.folder.unsupported(
                    CONFIG,
                    format!("its rotary scaling {other:?} is not known; default, linear and llama3 are"),
                ));
            }
        };
        if object.get("partial_rotary_factor").and_then(Value::as_f64).is_some_and(|share| share != 1.0) {
            return Err(self.folder.unsupported(CONFIG, "\"partial_rotary_factor\" other than 1 is not known"));
        }
        Ok(RopeSpec { theta, scaling })
    }
}

fn positive(folder: Folder<'_>, object: &Map<String, Value>, name: &str) -> Result<Option<f64>, ModelError> {
    match object.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|number| *number > 0.0 && number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(folder.malformed(CONFIG, format!("{name:?} is {value}, not a number above 0"))),
        },
    }
}
