//! A safetensors file: header first, tensors by positioned reads.
//!
//! Constraints: the header is bounded and must describe exactly the bytes that follow it, so nothing larger
//! than the file is ever allocated. Format: 8 bytes little-endian header length, a JSON object, the data.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::ModelError;

/// Headers longer than this are refused (the format itself allows 100 MB).
const MAX_HEADER_BYTES: u64 = 32 << 20;

/// Number formats that are read; the others of the format are refused when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    F16,
    Bf16,
    F32,
    F64,
}

impl ElementType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// Where a tensor lies and what shape it has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct TensorInfo {
    pub dtype: String,
    pub shape: Vec<usize>,
    /// Begin and end in the data section, in bytes.
    data_offsets: (u64, u64),
}

impl TensorInfo {
    /// Length in the file.
    pub fn bytes(&self) -> u64 {
        self.data_offsets.1 - self.data_offsets.0
    }
}

/// An opened safetensors file.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// The file cannot be read, is cut short, or its header contradicts its size.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let bad = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0u8; 8];
        file.read_exact(&mut length).map_err(|_| bad(format!("not a safetensors file: only {size} bytes")))?;
        let length = u64::from_le_bytes(length);
        let data_start = length.checked_add(8).filter(|&end| end <= size && length <= MAX_HEADER_BYTES);
        let Some(data_start) = data_start else {
            return Err(bad(format!(
                "not a safetensors file: its header would have {length} bytes, the file has {size}"
            )));
        };
        let mut header = vec![0u8; length as usize];
        file.read_exact(&mut header).map_err(io)?;
        let mut raw: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|error| bad(format!("its header is not JSON: {error}")))?;
        let metadata = raw.remove("__metadata__").and_then(|metadata| serde_json::from_value(metadata).ok());
        let mut tensors = BTreeMap::new();
        for (name, value) in raw {
            let info: TensorInfo = serde_json::from_value(value)
                .map_err(|error| bad(format!("the header's entry {name:?} is malformed: {error}")))?;
            let (begin, end) = info.data_offsets;
            if begin > end || end > size - data_start {
                return Err(bad(format!(
                    "tensor {name:?} lies at bytes {begin} to {end} of the data, but the data has {} bytes: the file is cut short or damaged",
                    size - data_start
                )));
            }
            tensors.insert(name, info);
        }
        Ok(Self { path: path.to_owned(), file, data_start, tensors, metadata: metadata.unwrap_or_default() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A text from the header's metadata.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// One tensor widened or rounded to float32, row-major.
    ///
    /// # Errors
    /// There is no such tensor, or its number format is not a floating-point one.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, ModelError> {
        let (kind, _, raw) = self.read_raw(name)?;
        Ok(widen(&raw, kind))
    }

    /// One tensor as it stands in the file: number format, shape, little-endian bytes in row-major order.
    ///
    /// # Errors
    /// As [`TensorFile::read`].
    pub fn read_raw(&mut self, name: &str) -> Result<(ElementType, Vec<usize>, Vec<u8>), ModelError> {
        let bad = |reason: String| ModelError::Malformed { path: self.path.clone(), reason };
        let Some(info) = self.tensors.get(name) else {
            return Err(bad(format!("there is no tensor {name:?}")));
        };
        let kind = match info.dtype.as_str() {
            "F16" => ElementType::F16,
            "BF16" => ElementType::Bf16,
            "F32" => ElementType::F32,
            "F64" => ElementType::F64,
            other => {
                return Err(bad(format!("tensor {name:?} is of type {other}; F16, BF16, F32 and F64 are read")));
            }
        };
        let (begin, end) = info.data_offsets;
        let elements = info.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        let bytes = elements.and_then(|elements| elements.checked_mul(kind.bytes()));
        if bytes.map(|bytes| bytes as u64) != Some(end - begin) {
            return Err(bad(format!(
                "tensor {name:?} of shape {:?} and type {} does not have {} bytes",
                info.shape,
                info.dtype,
                end - begin
            )));
        }
        let shape = info.shape.clone();
        Ok((kind, shape, self.read_bytes(name)?))
    }

    /// The bytes of one tensor of any number format.
    ///
    /// # Errors
    /// There is no such tensor, or reading failed.
    pub fn read_bytes(&mut self, name: &str) -> Result<Vec<u8>, ModelError> {
        let Some(info) = self.tensors.get(name) else {
            return Err(ModelError::Malformed {
                path: self.path.clone(),
                reason: format!("there is no tensor {name:?}"),
            });
        };
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(self.data_start + info.data_offsets.0)).map_err(io)?;
        let mut raw = vec![0u8; info.bytes() as usize];
        self.file.read_exact(&mut raw).map_err(io)?;
        Ok(raw)
    }

    /// As [`TensorFile::read`], but the shape must be the given one.
    pub fn read_shaped(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        if let Some(info) = self.tensors.get(name)
            && info.shape != shape
        {
            return Err(ModelError::Malformed {
                path: self.path.clone(),
                reason: format!("tensor {name:?} has shape {:?}, the configuration asks for {shape:?}", info.shape),
            });
        }
        self.read(name)
    }
}

/// Little-endian numbers as float32. A tail shorter than one number is left out.
pub fn widen(raw: &[u8], kind: ElementType) -> Vec<f32> {
    fn each<const N: usize>(raw: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        raw.as_chunks::<N>().0.iter().map(|&bytes| convert(bytes)).collect()
    }
    match kind {
        ElementType::F16 => each(raw, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
        ElementType::Bf16 => each(raw, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
        ElementType::F32 => each(raw, f32::from_le_bytes),
        ElementType::F64 => each(raw, |bytes| f64::from_le_bytes(bytes) as f32),
    }
}
