//! An adapter worked into the weights: W + s·B·A, as a model folder that needs no adapter.
//!
//! Constraints: one tensor in memory at a time; sums in float32, then rounded to the format of the file; tensors
//! that are not adapted are copied byte for byte; the folder appears in one step or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::Device;
use serde_json::{Map, json};

use super::adapter::Adapter;
use super::decoder::checkpoint::Checkpoint;
use super::decoder::{DecoderSpec, Module, config};
use super::folder::Folder;
use super::ops::plain_delta;
use super::peft::header_bytes;
use super::{ElementType, ModelError, TensorFile, widen};
use crate::jobs::Progress;

/// Files beside the weights that belong to a model.
const COPIED: [&str; 12] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
];

/// What [`merge`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Merged {
    pub adapted: u64,
    pub copied: u64,
    pub bytes: u64,
}

/// Writes the merged model to `out`, which must not exist or be empty.
///
/// # Errors
/// Model or adapter cannot be read or do not fit each other, `out` holds files, writing failed, or the user
/// cancelled; then nothing is left.
pub fn merge(base: &Path, adapter: &Path, out: &Path, progress: &dyn Progress) -> Result<Merged, ModelError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    if std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        let reason = "the folder is not empty; give a new one".to_owned();
        return Err(ModelError::Unsupported { path: out.to_owned(), reason });
    }
    let folder = Folder(base);
    let bytes = folder.required(config::CONFIG, "give the folder of a language model in Hugging Face layout")?;
    let spec = DecoderSpec::parse(folder, &bytes)?;
    let mut weights = Checkpoint::open(folder)?;
    let adapter = super::peft::read(adapter, &spec, &Device::Cpu)?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(parent).map_err(io(parent))?;
    let staging = tempfile::Builder::new().prefix(".dipole-merge-").tempdir_in(parent).map_err(io(parent))?;
    let prefix = weights.prefix();
    let total: u64 = weights.files().iter().map(|file| file.names().count() as u64).sum();
    let mut merged = Merged { adapted: 0, copied: 0, bytes: 0 };
    for file in weights.files_mut() {
        let name = file.path().file_name().map(|name| name.to_owned()).unwrap_or_default();
        let target = staging.path().join(name);
        write_file(file, &target, &adapter, prefix, &mut merged, &|done| {
            progress.check()?;
            progress.tick("merging", done, Some(total));
            Ok(())
        })?;
    }
    for name in COPIED {
        if let Some(bytes) = folder.bytes(name)? {
            let target = staging.path().join(name);
            std::fs::write(&target, bytes).map_err(io(&target))?;
        }
    }
    if out.exists() {
        std::fs::remove_dir(out).map_err(io(out))?;
    }
    std::fs::rename(staging.path(), out).map_err(io(out))?;
    // The folder has moved; there is nothing left to clear.
    let _ = staging.keep();
    Ok(merged)
}

fn write_file(
    file: &mut TensorFile,
    target: &Path,
    adapter: &Adapter,
    prefix: &str,
    merged: &mut Merged,
    step: &dyn Fn(u64) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: target.to_owned(), source };
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let mut offset = 0u64;
    for name in &names {
        let Some(info) = file.info(name) else { continue };
        let end = offset + info.bytes();
        header.insert(name.clone(), json!({ "dtype": info.dtype, "shape": info.shape, "data_offsets": [offset, end] }));
        offset = end;
    }
    let mut writer = BufWriter::new(File::create(target).map_err(io)?);
    let head = header_bytes(&header);
    writer.write_all(&head).map_err(io)?;
    for name in &names {
        step(merged.adapted + merged.copied)?;
        let place = place(name, prefix).and_then(|(layer, module)| adapter.frozen(layer, module));
        match place {
            None => {
                writer.write_all(&file.read_bytes(name)?).map_err(io)?;
                merged.copied += 1;
            }
            Some(lora) => {
                let (kind, shape, raw) = file.read_raw(name)?;
                let bad = |reason: String| ModelError::Compute { path: target.to_owned(), reason };
                let delta = plain_delta(&lora).map_err(|error| bad(error.to_string()))?;
                if shape.iter().product::<usize>() != delta.len() {
                    return Err(bad(format!("tensor {name:?} of shape {shape:?} does not fit the adapter")));
                }
                let mut values = widen(&raw, kind);
                values.iter_mut().zip(delta).for_each(|(value, delta)| *value += delta);
                writer.write_all(&narrow(&values, kind)).map_err(io)?;
                merged.adapted += 1;
            }
        }
    }
    let file = writer.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)?;
    merged.bytes += offset + head.len() as u64;
    Ok(())
}

/// Layer and map of a weight, `None` for every other tensor.
fn place(name: &str, prefix: &str) -> Option<(usize, Module)> {
    let below = name.strip_prefix(prefix)?.strip_prefix("layers.")?;
    let (number, path) = below.split_once('.')?;
    let module = Module::ALL.into_iter().find(|module| path.strip_suffix(".weight") == Some(module.path()))?;
    Some((number.parse().ok()?, module))
}

fn narrow(values: &[f32], kind: ElementType) -> Vec<u8> {
    match kind {
        ElementType::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ElementType::F16 => values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect(),
        ElementType::Bf16 => values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect(),
        ElementType::F64 => values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect(),
    }
}
