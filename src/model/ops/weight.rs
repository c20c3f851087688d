//! A frozen matrix in memory: numbers of a floating-point format, or the quantised blocks of a GGUF file.
//!
//! Products run over blocks of rows as float32, so no float32 copy of a matrix is ever whole in memory; bfloat16 is
//! multiplied as it is on CPUs that can ([`dots`]).

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{dots, fault, with_floats};

/// Rows that are widened at once.
const BLOCK: usize = 256;

/// Outputs × inputs.
#[derive(Debug, Clone)]
pub(crate) enum Weight {
    /// float32, bfloat16 or float16.
    Plain(Tensor),
    /// Whole blocks a row; on the CPU.
    Quantised(Arc<QTensor>),
}

impl From<Tensor> for Weight {
    fn from(tensor: Tensor) -> Self {
        Self::Plain(tensor)
    }
}

impl Weight {
    pub(crate) fn dims2(&self) -> Result<(usize, usize)> {
        match self {
            Self::Plain(tensor) => tensor.dims2(),
            Self::Quantised(blocks) => blocks.shape().dims2(),
        }
    }

    /// In memory.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Plain(tensor) => (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64,
            Self::Quantised(blocks) => blocks.storage_size_in_bytes() as u64,
        }
    }

    /// All of it as float32.
    pub(crate) fn widened(&self) -> Result<Tensor> {
        match self {
            Self::Plain(tensor) => tensor.to_dtype(DType::F32),
            Self::Quantised(blocks) => blocks.dequantize(&Device::Cpu),
        }
    }

    /// Some rows as float32, by number.
    pub(crate) fn rows(&self, numbers: &[u32]) -> Result<Tensor> {
        match self {
            Self::Plain(table) => table.index_select(&Tensor::new(numbers, table.device())?, 0)?.to_dtype(DType::F32),
            Self::Quantised(blocks) => blocks.embedding(&Tensor::new(numbers, &Device::Cpu)?),
        }
    }

    /// y += x·Wᵀ, x rows × inputs, y rows × outputs.
    pub(super) fn times(&self, x: &[f32], y: &mut [f32], parallelism: Par) -> Result<()> {
        let (outputs, inputs) = self.dims2()?;
        let rows = x.len() / inputs.max(1);
        if rows * inputs != x.len() || rows * outputs != y.len() {
            return fault("the input does not fit the matrix");
        }
        let side_by_side = !matches!(parallelism, Par::Seq);
        if self.with_bfloats(|w| dots::forward(x, w, (outputs, inputs), y, side_by_side)) {
            return Ok(());
        }
        let x = MatRef::from_row_major_slice(x, rows, inputs);
        self.each_block(|start, count, block| {
            let block = MatRef::from_row_major_slice(block, count, inputs);
            let target = MatMut::from_row_major_slice_mut(&mut *y, rows, outputs).submatrix_mut(0, start, rows, count);
            matmul(target, Accum::Add, x, block.transpose(), 1.0, parallelism);
        })
    }

    /// dx += g·W, g rows × outputs, dx rows × inputs.
    pub(super) fn times_back(&self, g: &[f32], dx: &mut [f32], parallelism: Par) -> Result<()> {
        let (outputs, inputs) = self.dims2()?;
        let rows = g.len() / outputs.max(1);
        if rows * outputs != g.len() || rows * inputs != dx.len() {
            return fault("a gradient does not fit the matrix");
        }
        if self.with_bfloats(|w| dots::backward(g, w, (outputs, inputs), dx)) {
            return Ok(());
        }
        let gradient = MatRef::from_row_major_slice(g, rows, outputs);
        self.each_block(|start, count, block| {
            let block = MatRef::from_row_major_slice(block, count, inputs);
            let part = gradient.submatrix(0, start, rows, count);
            let target = MatMut::from_row_major_slice_mut(&mut *dx, rows, inputs);
            matmul(target, Accum::Add, part, block, 1.0, parallelism);
        })
    }

    /// Whether products round the other operand to bfloat16 on this CPU.
    pub(crate) fn rounds(&self) -> bool {
        matches!(self, Self::Plain(tensor) if tensor.dtype() == DType::BF16 && tensor.device().is_cpu())
            && dots::available()
    }

    /// False where the matrix is of another format.
    fn with_bfloats(&self, f: impl FnOnce(&[half::bf16]) -> bool) -> bool {
        let Self::Plain(tensor) = self else { return false };
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::BF16(values)), Some((start, end))) => values.get(start..end).is_some_and(f),
            _ => false,
        }
    }

    /// Gives `f` the rows as float32 in blocks: first row, number of rows, numbers.
    fn each_block(&self, mut f: impl FnMut(usize, usize, &[f32])) -> Result<()> {
        match self {
            Self::Plain(tensor) => each_plain_block(tensor, f),
            Self::Quantised(blocks) => {
                let (rows, width) = blocks.shape().dims2()?;
                let data = blocks.data()?;
                let row_bytes = width / blocks.dtype().block_size() * blocks.dtype().type_size();
                for first in (0..rows).step_by(BLOCK) {
                    let count = BLOCK.min(rows - first);
                    let Some(part) = data.get(first * row_bytes..(first + count) * row_bytes) else {
                        return fault("a quantised weight is shorter than its shape");
                    };
                    let storage = QStorage::from_data(Cow::Borrowed(part), &Device::Cpu, blocks.dtype())?;
                    let wide = QTensor::new(storage, (count, width))?.dequantize(&Device::Cpu)?;
                    with_floats(&wide, |wide| {
                        f(first, count, wide);
                        Ok(())
                    })?;
                }
                Ok(())
            }
        }
    }
}

fn each_plain_block(weight: &Tensor, mut f: impl FnMut(usize, usize, &[f32])) -> Result<()> {
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
