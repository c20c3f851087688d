//! The weights of a decoder on disk: one safetensors file, or several with an index.
//!
//! Constraints: names of files in the index stay in the folder; every tensor is checked against the shape that the
//! configuration gives it before memory is taken; a missing one is named.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::DecoderSpec;
use crate::model::folder::Folder;
use crate::model::{ElementType, ModelError, TensorFile, widen};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
const TABLE: &str = "embed_tokens.weight";
/// What may stand before the names of the text part, as versions and families differ.
const PREFIXES: [&str; 4] = ["model.", "model.language_model.", "language_model.model.", ""];

/// The number format of frozen weights in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As the files have it.
    #[default]
    Stored,
    F32,
    Bf16,
    F16,
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stored" => Ok(Self::Stored),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            other => Err(format!("{other:?} is no number format; give stored, f32, bf16 or f16")),
        }
    }
}

/// The opened files of a model folder.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    files: Vec<TensorFile>,
    /// Name of a tensor → which file.
    places: BTreeMap<String, usize>,
    prefix: &'static str,
}

impl Checkpoint {
    pub(crate) fn open(folder: Folder<'_>) -> Result<Self, ModelError> {
        let names = if folder.path(SINGLE).exists() {
            vec![SINGLE.to_owned()]
        } else {
            match folder.bytes(INDEX)? {
                Some(bytes) => shards(folder, &bytes)?,
                None => return Err(no_weights(folder)),
            }
        };
        let files: Vec<TensorFile> =
            names.iter().map(|name| TensorFile::open(&folder.path(name))).collect::<Result<_, _>>()?;
        let mut places = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            places.extend(file.names().map(|name| (name.to_owned(), number)));
        }
        let found = PREFIXES.iter().find(|prefix| places.contains_key(&format!("{prefix}{TABLE}")));
        let Some(prefix) = found else {
            return Err(folder.malformed(
                names.first().map_or(SINGLE, String::as_str),
                format!("there is no tensor \"model.{TABLE}\"; the weights are not those of a language model"),
            ));
        };
        Ok(Self { files, places, prefix })
    }

    /// What stands before `layers.0.…` in the names of tensors and modules.
    pub(crate) fn prefix(&self) -> &'static str {
        self.prefix
    }

    pub(crate) fn files(&self) -> &[TensorFile] {
        &self.files
    }

    pub(crate) fn files_mut(&mut self) -> &mut [TensorFile] {
        &mut self.files
    }

    /// The tensor `name` behind the prefix, in the wanted format.
    pub(crate) fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        precision: Precision,
        device: &Device,
    ) -> Result<Tensor, ModelError> {
        self.exact(&format!("{}{name}", self.prefix), shape, precision, device)
    }

    /// The head of the network, wherever this family puts it; `None` where there is none.
    pub(crate) fn head(
        &mut self,
        spec: &DecoderSpec,
        precision: Precision,
        device: &Device,
    ) -> Result<Option<Tensor>, ModelError> {
        let name = ["lm_head.weight", "language_model.lm_head.weight"]
            .into_iter()
            .find(|name| self.places.contains_key(*name));
        let shape = [spec.vocabulary, spec.hidden];
        name.map(|name| self.exact(name, &shape, precision, device)).transpose()
    }

    fn exact(
        &mut self,
        name: &str,
        shape: &[usize],
        precision: Precision,
        device: &Device,
    ) -> Result<Tensor, ModelError> {
        let file = self.places.get(name).and_then(|&place| self.files.get_mut(place));
        let Some(file) = file else {
            let path = self.files.first().map(|file| file.path().to_owned()).unwrap_or_default();
            return Err(ModelError::Malformed { path, reason: format!("there is no tensor {name:?}") });
        };
        if let Some(info) = file.info(name)
            && info.shape != shape
        {
            return Err(ModelError::Malformed {
                path: file.path().to_owned(),
                reason: format!("tensor {name:?} has shape {:?}, the configuration asks for {shape:?}", info.shape),
            });
        }
        let (kind, shape, raw) = file.read_raw(name)?;
        let path = file.path().to_owned();
        let made = to_tensor(&raw, kind, &shape, precision, device);
        made.map_err(|error| ModelError::Compute { path, reason: format!("tensor {name:?}: {error}") })
    }
}

fn to_tensor(
    raw: &[u8],
    kind: ElementType,
    shape: &[usize],
    precision: Precision,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let stored = match kind {
        ElementType::F16 => DType::F16,
        ElementType::Bf16 => DType::BF16,
        ElementType::F32 | ElementType::F64 => DType::F32,
    };
    let wanted = match precision {
        Precision::Stored => stored,
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
        Precision::F16 => DType::F16,
    };
    if kind == ElementType::F64 || wanted == DType::F32 {
        return Tensor::from_vec(widen(raw, kind), shape, &Device::Cpu)?.to_dtype(wanted)?.to_device(device);
    }
    Tensor::from_raw_buffer(raw, stored, shape, &Device::Cpu)?.to_dtype(wanted)?.to_device(device)
}

/// The files that an index names, each once.
fn shards(folder: Folder<'_>, bytes: &[u8]) -> Result<Vec<String>, ModelError> {
    let index = folder.object(INDEX, bytes)?;
    let Some(map) = index.get("weight_map").and_then(Value::as_object) else {
        return Err(folder.malformed(INDEX, "it has no \"weight_map\""));
    };
    let mut names: Vec<String> = Vec::new();
    for name in map.values() {
        let name = name.as_str().unwrap_or_default();
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(folder.malformed(INDEX, format!("its file name {name:?} leads out of the folder")));
        }
        names.push(name.to_owned());
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(folder.malformed(INDEX, "it names no file"));
    }
    if let Some(missing) = names.iter().find(|name| !folder.path(name).exists()) {
        let way_out = format!("{INDEX} names it; download the model again");
        return Err(ModelError::Missing { path: folder.path(missing), way_out });
    }
    Ok(names)
}

fn no_weights(folder: Folder<'_>) -> ModelError {
    if let Some(pickle) = PICKLES.iter().find(|name| folder.path(name).exists()) {
        let reason = "weights in pickle format can run code and are never read; save the model as model.safetensors \
                      (transformers: save_pretrained(folder, safe_serialization=True))";
        return folder.unsupported(pickle, reason);
    }
    let way_out = "the weights belong there; download the model again".to_owned();
    ModelError::Missing { path: folder.path(SINGLE), way_out }
}
