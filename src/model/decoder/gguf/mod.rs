//! GGUF files of the Llama and Qwen families, for embedding and generation.
//!
//! The format is read by candle. Constraints: the file comes from outside, so its header is bounded, every tensor is
//! checked against the sizes that the metadata gives and against the end of the file before memory is taken, and
//! what is not known is refused by name. Quantised matrices stay quantised. llama.cpp stores the rows of query and key
//! of the Llama family so that rotary pairs stand side by side; they are put back in the order of Hugging Face, whole
//! rows at a time.

mod metadata;
mod vocabulary;

pub(crate) use vocabulary::Vocabulary;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};

use self::metadata::Metadata;
use super::source::Source;
use super::{DecoderSpec, Precision, RopeScaling};
use crate::model::ModelError;
use crate::model::ops::Weight;

/// Metadata, vocabulary and list of tensors are never longer; candle keeps each value in some 32 bytes.
const MAX_HEADER_BYTES: u64 = 48 << 20;

/// True for names of GGUF files.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf")) && !path.is_dir()
}

/// An opened GGUF file.
pub(crate) struct Gguf {
    path: PathBuf,
    file: BufReader<File>,
    size: u64,
    content: Content,
    spec: DecoderSpec,
    /// Rows of query and key stand in pairs.
    paired: bool,
}

impl Gguf {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// The file cannot be read, is no GGUF file, is cut short, or holds a network that is not known.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let bad = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut header = Vec::new();
        file.by_ref().take(MAX_HEADER_BYTES).read_to_end(&mut header).map_err(io)?;
        refuse_zero_alignment(&header).map_err(bad)?;
        let content = Content::read(&mut Cursor::new(&header)).map_err(|error| {
            let long = if size > MAX_HEADER_BYTES {
                format!(" (of its header {} MiB are read)", MAX_HEADER_BYTES >> 20)
            } else {
                String::new()
            };
            bad(format!("it is no GGUF file that can be read: {error}{long}"))
        })?;
        drop(header);
        let spec = Metadata { path, content: &content }.spec()?;
        let paired = spec.model_type == "llama";
        let mut this = Self { path: path.to_owned(), file: BufReader::new(file), size, content, spec, paired };
        this.rope_factors()?;
        Ok(this)
    }

    /// Llama 3 keeps its rotary scaling as a factor for every frequency.
    fn rope_factors(&mut self) -> Result<(), ModelError> {
        const FACTORS: &str = "rope_freqs.weight";
        if !self.content.tensor_infos.contains_key(FACTORS) {
            return Ok(());
        }
        let factors = self.vector(FACTORS, self.spec.head_dim / 2, &Device::Cpu)?;
        let factors = factors.to_vec1::<f32>().map_err(|error| self.compute(FACTORS, &error))?;
        if factors.iter().any(|factor| !(*factor > 0.0 && factor.is_finite())) {
            return Err(self.bad(format!("tensor {FACTORS:?} has a factor that is no number above 0")));
        }
        for rope in &mut self.spec.ropes {
            rope.scaling = RopeScaling::Factors(factors.clone());
        }
        Ok(())
    }

    pub(crate) fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn bad(&self, reason: String) -> ModelError {
        ModelError::Malformed { path: self.path.clone(), reason }
    }

    /// Format and bytes of a tensor, after all checks.
    fn read(&mut self, name: &str, shape: &[usize]) -> Result<(GgmlDType, Vec<u8>), ModelError> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(self.bad(format!("there is no tensor {name:?}")));
        };
        if info.shape.dims() != shape {
            return Err(
                self.bad(format!("tensor {name:?} has shape {:?}, the metadata ask for {shape:?}", info.shape.dims()))
            );
        }
        let (kind, width) = (info.ggml_dtype, shape.last().copied().unwrap_or(0));
        if !width.is_multiple_of(kind.block_size()) {
            return Err(self.bad(format!("tensor {name:?} has rows of {width} numbers, no whole {kind:?} blocks")));
        }
        let elements = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        let bytes = elements.and_then(|count| (count / kind.block_size()).checked_mul(kind.type_size()));
        let start = self.content.tensor_data_offset.checked_add(info.offset);
        let place = bytes
            .zip(start)
            .filter(|(bytes, start)| start.checked_add(*bytes as u64).is_some_and(|end| end <= self.size));
        let Some((bytes, start)) = place else {
            return Err(
                self.bad(format!("tensor {name:?} lies beyond the end of the file: it is cut short or damaged"))
            );
        };
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(start)).map_err(io)?;
        let mut raw = vec![0u8; bytes];
        self.file.read_exact(&mut raw).map_err(io)?;
        Ok((kind, raw))
    }

    /// Heads of a map whose outputs stand in pairs.
    fn paired_heads(&self, name: &str) -> Option<usize> {
        let (_, part) = name.rsplit_once("self_attn.").filter(|_| self.paired)?;
        match part {
            "q_proj.weight" | "q_proj.bias" => Some(self.spec.heads),
            "k_proj.weight" | "k_proj.bias" => Some(self.spec.kv_heads),
            _ => None,
        }
    }

    fn compute(&self, name: &str, error: &candle_core::Error) -> ModelError {
        ModelError::Compute { path: self.path.clone(), reason: format!("tensor {name:?}: {error}") }
    }
}

