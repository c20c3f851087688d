//! Rankings by cosines to the references: nearest mean and nearest neighbours.
//!
//! Constraint: strips of rows of a fixed size, so that sums do not depend on the number of threads and no n×m matrix
//! is held.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::jobs::Progress;
use crate::selection::SelectionError;
use crate::transport::{Points, Problem};

const STRIP: usize = 64;

/// The mean of the rows, d values.
pub(super) fn mean(points: Points<'_>) -> Vec<f64> {
    let mut mean = vec![0.0; points.dim];
    for row in points.data.chunks_exact(points.dim) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    mean.iter_mut().for_each(|sum| *sum /= points.rows.max(1) as f64);
    mean
}

/// z·(mean(H) - mean(S)).
pub(super) fn centroid(problem: &Problem<'_>) -> Vec<f64> {
    let difference: Vec<f64> =
        mean(problem.harmful).iter().zip(mean(problem.safe)).map(|(harmful, safe)| harmful - safe).collect();
    let rows = problem.custom.data.par_chunks_exact(problem.custom.dim);
    rows.map(|row| row.iter().zip(&difference).map(|(value, weight)| f64::from(*value) * weight).sum()).collect()
}

/// Mean cosine to the `count` nearest harmful references less the mean cosine to the `count` nearest safe ones; to all
/// of them where a reference has fewer.
pub(super) fn nearest(
    problem: &Problem<'_>,
    count: usize,
    progress: &dyn Progress,
) -> Result<Vec<f64>, SelectionError> {
    let (safe, harmful) = (
        nearest_mean(problem.custom, problem.safe, count, progress)?,
        nearest_mean(problem.custom, problem.harmful, count, progress)?,
    );
    Ok(harmful.iter().zip(&safe).map(|(harmful, safe)| harmful - safe).collect())
}

fn nearest_mean(
    custom: Points<'_>,
    reference: Points<'_>,
    count: usize,
    progress: &dyn Progress,
) -> Result<Vec<f64>, SelectionError> {
    let count = count.clamp(1, reference.rows);
    let strips: Vec<Vec<f64>> = custom
        .data
        .par_chunks(STRIP * custom.dim)
        .map(|strip| {
            progress.check()?;
            let rows = strip.len() / custom.dim;
            let mut cosines = vec![0.0f32; rows * reference.rows];
            matmul(
                MatMut::from_row_major_slice_mut(&mut cosines, rows, reference.rows),
                Accum::Replace,
                MatRef::from_row_major_slice(strip, rows, custom.dim),
                MatRef::from_row_major_slice(reference.data, reference.rows, reference.dim).transpose(),
                1.0,
                Par::Seq,
            );
            Ok(cosines.chunks_exact_mut(reference.rows).map(|row| largest_mean(row, count)).collect())
        })
        .collect::<Result<_, SelectionError>>()?;
    Ok(strips.concat())
}

/// The mean of the `count` largest values.
fn largest_mean(values: &mut [f32], count: usize) -> f64 {
    if count < values.len() {
        values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    }
    let mut largest: Vec<f32> = values.iter().take(count).copied().collect();
    // The order that selection leaves is its own affair; the sum shall not hang on it.
    largest.sort_unstable_by(|a, b| b.total_cmp(a));
    largest.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64
}
