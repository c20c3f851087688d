//! SAFT: rows that lie far out along the leading directions of the custom set.
//!
//! Source: Choi et al. 2024, "Safety-Aware Fine-Tuning of Large Language Models", arXiv 2410.10014, Eq. 5:
//! s_i = mean_{j≤k} <z_i, v_j>², v_j the right singular vectors of the centred embeddings. It sees no reference.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;

use super::similarity;
use crate::jobs::Progress;
use crate::selection::SelectionError;
use crate::transport::Points;

const STRIP: usize = 4096;

/// Scores with `vectors` leading directions.
///
/// The d×d covariance is decomposed instead of the n×d matrix; both have the same right singular vectors.
pub(super) fn score(custom: Points<'_>, vectors: usize, progress: &dyn Progress) -> Result<Vec<f64>, SelectionError> {
    let dim = custom.dim;
    let centre = similarity::mean(custom);
    let mut covariance = Mat::<f64>::zeros(dim, dim);
    for strip in custom.data.chunks(STRIP * dim) {
        progress.check()?;
        let centred: Vec<f64> =
            strip.chunks_exact(dim).flat_map(|row| row.iter().zip(&centre).map(|(z, c)| f64::from(*z) - c)).collect();
        let centred = MatRef::from_row_major_slice(&centred, strip.len() / dim, dim);
        matmul(covariance.as_mut(), Accum::Add, centred.transpose(), centred, 1.0, Par::Seq);
    }
    let decomposed = covariance.self_adjoint_eigen(Side::Lower).map_err(|error| {
        SelectionError::Outcome(format!("the directions of the custom vectors cannot be found ({error:?})"))
    })?;
    // Eigenvalues ascend.
    let count = vectors.clamp(1, dim);
    let leading: Vec<Vec<f64>> =
        (dim - count..dim).map(|j| (0..dim).map(|i| decomposed.U()[(i, j)]).collect()).collect();
    let project = |row: &[f32]| {
        let square = |direction: &Vec<f64>| {
            let dot: f64 = row.iter().zip(&centre).zip(direction).map(|((z, c), v)| (f64::from(*z) - c) * v).sum();
            dot * dot
        };
        leading.iter().map(square).sum::<f64>() / count as f64
    };
    Ok(custom.data.par_chunks_exact(dim).map(project).collect())
}