impl Source for Gguf {
    fn matrix(
        &mut self,
        name: &str,
        shape: [usize; 2],
        precision: Precision,
        device: &Device,
    ) -> Result<Weight, ModelError> {
        let stored = stored_name(name);
        let (kind, mut raw) = self.read(&stored, &shape)?;
        if let Some(heads) = self.paired_heads(name) {
            raw = unpaired(&raw, shape[0], heads);
        }
        let make = || {
            let float = match kind {
                GgmlDType::F32 => Some(DType::F32),
                GgmlDType::F16 => Some(DType::F16),
                GgmlDType::BF16 => Some(DType::BF16),
                _ => None,
            };
            let tensor = match float {
                Some(float) => Tensor::from_raw_buffer(&raw, float, &shape, &Device::Cpu)?,
                None => {
                    let blocks =
                        QTensor::new(QStorage::from_data(Cow::Borrowed(&raw), &Device::Cpu, kind)?, shape.to_vec())?;
                    if precision == Precision::Stored && device.is_cpu() {
                        return Ok(Weight::Quantised(Arc::new(blocks)));
                    }
                    blocks.dequantize(&Device::Cpu)?
                }
            };
            let wanted = match precision {
                Precision::Stored => tensor.dtype(),
                Precision::F32 => DType::F32,
                Precision::Bf16 => DType::BF16,
                Precision::F16 => DType::F16,
            };
            Ok(Weight::Plain(tensor.to_dtype(wanted)?.to_device(device)?))
        };
        make().map_err(|error| self.compute(&stored, &error))
    }

    fn vector(&mut self, name: &str, length: usize, device: &Device) -> Result<Tensor, ModelError> {
        let stored = stored_name(name);
        let (kind, mut raw) = self.read(&stored, &[length])?;
        if let Some(heads) = self.paired_heads(name) {
            raw = unpaired(&raw, length, heads);
        }
        let make = || {
            let kind = match kind {
                GgmlDType::F32 => DType::F32,
                GgmlDType::F16 => DType::F16,
                GgmlDType::BF16 => DType::BF16,
                other => candle_core::bail!("numbers in a row are of type {other:?}; F32, F16 and BF16 are read"),
            };
            Tensor::from_raw_buffer(&raw, kind, &[length], &Device::Cpu)?.to_dtype(DType::F32)?.to_device(device)
        };
        make().map_err(|error| self.compute(&stored, &error))
    }

    fn head(
        &mut self,
        spec: &DecoderSpec,
        precision: Precision,
        device: &Device,
    ) -> Result<Option<Weight>, ModelError> {
        if spec.tied {
            return Ok(None);
        }
        self.matrix("lm_head.weight", [spec.vocabulary, spec.hidden], precision, device).map(Some)
    }

