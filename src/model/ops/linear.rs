//! y = x·Wᵀ + bias + s·drop(x)·Aᵀ·Bᵀ with W frozen.
//!
//! Source: Hu et al., LoRA (2021). W may be float32, bfloat16 or float16; the 16-bit kinds are widened in blocks of
//! rows, so no float32 copy of a matrix is ever whole in memory.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{fault, floats, parallelism, plain, tensor, with_floats};

/// Rows of W that are widened at once.
const BLOCK: usize = 256;

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
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, lora: Option<&Lora>) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::linear(x, weight, bias, lora);
    }
    let x = &x.contiguous()?;
    let map = Frozen { weight: weight.clone(), bias: bias.cloned() };
    match lora {
        None => x.apply_op1(map),
        Some(lora) => x.apply_op3(&lora.a, &lora.b, Adapted { map, scale: lora.scale, dropout: lora.dropout }),
    }
}

#[derive(Clone)]
struct Frozen {
    weight: Tensor,
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

    fn forward(&self, x: &[f32]) -> Result<Vec<f32>> {
        let (inputs, outputs) = self.sizes(x)?;
        let rows = x.len() / inputs;
        let mut y = vec![0f32; rows * outputs];
        if let Some(bias) = &self.bias {
            with_floats(bias, |bias| {
                y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
                Ok(())
            })?;
        }
        let accumulate = if self.bias.is_some() { Accum::Add } else { Accum::Replace };
        let of = MatRef::from_row_major_slice(x, rows, inputs);
        each_block(&self.weight, |start, count, block| {
            let block = MatRef::from_row_major_slice(block, count, inputs);
            let target = MatMut::from_row_major_slice_mut(&mut y, rows, outputs).submatrix_mut(0, start, rows, count);
            matmul(target, accumulate, of, block.transpose(), 1.0, parallelism());
        })?;
        Ok(y)
    }

    /// dx = g·W.
    fn backward(&self, g: &[f32]) -> Result<Vec<f32>> {
        let (outputs, inputs) = self.weight.dims2()?;
        let rows = g.len() / outputs.max(1);
        if rows * outputs != g.len() {
            return fault("a gradient does not fit the linear map");
        }
        let mut dx = vec![0f32; rows * inputs];
        let gradient = MatRef::from_row_major_slice(g, rows, outputs);
        each_block(&self.weight, |start, count, block| {
            let block = MatRef::from_row_major_slice(block, count, inputs);
            let part = gradient.submatrix(0, start, rows, count);
            let target = MatMut::from_row_major_slice_mut(&mut dx, rows, inputs);
            matmul(target, Accum::Add, part, block, 1.0, parallelism());
        })?;
        Ok(dx)
    }
}

/// Gives `f` the rows of a matrix as float32: first row, number of rows, numbers.
pub(super) fn each_block(weight: &Tensor, mut f: impl FnMut(usize, usize, &[f32])) -> Result<()> {
    let (rows, width) = weight.dims2()?;
    let (storage, layout) = weight.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        return fault("a weight must be contiguous and on the CPU");
    };
    let mut wide = Vec::new();
    let mut blocks = |fill: &mut dyn FnMut(std::ops::Range<usize>, &mut Vec<f32>)| {
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            wide.clear();
            fill(start + first * width..start + (first + count) * width, &mut wide);
            f(first, count, &wide);
        }
    };
    match storage {
        CpuStorage::F32(values) => match values.get(start..end) {
            Some(values) => f(0, rows, values),
            None => return fault("a weight is shorter than its shape"),
        },
        CpuStorage::BF16(values) if values.len() >= end => blocks(&mut |range, wide| {
            let part = values.get(range).unwrap_or_default();
            wide.extend(part.iter().map(|x| f32::from_bits(u32::from(x.to_bits()) << 16)));
        }),
        CpuStorage::F16(values) if values.len() >= end => blocks(&mut |range, wide| {
            use half::slice::HalfFloatSliceExt;
            let part = values.get(range).unwrap_or_default();
            wide.resize(part.len(), 0.0);
            part.convert_to_f32_slice(wide);
        }),
        _ => return fault("a weight must be float32, bfloat16 or float16"),
    }
    Ok(())
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(storage, layout)?;
        let (inputs, outputs) = self.sizes(x)?;
        Ok((CpuStorage::F32(self.forward(x)?), Shape::from((x.len() / inputs, outputs))))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_floats(grad_res, |g| self.backward(g))?;
        Ok(Some(tensor(dx, arg.dims())?))
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

impl CustomOp3 for Adapted {
    fn name(&self) -> &'static str {
        "adapted linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, a, b) = (floats(s1, l1)?, floats(s2, l2)?, floats(s3, l3)?);
        let (inputs, outputs) = self.map.sizes(x)?;
        let rank = self.rank(a, b, inputs, outputs)?;
        let rows = x.len() / inputs;
        let mut y = self.map.forward(x)?;
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
        Ok((CpuStorage::F32(y), Shape::from((rows, outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let shapes = (x.dims().to_vec(), a.dims().to_vec(), b.dims().to_vec());
        let gradients = with_floats(grad_res, |g| {
            with_floats(x, |x| with_floats(a, |a| with_floats(b, |b| self.gradients(g, x, a, b))))
        })?;
        let (dx, da, db) = gradients;
        Ok((Some(tensor(dx, shapes.0)?), Some(tensor(da, shapes.1)?), Some(tensor(db, shapes.2)?)))
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
        let mut dx = self.map.backward(g)?;
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
