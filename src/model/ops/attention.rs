//! softmax(scale·Q·Kᵀ)·V, causal, text by text and head by head.
//!
//! Query rows go through in blocks that touch only the keys they may see, and the backward pass computes the
//! probabilities again, so no square of a text's length is ever kept. Heads of keys may serve several heads of
//! queries (Ainslie et al., GQA, 2023).

use candle_core::{Result, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use super::tape::{Op, Tape, apply};
use super::{Span, fault, plain};
use crate::model::kernels::{exp, largest, sum};

/// Query rows of a block.
const BLOCK: usize = 64;

/// What decides the arithmetic, the same for all tokens of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Attend {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub scale: f32,
    /// How many tokens back a token sees, itself included.
    pub window: Option<usize>,
}

/// `q` is tokens × (heads·d), `k` and `v` keys × (kv_heads·d); the result has the shape of `q`.
pub(crate) fn attention(
    tape: Option<&Tape>,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    spans: &[Span],
    attend: Attend,
) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return plain::attention(q, k, v, spans, attend);
    }
    apply(tape, Attention { spans: spans.to_vec(), attend }, &[q, k, v], q.shape())
}

struct Attention {
    spans: Vec<Span>,
    attend: Attend,
}

/// One block of query rows of one head: rows `first..first + rows` of the text, which see keys `from..to`.
struct Block {
    /// First row among all queries, and first key among all keys.
    query: usize,
    key: usize,
    rows: usize,
    keys: usize,
    /// Position of the first row, counted from `key`'s own text position.
    ahead: usize,
    head: usize,
}

impl Attention {
    fn check(&self, q: &[f32], k: &[f32], v: &[f32]) -> Result<()> {
        let Attend { heads, kv_heads, head_dim, .. } = self.attend;
        let queries: usize = self.spans.iter().map(|span| span.queries).sum();
        let keys: usize = self.spans.iter().map(|span| span.keys).sum();
        let sound = kv_heads > 0
            && heads.is_multiple_of(kv_heads)
            && q.len() == queries * heads * head_dim
            && k.len() == keys * kv_heads * head_dim
            && k.len() == v.len()
            && self.spans.iter().all(|span| span.queries <= span.keys);
        if sound { Ok(()) } else { fault("queries, keys and values do not fit each other") }
    }

    fn each_block(&self, mut f: impl FnMut(&Block)) {
        let (mut query, mut key) = (0, 0);
        for span in &self.spans {
            for head in 0..self.attend.heads {
                for first in (0..span.queries).step_by(BLOCK) {
                    let rows = BLOCK.min(span.queries - first);
                    let position = span.keys - span.queries + first;
                    let from = self.attend.window.map_or(0, |window| (position + 1).saturating_sub(window));
                    let keys = position + rows - from;
                    f(&Block { query: query + first, key: key + from, rows, keys, ahead: position - from, head });
                }
            }
            query += span.queries;
            key += span.keys;
        }
    }

