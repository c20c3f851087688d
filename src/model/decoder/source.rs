//! Where the weights of a decoder come from: a folder of safetensors, or a GGUF file.
//!
//! Tensors are asked for by the names that Hugging Face gives them, without what stands before `layers.`.

use std::path::PathBuf;

use candle_core::{Device, Tensor};

use super::checkpoint::Checkpoint;
use super::{DecoderSpec, Precision};
use crate::model::ModelError;
use crate::model::ops::Weight;

/// Opened weights.
pub(super) trait Source {
    /// A matrix, rows × columns.
    ///
    /// # Errors
    /// It is missing, of another shape, or of a format that is not known; its name is told.
    fn matrix(
        &mut self,
        name: &str,
        shape: [usize; 2],
        precision: Precision,
        device: &Device,
    ) -> Result<Weight, ModelError>;

    /// Numbers in a row, as float32.
    ///
    /// # Errors
    /// As [`Source::matrix`].
    fn vector(&mut self, name: &str, length: usize, device: &Device) -> Result<Tensor, ModelError>;

    /// The head of the network, `None` where there is none.
    ///
    /// # Errors
    /// As [`Source::matrix`].
    fn head(&mut self, spec: &DecoderSpec, precision: Precision, device: &Device)
    -> Result<Option<Weight>, ModelError>;

    /// What stands before `layers.0.…` in the names of a Hugging Face model's modules.
    fn prefix(&self) -> &'static str;

    /// The (first) file.
    fn path(&self) -> PathBuf;
}

impl Source for Checkpoint {
    fn matrix(
        &mut self,
        name: &str,
        shape: [usize; 2],
        precision: Precision,
        device: &Device,
    ) -> Result<Weight, ModelError> {
        Ok(self.tensor(name, &shape, precision, device)?.into())
    }

    fn vector(&mut self, name: &str, length: usize, device: &Device) -> Result<Tensor, ModelError> {
        self.tensor(name, &[length], Precision::F32, device)
    }

    fn head(
        &mut self,
        spec: &DecoderSpec,
        precision: Precision,
        device: &Device,
    ) -> Result<Option<Weight>, ModelError> {
        Ok(Checkpoint::head(self, spec, precision, device)?.map(Weight::from))
    }

    fn prefix(&self) -> &'static str {
        Checkpoint::prefix(self)
    }

    fn path(&self) -> PathBuf {
        self.files().first().map(|file| file.path().to_owned()).unwrap_or_default()
    }
}
