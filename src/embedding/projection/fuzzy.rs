//! From neighbours to edge strengths: the fuzzy simplicial set of UMAP.
//!
//! Row i is tied to its neighbour j by exp(-max(0, d_ij - ρ_i)/σ_i), where ρ_i is its smallest distance above zero and
//! σ_i makes the k strengths sum to log₂ k; both directions join as a + b - ab.

use rayon::prelude::*;

use super::Neighbours;
use crate::embedding::EmbeddingError;
use crate::jobs::Progress;

const ROWS_AT_ONCE: usize = 4096;

/// A symmetric graph, row by row.
pub(super) struct Edges {
    /// Row i is tied to `to[starts[i]..starts[i + 1]]`.
    pub starts: Vec<usize>,
    pub to: Vec<u32>,
    /// In (0, 1].
    pub strength: Vec<f32>,
}

pub(super) fn edges(graph: &Neighbours, progress: &dyn Progress) -> Result<Edges, EmbeddingError> {
    let k = graph.k.max(1);
    let count = graph.rows.len() / k;
    progress.tick("weighing neighbours", 0, None);
    progress.check()?;
    let mut strength = vec![0.0_f32; graph.rows.len()];
    strength.par_chunks_mut(k).zip(graph.distances.par_chunks(k)).for_each(|(out, distances)| ties(distances, out));

    // Every directed edge appears at both its ends; equal pairs then stand beside each other.
    let mut starts = vec![0_usize; count + 1];
    for (at, &to) in graph.rows.iter().enumerate() {
        starts[at / k + 1] += 1;
        starts[to as usize + 1] += 1;
    }
    for row in 0..count {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut both = vec![(0_u32, 0.0_f32); graph.rows.len() * 2];
    for (at, (&to, &strength)) in graph.rows.iter().zip(&strength).enumerate() {
        for (end, other) in [(at / k, to), (to as usize, (at / k) as u32)] {
            both[next[end]] = (other, strength);
            next[end] += 1;
        }
    }
    progress.check()?;
    let parts: Vec<(Vec<u32>, Vec<f32>, Vec<usize>)> = starts
        .par_windows(2)
        .chunks(ROWS_AT_ONCE)
        .enumerate()
        .map(|(block, bounds)| {
            let (mut to, mut strength, mut ends) = (Vec::new(), Vec::new(), Vec::new());
            let mut sorted = Vec::new();
            for (at, bounds) in bounds.iter().enumerate() {
                let own = (block * ROWS_AT_ONCE + at) as u32;
                sorted.clear();
                sorted.extend_from_slice(&both[bounds[0]..bounds[1]]);
                sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
                for pair in sorted.chunk_by(|a, b| a.0 == b.0).filter(|pair| pair[0].0 != own) {
                    let (a, b) = (pair[0].1, pair.get(1).map_or(0.0, |second| second.1));
                    to.push(pair[0].0);
                    strength.push(a + b - a * b);
                }
                ends.push(to.len());
            }
            (to, strength, ends)
        })
        .collect();
    drop(both);
    let mut edges = Edges { starts: vec![0], to: Vec::new(), strength: Vec::new() };
    for (to, strength, ends) in parts {
        let before = edges.to.len();
        edges.starts.extend(ends.iter().map(|end| before + end));
        edges.to.extend(to);
        edges.strength.extend(strength);
    }
    Ok(edges)
}

/// The strengths of one row's ties.
fn ties(distances: &[f32], out: &mut [f32]) {
    let wanted = (distances.len() as f64).log2();
    let nearest = distances.iter().copied().find(|d| *d > 0.0).unwrap_or(0.0);
    let beyond = |d: &f32| f64::from((d - nearest).max(0.0));
    let (mut low, mut high, mut sigma) = (0.0_f64, f64::INFINITY, 1.0_f64);
    for _ in 0..64 {
        let sum: f64 = distances.iter().map(|d| (-beyond(d) / sigma).exp()).sum();
        if (sum - wanted).abs() < 1e-5 {
            break;
        }
        if sum > wanted {
            high = sigma;
            sigma = (low + high) / 2.0;
        } else {
            low = sigma;
            sigma = if high.is_finite() { (low + high) / 2.0 } else { sigma * 2.0 };
        }
    }
    let mean = distances.iter().map(|d| f64::from(*d)).sum::<f64>() / distances.len().max(1) as f64;
    let sigma = sigma.max(1e-3 * mean).max(f64::MIN_POSITIVE);
    out.iter_mut().zip(distances).for_each(|(out, d)| *out = (-beyond(d) / sigma).exp() as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Silent;

    #[test]
    fn the_ties_of_a_row_sum_to_the_logarithm_of_their_number() {
        let distances: Vec<f32> = (0..15).map(|i| 0.3 + 0.05 * i as f32).collect();
        let mut out = vec![0.0; 15];
        ties(&distances, &mut out);
        assert_eq!(out[0], 1.0, "the nearest is tied fully");
        assert!((out.iter().sum::<f32>() - 15_f32.log2()).abs() < 1e-3);
        // A row among copies of itself.
        ties(&[0.0; 15], &mut out);
        assert!(out.iter().all(|tie| *tie == 1.0));
    }

    #[test]
    fn both_directions_join() {
        // 0 → 1, 1 → 0, 2 → 0.
        let graph = Neighbours { k: 1, rows: vec![1, 0, 0], distances: vec![0.5, 0.5, 0.9] };
        let edges = edges(&graph, &Silent).expect("edges");
        assert_eq!(edges.starts, [0, 2, 3, 4]);
        assert_eq!(edges.to, [1, 2, 0, 0]);
        assert!(edges.strength.iter().all(|strength| (0.0..=1.0).contains(strength)));
    }
}
