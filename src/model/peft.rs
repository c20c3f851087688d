//! Adapters on disk, in the layout of Hugging Face's peft: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Keys are `base_model.model.` + the module's path + `.lora_A.weight` (rank × inputs) and `.lora_B.weight`
//! (outputs × rank); without that prefix peft warns only, and loads an untrained adapter. Constraints: what an
//! adapter asks for and this module does not do (DoRA, trained biases, other modules) is refused by name; files are
//! replaced in one step.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Map, Value, json};

use super::adapter::{Adapter, LoraShape};
use super::decoder::{Decoder, DecoderSpec, Module};
use super::folder::Folder;
use super::{ModelError, TensorFile};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PICKLE: &str = "adapter_model.bin";
const PREFIX: &str = "base_model.model.";

impl Adapter {
    /// Reads an adapter folder for `model`.
    ///
    /// # Errors
    /// A file is missing or malformed, a matrix is missing or does not fit the model, or the adapter is of a kind
    /// that is not known (all named).
    pub fn read(path: &Path, model: &Decoder) -> Result<Self, ModelError> {
        read(path, model.spec(), model.device())
    }

    /// Writes the adapter for `model` as a folder that peft loads.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, path: &Path, model: &Decoder, dropout: f32) -> Result<(), ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let shape = self.shape();
        // `model.layers.…` is the path in the loaded model for every text-only family.
        let name = |matrix: &super::adapter::Matrix<'_>| format!("{PREFIX}{}{}", model.module_prefix(), matrix.name());
        let mut tensors = Vec::new();
        for matrix in self.variables() {
            let values = matrix.variable.flatten_all().and_then(|tensor| tensor.to_vec1::<f32>());
            let values =
                values.map_err(|error| ModelError::Compute { path: path.to_owned(), reason: error.to_string() })?;
            tensors.push((name(&matrix), matrix.variable.dims().to_vec(), values));
        }
        let config = json!({
            "alpha_pattern": {},
            "base_model_name_or_path": model.path().display().to_string(),
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": whole(shape.alpha),
            "lora_dropout": dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": shape.rank,
            "rank_pattern": {},
            "target_modules": shape.targets,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": shape.rank_stabilised,
        });
        let config = serde_json::to_vec_pretty(&config).unwrap_or_default();
        write_tensors(&path.join(WEIGHTS), &tensors, &[("format", "pt")])?;
        replace(&path.join(CONFIG), &config)
    }
}

/// 16 rather than 16.0, as peft writes it.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e9 { json!(number as i64) } else { json!(number) }
}

/// Writes float32 tensors (name, shape, numbers) as a safetensors file, in one step; `metadata` are texts by name.
///
/// # Errors
/// The file cannot be written.
pub fn write_tensors(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    metadata: &[(&str, &str)],
) -> Result<(), ModelError> {
    let mut header = Map::new();
    let metadata: Map<String, Value> = metadata.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    header.insert("__metadata__".to_owned(), Value::Object(metadata));
    let mut offset = 0;
    for (name, shape, values) in tensors {
        let end = offset + values.len() * 4;
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [offset, end] }));
        offset = end;
    }
    let mut bytes = header_bytes(&header);
    bytes.reserve(offset);
    for (_, _, values) in tensors {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    replace(path, &bytes)
}

/// Length and JSON of a safetensors header, padded to eight bytes as the format wants it.
pub(crate) fn header_bytes(header: &Map<String, Value>) -> Vec<u8> {
    let mut text = serde_json::to_vec(header).unwrap_or_default();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

/// Replaces a file in one step, flushed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".dipole-").suffix(".tmp").tempfile_in(folder).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    if cfg!(unix) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    Ok(())
}

