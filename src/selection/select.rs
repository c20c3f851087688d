//! The cut.

use rayon::slice::ParallelSliceMut;

use super::{Decision, Decisions, RankBy, RowIds, SelectionError, SelectionSettings, Verdict, WeightMode};
use crate::transport::Outcome;

/// What became of a row and who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowState {
    Kept,
    Dropped,
    KeptByHand,
    DroppedByHand,
}

impl RowState {
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Kept | Self::KeptByHand)
    }

    pub fn is_by_hand(self) -> bool {
        matches!(self, Self::KeptByHand | Self::DroppedByHand)
    }

    /// The word for it in `weights.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Dropped => "dropped",
            Self::KeptByHand => "kept-by-hand",
            Self::DroppedByHand => "dropped-by-hand",
        }
    }

    /// Reads [`RowState::as_str`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Kept, Self::Dropped, Self::KeptByHand, Self::DroppedByHand]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// The cut over n rows.
///
/// Rows are ordered from most to least suspicious: by falling score, or by rising weight. Of rows that tie, the
/// one with the lower index counts as more suspicious. The machine keeps the last K of that order.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    pub states: Vec<RowState>,
    /// 1 = most suspicious, by the ranking that made the cut; ties go by row index.
    pub ranks: Vec<u32>,
    /// Row indices from most to least suspicious.
    pub order: Vec<u32>,
    /// Loss weight of every row: mean 1 over the kept rows, 0 where dropped.
    pub loss_weights: Vec<f64>,
    /// Rows the machine keeps, before decisions.
    pub machine_keep: usize,
    /// The score (or weight) of the last row the machine keeps.
    pub cut: f64,
    /// Rows kept in the end; 0 when every row was dropped by hand.
    pub kept: usize,
    pub kept_by_hand: usize,
    pub dropped_by_hand: usize,
    /// Decisions that were not applied: the row is gone, quarantined or has other words now. Tell the user.
    pub stale: Vec<Decision>,
}

impl Selection {
    /// Cuts by the ranking, then applies the decisions (`numbers[i]` is the record number of row index i,
    /// ascending, and `ids` tells its identity). A decision is applied only where number and id agree; the others
    /// are in [`Selection::stale`]. A row that a decision names is `KeptByHand` or `DroppedByHand` also where the
    /// machine agrees.
    ///
    /// # Errors
    /// A setting is out of range, the outcome has no rows, does not fit `numbers` or holds a value that is no
    /// number, or every kept row has weight 0 where the mode needs weights.
    pub fn from(
        outcome: &Outcome,
        settings: &SelectionSettings,
        numbers: &[u64],
        ids: &(impl RowIds + ?Sized),
        decisions: &Decisions,
    ) -> Result<Self, SelectionError> {
        let settings = settings.checked()?;
        check(outcome, numbers)?;
        let rows = outcome.weights.len();
        let values = match settings.rank_by {
            RankBy::Score => &outcome.score,
            RankBy::Weight => &outcome.weights,
        };
        let order = most_suspicious_first(values, settings.rank_by);
        let machine_keep = settings.keep.of(rows)?;
        let dropped = rows - machine_keep;

        let mut ranks = vec![0_u32; rows];
        let mut states = vec![RowState::Kept; rows];
        for (place, &index) in order.iter().enumerate() {
            if let (Some(rank), Some(state)) = (ranks.get_mut(index as usize), states.get_mut(index as usize)) {
                *rank = place as u32 + 1;
                if place < dropped {
                    *state = RowState::Dropped;
                }
            }
        }
        let cut = order.get(dropped).and_then(|&index| values.get(index as usize)).copied().unwrap_or(0.0);

        let matched = decisions.matched(numbers, ids);
        for decision in matched.in_force.0.values() {
            let Ok(index) = numbers.binary_search(&decision.row) else { continue };
            if let Some(state) = states.get_mut(index) {
                *state = match decision.verdict {
                    Verdict::Keep => RowState::KeptByHand,
                    Verdict::Drop => RowState::DroppedByHand,
                };
            }
        }
        let count = |wanted: RowState| states.iter().filter(|&&state| state == wanted).count();
        let kept_by_hand = count(RowState::KeptByHand);
        let dropped_by_hand = count(RowState::DroppedByHand);
        let kept = count(RowState::Kept) + kept_by_hand;
        let loss_weights = loss_weights(&outcome.weights, &states, kept, settings.weights)?;
        Ok(Self {
            states,
            ranks,
            order,
            loss_weights,
            machine_keep,
            cut,
            kept,
            kept_by_hand,
            dropped_by_hand,
            stale: matched.stale,
        })
    }
}

