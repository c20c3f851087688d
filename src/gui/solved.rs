//! A finished run as the window shows it: ranking, cut, histogram, map.
//!
//! Constraint: built once in the background; moving the cut is then one comparison a row, so dragging it is free.

use std::sync::Arc;

use super::backend::Ranked;
use super::map::PointCloud;
use super::roles::Role;
use crate::project::{Plan, Purified};
use crate::selection::calibration::Estimate;
use crate::selection::{Keep, RankBy};

const BINS: usize = 120;

/// Rows by the key that makes the cut.
#[derive(Debug, Clone)]
pub struct Ranking {
    pub by: RankBy,
    pub ranks: Arc<[u32]>,
    /// Most suspicious first.
    pub order: Arc<[u32]>,
    /// The key of every row, more suspicious to the right: the score, or -log10 of n·w.
    keys: Arc<[f64]>,
    pub histogram: Histogram,
}

/// Counts of rows by key. The first and the last bin also hold what lies beyond.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub low: f64,
    pub high: f64,
    pub bins: Vec<u32>,
}

impl Ranking {
    pub fn new(purified: &Purified, by: RankBy, ranked: Ranked) -> Self {
        let outcome = &purified.outcome;
        let rows = outcome.score.len();
        let keys: Arc<[f64]> = match by {
            RankBy::Score => outcome.score.iter().copied().collect(),
            RankBy::Weight => outcome.weights.iter().map(|w| -(w * rows as f64).max(1e-12).log10()).collect(),
        };
        let histogram = Histogram::of(&keys, &ranked.order);
        Self { by, ranks: ranked.ranks.into(), order: ranked.order.into(), keys, histogram }
    }

    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// The rows that the machine keeps, as [`Keep`] defines it.
    pub fn machine_keep(&self, keep: Keep) -> usize {
        let rows = self.len();
        match keep {
            Keep::Share(share) => ((share * rows as f64 + 0.5).floor() as usize).clamp(1.min(rows), rows),
            Keep::Count(count) => count.clamp(1.min(rows), rows),
        }
    }

    /// True when the machine keeps this row, of `kept` rows in all.
    pub fn machine_keeps(&self, row: u32, kept: usize) -> bool {
        self.ranks.get(row as usize).is_some_and(|rank| *rank as usize > self.len() - kept.min(self.len()))
    }

    /// Where the cut lies on the axis of the histogram: half way between the last kept and the first dropped row.
    pub fn cut_key(&self, kept: usize) -> f64 {
        let dropped = self.len().saturating_sub(kept);
        let at = |place: usize| self.order.get(place).and_then(|row| self.keys.get(*row as usize)).copied();
        match (dropped.checked_sub(1).and_then(at), at(dropped)) {
            (Some(above), Some(below)) => (above + below) / 2.0,
            (None, Some(below)) => below + (self.histogram.high - self.histogram.low) * 1e-3,
            (Some(above), None) => above,
            (None, None) => 0.0,
        }
    }

    /// How many rows have a key of at most `key`, at least one.
    pub fn kept_at(&self, key: f64) -> usize {
        let above = self.order.partition_point(|row| self.keys.get(*row as usize).is_some_and(|k| *k > key));
        (self.len() - above).max(1.min(self.len()))
    }

    /// A row's place on the colour scale, 1 the most suspicious.
    pub fn unit(&self, row: u32) -> f32 {
        let Some(key) = self.keys.get(row as usize) else { return 0.0 };
        self.histogram.unit(*key)
    }
}

impl Histogram {
    fn of(keys: &[f64], order: &[u32]) -> Self {
        let key = |place: usize| order.get(place).and_then(|row| keys.get(*row as usize)).copied().unwrap_or(0.0);
        // Half a per mille of outliers at each end does not set the scale.
        let outliers = keys.len() / 2000;
        let (high, low) = (key(outliers), key(keys.len().saturating_sub(1 + outliers)));
        let high = if high > low { high } else { low + 1.0 };
        let mut bins = vec![0u32; BINS];
        for key in keys {
            let unit = ((key - low) / (high - low)).clamp(0.0, 1.0);
            let bin = ((unit * BINS as f64) as usize).min(BINS - 1);
            if let Some(count) = bins.get_mut(bin) {
                *count += 1;
            }
        }
        Self { low, high, bins }
    }

