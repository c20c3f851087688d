//! The plane of largest variance.
//!
//! Subspace iteration on the covariance from a Gaussian start: Halko, Martinsson and Tropp, "Finding structure with
//! randomness", SIAM Review 53 (2011). One read of the vectors a round; partial sums are added in a fixed order.

use faer::{Accum, Mat, MatMut, MatRef, Par, linalg::matmul::matmul};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Place, pool, shape};
use crate::embedding::{EmbeddingError, Embeddings};
use crate::jobs::Progress;

/// Directions that the subspace carries; two of them are wanted.
const WIDTH: usize = 12;
const ROUNDS: usize = 10;
const BLOCK: usize = 2048;
const STAGE: &str = "finding the main plane";

/// Places the rows of all sets, in their order, on their two directions of largest variance.
///
/// # Errors
/// Sets differ in width, threads cannot be started, or the user cancelled.
pub fn principal_plane(
    sets: &[&Embeddings],
    seed: u64,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<Place>, EmbeddingError> {
    let (rows, dim) = shape(sets)?;
    if rows == 0 || dim == 0 {
        return Ok(vec![[0.0; 2]; rows]);
    }
    let blocks: Vec<&[f32]> = sets.iter().flat_map(|set| set.data().chunks(BLOCK * dim)).collect();
    pool(threads)?.install(|| {
        let mean = mean(&blocks, rows, dim);
        let width = WIDTH.min(dim);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut basis = Mat::from_fn(dim, width, |_, _| random.random::<f64>() - 0.5);
        orthonormalise(&mut basis);
        for round in 0..ROUNDS {
            progress.tick(STAGE, round as u64, Some(ROUNDS as u64 + 1));
            basis = covariance_times(&blocks, dim, &mean, &basis, progress)?;
            orthonormalise(&mut basis);
        }
        let image = covariance_times(&blocks, dim, &mean, &basis, progress)?;
        let axes = leading(&basis, &image)?;
        let places = blocks.par_iter().map(|block| centred(block, dim, &mean, &axes)).collect::<Vec<_>>();
        progress.tick(STAGE, ROUNDS as u64 + 1, Some(ROUNDS as u64 + 1));
        Ok(places.iter().flat_map(|block| block.row_iter().map(|row| [row[0], row[1]])).collect())
    })
}

fn mean(blocks: &[&[f32]], rows: usize, dim: usize) -> Vec<f64> {
    let parts: Vec<Vec<f64>> = blocks
        .par_iter()
        .map(|block| {
            let mut sum = vec![0.0; dim];
            for row in block.chunks_exact(dim) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            sum
        })
        .collect();
    let mut mean = vec![0.0; dim];
    for part in parts {
        mean.iter_mut().zip(part).for_each(|(sum, value)| *sum += value / rows as f64);
    }
    mean
}

/// (X - μ)·V of one block, rows × width.
fn centred(block: &[f32], dim: usize, mean: &[f64], basis: &Mat<f64>) -> Mat<f32> {
    let rows = block.len() / dim;
    let narrow = Mat::from_fn(dim, basis.ncols(), |i, j| basis[(i, j)] as f32);
    let shift: Vec<f32> =
        basis.col_iter().map(|column| column.iter().zip(mean).map(|(v, m)| v * m).sum::<f64>() as f32).collect();
    let mut out = Mat::from_fn(rows, basis.ncols(), |_, j| -shift[j]);
    let block = MatRef::from_row_major_slice(block, rows, dim);
    matmul(out.as_mut(), Accum::Add, block, narrow.as_ref(), 1.0, Par::Seq);
    out
}

/// (X - μ)ᵀ(X - μ)·V in one read of X. The rows of (X - μ)·V sum to zero, so the left μ drops out.
fn covariance_times(
    blocks: &[&[f32]],
    dim: usize,
    mean: &[f64],
    basis: &Mat<f64>,
    progress: &dyn Progress,
) -> Result<Mat<f64>, EmbeddingError> {
    const BLOCKS_AT_ONCE: usize = 16;
    let mut sum = Mat::<f64>::zeros(dim, basis.ncols());
    for group in blocks.chunks(BLOCKS_AT_ONCE) {
        progress.check()?;
        let parts: Vec<Mat<f32>> = group
            .par_iter()
            .map(|block| {
                let image = centred(block, dim, mean, basis);
                let mut out = Mat::<f32>::zeros(dim, basis.ncols());
                let rows = MatRef::from_row_major_slice(block, block.len() / dim, dim);
                matmul(out.as_mut(), Accum::Replace, rows.transpose(), image.as_ref(), 1.0, Par::Seq);
                out
            })
            .collect();
        for part in parts {
            for (total, column) in sum.col_iter_mut().zip(part.col_iter()) {
                total.iter_mut().zip(column.iter()).for_each(|(total, value)| *total += f64::from(*value));
            }
        }
    }
    Ok(sum)
}

/// Gram and Schmidt, twice for accuracy. A column that depends on those before it becomes zero.
fn orthonormalise(basis: &mut Mat<f64>) {
    for j in 0..basis.ncols() {
        let before = norm(basis, j);
        for _ in 0..2 {
            for k in 0..j {
                let dot: f64 = basis.col(j).iter().zip(basis.col(k).iter()).map(|(a, b)| a * b).sum();
                for i in 0..basis.nrows() {
                    basis[(i, j)] -= dot * basis[(i, k)];
                }
            }
        }
        let after = norm(basis, j);
        let scale = if after > before * 1e-12 && after.is_finite() { 1.0 / after } else { 0.0 };
        basis.col_mut(j).iter_mut().for_each(|value| *value *= scale);
    }
}

fn norm(basis: &Mat<f64>, j: usize) -> f64 {
    basis.col(j).iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The two leading eigenvectors within the subspace (Rayleigh and Ritz), dim × 2.
fn leading(basis: &Mat<f64>, image: &Mat<f64>) -> Result<Mat<f64>, EmbeddingError> {
    let mut small = Mat::<f64>::zeros(basis.ncols(), basis.ncols());
    matmul(small.as_mut(), Accum::Replace, basis.transpose(), image.as_ref(), 1.0, Par::Seq);
    let turned = if small.col_iter().all(|column| column.iter().all(|value| value.is_finite())) {
        small.self_adjoint_eigen(faer::Side::Lower).ok()
    } else {
        None
    };
    let Some(turned) = turned else {
        return Err(super::unusable("its vectors are not finite; embed the rows again".to_owned()));
    };
    let mut axes = Mat::<f64>::zeros(basis.nrows(), 2);
    for j in 0..2.min(basis.ncols()) {
        // Eigenvalues come in ascending order.
        let weights = turned.U().col(basis.ncols() - 1 - j);
        let out: MatMut<'_, f64> = axes.as_mut().subcols_mut(j, 1);
        matmul(out, Accum::Replace, basis.as_ref(), weights.as_mat(), 1.0, Par::Seq);
        // The sign is free: make the largest entry positive.
        let largest = axes.col(j).iter().copied().fold(0.0, |a: f64, b: f64| if b.abs() > a.abs() { b } else { a });
        if largest < 0.0 {
            axes.col_mut(j).iter_mut().for_each(|value| *value = -*value);
        }
    }
    Ok(axes)
}
