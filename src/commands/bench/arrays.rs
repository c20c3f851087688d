//! Synthetic vectors and .npy files for the benches.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::embedding::Embeddings;

/// Unit vectors around random directions, one direction for about 250 rows.
///
/// Fails where there is no row or no dimension, and beyond 2³² numbers.
pub fn clusters(rows: usize, dim: usize, seed: u64) -> anyhow::Result<Embeddings> {
    around(rows, dim, (rows / 250).max(1), seed, seed)
}

/// Unit vectors around `directions` random directions, which `place` draws; two sets of one place overlap.
pub fn around(rows: usize, dim: usize, directions: usize, place: u64, seed: u64) -> anyhow::Result<Embeddings> {
    let Some(len) = rows.checked_mul(dim).filter(|len| *len > 0 && *len <= 1 << 32) else {
        bail!("{rows} rows of {dim} dimensions; give at least one of each and at most 2^32 numbers");
    };
    let normal = |random: &mut ChaCha8Rng| (0..4).map(|_| random.random::<f32>()).sum::<f32>() - 2.0;
    let mut random = ChaCha8Rng::seed_from_u64(place);
    let middles: Vec<f32> = (0..directions.max(1) * dim).map(|_| normal(&mut random)).collect();
    if place != seed {
        random = ChaCha8Rng::seed_from_u64(seed);
    }
    let mut data = Vec::with_capacity(len);
    for middle in middles.chunks_exact(dim).cycle().take(rows) {
        data.extend(middle.iter().map(|value| value + 0.8 * normal(&mut random)));
    }
    let mut vectors = Embeddings::new(rows, dim, data).context("a matrix")?;
    vectors.normalise();
    Ok(vectors)
}

/// Writes a C-ordered float32 array of `shape`.
pub fn write_npy(path: &Path, shape: &[usize], values: impl Iterator<Item = f32>) -> anyhow::Result<()> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    // Magic, version and length take ten bytes; the whole is a multiple of 64 and ends a line.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let write = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&(header.len() as u16).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for value in values {
            out.write_all(&value.to_le_bytes())?;
        }
        out.flush()
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_survive_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("places.npy");
        write_npy(&path, &[3, 2], [1.0, -2.5, 0.0, 3.0, 4.0, 5.0].into_iter()).expect("written");
        let read = Embeddings::read_npy(&path).expect("read");
        assert_eq!((read.rows(), read.dim(), read.row(0)), (3, 2, [1.0, -2.5].as_slice()));
        assert!(clusters(0, 3, 0).is_err());
        assert!(write_npy(&folder.path().join("no/such"), &[0], std::iter::empty()).is_err());
    }

    #[test]
    fn sets_of_one_place_overlap_and_are_not_the_same() {
        let mean = |vectors: &Embeddings, others: &Embeddings| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            (0..40).map(|row| dot(vectors.row(row), others.row(row))).sum::<f64>() / 40.0
        };
        let set = |place, seed| around(40, 32, 4, place, seed).expect("a set");
        assert!(mean(&set(1, 2), &set(1, 3)) > 0.3);
        assert!(mean(&set(1, 2), &set(4, 5)).abs() < 0.3);
        assert!(mean(&set(1, 2), &set(1, 3)) < 0.99);
    }
}
