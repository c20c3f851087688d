//! One layer: attention and a gated feed-forward part, each behind a norm and beside a residual.

use candle_core::{Device, Result, Tensor};

use super::cache::LayerCache;
use super::source::Source;
use super::{DecoderSpec, GateActivation, Module, Precision};
use crate::model::ModelError;
use crate::model::ops::{Attend, Lora, Span, Tape, Weight, attention, glu, linear, rms_norm, rope, sum};

#[derive(Debug)]
struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

#[derive(Debug)]
pub(super) struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    gate: Linear,
    up: Linear,
    down: Linear,
    query_norm: Option<Tensor>,
    key_norm: Option<Tensor>,
    before_attention: Tensor,
    after_attention: Option<Tensor>,
    before_inner: Tensor,
    after_inner: Option<Tensor>,
    attend: Attend,
    activation: GateActivation,
    rope: usize,
    epsilon: f32,
}

/// What the tokens of a batch share in every layer.
pub(super) struct Batch<'a> {
    pub spans: &'a [Span],
    /// Cosines and sines of each rotary table, for the tokens of the batch.
    pub ropes: Vec<(Tensor, Tensor)>,
}

impl Layer {
    /// As [`super::Decoder::rounds`].
    pub(super) fn rounds(&self) -> bool {
        let Self { query, key, value, out, gate, up, down, .. } = self;
        [query, key, value, out, gate, up, down].iter().any(|map| map.weight.rounds())
    }

    pub(super) fn read(
        weights: &mut dyn Source,
        spec: &DecoderSpec,
        number: usize,
        precision: Precision,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
        let at = |part: &str| format!("layers.{number}.{part}");
        let mut map = |module: Module, bias: bool| {
            let (inputs, outputs) = module.sizes(spec);
            let name = at(module.path());
            let weight = weights.matrix(&format!("{name}.weight"), [outputs, inputs], precision, device)?;
            let bias = if bias { Some(weights.vector(&format!("{name}.bias"), outputs, device)?) } else { None };
            Ok::<_, ModelError>(Linear { weight, bias })
        };
        let (query, key) = (map(Module::Query, spec.qkv_bias)?, map(Module::Key, spec.qkv_bias)?);
        let (value, out) = (map(Module::Value, spec.qkv_bias)?, map(Module::Out, spec.out_bias)?);
        let (gate, up) = (map(Module::Gate, spec.mlp_bias)?, map(Module::Up, spec.mlp_bias)?);
        let down = map(Module::Down, spec.mlp_bias)?;
        let mut norm = |part: &str, width: usize| norm(weights, spec, &at(part), width, device);
        let heads = if spec.qk_norm {
            Some((norm("self_attn.q_norm", spec.head_dim)?, norm("self_attn.k_norm", spec.head_dim)?))
        } else {
            None
        };
        let (query_norm, key_norm) = heads.map_or((None, None), |(query, key)| (Some(query), Some(key)));
        let before_attention = norm("input_layernorm", spec.hidden)?;
        let second = norm("post_attention_layernorm", spec.hidden)?;
        let (after_attention, before_inner, after_inner) = if spec.four_norms {
            let before = norm("pre_feedforward_layernorm", spec.hidden)?;
            (Some(second), before, Some(norm("post_feedforward_layernorm", spec.hidden)?))
        } else {
            (None, second, None)
        };
        let attend = Attend {
            heads: spec.heads,
            kv_heads: spec.kv_heads,
            head_dim: spec.head_dim,
            scale: spec.attention_scale,
            window: spec.windows.get(number).copied().flatten(),
        };
        Ok(Self {
            query,
            key,
            value,
            out,
            gate,
            up,
            down,
            query_norm,
            key_norm,
            before_attention,
            after_attention,
            before_inner,
            after_inner,
            attend,
            activation: spec.activation,
            rope: spec.rope_of_layer.get(number).copied().unwrap_or(0),
            epsilon: spec.epsilon,
        })
    }

    /// Of the frozen matrices, in memory.
    pub(super) fn bytes(&self) -> u64 {
        Module::ALL.into_iter().map(|module| self.map(module).weight.bytes()).sum()
    }

    fn map(&self, module: Module) -> &Linear {
        match module {
            Module::Query => &self.query,
            Module::Key => &self.key,
            Module::Value => &self.value,
            Module::Out => &self.out,
            Module::Gate => &self.gate,
            Module::Up => &self.up,
            Module::Down => &self.down,
        }
    }

    /// `x` is tokens × hidden. `adapter` gives what is added to a linear map; `tape` records, on the CPU.
    pub(super) fn forward(
        &self,
        tape: Option<&Tape>,
        x: &Tensor,
        batch: &Batch<'_>,
        adapter: &dyn Fn(Module) -> Option<Lora>,
        cache: Option<&mut LayerCache>,
    ) -> Result<Tensor> {
        let map = |x: &Tensor, module: Module| {
            let Linear { weight, bias } = self.map(module);
            linear(tape, x, weight, bias.as_ref(), adapter(module).as_ref())
        };
        let Some((cos, sin)) = batch.ropes.get(self.rope) else { candle_core::bail!("a rotary table is missing") };
        let normed = rms_norm(tape, x, &self.before_attention, self.epsilon)?;
        let mut q = map(&normed, Module::Query)?;
        let mut k = map(&normed, Module::Key)?;
        let v = map(&normed, Module::Value)?;
        if let (Some(query_norm), Some(key_norm)) = (&self.query_norm, &self.key_norm) {
            q = rms_norm(tape, &q, query_norm, self.epsilon)?;
            k = rms_norm(tape, &k, key_norm, self.epsilon)?;
        }
        let (q, k) = (rope(tape, &q, cos, sin)?, rope(tape, &k, cos, sin)?);
        let seen = match cache {
            None => attention(tape, &q, &k, &v, batch.spans, self.attend)?,
            Some(cache) => {
                let (keys, values) = cache.append(&k, &v)?;
                let span = Span { queries: q.dim(0)?, keys: keys.dim(0)? };
                attention(tape, &q, &keys, &values, &[span], self.attend)?
            }
        };
        let mut update = map(&seen, Module::Out)?;
        if let Some(norm) = &self.after_attention {
            update = rms_norm(tape, &update, norm, self.epsilon)?;
        }
        let x = sum(tape, x, &update)?;
        let normed = rms_norm(tape, &x, &self.before_inner, self.epsilon)?;
        let inner = glu(tape, &map(&normed, Module::Gate)?, &map(&normed, Module::Up)?, self.activation)?;
        let mut update = map(&inner, Module::Down)?;
        if let Some(norm) = &self.after_inner {
            update = rms_norm(tape, &update, norm, self.epsilon)?;
        }
        sum(tape, &x, &update)
    }
}

/// The scale of a norm in float32, whichever way it is stored.
pub(super) fn norm(
    weights: &mut dyn Source,
    spec: &DecoderSpec,
    name: &str,
    width: usize,
    device: &Device,
) -> std::result::Result<Tensor, ModelError> {
    let weight = weights.vector(&format!("{name}.weight"), width, device)?;
    if !spec.norm_plus_one {
        return Ok(weight);
    }
    (weight + 1.0).map_err(|error| ModelError::Compute { path: weights.path(), reason: error.to_string() })
}
