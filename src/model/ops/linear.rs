//! y = x·Wᵀ + bias + s·drop(x)·Aᵀ·Bᵀ with W frozen.
//!
//! Source: Hu et al., LoRA (2021). W is widened in blocks of rows where it is not float32. Quantised, and for a few
//! rows of x (a token that is generated), candle's products of integers are taken: they round x to 8 bits, as llama.cpp
//! does.

use candle_core::quantized::QTensor;
use candle_core::{Result, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::tape::{Op, Tape, apply};
use super::{Weight, fault, parallelism, plain, tensor, with_floats};

/// Up to so many rows of x a quantised W is not widened.
const FEW: usize = 4;

/// What a low-rank adapter adds to one linear map.
#[derive(Debug, Clone)]
pub(crate) struct Lora {
    /// rank × inputs.
    pub a: Tensor,
    /// outputs × rank.
    pub b: Tensor,
    pub scale: f32,
    pub dropout: Option<Dropout>,
}

/// Zeroes inputs of the adapter at random and scales the others up. The same seed gives the same zeroes, so a
/// part that is computed again computes the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dropout {
    /// In [0, 1).
    pub share: f32,
    pub seed: u64,
}

impl Dropout {
    /// The factor of element `index`: 0 or 1/(1 - share).
    fn factor(self, index: usize) -> f32 {
        let bits = splitmix(self.seed.wrapping_add((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))) >> 40;
        if (bits as f32) < self.share * (1 << 24) as f32 { 0.0 } else { 1.0 / (1.0 - self.share) }
    }

    pub(super) fn factors(self, count: usize) -> Vec<f32> {
        (0..count).map(|index| self.factor(index)).collect()
    }

    fn apply(dropout: Option<Self>, x: &[f32]) -> std::borrow::Cow<'_, [f32]> {
        match dropout {
            None => x.into(),
            Some(dropout) => x.iter().enumerate().map(|(i, x)| x * dropout.factor(i)).collect::<Vec<_>>().into(),
        }
    }
}

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
fn splitmix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// `x` is tokens × inputs, `weight` outputs × inputs; the result is tokens × outputs.
pub(crate) fn linear(
    tape: Option<&Tape>,
    x: &Tensor,
    weight: &Weight,
    bias: Option<&Tensor>,
    lora: Option<&Lora>,
) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::linear(x, weight, bias, lora);
    }
    let (outputs, inputs) = weight.dims2()?;
    let shape = (x.elem_count() / inputs.max(1), outputs);
    let map = Frozen { weight: weight.clone(), bias: bias.cloned() };
    match lora {
        None => apply(tape, map, &[x], shape),
        Some(lora) => {
            let map = Adapted { map, scale: lora.scale, dropout: lora.dropout };
            apply(tape, map, &[x, &lora.a, &lora.b], shape)
        }
    }
}

#[derive(Clone)]
struct Frozen {
    weight: Weight,
    bias: Option<Tensor>,
}

impl Frozen {
    /// (inputs, outputs), after checking `x` and the bias against them.
    fn sizes(&self, x: &[f32]) -> Result<(usize, usize)> {
        let (outputs, inputs) = self.weight.dims2()?;
        let bias = self.bias.as_ref().map_or(outputs, Tensor::elem_count);
        if inputs == 0 || !x.len().is_multiple_of(inputs) || bias != outputs {
            return fault("the input or the bias does not fit the linear map");
        }
        Ok((inputs, outputs))
    }

    fn product(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (inputs, outputs) = self.sizes(x)?;
        let rows = x.len() / inputs;
        if rows <= FEW
            && let Weight::Quantised(blocks) = &self.weight
        {
            return self.few(x, blocks, rows, inputs);
        }
        let mut y = vec![0f32; rows * outputs];
        if let Some(bias) = &self.bias {
            with_floats(bias, |bias| {
                y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
                Ok(())
            })?;
        }
        self.weight.times(x, &mut y, parallelism())?;
        Ok(y)
    }

    /// candle multiplies quantised blocks on a pool of its own, one product at a time, whatever pool calls.
    fn few(&self, x: &[f32], blocks: &QTensor, rows: usize, inputs: usize) -> Result<Vec<f32>> {
        let x = tensor(x.to_vec(), (rows, inputs))?;
        let mut y = x.apply_op1_no_bwd(blocks)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        y.flatten_all()?.to_vec1()
    }

    /// dx = g·W.
    fn back(&self, g: &[f32]) -> Result<Vec<f32>> {
        let (outputs, inputs) = self.weight.dims2()?;
        let rows = g.len() / outputs.max(1);
        if rows * outputs != g.len() {
            return fault("a gradient does not fit the linear map");
        }
        let mut dx = vec![0f32; rows * inputs];
        self.weight.times_back(g, &mut dx, parallelism())?;
        Ok(dx)
    }
}

