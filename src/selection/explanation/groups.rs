//! Groups of references: spherical k-means on their vectors, named by distinguishing terms.
//!
//! Constraint: the same vectors, texts and seed give the same groups for any number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::terms;
use crate::embedding::Texts;
use crate::jobs::Progress;
use crate::selection::SelectionError;
use crate::transport::Points;

const MOST_GROUPS: usize = 12;
/// References a group should have.
const ROWS_A_GROUP: usize = 25;
const MOST_ROUNDS: usize = 50;

/// References that are alike.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Group {
    /// Terms that distinguish it from the other groups of its reference, the strongest first; may be empty.
    pub terms: Vec<String>,
    pub rows: usize,
}

impl Group {
    /// Its name: the terms, or that there are none.
    pub fn name(&self) -> String {
        if self.terms.is_empty() { "no distinguishing words".to_owned() } else { self.terms.join(" · ") }
    }
}

/// A reference cut into groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    pub groups: Vec<Group>,
    /// The group of every reference row.
    pub of: Vec<usize>,
}

/// Groups the m rows of a reference; about one group for 25 rows, at most 12, none empty.
///
/// # Errors
/// A text cannot be read, or the user cancelled.
pub fn group(
    points: Points<'_>,
    texts: &dyn Texts,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Grouping, SelectionError> {
    let wanted = (points.rows / ROWS_A_GROUP).clamp(1, MOST_GROUPS);
    let of = cluster(points, wanted, seed, progress)?;
    // Empty groups have no number.
    let mut used: Vec<usize> = of.clone();
    used.sort_unstable();
    used.dedup();
    let of: Vec<usize> = of.iter().filter_map(|group| used.binary_search(group).ok()).collect();
    let terms = terms::distinguishing(texts, &of, used.len(), progress)?;
    let groups = terms
        .into_iter()
        .enumerate()
        .map(|(group, terms)| Group { terms, rows: of.iter().filter(|of| **of == group).count() })
        .collect();
    Ok(Grouping { groups, of })
}

/// The cluster of every row: k-means++ seeding, then Lloyd's rounds on cosines until nothing moves.
fn cluster(
    points: Points<'_>,
    wanted: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<usize>, SelectionError> {
    let (rows, dim) = (points.rows, points.dim);
    let row = |at: usize| points.data.get(at * dim..(at + 1) * dim).unwrap_or_default();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut centres: Vec<f32> = row(random.random_range(0..rows.max(1))).to_vec();
    let mut distance = vec![f64::INFINITY; rows];
    while centres.len() < wanted * dim {
        progress.check()?;
        let newest = centres.get(centres.len() - dim..).unwrap_or_default();
        for (at, distance) in distance.iter_mut().enumerate() {
            let cosine: f64 = row(at).iter().zip(newest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            *distance = distance.min((1.0 - cosine).max(0.0));
        }
        let total: f64 = distance.iter().sum();
        let mut left = random.random_range(0.0..1.0) * total;
        let far = distance.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // All rows lie on centres already.
        let Some(far) = far else { break };
        centres.extend_from_slice(row(far));
    }
    let count = centres.len() / dim.max(1);
    let mut of = vec![usize::MAX; rows];
    let mut cosines = vec![0.0f32; rows * count];
    for _ in 0..MOST_ROUNDS {
        progress.check()?;
        matmul(
            MatMut::from_row_major_slice_mut(&mut cosines, rows, count),
            Accum::Replace,
            MatRef::from_row_major_slice(points.data, rows, dim),
            MatRef::from_row_major_slice(&centres, count, dim).transpose(),
            1.0,
            Par::Seq,
        );
        let nearest = |cosines: &[f32]| {
            let best = cosines
                .iter()
                .enumerate()
                .fold((0, f32::NEG_INFINITY), |best, (at, cosine)| if *cosine > best.1 { (at, *cosine) } else { best });
            best.0
        };
        let next: Vec<usize> = cosines.chunks_exact(count).map(nearest).collect();
        if next == of {
            break;
        }
        of = next;
        let mut sums = vec![0.0f64; count * dim];
        for (at, group) in of.iter().enumerate() {
            if let Some(sum) = sums.get_mut(group * dim..(group + 1) * dim) {
                sum.iter_mut().zip(row(at)).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        for (centre, sum) in centres.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)) {
            let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            if norm > 0.0 {
                centre.iter_mut().zip(sum).for_each(|(centre, value)| *centre = (value / norm) as f32);
            }
        }
    }
    Ok(of)
}