    fn prefix(&self) -> &'static str {
        "model."
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// candle divides by the alignment that the file names.
fn refuse_zero_alignment(header: &[u8]) -> Result<(), String> {
    const KEY: &[u8] = b"general.alignment";
    for at in memchr::memmem::find_iter(header, KEY) {
        let behind = header.get(at + KEY.len()..).unwrap_or_default();
        // candle takes zero bytes off the end of a key, so that the value may stand behind any of them.
        let padding = behind.iter().take_while(|byte| **byte == 0).count();
        for value in (0..=padding).filter_map(|from| behind.get(from..)) {
            let (kind, number) = value.split_at_checked(4).unwrap_or((value, &[]));
            let width = match kind {
                [0 | 1, 0, 0, 0] => 1,
                [2 | 3, 0, 0, 0] => 2,
                [4 | 5, 0, 0, 0] => 4,
                _ => continue,
            };
            if number.len() < width || number.iter().take(width).all(|byte| *byte == 0) {
                return Err("its alignment is 0".to_owned());
            }
        }
    }
    Ok(())
}

/// llama.cpp's name of a tensor.
fn stored_name(name: &str) -> String {
    match name {
        "embed_tokens.weight" => return "token_embd.weight".to_owned(),
        "norm.weight" => return "output_norm.weight".to_owned(),
        "lm_head.weight" => return "output.weight".to_owned(),
        _ => {}
    }
    let place = name.strip_prefix("layers.").and_then(|below| below.split_once('.'));
    let Some((number, part)) = place else { return name.to_owned() };
    let (part, kind) = part.rsplit_once('.').unwrap_or((part, "weight"));
    let part = match part {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => other,
    };
    format!("blk.{number}.{part}.{kind}")
}

/// Rows (0, d/2), (1, d/2 + 1), … of every head back in the order 0 … d - 1.
fn unpaired(raw: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let row_bytes = raw.len() / rows.max(1);
    let half = rows / heads.max(1) / 2;
    let mut out = Vec::with_capacity(raw.len());
    for head in raw.chunks_exact((2 * half * row_bytes).max(1)) {
        for side in 0..2 {
            for pair in 0..half {
                let start = (2 * pair + side) * row_bytes;
                out.extend_from_slice(head.get(start..start + row_bytes).unwrap_or_default());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_back_in_the_order_of_halves() {
        // Two heads of four rows of one byte.
        assert_eq!(unpaired(&[0, 2, 1, 3, 10, 12, 11, 13], 8, 2), [0, 1, 2, 3, 10, 11, 12, 13]);
    }

    #[test]
    fn names_are_llama_cpps() {
        assert_eq!(stored_name("layers.12.self_attn.q_proj.bias"), "blk.12.attn_q.bias");
        assert_eq!(stored_name("layers.0.input_layernorm.weight"), "blk.0.attn_norm.weight");
        assert_eq!(stored_name("embed_tokens.weight"), "token_embd.weight");
    }

    #[test]
    fn an_alignment_of_zero_is_refused() {
        let header = |number: u32| [b"xx general.alignment".as_slice(), &[4, 0, 0, 0], &number.to_le_bytes()].concat();
        assert!(refuse_zero_alignment(&header(0)).is_err());
        refuse_zero_alignment(&header(32)).expect("a sound file");
        let padded = [b"xx general.alignment\0\0".as_slice(), &[4, 0, 0, 0], &0u32.to_le_bytes()].concat();
        assert!(refuse_zero_alignment(&padded).is_err(), "candle strips the zeros of the key");
        let byte = [b"xx general.alignment".as_slice(), &[0, 0, 0, 0, 32, 9, 0, 0, 0, 0, 0, 0, 0]].concat();
        refuse_zero_alignment(&byte).expect("a sound file of another width");
    }
}
