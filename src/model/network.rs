//! The forward pass of a BERT-family encoder, for inference.
//!
//! Texts of a batch lie under each other without padding: linear maps run over all tokens at once, attention
//! over each text alone. So a text's result does not depend on the others, and no mask is needed. One call runs
//! on one thread; callers put calls side by side. Matrix products are faer's.
//!
//! Reference: Devlin et al., BERT (2019); Song et al., MPNet (2020) for the relative positions.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use super::kernels::{activate, add_and_norm, add_bias, softmax};
use super::spec::Spec;
use super::weights::{Layer, Linear, Weights};
use crate::jobs::{Cancelled, Progress};

/// A network and its weights.
#[derive(Debug)]
pub(super) struct Network {
    spec: Spec,
    weights: Weights,
    relative: Relative,
    arch: Arch,
}

/// Working memory of a forward pass, reused from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    hidden: Vec<f32>,
    projected: Vec<f32>,
    context: Vec<f32>,
    inner: Vec<f32>,
    update: Vec<f32>,
    scores: Vec<f32>,
}

impl Network {
    /// For texts of at most `max_tokens` tokens.
    pub(super) fn new(spec: Spec, weights: Weights, max_tokens: usize) -> Self {
        let relative = Relative::new(&spec, &weights.relative, max_tokens);
        Self { spec, weights, relative, arch: Arch::new() }
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Last hidden states, tokens × hidden, of texts that lie under each other in `tokens`. Every token is below
    /// the size of the vocabulary and no text longer than the network was made for.
    pub(super) fn forward<'a>(
        &self,
        tokens: &[u32],
        lengths: &[usize],
        scratch: &'a mut Scratch,
        progress: &dyn Progress,
    ) -> Result<&'a [f32], Cancelled> {
        let Spec { hidden, inner, epsilon, activation, .. } = self.spec;
        let rows = tokens.len();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        resize(&mut scratch.hidden, rows * hidden);
        resize(&mut scratch.projected, rows * 3 * hidden);
        resize(&mut scratch.context, rows * hidden);
        resize(&mut scratch.inner, rows * inner);
        resize(&mut scratch.update, rows * hidden);
        resize(&mut scratch.scores, longest * longest);
        let Scratch { hidden: states, projected, context, inner: wide, update, scores } = scratch;
        self.embed(tokens, lengths, states);
        add_and_norm(self.arch, states, &[], &[], &self.weights.norm, epsilon);
        for layer in &self.weights.layers {
            let Layer { attention, attention_out, attention_norm, up, down, out_norm } = layer;
            progress.check()?;
            product(states, attention, projected);
            add_bias(self.arch, projected, &attention.bias);
            self.attend(lengths, projected, scores, context);
            product(context, attention_out, update);
            add_and_norm(self.arch, states, update, &attention_out.bias, attention_norm, epsilon);
            progress.check()?;
            product(states, up, wide);
            activate(self.arch, wide, &up.bias, activation);
            progress.check()?;
            product(wide, down, update);
            add_and_norm(self.arch, states, update, &down.bias, out_norm, epsilon);
        }
        Ok(states)
    }

    /// Words plus positions.
    fn embed(&self, tokens: &[u32], lengths: &[usize], states: &mut [f32]) {
        let Spec { hidden, pad, .. } = self.spec;
        let first = self.spec.first_position();
        let mut rest = tokens;
        let mut rows = states.chunks_exact_mut(hidden);
        for &length in lengths {
            let (text, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            let mut next = first;
            for (&token, target) in text.iter().zip(rows.by_ref()) {
                // Families that count from the padding token do not count that token itself.
                let skipped = first > 0 && token as usize == pad;
                let position = if skipped { pad } else { next };
                next += usize::from(!skipped);
                let sum = row(&self.weights.words, token as usize, hidden).iter().zip(row(
                    &self.weights.positions,
                    position,
                    hidden,
                ));
                target.iter_mut().zip(sum).for_each(|(target, (word, position))| *target = word + position);
            }
        }
    }

    /// `context` = softmax(Q·Kᵀ/√d)·V, text by text and head by head. `projected` is tokens × (Q, K, V).
    fn attend(&self, lengths: &[usize], projected: &[f32], scores: &mut [f32], context: &mut [f32]) {
        let Spec { hidden, heads, .. } = self.spec;
        let width = hidden / heads;
        let scale = 1.0 / (width as f32).sqrt();
        let rows = context.len() / hidden;
        let all = MatRef::from_row_major_slice(projected, rows, 3 * hidden);
        let mut out = MatMut::from_row_major_slice_mut(context, rows, hidden);
        let mut start = 0;
        for &length in lengths {
            let Some(scores) = scores.get_mut(..length * length) else { return };
            for head in 0..heads {
                let part = |which: usize| all.submatrix(start, which * hidden + head * width, length, width);
                let square = MatMut::from_row_major_slice_mut(&mut *scores, length, length);
                matmul(square, Accum::Replace, part(0), part(1).transpose(), scale, Par::Seq);
                softmax(self.arch, scores, length, |row| self.relative.row(head, row, length));
                let square = MatRef::from_row_major_slice(&*scores, length, length);
                let target = out.as_mut().submatrix_mut(start, head * width, length, width);
                matmul(target, Accum::Replace, square, part(2), 1.0, Par::Seq);
            }
            start += length;
        }
    }
}

