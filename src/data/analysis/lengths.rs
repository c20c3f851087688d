//! How long the rows are.

use crate::data::Dataset;

/// Order statistics of one length.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Spread {
    pub smallest: u32,
    pub median: u32,
    /// 95 of 100 rows are no longer.
    pub ninety_fifth: u32,
    pub largest: u32,
    pub mean: f64,
}

/// Lengths of the rows in estimated tokens and in characters, as the index counted them.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Lengths {
    pub tokens: Spread,
    pub chars: Spread,
    /// Rows by token length, bins as in [`crate::data::Stats::token_histogram`].
    pub token_histogram: Vec<u64>,
}

impl Lengths {
    pub(super) fn of(dataset: &Dataset) -> Self {
        let column = |length: fn(&Dataset, usize) -> Option<u32>| {
            spread((0..dataset.len()).filter_map(|row| length(dataset, row)).collect())
        };
        Self {
            tokens: column(Dataset::tokens),
            chars: column(Dataset::chars),
            token_histogram: dataset.stats().token_histogram,
        }
    }
}

fn spread(mut lengths: Vec<u32>) -> Spread {
    lengths.sort_unstable();
    // The smallest value that the given share of rows does not exceed.
    let rank = |share: usize| {
        let place = (lengths.len() * share).div_ceil(100).saturating_sub(1);
        lengths.get(place).copied().unwrap_or_default()
    };
    let sum: f64 = lengths.iter().map(|length| f64::from(*length)).sum();
    Spread {
        smallest: lengths.first().copied().unwrap_or_default(),
        median: rank(50),
        ninety_fifth: rank(95),
        largest: lengths.last().copied().unwrap_or_default(),
        mean: sum / lengths.len().max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_occur() {
        assert_eq!(spread(Vec::new()), Spread::default());
        let found = spread((1..=100).rev().collect());
        assert_eq!(found, Spread { smallest: 1, median: 50, ninety_fifth: 95, largest: 100, mean: 50.5 });
        assert_eq!(spread(vec![7]).ninety_fifth, 7);
    }
}
