//! The Gibbs weights p ∝ exp(-G/τ), the temperature that meets an effective share, and sums over rows.
//!
//! Constraints: sums run over fixed chunks, added in order, so that they have the same bits for any number of threads.

use rayon::prelude::*;

use super::Regularisation;

const CHUNK: usize = 4096;
/// A spread of the scores below this multiple of the costs is rounding of the f32 cosines.
const TIED: f64 = 2e-6;
/// The largest spread of scores over τ that is tried: beyond it only exact ties share the mass.
const LARGEST_EXPONENT: f64 = 1e6;

/// Σ_i of N values at once.
pub(crate) fn sums<const N: usize>(rows: usize, value: impl Fn(usize) -> [f64; N] + Sync) -> [f64; N] {
    let chunk_sum = |chunk: usize| {
        let mut sum = [0.0; N];
        for row in chunk * CHUNK..rows.min((chunk + 1) * CHUNK) {
            for (sum, value) in sum.iter_mut().zip(value(row)) {
                *sum += value;
            }
        }
        sum
    };
    let chunks = rows.div_ceil(CHUNK);
    let parts: Vec<[f64; N]> = if chunks > 1 {
        (0..chunks).into_par_iter().map(chunk_sum).collect()
    } else {
        (0..chunks).map(chunk_sum).collect()
    };
    let mut total = [0.0; N];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    total
}

/// p_i = exp(-(G_i - smallest)/τ) / normaliser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gibbs {
    pub tau: f64,
    smallest: f64,
    normaliser: f64,
    /// The scores do not differ, or tie so much that the asked share cannot be met.
    pub tied: bool,
}

impl Gibbs {
    /// For `EffectiveShare` τ solves ESS(p)/n = share (bracketed Newton steps to 1e-12); a start near the answer
    /// saves steps and does not change it beyond rounding.
    pub(crate) fn new(scores: &[f64], regularisation: Regularisation, scale: f64) -> Self {
        let smallest = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = largest - smallest;
        let tied = spread.is_nan() || spread <= TIED * scale;
        let (tau, tied) = match regularisation {
            Regularisation::Tau(tau) => (tau, tied),
            // Uniform whatever τ is: take the scale of the costs.
            Regularisation::EffectiveShare(_) if tied => (scale, true),
            Regularisation::EffectiveShare(share) => temperature(scores, smallest, spread, share),
        };
        let [normaliser] = sums(scores.len(), |i| [(-(scores[i] - smallest) / tau).exp()]);
        Self { tau, smallest, normaliser, tied }
    }

    /// p_i of a row of this score.
    pub(crate) fn weight(&self, score: f64) -> f64 {
        (-(score - self.smallest) / self.tau).exp() / self.normaliser
    }
}

/// τ with ESS/n = share; the flag says that ties keep the share above the target.
fn temperature(scores: &[f64], smallest: f64, spread: f64, share: f64) -> (f64, bool) {
    let n = scores.len() as f64;
    // h(ln β) = ln(ESS/n) - ln share falls with β = 1/τ.
    let h = |log_beta: f64| {
        let beta = log_beta.exp();
        let [z, z2, s, s2] = sums(scores.len(), |i| {
            let gap = scores[i] - smallest;
            let p = (-beta * gap).exp();
            [p, p * p, p * gap, p * p * gap]
        });
        (2.0 * z.ln() - z2.ln() - n.ln() - share.ln(), 2.0 * beta * (s2 / z2 - s / z))
    };
    let [mean] = sums(scores.len(), |i| [scores[i] / n]);
    let [variance] = sums(scores.len(), |i| [(scores[i] - mean) * (scores[i] - mean) / n]);
    let limit = (LARGEST_EXPONENT / spread).ln();
    let (mut low, mut high) = ((1e-9 / spread).ln(), limit);
    if h(high).0 > 0.0 {
        return ((-limit).exp(), true);
    }
    // For normal scores the share is exp(-β² variance).
    let mut x = ((-share.ln() / variance).sqrt().ln()).clamp(low, high);
    for _ in 0..200 {
        let (value, slope) = h(x);
        if value > 0.0 {
            low = x
        } else {
            high = x
        }
        let newton = x - value / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let done = (next - x).abs() <= 1e-12 || high - low <= 1e-12;
        x = next;
        if done {
            break;
        }
    }
    ((-x).exp(), false)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_temperature_meets_the_share() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for n in [2, 17, 9001] {
            for share in [0.55, 0.7, 0.95] {
                let scores: Vec<f64> = (0..n).map(|_| random.random_range(-1.0f64..1.0).powi(3)).collect();
                let gibbs = Gibbs::new(&scores, Regularisation::EffectiveShare(share), 1.0);
                let square: f64 = scores.iter().map(|g| gibbs.weight(*g).powi(2)).sum();
                let total: f64 = scores.iter().map(|g| gibbs.weight(*g)).sum();
                assert!((total - 1.0).abs() < 1e-12);
                assert!((1.0 / (n as f64 * square) - share).abs() < 1e-9, "{n} rows, share {share}");
                assert!(!gibbs.tied);
            }
        }
    }

    #[test]
    fn ties_give_equal_weights_and_say_so() {
        let same = Gibbs::new(&[0.25; 10], Regularisation::EffectiveShare(0.7), 0.5);
        assert!(same.tied && (same.weight(0.25) - 0.1).abs() < 1e-12);
        let mut half = [0.0; 10];
        half[9] = 1.0;
        let nine = Gibbs::new(&half, Regularisation::EffectiveShare(0.7), 0.5);
        assert!(nine.tied && nine.weight(1.0) < 1e-6);
    }
}
