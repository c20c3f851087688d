//! Writes vectors as `.npy` or `.safetensors`: one float32 matrix, rows × dimensions, all sets under each other.
//!
//! What is written here is what [`super::EncoderChoice::Precomputed`] reads. The file appears whole or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, json};

use super::{EmbeddingError, Embeddings, EncoderChoice, Fingerprint};
use crate::model::header_bytes;

/// Name of the matrix in a safetensors file.
const TENSOR: &str = "vectors";

/// Writes a C-ordered float32 array of this shape as NumPy's `.npy`.
///
/// # Errors
/// The file cannot be written, or the shape holds another count of numbers.
pub fn write_npy(
    path: &Path,
    shape: &[usize],
    numbers: impl ExactSizeIterator<Item = f32>,
) -> Result<(), EmbeddingError> {
    if shape.iter().product::<usize>() != numbers.len() {
        let reason = format!("{} numbers do not fit the shape {shape:?}", numbers.len());
        return Err(EmbeddingError::File { path: path.to_owned(), reason });
    }
    write(path, &npy_header(shape), numbers).map_err(|source| EmbeddingError::Io { path: path.to_owned(), source })
}

/// Writes the sets under each other; `.safetensors` keeps what made them in its metadata too.
///
/// # Errors
/// The name ends in neither `.npy` nor `.safetensors`, the sets differ in width, or the file cannot be written.
pub fn write_vectors(path: &Path, sets: &[&Embeddings], made_by: &Fingerprint) -> Result<(), EmbeddingError> {
    check_name(path)?;
    let (rows, dim) = (sets.iter().map(|set| set.rows()).sum::<usize>(), sets.first().map_or(0, |set| set.dim()));
    if sets.iter().any(|set| set.dim() != dim) {
        let reason = "the sets have vectors of different lengths".to_owned();
        return Err(EmbeddingError::File { path: path.to_owned(), reason });
    }
    let is_npy = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy"));
    let header = if is_npy { npy_header(&[rows, dim]) } else { safetensors_header(rows, dim, made_by) };
    let numbers = sets.iter().flat_map(|set| set.data().iter().copied());
    write(path, &header, numbers).map_err(|source| EmbeddingError::Io { path: path.to_owned(), source })
}

/// # Errors
/// The name ends in neither `.npy` nor `.safetensors`.
pub fn check_name(path: &Path) -> Result<(), EmbeddingError> {
    if EncoderChoice::is_vector_file(path) {
        return Ok(());
    }
    let reason = "its name must end in .npy or .safetensors".to_owned();
    Err(EmbeddingError::File { path: path.to_owned(), reason })
}

fn write(path: &Path, header: &[u8], numbers: impl Iterator<Item = f32>) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let file = tempfile::Builder::new().prefix(".dipole-").suffix(".tmp").tempfile_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(header)?;
    for number in numbers {
        out.write_all(&number.to_le_bytes())?;
    }
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Magic, version, length and text; the whole is a multiple of 64 bytes and ends a line.
fn npy_header(shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    // A tuple of one keeps its comma.
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padded = (10 + text.len() + 1).next_multiple_of(64) - 10 - 1;
    text.extend(std::iter::repeat_n(' ', padded - text.len()));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

fn safetensors_header(rows: usize, dim: usize, made_by: &Fingerprint) -> Vec<u8> {
    let mut header = Map::new();
    let details = serde_json::to_string(&made_by.details).unwrap_or_default();
    header.insert(
        "__metadata__".to_owned(),
        json!({ "encoder": made_by.encoder, "fingerprint": made_by.hash, "details": details }),
    );
    let bytes = rows * dim * 4;
    header.insert(TENSOR.to_owned(), json!({ "dtype": "F32", "shape": [rows, dim], "data_offsets": [0, bytes] }));
    header_bytes(&header)
}
