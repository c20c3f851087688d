//! Randomised truncated SVD of a scaled sparse matrix.
//!
//! Subspace iteration from a Gaussian start with QR after every round: Halko, Martinsson and Tropp, "Finding
//! structure with randomness", SIAM Review 53 (2011), algorithm 4.4, begun on the left side so that the random
//! matrix has the size of the rows. The right singular vectors come from the Gram matrix of the last product
//! in float64. Constraint: bit-equal for any thread count (QR runs on one thread, sums have a fixed order).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{evd, householder, matmul, qr};
use faer::{Accum, Conj, Mat, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::sparse::Sparse;
use crate::embedding::EmbeddingError;
use crate::jobs::{Cancelled, Progress};

/// Columns beyond the rank that the subspace carries.
const OVERSAMPLING: usize = 16;
/// Rounds of A·Aᵀ.
const ROUNDS: usize = 3;
/// Directions below this share of the largest singular value are noise and are left out.
const CUTOFF: f64 = 1e-5;
const GRAM_ROWS: usize = 2048;

/// A = diag(row_scale) · T · diag(column_scale); T by row and by column.
pub(super) struct Scaled<'a> {
    pub by_row: &'a Sparse,
    pub by_column: &'a Sparse,
    pub row_scale: &'a [f32],
    pub column_scale: &'a [f32],
}

/// The leading right singular vectors.
pub(super) struct Basis {
    pub rank: usize,
    /// columns × rank, row-major, orthonormal columns.
    pub vectors: Vec<f32>,
    /// Descending.
    #[cfg(test)]
    pub singular: Vec<f64>,
}

/// At most `rank` leading singular directions; fewer when the matrix has fewer.
pub(super) fn truncated_svd(
    a: &Scaled<'_>,
    rank: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Basis, EmbeddingError> {
    let (rows, columns) = (a.by_row.rows(), a.by_column.rows());
    let width = (rank + OVERSAMPLING).min(rows).min(columns);
    if width == 0 {
        return Ok(Basis {
            rank: 0,
            vectors: Vec::new(),
            #[cfg(test)]
            singular: Vec::new(),
        });
    }
    let mut left = gaussian(rows * width, seed);
    let mut right = vec![0f32; columns * width];
    let stage = "finding the main directions";
    let total = (2 * ROUNDS + 2) as u64;
    for round in 0..ROUNDS {
        progress.tick(stage, 2 * round as u64, Some(total));
        a.right(&mut left, &mut right, width, progress)?;
        progress.tick(stage, 2 * round as u64 + 1, Some(total));
        a.left(&mut right, &mut left, width, progress)?;
        orthonormalise(&mut left, rows, width);
        progress.check()?;
    }
    progress.tick(stage, 2 * ROUNDS as u64, Some(total));
    a.right(&mut left, &mut right, width, progress)?;
    drop(left);
    progress.tick(stage, 2 * ROUNDS as u64 + 1, Some(total));
    let basis = rotate(right, columns, width, rank)?;
    progress.check()?;
    progress.tick(stage, total, Some(total));
    Ok(basis)
}

impl Scaled<'_> {
    /// `out = Aᵀ · left`. Scales `left` in place: it is to be overwritten next.
    fn right(&self, left: &mut [f32], out: &mut [f32], width: usize, progress: &dyn Progress) -> Result<(), Cancelled> {
        scale_rows(left, self.row_scale, width);
        self.by_column.multiply(self.column_scale, left, out, width, progress)
    }

    /// `out = A · right`. Scales `right` in place: it is to be overwritten next.
    fn left(&self, right: &mut [f32], out: &mut [f32], width: usize, progress: &dyn Progress) -> Result<(), Cancelled> {
        scale_rows(right, self.column_scale, width);
        self.by_row.multiply(self.row_scale, right, out, width, progress)
    }
}

pub(super) fn scale_rows(matrix: &mut [f32], scale: &[f32], width: usize) {
    matrix.par_chunks_exact_mut(width.max(1)).zip(scale.par_iter()).for_each(|(row, &scale)| {
        row.iter_mut().for_each(|x| *x *= scale);
    });
}

/// Standard normal numbers (Box and Muller), the same for any thread count.
fn gaussian(len: usize, seed: u64) -> Vec<f32> {
    const BLOCK: usize = 1 << 14;
    let mut out = vec![0f32; len];
    out.par_chunks_mut(BLOCK).enumerate().for_each(|(block, out)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(block as u64);
        for pair in out.chunks_mut(2) {
            let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * random.random::<f64>()).sin_cos();
            for (x, part) in pair.iter_mut().zip([cos, sin]) {
                *x = (radius * part) as f32;
            }
        }
    });
    out
}

/// Replaces the columns of a row-major rows × width matrix (rows ≥ width) by an orthonormal basis of their span.
fn orthonormalise(matrix: &mut [f32], rows: usize, width: usize) {
    let view = MatRef::from_row_major_slice(&*matrix, rows, width);
    let mut factors: Mat<f32> = view.to_owned();
    let block = qr::no_pivoting::factor::recommended_block_size::<f32>(rows, width);
    let mut coefficients = Mat::<f32>::zeros(block, width);
    let scratch = qr::no_pivoting::factor::qr_in_place_scratch::<f32>(rows, width, block, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    qr::no_pivoting::factor::qr_in_place(
        factors.as_mut(),
        coefficients.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );
    let mut basis = Mat::<f32>::identity(rows, width);
    let scratch = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f32>(rows, block, width);
    let mut memory = MemBuffer::new(scratch);
    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
        factors.as_ref(),
        coefficients.as_ref(),
        Conj::No,
        basis.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    matrix.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(i, row)| {
        for (x, column) in row.iter_mut().zip(basis.col_iter()) {
            *x = column[i];
        }
    });
}

