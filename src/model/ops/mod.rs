//! The differentiable steps of a decoder, on tensors of candle.
//!
//! candle's fused norms, softmax and rotary positions have no backward pass and drop gradients silently; its matrix
//! product computes and keeps gradients of frozen weights. These do neither, and keep nothing but their inputs, on a
//! [`Tape`]. Constraints: on the CPU each runs on the calling thread's pool over contiguous float32 (candle multiplies a
//! few rows by quantised blocks on a pool of its own); on another device the slow composition in [`plain`] runs instead,
//! recorded by candle, which is also the oracle in the tests. Rows of a batch lie under each
//! other without padding: a tensor is tokens × width, and [`Span`]s say which tokens are one text.

mod attention;
mod cross_entropy;
mod dots;
mod glu;
mod linear;
mod norm;
pub(crate) mod plain;
mod rope;
mod sum;
mod tape;
#[cfg(test)]
mod tests;
mod weight;

pub(crate) use attention::{Attend, attention};
pub(crate) use cross_entropy::{HeadLoss, cross_entropy};
pub(crate) use glu::glu;
pub(crate) use linear::{Dropout, Lora, linear};
pub(crate) use norm::rms_norm;
pub(crate) use rope::rope;
pub(crate) use sum::sum;
pub(crate) use tape::{Slopes, Tape};
pub(crate) use weight::Weight;

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Tensor};

/// One text of a batch: its query tokens, and the key tokens that they look at. The last query stands beside the
/// last key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub queries: usize,
    pub keys: usize,
}

/// The numbers of a contiguous float32 tensor on the CPU.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
        candle_core::bail!("a contiguous float32 tensor is needed, this one is {:?}", storage_type(storage));
    };
    values.get(start..end).ok_or_else(|| candle_core::Error::Msg("a tensor is shorter than its shape".to_owned()))
}

fn storage_type(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

/// Gives `f` the numbers of a tensor.
fn with_floats<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => f(floats(storage, layout)?),
        _ => candle_core::bail!("a tensor on the CPU is needed"),
    }
}

/// Gives `f` the numbers of several tensors.
fn with_all_floats<T>(tensors: &[Tensor], f: impl FnOnce(&[&[f32]]) -> Result<T>) -> Result<T> {
    let tensors = tensors.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    let stores: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let values = stores.iter().map(|(storage, layout)| match &**storage {
        candle_core::Storage::Cpu(storage) => floats(storage, layout),
        _ => candle_core::bail!("a tensor on the CPU is needed"),
    });
    f(&values.collect::<Result<Vec<_>>>()?)
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &candle_core::Device::Cpu)
}

fn fault<T>(what: &str) -> Result<T> {
    candle_core::bail!("{what}")
}

/// All cores of the calling thread's pool, or the calling thread alone.
fn parallelism() -> faer::Par {
    if rayon::current_num_threads() > 1 { faer::Par::rayon(0) } else { faer::Par::Seq }
}

/// s·B·A, outputs × inputs row-major.
pub(crate) fn plain_delta(lora: &Lora) -> Result<Vec<f32>> {
    (lora.b.matmul(&lora.a)? * f64::from(lora.scale))?.flatten_all()?.to_vec1()
}