    /// The place of a key between the ends, clamped to [0, 1].
    pub fn unit(&self, key: f64) -> f32 {
        ((key - self.low) / (self.high - self.low)).clamp(0.0, 1.0) as f32
    }

    pub fn key(&self, unit: f32) -> f64 {
        self.low + f64::from(unit) * (self.high - self.low)
    }
}

/// A run and what the window derived from it.
#[derive(Clone)]
pub struct Solved {
    /// The plan it was made with.
    pub plan: Plan,
    /// The files as they were opened for it.
    pub files: Vec<(u64, Role)>,
    pub purified: Arc<Purified>,
    pub ranking: Ranking,
    pub cloud: Arc<PointCloud>,
    /// Share of canaries against the number of dropped rows; empty without a calibration.
    pub recall_curve: Arc<Vec<(usize, Estimate)>>,
}

/// What the window shows of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowFigures {
    pub score: f64,
    /// n·w: 1 is an average row.
    pub weight: f64,
    pub pull: f64,
    pub push: f64,
    pub rank: u32,
}

impl Solved {
    pub fn figures(&self, row: u32) -> Option<RowFigures> {
        let (outcome, at) = (&self.purified.outcome, row as usize);
        Some(RowFigures {
            score: *outcome.score.get(at)?,
            weight: *outcome.weights.get(at)? * outcome.weights.len() as f64,
            pull: *outcome.pull.get(at)?,
            push: *outcome.push.get(at)?,
            rank: *self.ranking.ranks.get(at)?,
        })
    }

    /// ESS/n in [0, 1].
    pub fn effective_share(&self) -> f64 {
        self.purified.outcome.effective_rows / (self.ranking.len().max(1) as f64)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A ranking over the given keys, ties by row index.
    pub(crate) fn ranking(keys: &[f64]) -> Ranking {
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_by(|a, b| keys[*b as usize].total_cmp(&keys[*a as usize]));
        let mut ranks = vec![0; keys.len()];
        order.iter().enumerate().for_each(|(place, row)| ranks[*row as usize] = place as u32 + 1);
        let histogram = Histogram::of(keys, &order);
        Ranking { by: RankBy::Score, ranks: ranks.into(), order: order.into(), keys: keys.into(), histogram }
    }

    #[test]
    fn the_cut_and_its_place_on_the_axis_agree() {
        let ranking = ranking(&[0.5, -1.0, 3.0, 2.0, 0.0]);
        for kept in 1..=5 {
            let keeps = (0..5).filter(|row| ranking.machine_keeps(*row, kept)).count();
            assert_eq!(keeps, kept);
            assert_eq!(ranking.kept_at(ranking.cut_key(kept)), kept);
        }
        assert!(!ranking.machine_keeps(2, 4), "row 2 is the most suspicious");
        assert_eq!(ranking.kept_at(f64::NEG_INFINITY), 1);
        assert_eq!(ranking.machine_keep(Keep::Share(0.5)), 3);
        assert_eq!(ranking.machine_keep(Keep::Count(99)), 5);
    }

    #[test]
    fn the_histogram_counts_every_row_once() {
        let keys: Vec<f64> = (0..5000).map(|i| f64::from(i) * 0.01).chain([1e9]).collect();
        let ranking = ranking(&keys);
        assert_eq!(ranking.histogram.bins.iter().sum::<u32>(), 5001);
        assert!(ranking.histogram.high < 100.0, "one outlier does not set the scale");
        assert_eq!(ranking.unit(5000), 1.0);
    }

    #[test]
    fn equal_keys_and_no_rows_are_no_trouble() {
        assert_eq!(ranking(&[1.0, 1.0, 1.0]).kept_at(1.0), 3);
        let none = ranking(&[]);
        assert_eq!((none.machine_keep(Keep::Share(0.8)), none.kept_at(0.0)), (0, 0));
    }
}