/// `out = rows · map`, bias left to the caller.
fn product(rows: &[f32], map: &Linear, out: &mut [f32]) {
    let outputs = map.bias.len();
    let inputs = map.weight.len() / outputs.max(1);
    let count = rows.len() / inputs.max(1);
    matmul(
        MatMut::from_row_major_slice_mut(out, count, outputs),
        Accum::Replace,
        MatRef::from_row_major_slice(rows, count, inputs),
        MatRef::from_row_major_slice(&map.weight, inputs, outputs),
        1.0,
        Par::Seq,
    );
}

/// One row of a table, empty when out of range.
fn row(table: &[f32], at: usize, width: usize) -> &[f32] {
    table.get(at * width..(at + 1) * width).unwrap_or(&[])
}

fn resize(buffer: &mut Vec<f32>, len: usize) {
    buffer.resize(len, 0.0);
}

/// What is added to a score for the distance of its two tokens.
#[derive(Debug)]
struct Relative {
    /// Distances -(span-1) … span-1.
    span: usize,
    /// heads × distances; empty for networks without.
    table: Vec<f32>,
}

impl Relative {
    fn new(spec: &Spec, weights: &[f32], span: usize) -> Self {
        let mut table = Vec::new();
        if spec.buckets > 0 && span > 0 {
            for head in 0..spec.heads {
                for at in 0..2 * span - 1 {
                    let bucket = bucket(at as i64 - (span as i64 - 1), spec.buckets);
                    table.push(weights.get(bucket * spec.heads + head).copied().unwrap_or(0.0));
                }
            }
        }
        Self { span, table }
    }

    /// The `length` entries for query token `row`.
    fn row(&self, head: usize, row: usize, length: usize) -> &[f32] {
        let start = head * (2 * self.span).saturating_sub(1) + self.span.saturating_sub(1 + row);
        self.table.get(start..start + length).unwrap_or(&[])
    }
}

/// Half of the buckets for each direction; of those, half for single distances and half for distances that grow
/// geometrically up to 128.
fn bucket(distance: i64, buckets: usize) -> usize {
    const FARTHEST: f32 = 128.0;
    let half = buckets / 2;
    let exact = half / 2;
    let away = distance.unsigned_abs() as usize;
    let start = if distance > 0 { half } else { 0 };
    if away < exact {
        return start + away;
    }
    let beyond = (away as f32 / exact as f32).ln() / (FARTHEST / exact as f32).ln() * (half - exact) as f32;
    start + (exact + beyond as usize).min(half.saturating_sub(1))
}
