//! How far a picture can be trusted.

use rayon::prelude::*;

use super::{Place, products};
use crate::embedding::Embeddings;

const ROWS_AT_ONCE: usize = 64;

/// Trustworthiness in [0, 1] of a picture of `vectors`: Venna and Kaski, "Neighborhood preservation in nonlinear
/// projection methods" (2001). Rows that are among the `k` nearest on the plane but not in d dimensions cost by how far
/// they are there. Compares every pair, so O(n²·d): for samples. `None` unless n > 1.5·k and both have n rows.
pub fn trustworthiness(vectors: &Embeddings, places: &[Place], k: usize) -> Option<f64> {
    let (count, dim) = (vectors.rows(), vectors.dim());
    if places.len() != count || 2 * count <= 3 * k + 1 || k == 0 || dim == 0 {
        return None;
    }
    let costs: Vec<u64> = vectors
        .data()
        .par_chunks(ROWS_AT_ONCE * dim)
        .enumerate()
        .map(|(block, rows)| {
            let mut dots = vec![0.0; rows.len() / dim * count];
            products(rows, vectors.data(), dim, &mut dots);
            let one = |(at, dots): (usize, &[f32])| cost(dots, places, block * ROWS_AT_ONCE + at, k);
            dots.chunks_exact(count).enumerate().map(one).sum()
        })
        .collect();
    let (n, k) = (count as f64, k as f64);
    Some(1.0 - costs.iter().sum::<u64>() as f64 * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)))
}

/// Σ (rank - k) over the `k` nearest on the plane whose rank in d dimensions is above `k`.
fn cost(dots: &[f32], places: &[Place], own: usize, k: usize) -> u64 {
    let far = |row: usize| (places[row][0] - places[own][0]).powi(2) + (places[row][1] - places[own][1]).powi(2);
    let mut order: Vec<(f32, usize)> = (0..places.len()).filter(|row| *row != own).map(|row| (far(row), row)).collect();
    let nearest = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    order.select_nth_unstable_by(k - 1, nearest);
    let rank = |row: usize| {
        let before = |other: usize| dots[other] > dots[row] || (dots[other] == dots[row] && other < row);
        1 + (0..dots.len()).filter(|other| *other != own && before(*other)).count()
    };
    order[..k].iter().map(|(_, row)| rank(*row).saturating_sub(k) as u64).sum()
}
