//! Synthetic vectors for the benches.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_one_place_overlap_and_are_not_the_same() {
        let mean = |vectors: &Embeddings, others: &Embeddings| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            (0..40).map(|row| dot(vectors.row(row), others.row(row))).sum::<f64>() / 40.0
        };
        let set = |place, seed| around(40, 32, 4, place, seed).expect("a set");
        assert!(clusters(0, 3, 0).is_err());
        assert!(mean(&set(1, 2), &set(1, 3)) > 0.3);
        assert!(mean(&set(1, 2), &set(4, 5)).abs() < 0.3);
        assert!(mean(&set(1, 2), &set(1, 3)) < 0.99);
    }
}