/// From Z = AᵀQ (columns × width) to the right singular vectors of A: ZᵀZ = W Σ² Wᵀ, V = Z W Σ⁻¹.
fn rotate(z: Vec<f32>, columns: usize, width: usize, rank: usize) -> Result<Basis, EmbeddingError> {
    let gram = gram(&z, width);
    let mut values = faer::diag::Diag::<f64>::zeros(width);
    let mut vectors = Mat::<f64>::zeros(width, width);
    let scratch =
        evd::self_adjoint_evd_scratch::<f64>(width, evd::ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    evd::self_adjoint_evd(
        gram.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| EmbeddingError::Set {
        set: "lexical".to_owned(),
        reason: "the singular value decomposition did not converge; try another seed".to_owned(),
    })?;
    // Eigenvalues come in ascending order.
    let values = values.column_vector();
    let singular: Vec<f64> = (0..width).rev().map(|i| values.get(i).max(0.0).sqrt()).collect();
    let largest = singular.first().copied().unwrap_or(0.0);
    let kept = singular.iter().take(rank).take_while(|&&s| s > largest * CUTOFF).count();
    let mut rotation = Mat::<f32>::zeros(width, kept);
    for (j, &s) in singular.iter().take(kept).enumerate() {
        let source = vectors.col(width - 1 - j);
        // The sign of a singular vector is free: make the largest entry positive.
        let largest = source.iter().copied().fold(0.0, |a: f64, b: f64| if b.abs() > a.abs() { b } else { a });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        for (target, &value) in rotation.col_mut(j).iter_mut().zip(source.iter()) {
            *target = (sign * value / s) as f32;
        }
    }
    let mut out = vec![0f32; columns * kept];
    out.par_chunks_mut((GRAM_ROWS * kept).max(1)).zip(z.par_chunks((GRAM_ROWS * width).max(1))).for_each(|(out, z)| {
        let rows = z.len() / width.max(1);
        matmul::matmul(
            faer::MatMut::from_row_major_slice_mut(out, rows, kept),
            Accum::Replace,
            MatRef::from_row_major_slice(z, rows, width),
            rotation.as_ref(),
            1.0,
            Par::Seq,
        );
    });
    Ok(Basis {
        rank: kept,
        vectors: out,
        #[cfg(test)]
        singular: singular.into_iter().take(kept).collect(),
    })
}

/// ZᵀZ in float64, summed over blocks of rows in their order.
fn gram(z: &[f32], width: usize) -> Mat<f64> {
    const BLOCKS_AT_ONCE: usize = 16;
    let mut sum = Mat::<f64>::zeros(width, width);
    for group in z.chunks((GRAM_ROWS * width * BLOCKS_AT_ONCE).max(1)) {
        let parts: Vec<Mat<f64>> = group
            .par_chunks((GRAM_ROWS * width).max(1))
            .map(|block| {
                let rows = block.len() / width.max(1);
                let block = MatRef::from_row_major_slice(block, rows, width);
                let wide = Mat::from_fn(rows, width, |i, j| f64::from(block[(i, j)]));
                let mut out = Mat::<f64>::zeros(width, width);
                matmul::matmul(out.as_mut(), Accum::Replace, wide.transpose(), wide.as_ref(), 1.0, Par::Seq);
                out
            })
            .collect();
        for part in parts {
            sum += part;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::lexical::features::Entry;
    use crate::jobs::Silent;

    /// Rows of four topics with words of their own, some shared words, and uneven sizes.
    fn rows(count: usize, columns: usize) -> Vec<Vec<Entry>> {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        (0..count)
            .map(|i| {
                let topic = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3][i % 10];
                let mut words: Vec<usize> = (0..12)
                    .map(|_| match random.random_range(0..10) {
                        0 => random.random_range(0..columns),
                        _ => topic * columns / 4 + random.random_range(0..10),
                    })
                    .collect();
                words.sort_unstable();
                words.dedup();
                words.into_iter().map(|word| Entry::new(word as u32, 1 + (word % 3) as u32)).collect()
            })
            .collect()
    }

    #[test]
    fn leading_directions_are_those_of_a_dense_svd() {
        let (count, columns, rank) = (300, 160, 4);
        let rows = rows(count, columns);
        let by_row = Sparse::from_rows(&rows);
        let by_column = by_row.transposed(columns);
        let row_scale: Vec<f32> = (0..count).map(|i| 0.5 + (i % 7) as f32 / 7.0).collect();
        let column_scale: Vec<f32> = (0..columns).map(|j| 1.0 + (j % 5) as f32 / 5.0).collect();
        let a = Scaled { by_row: &by_row, by_column: &by_column, row_scale: &row_scale, column_scale: &column_scale };
        let found = truncated_svd(&a, rank, 7, &Silent).expect("decomposes");
        assert_eq!(found.rank, rank);

        let mut dense = Mat::<f64>::zeros(count, columns);
        for (i, row) in rows.iter().enumerate() {
            for entry in row {
                let tf = 1.0 + f64::from(entry.count()).ln();
                dense[(i, entry.index())] = f64::from(row_scale[i]) * tf * f64::from(column_scale[entry.index()]);
            }
        }
        let exact = dense.svd().expect("a dense decomposition");
        for k in 0..rank {
            let value = exact.S().column_vector()[k];
            assert!((found.singular[k] / value - 1.0).abs() < 1e-4, "{k}: {} and {value}", found.singular[k]);
            let alignment: f64 = (0..columns).map(|j| exact.V()[(j, k)] * f64::from(found.vectors[j * rank + k])).sum();
            assert!((alignment.abs() - 1.0).abs() < 1e-3, "direction {k}: {alignment}");
        }
    }
}