    fn queries<'a>(&self, all: &'a [f32], block: &Block) -> MatRef<'a, f32> {
        let Attend { heads, head_dim, .. } = self.attend;
        let width = heads * head_dim;
        MatRef::from_row_major_slice(all, all.len() / width, width).submatrix(
            block.query,
            block.head * head_dim,
            block.rows,
            head_dim,
        )
    }

    fn keys<'a>(&self, all: &'a [f32], block: &Block) -> MatRef<'a, f32> {
        let Attend { heads, kv_heads, head_dim, .. } = self.attend;
        let width = kv_heads * head_dim;
        let head = block.head / (heads / kv_heads);
        MatRef::from_row_major_slice(all, all.len() / width, width).submatrix(
            block.key,
            head * head_dim,
            block.keys,
            head_dim,
        )
    }

    /// The first and the end of the keys that row `row` of the block sees.
    fn seen(&self, block: &Block, row: usize) -> (usize, usize) {
        let end = block.ahead + row + 1;
        (self.attend.window.map_or(0, |window| end.saturating_sub(window)), end.min(block.keys))
    }

    /// Probabilities of the block in `scores`, rows × keys.
    fn probabilities(&self, q: &[f32], k: &[f32], block: &Block, scores: &mut Vec<f32>) {
        scores.resize(block.rows * block.keys, 0.0);
        let target = MatMut::from_row_major_slice_mut(scores, block.rows, block.keys);
        let keys = self.keys(k, block).transpose();
        matmul(target, Accum::Replace, self.queries(q, block), keys, self.attend.scale, Par::Seq);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (row, scores) in scores.chunks_exact_mut(block.keys).enumerate() {
                    let (from, to) = self.seen(block, row);
                    let (before, rest) = scores.split_at_mut(from.min(block.keys));
                    let (seen, after) = rest.split_at_mut(to.saturating_sub(from).min(rest.len()));
                    before.fill(0.0);
                    after.fill(0.0);
                    let peak = largest(seen);
                    seen.iter_mut().for_each(|x| *x = exp(*x - peak));
                    let scale = 1.0 / sum(seen, |x| x);
                    seen.iter_mut().for_each(|x| *x *= scale);
                }
            },
        );
    }

    fn seen_values(&self, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
        let Attend { heads, head_dim, .. } = self.attend;
        let width = heads * head_dim;
        let mut out = vec![0f32; q.len()];
        let mut scores = Vec::new();
        let rows = q.len() / width;
        self.each_block(|block| {
            self.probabilities(q, k, block, &mut scores);
            let p = MatRef::from_row_major_slice(&scores, block.rows, block.keys);
            let target = MatMut::from_row_major_slice_mut(&mut out, rows, width).submatrix_mut(
                block.query,
                block.head * head_dim,
                block.rows,
                head_dim,
            );
            matmul(target, Accum::Replace, p, self.keys(v, block), 1.0, Par::Seq);
        });
        out
    }

    /// dQ, dK and dV.
    fn gradients(&self, q: &[f32], k: &[f32], v: &[f32], g: &[f32]) -> Result<[Vec<f32>; 3]> {
        self.check(q, k, v)?;
        if g.len() != q.len() {
            return fault("a gradient does not fit the attention");
        }
        let Attend { heads, kv_heads, head_dim, scale, .. } = self.attend;
        let (width, narrow) = (heads * head_dim, kv_heads * head_dim);
        let (rows, keys) = (q.len() / width, k.len() / narrow);
        let (mut dq, mut dk, mut dv) = (vec![0f32; q.len()], vec![0f32; k.len()], vec![0f32; k.len()]);
        let (mut scores, mut dp) = (Vec::new(), Vec::new());
        self.each_block(|block| {
            self.probabilities(q, k, block, &mut scores);
            let column = block.head / (heads / kv_heads) * head_dim;
            let of_keys = |all: &mut [f32], lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>, scale: f32| {
                let target = MatMut::from_row_major_slice_mut(all, keys, narrow)
                    .submatrix_mut(block.key, column, block.keys, head_dim);
                matmul(target, Accum::Add, lhs, rhs, scale, Par::Seq);
            };
            let g = self.queries(g, block);
            let p = MatRef::from_row_major_slice(&scores, block.rows, block.keys);
            of_keys(&mut dv, p.transpose(), g, 1.0);
            dp.resize(block.rows * block.keys, 0.0);
            let target = MatMut::from_row_major_slice_mut(&mut dp, block.rows, block.keys);
            matmul(target, Accum::Replace, g, self.keys(v, block).transpose(), 1.0, Par::Seq);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (p, dp) in scores.chunks_exact_mut(block.keys).zip(dp.chunks_exact(block.keys)) {
                        // In place: first p·dp, whose sum is needed, then p·(dp - sum).
                        let mut along = 0.0;
                        p.iter().zip(dp).for_each(|(p, dp)| along += p * dp);
                        p.iter_mut().zip(dp).for_each(|(p, dp)| *p *= dp - along);
                    }
                },
            );
            let ds = MatRef::from_row_major_slice(&scores, block.rows, block.keys);
            let target = MatMut::from_row_major_slice_mut(&mut dq, rows, width).submatrix_mut(
                block.query,
                block.head * head_dim,
                block.rows,
                head_dim,
            );
            matmul(target, Accum::Replace, ds, self.keys(k, block), scale, Par::Seq);
            of_keys(&mut dk, ds.transpose(), self.queries(q, block), scale);
        });
        Ok([dq, dk, dv])
    }
}

impl Op for Attention {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>> {
        let [q, k, v] = inputs else { return fault("attention has three inputs") };
        self.check(q, k, v)?;
        Ok(self.seen_values(q, k, v))
    }

    fn backward(&self, inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>> {
        let [q, k, v] = inputs else { return fault("attention has three inputs") };
        Ok(self.gradients(q, k, v, &gradient)?.into())
    }
}