impl Op for Frozen {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>> {
        let [x] = inputs else { return fault("a frozen map has one input") };
        self.product(x)
    }

    fn backward(&self, _inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.back(&gradient)?])
    }
}

struct Adapted {
    map: Frozen,
    scale: f32,
    dropout: Option<Dropout>,
}

impl Adapted {
    /// Rank, after checking both matrices.
    fn rank(&self, a: &[f32], b: &[f32], inputs: usize, outputs: usize) -> Result<usize> {
        let rank = a.len() / inputs;
        if rank == 0 || rank * inputs != a.len() || rank * outputs != b.len() {
            return fault("the adapter does not fit the linear map");
        }
        Ok(rank)
    }
}

impl Op for Adapted {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>> {
        let [x, a, b] = inputs else { return fault("an adapted map has three inputs") };
        let (inputs, outputs) = self.map.sizes(x)?;
        let rank = self.rank(a, b, inputs, outputs)?;
        let rows = x.len() / inputs;
        let mut y = self.map.product(x)?;
        let dropped = Dropout::apply(self.dropout, x);
        let mut low = vec![0f32; rows * rank];
        matmul(
            MatMut::from_row_major_slice_mut(&mut low, rows, rank),
            Accum::Replace,
            MatRef::from_row_major_slice(&dropped, rows, inputs),
            MatRef::from_row_major_slice(a, rank, inputs).transpose(),
            1.0,
            Par::Seq,
        );
        matmul(
            MatMut::from_row_major_slice_mut(&mut y, rows, outputs),
            Accum::Add,
            MatRef::from_row_major_slice(&low, rows, rank),
            MatRef::from_row_major_slice(b, outputs, rank).transpose(),
            self.scale,
            Par::Seq,
        );
        Ok(y)
    }

    fn backward(&self, inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>> {
        let [x, a, b] = inputs else { return fault("an adapted map has three inputs") };
        let (dx, da, db) = self.gradients(&gradient, x, a, b)?;
        Ok(vec![dx, da, db])
    }
}

impl Adapted {
    /// dx, dA and dB for the gradient `g` of the result.
    fn gradients(&self, g: &[f32], x: &[f32], a: &[f32], b: &[f32]) -> Result<(Vec<f32>, Vec<f32>, Vec<f32>)> {
        let (inputs, outputs) = self.map.sizes(x)?;
        let rank = self.rank(a, b, inputs, outputs)?;
        let rows = x.len() / inputs;
        if g.len() != rows * outputs {
            return fault("a gradient does not fit the linear map");
        }
        let mut dx = self.map.back(g)?;
        let dropped = Dropout::apply(self.dropout, x);
        let dropped = MatRef::from_row_major_slice(&dropped, rows, inputs);
        let g = MatRef::from_row_major_slice(g, rows, outputs);
        let a = MatRef::from_row_major_slice(a, rank, inputs);
        let b = MatRef::from_row_major_slice(b, outputs, rank);
        let (mut low, mut dlow) = (vec![0f32; rows * rank], vec![0f32; rows * rank]);
        let (mut da, mut db) = (vec![0f32; rank * inputs], vec![0f32; outputs * rank]);
        let product = |target: &mut [f32], width: usize, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>, scale: f32| {
            let target = MatMut::from_row_major_slice_mut(target, lhs.nrows(), width);
            matmul(target, Accum::Replace, lhs, rhs, scale, Par::Seq);
        };
        product(&mut low, rank, dropped, a.transpose(), 1.0);
        product(&mut dlow, rank, g, b, self.scale);
        product(&mut db, rank, g.transpose(), MatRef::from_row_major_slice(&low, rows, rank), self.scale);
        let dlow = MatRef::from_row_major_slice(&dlow, rows, rank);
        product(&mut da, inputs, dlow.transpose(), dropped, 1.0);
        match self.dropout {
            None => {
                let target = MatMut::from_row_major_slice_mut(&mut dx, rows, inputs);
                matmul(target, Accum::Add, dlow, a, 1.0, Par::Seq);
            }
            Some(dropout) => {
                let mut through = vec![0f32; rows * inputs];
                product(&mut through, inputs, dlow, a, 1.0);
                let pairs = dx.iter_mut().zip(&through).enumerate();
                pairs.for_each(|(i, (dx, through))| *dx += through * dropout.factor(i));
            }
        }
        Ok((dx, da, db))
    }
}
