//! Rankings side by side: what each would drop, how far they agree, and, where there are labels, how well each
//! separates.
//!
//! Constraint: labels measure and nothing else; agreement needs none.

mod agreement;
mod contenders;

use super::{Keep, SelectionError, auroc, average_precision};

pub use agreement::{Agreement, agreement};
pub use contenders::{Contender, beside, contenders};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Comparison {
    pub name: String,
    pub about: String,
    pub kept: usize,
    pub dropped: usize,
    /// Jaccard index of the rows this one drops and the rows the first drops; `None` where neither drops any.
    pub overlap: Option<f64>,
    /// Spearman's rank correlation with the first; `None` where a ranking has no order.
    pub correlation: Option<f64>,
    /// Effective number of kept rows, (Σv)²/Σv².
    pub effective_rows: f64,
    pub seconds: f64,
    pub measured: Option<Measured>,
}

/// Figures against labels. `None` inside where nothing can be computed.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measured {
    pub auroc: Option<f64>,
    pub average_precision: Option<f64>,
    /// Share of the harmful rows that are dropped.
    pub harmful_recall: Option<f64>,
    /// Share of the kept rows' weight that lies on harmful rows.
    pub contamination: Option<f64>,
    /// Share of the other rows that are kept.
    pub benign_retention: Option<f64>,
}

/// Which rows a ranking keeps: the `keep` least suspicious, the later row of a tie first, as a cut does.
fn kept(contender: &Contender, keep: Keep) -> Result<Vec<bool>, SelectionError> {
    let rows = contender.score.len();
    if contender.keeps_all {
        return Ok(vec![true; rows]);
    }
    let mut kept = vec![false; rows];
    for row in ascending(&contender.score).into_iter().take(keep.of(rows)?) {
        if let Some(kept) = kept.get_mut(row) {
            *kept = true;
        }
    }
    Ok(kept)
}

/// Rows from least to most suspicious; of a tie the later one first.
fn ascending(score: &[f64]) -> Vec<usize> {
    let mut order: Vec<(f64, usize)> = score.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    order.into_iter().map(|(_, row)| row).collect()
}

/// Compares every contender with the first. `labels[i]` tells whether row i is harmful, where that is known.
///
/// # Errors
/// `keep` is out of range, or scores or labels do not fit each other.
pub fn compare(
    contenders: &[Contender],
    keep: Keep,
    labels: Option<&[Option<bool>]>,
) -> Result<Vec<Comparison>, SelectionError> {
    let Some(first) = contenders.first() else { return Ok(Vec::new()) };
    let rows = first.score.len();
    if contenders.iter().any(|one| one.score.len() != rows) || labels.is_some_and(|labels| labels.len() != rows) {
        return Err(SelectionError::Outcome("rankings or labels are not of the same rows".to_owned()));
    }
    let kept_by_first = kept(first, keep)?;
    let ranks_of_first = ranks(&first.score);
    contenders
        .iter()
        .map(|one| {
            let kept = kept(one, keep)?;
            let count = kept.iter().filter(|kept| **kept).count();
            let both = kept.iter().zip(&kept_by_first).filter(|(a, b)| !**a && !**b).count();
            let either = kept.iter().zip(&kept_by_first).filter(|(a, b)| !**a || !**b).count();
            let weights: Vec<f64> = match &one.weights {
                Some(weights) => kept.iter().zip(weights).map(|(kept, w)| if *kept { *w } else { 0.0 }).collect(),
                None => kept.iter().map(|kept| f64::from(u8::from(*kept))).collect(),
            };
            let (sum, square) = (weights.iter().sum::<f64>(), weights.iter().map(|w| w * w).sum::<f64>());
            Ok(Comparison {
                name: one.name.to_owned(),
                about: one.about.clone(),
                kept: count,
                dropped: rows - count,
                overlap: (either > 0).then(|| both as f64 / either as f64),
                correlation: correlation(&ranks_of_first, &ranks(&one.score)),
                effective_rows: if square > 0.0 { sum * sum / square } else { 0.0 },
                seconds: one.seconds,
                measured: labels.map(|labels| measured(&one.score, &kept, &weights, labels)),
            })
        })
        .collect()
}

fn measured(score: &[f64], kept: &[bool], weights: &[f64], labels: &[Option<bool>]) -> Measured {
    let items: Vec<(f64, bool)> =
        score.iter().zip(labels).filter_map(|(score, label)| label.map(|label| (*score, label))).collect();
    let count = |wanted_kept: bool, wanted: bool| {
        kept.iter().zip(labels).filter(|(kept, label)| **kept == wanted_kept && **label == Some(wanted)).count()
    };
    let share = |part: usize, rest: usize| (part + rest > 0).then(|| part as f64 / (part + rest) as f64);
    let weight = |wanted: bool| -> f64 {
        weights.iter().zip(labels).filter(|(_, label)| **label == Some(wanted)).map(|(weight, _)| weight).sum()
    };
    let (harmful, other) = (weight(true), weight(false));
    Measured {
        auroc: auroc(&items),
        average_precision: average_precision(&items),
        harmful_recall: share(count(false, true), count(true, true)),
        contamination: (harmful + other > 0.0).then(|| harmful / (harmful + other)),
        benign_retention: share(count(true, false), count(false, false)),
    }
}

/// Ranks from 1 with ties at their mean.
fn ranks(score: &[f64]) -> Vec<f64> {
    let order = ascending(score);
    let mut ranks = vec![0.0; score.len()];
    let value = |row: &usize| score.get(*row).copied().unwrap_or(f64::NAN);
    let mut before = 0;
    for tied in order.chunk_by(|a, b| value(a) == value(b)) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for row in tied {
            if let Some(slot) = ranks.get_mut(*row) {
                *slot = rank;
            }
        }
        before += tied.len();
    }
    ranks
}

/// Pearson's correlation; of ranks it is Spearman's.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (centre_a, centre_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - centre_a, b - centre_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}
