//! How far any two rankings agree: on the rows that they would drop, and on the places of all rows.
//!
//! Constraint: no label is needed; memory is one bit a row for each ranking, and four bytes for its places.

use super::{Contender, ascending, kept};
use crate::selection::{Keep, SelectionError};

/// Every ranking beside every other, in the order of the contenders.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Rankings.
    pub count: usize,
    /// Row-major `count` × `count`: the Jaccard index of the rows that both drop; `None` where neither drops any.
    pub overlap: Vec<Option<f64>>,
    /// By ranking: the place of every row, 1 the most suspicious; of a tie the earlier row first, as a cut does.
    pub places: Vec<Vec<u32>>,
    /// By ranking: a ranking that puts every row on one place has no order worth showing.
    pub is_flat: Vec<bool>,
}

impl Agreement {
    /// The Jaccard index of what two rankings would drop.
    pub fn of(&self, a: usize, b: usize) -> Option<f64> {
        (a < self.count && b < self.count).then(|| self.overlap.get(a * self.count + b).copied().flatten()).flatten()
    }
}

/// Compares every pair of contenders at a cut.
///
/// # Errors
/// `keep` is out of range, or the contenders are not of the same rows.
pub fn agreement(contenders: &[Contender], keep: Keep) -> Result<Agreement, SelectionError> {
    let rows = contenders.first().map_or(0, |first| first.score.len());
    if contenders.iter().any(|one| one.score.len() != rows) {
        return Err(SelectionError::Outcome("rankings are not of the same rows".to_owned()));
    }
    let dropped: Vec<Vec<u64>> = contenders
        .iter()
        .map(|one| {
            let mut bits = vec![0u64; rows.div_ceil(64)];
            for (row, _) in kept(one, keep)?.iter().enumerate().filter(|(_, kept)| !**kept) {
                if let Some(word) = bits.get_mut(row / 64) {
                    *word |= 1 << (row % 64);
                }
            }
            Ok(bits)
        })
        .collect::<Result<_, SelectionError>>()?;
    let jaccard = |a: &[u64], b: &[u64]| {
        let count = |of: fn(u64, u64) -> u64| -> u32 { a.iter().zip(b).map(|(a, b)| of(*a, *b).count_ones()).sum() };
        let (both, either) = (count(|a, b| a & b), count(|a, b| a | b));
        (either > 0).then(|| f64::from(both) / f64::from(either))
    };
    let overlap = dropped.iter().flat_map(|a| dropped.iter().map(|b| jaccard(a, b))).collect();
    let places = contenders
        .iter()
        .map(|one| {
            let mut places = vec![0u32; rows];
            for (place, row) in ascending(&one.score).into_iter().rev().enumerate() {
                if let Some(slot) = places.get_mut(row) {
                    *slot = u32::try_from(place + 1).unwrap_or(u32::MAX);
                }
            }
            places
        })
        .collect();
    let is_flat = contenders.iter().map(|one| one.score.windows(2).all(|pair| pair.first() == pair.last())).collect();
    Ok(Agreement { count: contenders.len(), overlap, places, is_flat })
}
