//! Low-rank adapters: the matrices A and B of some linear maps of a decoder.
//!
//! Source: Hu et al., LoRA (2021); Kalajdzievski, rsLoRA (2023) for the other scale. A begins uniform in
//! ±1/√inputs, B at zero, so a fresh adapter changes nothing. Matrices are float32 whatever the weights are.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::decoder::{DecoderSpec, Module};
use super::ops::Lora;

/// What an adapter is put on, and how strongly it acts.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LoraShape {
    pub rank: usize,
    pub alpha: f64,
    /// Scale α/√r instead of α/r.
    pub rank_stabilised: bool,
    pub targets: Vec<Module>,
}

impl LoraShape {
    pub fn scale(&self) -> f32 {
        let rank = self.rank.max(1) as f64;
        (self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank }) as f32
    }
}

/// A: rank × inputs, B: outputs × rank.
#[derive(Debug, Clone)]
struct Pair {
    a: Var,
    b: Var,
}

/// The matrices of all adapted maps.
#[derive(Debug, Clone)]
pub struct Adapter {
    shape: LoraShape,
    pairs: BTreeMap<(usize, Module), Pair>,
}

/// One matrix of an adapter.
pub struct Matrix<'a> {
    pub layer: usize,
    pub module: Module,
    /// `A` or `B`.
    pub side: char,
    pub variable: &'a Var,
}

impl Matrix<'_> {
    /// As PEFT calls it, below the prefix of the model.
    pub fn name(&self) -> String {
        format!("layers.{}.{}.lora_{}.weight", self.layer, self.module.path(), self.side)
    }
}

impl Adapter {
    /// A fresh adapter for every layer; it changes nothing yet.
    ///
    /// # Errors
    /// The device has no memory.
    pub fn new(spec: &DecoderSpec, shape: LoraShape, seed: u64, device: &Device) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut pairs = BTreeMap::new();
        let mut targets = shape.targets.clone();
        targets.sort();
        targets.dedup();
        for layer in 0..spec.layers {
            for &module in &targets {
                let (inputs, outputs) = module.sizes(spec);
                let bound = 1.0 / (inputs as f32).sqrt();
                let values = (0..shape.rank * inputs).map(|_| random.random_range(-bound..bound)).collect::<Vec<f32>>();
                let a = Var::from_tensor(&Tensor::from_vec(values, (shape.rank, inputs), device)?)?;
                let b = Var::zeros((outputs, shape.rank), candle_core::DType::F32, device)?;
                pairs.insert((layer, module), Pair { a, b });
            }
        }
        Ok(Self { shape: LoraShape { targets, ..shape }, pairs })
    }

    /// From matrices that were read; every pair is of the shape's rank.
    pub(crate) fn from_pairs(
        shape: LoraShape,
        pairs: impl IntoIterator<Item = ((usize, Module), (Tensor, Tensor))>,
    ) -> Result<Self> {
        let pair = |(place, (a, b)): ((usize, Module), (Tensor, Tensor))| {
            Ok((place, Pair { a: Var::from_tensor(&a)?, b: Var::from_tensor(&b)? }))
        };
        Ok(Self { shape, pairs: pairs.into_iter().map(pair).collect::<Result<_>>()? })
    }

    pub fn shape(&self) -> &LoraShape {
        &self.shape
    }

    /// Numbers in all matrices.
    pub fn parameters(&self) -> usize {
        self.variables().map(|matrix| matrix.variable.elem_count()).sum()
    }

    /// A and B of each adapted map, by layer and then by map: the order of everything that goes with them.
    pub fn variables(&self) -> impl Iterator<Item = Matrix<'_>> {
        self.pairs.iter().flat_map(|(&(layer, module), pair)| {
            [
                Matrix { layer, module, side: 'A', variable: &pair.a },
                Matrix { layer, module, side: 'B', variable: &pair.b },
            ]
        })
    }

    pub(crate) fn lowest_layer(&self) -> usize {
        self.pairs.keys().next().map_or(0, |(layer, _)| *layer)
    }

    pub(crate) fn tracked(&self, layer: usize, module: Module) -> Option<Lora> {
        let pair = self.pairs.get(&(layer, module))?;
        let (a, b) = (pair.a.as_tensor().clone(), pair.b.as_tensor().clone());
        Some(Lora { a, b, scale: self.shape.scale(), dropout: None })
    }

    /// The same without anything to differentiate.
    pub(crate) fn frozen(&self, layer: usize, module: Module) -> Option<Lora> {
        let lora = self.tracked(layer, module)?;
        Some(Lora { a: lora.a.detach(), b: lora.b.detach(), ..lora })
    }
}
