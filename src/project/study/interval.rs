//! How sure a figure is: over rows, and over seeds.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spread {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

const CONFIDENCE: f64 = 0.95;

impl Spread {
    /// A figure without an interval.
    pub fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// A share of `trials` with the Clopper-Pearson interval.
    pub fn share(hits: usize, trials: usize) -> Self {
        let found = crate::selection::calibration::interval(hits, trials, CONFIDENCE);
        Self { value: found.share, low: found.low, high: found.high }
    }

    /// The mean of what several seeds gave, with the interval of Student's t; one seed has no interval. `None` of none.
    pub fn mean(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let Some(student) = StudentsT::new(0.0, 1.0, n - 1.0).ok().filter(|_| values.len() > 1) else {
            return Some(Self::exact(mean));
        };
        let half = student.inverse_cdf(0.5 + CONFIDENCE / 2.0) * (variance / n).sqrt();
        Some(Self { value: mean, low: mean - half, high: mean + half })
    }

    /// The same within [0, 1].
    pub fn within_unit(self) -> Self {
        Self { low: self.low.clamp(0.0, 1.0), high: self.high.clamp(0.0, 1.0), ..self }
    }
}

/// AUROC over rows (score, positive) with the interval of DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44, Eq. 5 and
/// 6), by midranks. `None` without both classes or with a score that is no number. At an AUROC of 0 or 1 the interval
/// closes on it: the rows show no variance then. A class of one row has no interval.
pub fn delong(items: &[(f64, bool)]) -> Option<Spread> {
    if items.iter().any(|item| item.0.is_nan()) {
        return None;
    }
    let mut order: Vec<(f64, bool)> = items.to_vec();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let positives = order.iter().filter(|item| item.1).count();
    let negatives = order.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (m, n) = (positives as f64, negatives as f64);
    // Of every positive the share of negatives below it, of every negative the share of positives above it; ties half.
    let (mut of_positives, mut of_negatives) = (Vec::with_capacity(positives), Vec::with_capacity(negatives));
    let (mut positives_below, mut negatives_below) = (0.0, 0.0);
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = group.iter().filter(|item| item.1).count() as f64;
        let tied_negatives = group.len() as f64 - tied_positives;
        for item in group {
            if item.1 {
                of_positives.push((negatives_below + 0.5 * tied_negatives) / n);
            } else {
                of_negatives.push((m - positives_below - tied_positives + 0.5 * tied_positives) / m);
            }
        }
        positives_below += tied_positives;
        negatives_below += tied_negatives;
    }
    let auroc = of_positives.iter().sum::<f64>() / m;
    if positives == 1 || negatives == 1 {
        // One row tells nothing of how rows of its class differ.
        return Some(Spread::exact(auroc));
    }
    let variance = |values: &[f64]| {
        let count = values.len() as f64;
        values.iter().map(|value| (value - auroc).powi(2)).sum::<f64>() / (count - 1.0)
    };
    let error = (variance(&of_positives) / m + variance(&of_negatives) / n).sqrt();
    let half = Normal::standard().inverse_cdf(0.5 + CONFIDENCE / 2.0) * error;
    Some(Spread { value: auroc, low: auroc - half, high: auroc + half }.within_unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delong_is_its_definition_pair_by_pair() {
        let items: Vec<(f64, bool)> = (0..60u32)
            .map(|i| {
                let positive = i % 3 == 0;
                (f64::from((i * 37 + 11) % 23) + if positive { 6.0 } else { 0.0 }, positive)
            })
            .collect();
        let of =
            |wanted: bool| items.iter().filter(move |item| item.1 == wanted).map(|item| item.0).collect::<Vec<_>>();
        let (positive, negative) = (of(true), of(false));
        let psi = |x: f64, y: f64| {
            if x > y {
                1.0
            } else if x == y {
                0.5
            } else {
                0.0
            }
        };
        let (m, n) = (positive.len() as f64, negative.len() as f64);
        let v10: Vec<f64> = positive.iter().map(|x| negative.iter().map(|y| psi(*x, *y)).sum::<f64>() / n).collect();
        let v01: Vec<f64> = negative.iter().map(|y| positive.iter().map(|x| psi(*x, *y)).sum::<f64>() / m).collect();
        let auroc = v10.iter().sum::<f64>() / m;
        let s = |v: &[f64]| v.iter().map(|x| (x - auroc).powi(2)).sum::<f64>() / (v.len() as f64 - 1.0);
        let half = 1.959_963_984_540_054 * (s(&v10) / m + s(&v01) / n).sqrt();
        let found = delong(&items).expect("both classes");
        assert!((found.value - auroc).abs() < 1e-12);
        assert!((found.low - (auroc - half)).abs() < 1e-9 && (found.high - (auroc + half)).abs() < 1e-9, "{found:?}");
        assert_eq!(delong(&[(1.0, true), (2.0, true)]), None);
        let clean = delong(&[(0.0, false), (0.1, false), (1.0, true), (2.0, true)]).expect("both classes");
        assert_eq!((clean.low, clean.value, clean.high), (1.0, 1.0, 1.0));
    }

    #[test]
    fn means_of_seeds_have_the_interval_of_student() {
        // t of 0.975 with 4 degrees of freedom is 2.776445.
        let found = Spread::mean(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("values");
        let half = 2.776_445_105 * (2.5_f64 / 5.0).sqrt();
        assert!((found.value - 3.0).abs() < 1e-12 && (found.high - 3.0 - half).abs() < 1e-6, "{found:?}");
        assert_eq!(Spread::mean(&[7.0]), Some(Spread::exact(7.0)));
        assert_eq!(Spread::mean(&[]), None);
    }
}