fn check(outcome: &Outcome, numbers: &[u64]) -> Result<(), SelectionError> {
    let rows = outcome.weights.len();
    let fail = |reason: String| Err(SelectionError::Outcome(reason));
    if rows == 0 {
        return fail("there are no rows to select from".to_owned());
    }
    if u32::try_from(rows).is_err() {
        return fail(format!("{rows} rows are more than the 4,294,967,295 that one selection can rank"));
    }
    for (what, found) in [
        ("scores", outcome.score.len()),
        ("pull values", outcome.pull.len()),
        ("push values", outcome.push.len()),
        ("record numbers", numbers.len()),
    ] {
        if found != rows {
            return fail(format!("there are {rows} weights but {found} {what}; run the purification again"));
        }
    }
    for (what, values) in [("score", &outcome.score), ("pull", &outcome.pull), ("push", &outcome.push)] {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return fail(format!("the {what} of row {} is not a number", number_of(numbers, index)));
        }
    }
    if let Some(index) = outcome.weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return fail(format!("the weight of row {} is not a number of at least 0", number_of(numbers, index)));
    }
    if numbers.windows(2).any(|pair| pair.first() >= pair.last()) {
        return fail("the record numbers do not ascend".to_owned());
    }
    Ok(())
}

fn number_of(numbers: &[u64], index: usize) -> u64 {
    numbers.get(index).copied().unwrap_or(index as u64)
}

fn most_suspicious_first(values: &[f64], rank_by: RankBy) -> Vec<u32> {
    let mut keyed: Vec<(u64, u32)> = values
        .iter()
        .enumerate()
        .map(|(index, &value)| {
            let ascending = sort_key(value);
            let key = if rank_by == RankBy::Score { !ascending } else { ascending };
            (key, index as u32)
        })
        .collect();
    // No two keys are equal, so an unstable sort has one result.
    keyed.par_sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}

/// Orders finite float64 like unsigned integers; -0 and 0 are equal.
fn sort_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn loss_weights(
    weights: &[f64],
    states: &[RowState],
    kept: usize,
    mode: WeightMode,
) -> Result<Vec<f64>, SelectionError> {
    if kept == 0 {
        return Ok(vec![0.0; weights.len()]);
    }
    let is_kept = || weights.iter().zip(states).filter(|(_, state)| state.is_kept()).map(|(&weight, _)| weight);
    // The largest weight is taken out first: ratios stay exact however small the weights are.
    let largest = is_kept().fold(0.0, f64::max);
    if largest == 0.0 && matches!(mode, WeightMode::Proportional | WeightMode::Tempered { .. }) {
        return Err(SelectionError::Outcome(
            "every kept row has learned weight 0; keep more rows or use uniform weights".to_owned(),
        ));
    }
    let scale = |weight: f64| match mode {
        WeightMode::Uniform => 1.0,
        WeightMode::Paper => (weight - largest).exp(),
        WeightMode::Proportional => weight / largest,
        WeightMode::Tempered { temperature } => ((weight / largest).ln() / temperature).exp(),
    };
    let sum: f64 = is_kept().map(scale).sum();
    let factor = kept as f64 / sum;
    Ok(weights
        .iter()
        .zip(states)
        .map(|(&weight, state)| if state.is_kept() { scale(weight) * factor } else { 0.0 })
        .collect())
}
