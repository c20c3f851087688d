//! What is known of a model folder before its weights are read.

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::{DecoderSpec, Module, Precision, config};
use crate::model::ModelError;
use crate::model::folder::Folder;

/// Shape and sizes of a decoder in a Hugging Face directory.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderFacts {
    pub spec: DecoderSpec,
    /// Bytes of the weights on disk.
    pub stored_bytes: u64,
}

impl DecoderFacts {
    /// Reads the configuration and the headers of the weights.
    ///
    /// # Errors
    /// As [`super::Decoder::open`], but for tensors that are missing or of another shape: those show when they are read.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let folder = Folder(path);
        let bytes = folder.required(config::CONFIG, "give the folder of a language model in Hugging Face layout")?;
        let spec = DecoderSpec::parse(folder, &bytes)?;
        let weights = Checkpoint::open(folder)?;
        let infos = weights.files().iter().flat_map(|file| file.names().filter_map(|name| file.info(name)));
        Ok(Self { spec, stored_bytes: infos.map(|info| info.bytes()).sum() })
    }

    /// Numbers in all weights, norms aside.
    pub fn parameters(&self) -> u64 {
        parameters(&self.spec)
    }

    /// Bytes of the frozen weights in memory.
    pub fn weight_bytes(&self, precision: Precision) -> u64 {
        match precision {
            Precision::Stored => self.stored_bytes,
            Precision::F32 => 4 * self.parameters(),
            Precision::Bf16 | Precision::F16 => 2 * self.parameters(),
        }
    }
}

/// Numbers in the linear maps and tables of a decoder.
pub(super) fn parameters(spec: &DecoderSpec) -> u64 {
    let per_layer: usize = Module::ALL.iter().map(|module| module.sizes(spec)).map(|(i, o)| i * o).sum();
    let tables = spec.vocabulary * spec.hidden * if spec.tied { 1 } else { 2 };
    (per_layer * spec.layers + tables) as u64
}