pub(crate) fn read(path: &Path, spec: &DecoderSpec, device: &Device) -> Result<Adapter, ModelError> {
    let folder = Folder(path);
    let bytes = folder.required(CONFIG, "give the folder of an adapter as peft saves it")?;
    let config = folder.object(CONFIG, &bytes)?;
    refuse_unknown(folder, &config)?;
    let number = |name: &str| {
        config
            .get(name)
            .and_then(Value::as_f64)
            .filter(|number| *number > 0.0 && number.is_finite())
            .ok_or_else(|| folder.malformed(CONFIG, format!("{name:?} must be a number above 0")))
    };
    let rank = number("r")?;
    if rank > 4096.0 || rank.fract() != 0.0 {
        return Err(folder.malformed(CONFIG, format!("its rank \"r\" is {rank}")));
    }
    let alpha = number("lora_alpha")?;
    let weights = folder.path(WEIGHTS);
    if !weights.exists() && folder.path(PICKLE).exists() {
        let reason = "weights in pickle format can run code and are never read; save the adapter as safetensors";
        return Err(folder.unsupported(PICKLE, reason));
    }
    let mut file = TensorFile::open(&weights)?;
    let mut sides: BTreeMap<(usize, Module), [Option<String>; 2]> = BTreeMap::new();
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    for name in names {
        let Some((layer, module, side)) = place(&name) else {
            return Err(folder.unsupported(WEIGHTS, format!("its tensor {name:?} belongs to no linear map of a layer")));
        };
        if let Some(slot) = sides.entry((layer, module)).or_default().get_mut(side) {
            *slot = Some(name);
        }
    }
    if sides.is_empty() {
        return Err(folder.malformed(WEIGHTS, "it has no matrix"));
    }
    let shape = LoraShape {
        rank: rank as usize,
        alpha,
        rank_stabilised: config.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
        targets: Vec::new(),
    };
    let mut pairs = Vec::with_capacity(sides.len());
    for ((layer, module), names) in &sides {
        if *layer >= spec.layers {
            let reason = format!("it adapts layer {layer}, the model has {}; it is of another model", spec.layers);
            return Err(folder.malformed(WEIGHTS, reason));
        }
        let (inputs, outputs) = module.sizes(spec);
        let [Some(a), Some(b)] = names else {
            let reason = format!("layer {layer}, {module}: one of lora_A and lora_B is missing");
            return Err(folder.malformed(WEIGHTS, reason));
        };
        let mut matrix = |name: &str, shape: [usize; 2]| {
            let values = file.read_shaped(name, &shape)?;
            let made = Tensor::from_vec(values, &shape, device);
            made.map_err(|error| ModelError::Compute { path: weights.clone(), reason: error.to_string() })
        };
        pairs.push(((*layer, *module), (matrix(a, [shape.rank, inputs])?, matrix(b, [outputs, shape.rank])?)));
    }
    let mut targets: Vec<Module> = sides.keys().map(|(_, module)| *module).collect();
    targets.sort();
    targets.dedup();
    Adapter::from_pairs(LoraShape { targets, ..shape }, pairs)
        .map_err(|error| ModelError::Compute { path: weights.clone(), reason: error.to_string() })
}

/// Layer, map and side (0 is A) of a key.
fn place(key: &str) -> Option<(usize, Module, usize)> {
    let key = key.strip_prefix(PREFIX)?;
    let (path, side) = match (key.strip_suffix(".lora_A.weight"), key.strip_suffix(".lora_B.weight")) {
        (Some(path), _) => (path, 0),
        (_, Some(path)) => (path, 1),
        _ => return None,
    };
    let (_, below) = path.split_once("layers.")?;
    let (number, module) = below.split_once('.')?;
    let module = Module::ALL.into_iter().find(|known| known.path() == module)?;
    Some((number.parse().ok()?, module, side))
}

fn refuse_unknown(folder: Folder<'_>, config: &Map<String, Value>) -> Result<(), ModelError> {
    let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or_default();
    if kind != "LORA" {
        return Err(folder.unsupported(CONFIG, format!("its kind {kind:?} is not known; LORA is")));
    }
    let bias = config.get("bias").and_then(Value::as_str).unwrap_or("none");
    if bias != "none" {
        return Err(folder.unsupported(CONFIG, format!("its trained biases ({bias:?}) are not known")));
    }
    let set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    };
    let refused = [
        "use_dora",
        "fan_in_fan_out",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "lora_bias",
        "layer_replication",
        "trainable_token_indices",
        "target_parameters",
        "use_qalora",
        "use_bdlora",
    ];
    match refused.into_iter().find(|name| config.get(*name).is_some_and(set)) {
        Some(name) => Err(folder.unsupported(CONFIG, format!("its {name:?} is set, which is not known"))),
        None => Ok(()),
    }
}
