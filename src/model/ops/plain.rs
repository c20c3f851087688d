//! The same steps composed of candle's own differentiable operations.
//!
//! Slow, readable, and for any device: the oracle of the operations beside it, and what runs where they do not.

use candle_core::{D, Device, Result, Tensor};

use super::{Attend, HeadLoss, Lora, Span, Weight};
use crate::model::decoder::GateActivation;

pub(crate) fn linear(x: &Tensor, weight: &Weight, bias: Option<&Tensor>, lora: Option<&Lora>) -> Result<Tensor> {
    let mut y = x.matmul(&weight.widened()?.t()?)?;
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    let Some(lora) = lora else { return Ok(y) };
    let dropped = match lora.dropout {
        None => x.clone(),
        Some(dropout) => {
            let factors = Tensor::from_vec(dropout.factors(x.elem_count()), x.dims(), x.device())?;
            (x * factors)?
        }
    };
    let low = dropped.matmul(&lora.a.t()?)?;
    y + (low.matmul(&lora.b.t()?)? * f64::from(lora.scale))?
}

pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    let width = weight.elem_count();
    let rows = x.reshape((x.elem_count() / width.max(1), width))?;
    let mean = rows.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = rows.broadcast_div(&(mean + f64::from(epsilon))?.sqrt()?)?;
    normed.broadcast_mul(weight)?.reshape(x.dims())
}

pub(crate) fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (tokens, half) = cos.dims2()?;
    let heads = x.elem_count() / (tokens * 2 * half).max(1);
    let by_head = x.reshape((tokens, heads, 2 * half))?;
    let (low, high) = (by_head.narrow(2, 0, half)?, by_head.narrow(2, half, half)?);
    let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?);
    let turned_low = (low.broadcast_mul(&cos)? - high.broadcast_mul(&sin)?)?;
    let turned_high = (high.broadcast_mul(&cos)? + low.broadcast_mul(&sin)?)?;
    Tensor::cat(&[turned_low, turned_high], 2)?.reshape(x.dims())
}

pub(crate) fn glu(gate: &Tensor, up: &Tensor, activation: GateActivation) -> Result<Tensor> {
    match activation {
        GateActivation::Silu => gate.silu()? * up,
        GateActivation::GeluTanh => gate.gelu()? * up,
    }
}

/// 0 where a query sees a key, -∞ elsewhere; made where it is used, since only positions go there.
fn mask(span: &Span, window: Option<usize>, device: &Device) -> Result<Tensor> {
    let positions = |from: usize, to: usize| Tensor::arange(from as f32, to as f32, device);
    let ahead = span.keys - span.queries;
    let back = positions(ahead, span.keys)?.unsqueeze(1)?.broadcast_sub(&positions(0, span.keys)?.unsqueeze(0)?)?;
    let mut seen = back.ge(0f32)?;
    if let Some(window) = window {
        seen = (seen * back.lt(window as f32)?)?;
    }
    seen.where_cond(&back.zeros_like()?, &back.zeros_like()?.affine(1.0, f64::NEG_INFINITY)?)
}

pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, spans: &[Span], attend: Attend) -> Result<Tensor> {
    let Attend { heads, kv_heads, head_dim, scale, window } = attend;
    let (mut query, mut key) = (0, 0);
    let mut outs = Vec::with_capacity(spans.len());
    for span in spans {
        let part = |all: &Tensor, start: usize, count: usize, heads: usize| {
            all.narrow(0, start, count)?.reshape((count, heads, head_dim))?.transpose(0, 1)?.contiguous()
        };
        let q = part(q, query, span.queries, heads)?;
        let spread = |all: Tensor| {
            let (group, count) = (heads / kv_heads.max(1), all.dim(1)?);
            let spread = all.unsqueeze(1)?.expand((kv_heads, group, count, head_dim))?.contiguous()?;
            spread.reshape((heads, count, head_dim))
        };
        let (k, v) = (spread(part(k, key, span.keys, kv_heads)?)?, spread(part(v, key, span.keys, kv_heads)?)?);
        let scores = (q.matmul(&k.t()?)? * f64::from(scale))?;
        let mask = mask(span, window, q.device())?;
        let p = candle_nn::ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?;
        outs.push(p.matmul(&v)?.transpose(0, 1)?.reshape((span.queries, heads * head_dim))?);
        query += span.queries;
        key += span.keys;
    }
    Tensor::cat(&outs, 0)
}

pub(crate) fn cross_entropy(
    hidden: &Tensor,
    head: &Weight,
    targets: &[u32],
    weights: &[f32],
    cap: Option<f32>,
    with_gradient: bool,
) -> Result<HeadLoss> {
    let device = hidden.device();
    let hidden = candle_core::Var::from_tensor(&hidden.detach())?;
    let mut logits = hidden.matmul(&head.widened()?.t()?)?;
    if let Some(cap) = cap {
        logits = ((logits / f64::from(cap))?.tanh()? * f64::from(cap))?;
    }
    let at = Tensor::new(targets, device)?.unsqueeze(1)?;
    let losses = candle_nn::ops::log_softmax(&logits, D::Minus1)?.gather(&at, 1)?.squeeze(1)?.neg()?;
    let told = losses.to_vec1::<f32>()?;
    let told = told.into_iter().zip(weights).map(|(loss, weight)| if *weight == 0.0 { 0.0 } else { f64::from(loss) });
    let gradient = if with_gradient {
        let total = (losses * Tensor::new(weights, device)?)?.sum_all()?;
        let mut gradients = total.backward()?;
        Some(gradients.remove(&hidden).map_or_else(|| hidden.zeros_like(), Ok)?)
    } else {
        None
    };
    Ok(HeadLoss { losses: told.collect(), gradient })
}

/// Gradients of what `y` was computed of, for the gradient of `y`.
pub(crate) fn backward(y: &Tensor, gradient: &Tensor) -> Result<candle_core::backprop::GradStore> {
    (y * gradient)?.sum_all()?.backward()
}
