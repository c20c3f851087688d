//! The head of a language model and its loss in one: Σ_t weight_t · -log softmax(h_t·Wᵀ)[target_t].
//!
//! Rows go through in chunks, so the logits of a whole batch are never in memory; the gradient with respect to h
//! is made in the same pass. Sums of losses are float64.

use candle_core::{Result, Tensor};
use faer::Par;
use pulp::Arch;

use super::{Weight, fault, plain, tensor, with_floats};
use crate::model::kernels::{exp, largest, sum};

/// Rows of a chunk.
const CHUNK: usize = 256;

/// What [`cross_entropy`] gives.
#[derive(Debug)]
pub(crate) struct HeadLoss {
    /// -log p of each row's target, unweighted; 0 where the row has no weight.
    pub losses: Vec<f64>,
    /// The gradient of the weighted sum, rows × hidden; `None` where it was not asked for.
    pub gradient: Option<Tensor>,
}

/// `hidden` is rows × width, `head` vocabulary × width; a row of weight 0 costs nothing.
pub(crate) fn cross_entropy(
    hidden: &Tensor,
    head: &Weight,
    targets: &[u32],
    weights: &[f32],
    cap: Option<f32>,
    with_gradient: bool,
) -> Result<HeadLoss> {
    let (rows, width) = hidden.dims2()?;
    let (vocabulary, _) = head.dims2()?;
    if targets.len() != rows || weights.len() != rows || targets.iter().any(|&target| target as usize >= vocabulary) {
        return fault("targets do not fit the batch or the vocabulary");
    }
    if !hidden.device().is_cpu() {
        return plain::cross_entropy(hidden, head, targets, weights, cap, with_gradient);
    }
    let used: Vec<usize> = (0..rows).filter(|&row| weights.get(row).is_some_and(|weight| *weight != 0.0)).collect();
    let mut losses = vec![0f64; rows];
    let mut gradient = vec![0f32; if with_gradient { rows * width } else { 0 }];
    with_floats(hidden, |hidden| {
        for chunk in used.chunks(CHUNK) {
            one_chunk(chunk, hidden, width, head, vocabulary, (targets, weights), cap, &mut losses, &mut gradient)?;
        }
        Ok(())
    })?;
    let gradient = if with_gradient { Some(tensor(gradient, (rows, width))?) } else { None };
    Ok(HeadLoss { losses, gradient })
}

#[expect(clippy::too_many_arguments, reason = "one loop body, split off for its length")]
fn one_chunk(
    rows: &[usize],
    hidden: &[f32],
    width: usize,
    head: &Weight,
    vocabulary: usize,
    (targets, weights): (&[u32], &[f32]),
    cap: Option<f32>,
    losses: &mut [f64],
    gradient: &mut [f32],
) -> Result<()> {
    let gathered: Vec<f32> = rows.iter().flat_map(|&row| row_of(hidden, row, width)).copied().collect();
    let mut logits = vec![0f32; rows.len() * vocabulary];
    head.times(&gathered, &mut logits, Par::Seq)?;
    for (&row, logits) in rows.iter().zip(logits.chunks_exact_mut(vocabulary)) {
        let target = targets.get(row).map_or(0, |&target| target as usize);
        let weight = weights.get(row).copied().unwrap_or(0.0);
        let loss = softmax_loss(logits, target, weight, cap);
        if let Some(slot) = losses.get_mut(row) {
            *slot = loss;
        }
    }
    if gradient.is_empty() {
        return Ok(());
    }
    let mut dhidden = vec![0f32; rows.len() * width];
    head.times_back(&logits, &mut dhidden, Par::Seq)?;
    for (&row, source) in rows.iter().zip(dhidden.chunks_exact(width)) {
        if let Some(target) = gradient.get_mut(row * width..(row + 1) * width) {
            target.copy_from_slice(source);
        }
    }
    Ok(())
}

/// The loss of one row; its logits become their gradient times `weight`.
fn softmax_loss(logits: &mut [f32], target: usize, weight: f32, cap: Option<f32>) -> f64 {
    let slopes: Option<Vec<f32>> = cap.map(|cap| {
        let bounded = logits.iter_mut().map(|logit| {
            let bounded = (*logit / cap).tanh();
            *logit = cap * bounded;
            1.0 - bounded * bounded
        });
        bounded.collect()
    });
    let of_target = logits.get(target).copied().unwrap_or(0.0);
    let loss = Arch::new().dispatch(
        #[inline(always)]
        || {
            let peak = largest(logits);
            logits.iter_mut().for_each(|x| *x = exp(*x - peak));
            let total = sum(logits, |x| x);
            let scale = weight / total;
            logits.iter_mut().for_each(|x| *x *= scale);
            f64::from(total).ln() + f64::from(peak) - f64::from(of_target)
        },
    );
    if let Some(logit) = logits.get_mut(target) {
        *logit -= weight;
    }
    if let Some(slopes) = slopes {
        logits.iter_mut().zip(slopes).for_each(|(logit, slope)| *logit *= slope);
    }
    loss
}

fn row_of(all: &[f32], row: usize, width: usize) -> &[f32] {
    all.get(row * width..(row + 1) * width).unwrap_or(&[])
}
