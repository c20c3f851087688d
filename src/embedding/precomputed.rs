//! Vectors made elsewhere: `.npy` and `.safetensors` matrices, checked against the rows.
//!
//! One file a set in the order of the sets; or one file with all rows stacked in that order; or one
//! safetensors file with the tensors `custom`, `safe` and `harmful`. Constraint: vectors must be finite; they
//! are scaled to unit length, and zero vectors stay zero.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::npy::read_npy;
use super::{Embedded, EmbeddingError, Embeddings, EncoderChoice, Fingerprint, Texts};
use crate::jobs::Progress;
use crate::model::{ModelError, TensorFile};

/// Names of the sets in a safetensors file that holds all of them.
const SET_NAMES: [&str; 3] = ["custom", "safe", "harmful"];

struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
}

/// Reads the vectors of the sets.
pub(super) fn embed(
    files: &[PathBuf],
    sets: &[&dyn Texts],
    progress: &dyn Progress,
) -> Result<Embedded, EmbeddingError> {
    let total: u64 = sets.iter().map(|set| set.len() as u64).sum();
    progress.tick("reading vectors", 0, Some(total));
    let mut matrices = match files {
        [one] if sets.len() > 1 => read_all_from_one(one, sets)?,
        _ if files.len() == sets.len() => {
            let mut matrices = Vec::with_capacity(files.len());
            for (file, set) in files.iter().zip(sets) {
                progress.check()?;
                let matrix = read_one(file)?;
                expect_rows(file, &matrix, set.len(), &set.name())?;
                matrices.push(into_embeddings(file, matrix)?);
            }
            matrices
        }
        _ => {
            return Err(EmbeddingError::Set {
                set: EncoderChoice::Precomputed(files.to_vec()).to_string(),
                reason: format!(
                    "{} vector files were given for {} sets; give one file for each set in the order custom, safe, harmful, or one file for all",
                    files.len(),
                    sets.len()
                ),
            });
        }
    };
    progress.check()?;
    let dim = matrices.first().map_or(0, Embeddings::dim);
    for (i, matrix) in matrices.iter_mut().enumerate() {
        let file = files.get(i).or_else(|| files.first()).cloned().unwrap_or_default();
        if matrix.dim() != dim || dim == 0 {
            let set = sets.get(i).map_or_else(String::new, |set| set.name());
            return Err(EmbeddingError::File {
                path: file,
                reason: format!(
                    "the vectors of {set} have {} dimensions, those of the first set {dim}; all must have the same",
                    matrix.dim()
                ),
            });
        }
        if let Some(at) = matrix.data().iter().position(|x| !x.is_finite()) {
            return Err(EmbeddingError::File {
                path: file,
                reason: format!("row {} (0-based), dimension {} is not a finite number", at / dim, at % dim),
            });
        }
        matrix.normalise();
    }
    progress.tick("reading vectors", total, Some(total));
    let fingerprint = fingerprint(files, dim, progress)?;
    let truncated = vec![0; matrices.len()];
    Ok(Embedded { sets: matrices, fingerprint, computed: 0, cached: 0, truncated })
}

fn read_one(file: &Path) -> Result<Matrix, EmbeddingError> {
    if is_safetensors(file) {
        let mut tensors = TensorFile::open(file)?;
        let names: Vec<String> = tensors.names().map(str::to_owned).collect();
        let [name] = names.as_slice() else {
            return Err(EmbeddingError::File {
                path: file.to_owned(),
                reason: format!("it holds {} tensors ({}); one matrix is needed", names.len(), names.join(", ")),
            });
        };
        read_tensor(&mut tensors, name)
    } else {
        let (rows, columns, data) = read_npy(file)?;
        Ok(Matrix { rows, columns, data })
    }
}

