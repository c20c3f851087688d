//! How many canaries a cut drops, and how sure that is.

use statrs::function::beta::beta_reg;

/// Detection power on planted rows: for every canary, how far up the ranking it came.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recall {
    /// For every canary, how many custom rows are at least as suspicious, ascending.
    pub above: Vec<u32>,
    /// Custom rows.
    pub rows: usize,
    /// Confidence of the intervals, in (0, 1).
    pub confidence: f64,
}

/// A share with its interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Recall {
    /// From the suspicion of every canary and of every custom row; none is NaN.
    pub(super) fn new(canaries: &[f64], custom: &[f64], confidence: f64) -> Self {
        let mut sorted = custom.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut above: Vec<u32> = canaries
            .iter()
            .map(|score| (sorted.len() - sorted.partition_point(|other| other < score)) as u32)
            .collect();
        above.sort_unstable();
        Self { above, rows: custom.len(), confidence }
    }

    /// Estimates of several folds over the same custom rows as one.
    pub(super) fn pooled(folds: Vec<Self>, confidence: f64) -> Self {
        let rows = folds.first().map_or(0, |fold| fold.rows);
        let mut above: Vec<u32> = folds.into_iter().flat_map(|fold| fold.above).collect();
        above.sort_unstable();
        Self { above, rows, confidence }
    }

    /// Share of the canaries that fall when this many of the custom rows are dropped, with the Clopper-Pearson
    /// interval.
    pub fn at(&self, dropped: usize) -> Estimate {
        let fallen = self.above.partition_point(|above| (*above as usize) < dropped);
        interval(fallen, self.above.len(), self.confidence)
    }

    /// The share against the number of dropped rows, from none to all: every place where it rises, of many canaries at
    /// most `most` of them.
    pub fn curve(&self, most: usize) -> Vec<(usize, Estimate)> {
        let mut steps: Vec<usize> = self.above.iter().map(|above| *above as usize + 1).collect();
        steps.dedup();
        let stride = steps.len().div_ceil(most.max(1)).max(1);
        let kept = steps.iter().copied().enumerate().filter(|(at, _)| (at + 1) % stride == 0 || at + 1 == steps.len());
        let mut dropped: Vec<usize> = std::iter::once(0).chain(kept.map(|(_, at)| at)).chain([self.rows]).collect();
        dropped.retain(|at| *at <= self.rows);
        dropped.dedup();
        dropped.into_iter().map(|at| (at, self.at(at))).collect()
    }

    /// The fewest rows to drop for this recall; all of them where it is out of reach.
    pub fn drop_for(&self, recall: f64) -> usize {
        let needed = (recall * self.above.len() as f64).ceil().max(1.0) as usize;
        // One row more than are at least as suspicious as the canary.
        self.above.get(needed - 1).map_or(self.rows, |above| (*above as usize + 1).min(self.rows))
    }
}

/// The exact (Clopper-Pearson 1934) interval of a binomial share; [0, 1] without trials.
pub fn interval(hits: usize, trials: usize, confidence: f64) -> Estimate {
    if trials == 0 {
        return Estimate { share: 0.0, low: 0.0, high: 1.0 };
    }
    let tail = (1.0 - confidence) / 2.0;
    let (k, n) = (hits.min(trials) as f64, trials as f64);
    // P[Beta(a, b) ≤ x] rises in x.
    let quantile = |a: f64, b: f64, chance: f64| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if beta_reg(a, b, middle) < chance { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    };
    Estimate {
        share: k / n,
        low: if hits == 0 { 0.0 } else { quantile(k, n - k + 1.0, tail) },
        high: if hits >= trials { 1.0 } else { quantile(k + 1.0, n - k, 1.0 - tail) },
    }
}
