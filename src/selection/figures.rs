//! Figures of a ranking against a yes-or-no truth.

/// Area under the ROC curve: the chance that a positive outscores a negative, ties counting half (Mann-Whitney).
/// Items are (score, positive); a higher score should mean positive. `None` without both classes or with a score
/// that is not a number.
pub fn auroc(items: &[(f64, bool)]) -> Option<f64> {
    let sorted = sorted_descending(items)?;
    let positives = sorted.iter().filter(|item| item.1).count() as f64;
    let negatives = sorted.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut positives_above = 0.0;
    let mut wins = 0.0;
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = group.iter().filter(|item| item.1).count() as f64;
        let tied_negatives = group.len() as f64 - tied_positives;
        wins += tied_negatives * (positives_above + 0.5 * tied_positives);
        positives_above += tied_positives;
    }
    Some(wins / (positives * negatives))
}

/// Average precision Σ (R_k - R_{k-1}) P_k over the distinct scores from high to low, without interpolation, so
/// that tied items enter together (as scikit-learn's `average_precision_score`). `None` without a positive or with a
/// score that is not a number.
pub fn average_precision(items: &[(f64, bool)]) -> Option<f64> {
    let sorted = sorted_descending(items)?;
    let positives = sorted.iter().filter(|item| item.1).count() as f64;
    if positives == 0.0 {
        return None;
    }
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = group.iter().filter(|item| item.1).count() as f64;
        seen += group.len() as f64;
        found += tied_positives;
        sum += tied_positives * (found / seen);
    }
    Some(sum / positives)
}

fn sorted_descending(items: &[(f64, bool)]) -> Option<Vec<(f64, bool)>> {
    if items.iter().any(|item| item.0.is_nan()) {
        return None;
    }
    let mut sorted = items.to_vec();
    sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    Some(sorted)
}