fn read_all_from_one(file: &Path, sets: &[&dyn Texts]) -> Result<Vec<Embeddings>, EmbeddingError> {
    if is_safetensors(file) {
        let mut tensors = TensorFile::open(file)?;
        if SET_NAMES.iter().take(sets.len()).all(|name| tensors.info(name).is_some()) {
            let mut matrices = Vec::with_capacity(sets.len());
            for (set, name) in sets.iter().zip(SET_NAMES) {
                let matrix = read_tensor(&mut tensors, name)?;
                expect_rows(file, &matrix, set.len(), &format!("{} (tensor {name:?})", set.name()))?;
                matrices.push(into_embeddings(file, matrix)?);
            }
            return Ok(matrices);
        }
    }
    let stacked = read_one(file)?;
    let total = sets.iter().map(|set| set.len()).sum();
    let names: Vec<String> = sets.iter().map(|set| format!("{} of {}", set.len(), set.name())).collect();
    expect_rows(file, &stacked, total, &format!("all sets ({})", names.join(", ")))?;
    let mut rest = stacked.data.as_slice();
    let mut matrices = Vec::with_capacity(sets.len());
    for set in sets {
        let (part, tail) = rest.split_at_checked(set.len().saturating_mul(stacked.columns)).unwrap_or((rest, &[]));
        rest = tail;
        let matrix = Matrix { rows: set.len(), columns: stacked.columns, data: part.to_vec() };
        matrices.push(into_embeddings(file, matrix)?);
    }
    Ok(matrices)
}

fn read_tensor(tensors: &mut TensorFile, name: &str) -> Result<Matrix, EmbeddingError> {
    let shape = tensors.info(name).map(|info| info.shape.clone()).unwrap_or_default();
    let &[rows, columns] = shape.as_slice() else {
        return Err(EmbeddingError::File {
            path: tensors.path().to_owned(),
            reason: format!("tensor {name:?} has shape {shape:?}; rows × dimensions is needed"),
        });
    };
    Ok(Matrix { rows, columns, data: tensors.read(name)? })
}

fn expect_rows(file: &Path, matrix: &Matrix, rows: usize, set: &str) -> Result<(), EmbeddingError> {
    if matrix.rows == rows {
        return Ok(());
    }
    Err(EmbeddingError::File {
        path: file.to_owned(),
        reason: format!(
            "it holds {} × {} numbers, but {set} has {rows} readable rows; {rows} × {} is needed",
            matrix.rows, matrix.columns, matrix.columns
        ),
    })
}

fn into_embeddings(file: &Path, matrix: Matrix) -> Result<Embeddings, EmbeddingError> {
    Embeddings::new(matrix.rows, matrix.columns, matrix.data).ok_or_else(|| EmbeddingError::File {
        path: file.to_owned(),
        reason: "its numbers do not fill its shape".to_owned(),
    })
}

fn is_safetensors(file: &Path) -> bool {
    file.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors"))
}

fn fingerprint(files: &[PathBuf], dim: usize, progress: &dyn Progress) -> Result<Fingerprint, EmbeddingError> {
    let mut hash = blake3::Hasher::new();
    hash.update(b"dipole precomputed");
    let mut named = Vec::with_capacity(files.len());
    for path in files {
        let io = |source| EmbeddingError::Io { path: path.clone(), source };
        let mut file = std::fs::File::open(path).map_err(io)?;
        let mut of_file = blake3::Hasher::new();
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            progress.check()?;
            let read = file.read(&mut buffer).map_err(io)?;
            if read == 0 {
                break;
            }
            of_file.update(buffer.get(..read).unwrap_or(&[]));
        }
        let of_file = of_file.finalize();
        hash.update(of_file.as_bytes());
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        named.push(json!({ "file": name, "blake3": of_file.to_hex().to_string() }));
    }
    let details = json!({ "dim": dim, "files": named });
    Ok(Fingerprint {
        encoder: "precomputed".to_owned(),
        hash: hash.finalize().to_hex().to_string(),
        details: details.as_object().cloned().unwrap_or_default(),
    })
}

impl From<ModelError> for EmbeddingError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Io { path, source } => Self::Io { path, source },
            ModelError::Malformed { path, reason }
            | ModelError::Unsupported { path, reason }
            | ModelError::Compute { path, reason } => Self::File { path, reason },
            ModelError::Missing { .. } => Self::Model(error),
            ModelError::Cancelled(cancelled) => Self::Cancelled(cancelled),
        }
    }
}
