//! Reads a matrix from a NumPy `.npy` file.
//!
//! Constraints: two dimensions, little-endian float16, float32 or float64, either order; the header must agree with
//! the size of the file before memory is taken; pickled objects are refused. Format: NumPy enhancement
//! proposal 1, versions 1 to 3.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::EmbeddingError;
use crate::model::{ElementType, widen};

const MAX_HEADER_BYTES: usize = 1 << 16;

/// rows, columns, and the numbers row-major.
pub(super) fn read_npy(path: &Path) -> Result<(usize, usize, Vec<f32>), EmbeddingError> {
    let (shape, numbers) = read_array(path)?;
    match *shape.as_slice() {
        [rows, columns] => Ok((rows, columns, numbers)),
        _ => {
            let reason =
                format!("its shape is {}, with {} dimensions; rows × dimensions is needed", shown(&shape), shape.len());
            Err(EmbeddingError::File { path: path.to_owned(), reason })
        }
    }
}

/// Reads a vector of floats, which may also be stored as a single column.
pub(super) fn read_npy_vector(path: &Path) -> Result<Vec<f32>, EmbeddingError> {
    let (shape, numbers) = read_array(path)?;
    match *shape.as_slice() {
        [_] | [_, 1] => Ok(numbers),
        _ => {
            let reason = format!("its shape is {}; a single row of numbers is needed", shown(&shape));
            Err(EmbeddingError::File { path: path.to_owned(), reason })
        }
    }
}

/// A shape as NumPy writes it.
fn shown(shape: &[usize]) -> String {
    match shape {
        [side] => format!("({side},)"),
        sides => format!("({})", sides.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The shape, one or two sides, and the numbers in C order.
fn read_array(path: &Path) -> Result<(Vec<usize>, Vec<f32>), EmbeddingError> {
    let io = |source| EmbeddingError::Io { path: path.to_owned(), source };
    let bad = |reason: String| EmbeddingError::File { path: path.to_owned(), reason };
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut start = [0u8; 8];
    let short = |_| bad(format!("not an .npy file: it ends after {size} bytes"));
    file.read_exact(&mut start).map_err(short)?;
    let [m0, m1, m2, m3, m4, m5, version, _] = start;
    if [m0, m1, m2, m3, m4, m5] != *b"\x93NUMPY" {
        return Err(bad("not an .npy file: it does not begin as one".to_owned()));
    }
    let (length, prefix) = if version == 1 {
        let mut bytes = [0u8; 2];
        file.read_exact(&mut bytes).map_err(short)?;
        (usize::from(u16::from_le_bytes(bytes)), 10u64)
    } else {
        let mut bytes = [0u8; 4];
        file.read_exact(&mut bytes).map_err(short)?;
        (u32::from_le_bytes(bytes) as usize, 12u64)
    };
    if length > MAX_HEADER_BYTES {
        return Err(bad(format!("its header would have {length} bytes; at most {MAX_HEADER_BYTES} are read")));
    }
    let mut header = vec![0u8; length];
    file.read_exact(&mut header).map_err(short)?;
    let header = String::from_utf8_lossy(&header);
    let (kind, by_column, shape) = parse_header(&header).map_err(bad)?;
    let (rows, columns) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
    let count = rows.checked_mul(columns).and_then(|count| count.checked_mul(kind.bytes()));
    let Some(bytes) = count.filter(|&bytes| Some(bytes as u64) == size.checked_sub(prefix + length as u64)) else {
        return Err(bad(format!(
            "its header says {rows}×{columns}, which does not fit the {size} bytes of the file: it is cut short or damaged"
        )));
    };
    let mut raw = vec![0u8; bytes];
    file.read_exact(&mut raw).map_err(io)?;
    let numbers = widen(&raw, kind);
    drop(raw);
    Ok((shape, if by_column { transposed(&numbers, rows, columns) } else { numbers }))
}

/// Row-major from column-major.
fn transposed(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; numbers.len()];
    for (column, source) in numbers.chunks_exact(rows.max(1)).enumerate() {
        out.iter_mut().skip(column).step_by(columns.max(1)).zip(source).for_each(|(to, &from)| *to = from);
    }
    out
}

/// Number format, whether it is stored column by column, and one or two sides.
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`
fn parse_header(header: &str) -> Result<(ElementType, bool, Vec<usize>), String> {
    let field = |name: &str| {
        let (_, rest) =
            header.split_once(&format!("'{name}'")).or_else(|| header.split_once(&format!("\"{name}\"")))?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let missing = |name: &str| format!("its header has no {name}");
    let descr = field("descr").ok_or_else(|| missing("descr"))?;
    let quoted = |text: &str| {
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        Some(text.get(1..)?.split_once(quote)?.0.to_owned())
    };
    let descr = quoted(descr).ok_or("its elements are records; a plain matrix of floats is needed")?;
    let kind = match descr.as_str() {
        "<f2" => ElementType::F16,
        "<f4" => ElementType::F32,
        "<f8" => ElementType::F64,
        "|O" => return Err("it holds pickled Python objects, which are never read; save a float matrix".to_owned()),
        other => {
            return Err(format!(
                "its elements are of type {other:?}; little-endian float16, float32 and float64 are read"
            ));
        }
    };
    let by_column = field("fortran_order").ok_or_else(|| missing("fortran_order"))?.starts_with("True");
    let shape = field("shape").ok_or_else(|| missing("shape"))?;
    let inside = shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("its shape is malformed")?.0;
    let sides: Result<Vec<usize>, _> =
        inside.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect();
    let sides = sides.map_err(|_| format!("its shape ({inside}) is malformed"))?;
    if !(1..=2).contains(&sides.len()) {
        return Err(format!("its shape is ({inside}), with {} dimensions; rows × dimensions is needed", sides.len()));
    }
    Ok((kind, by_column, sides))
}
