//! Over-relaxation of Sinkhorn at fixed weights: log u ← log u + ω (log ũ - log u), and log v likewise.
//!
//! Source: successive over-relaxation after Young; for Sinkhorn, Thibault et al. (2021) and Lehmann et al. (2022).
//! Near its limit plain Sinkhorn shrinks its error by σ² a sweep, and the best factor is ω* = 2/(1 + √(1 - σ²)), which
//! shrinks it by ω* - 1. σ² is read from the errors of the first plain sweeps and followed from window to window of
//! relaxed ones: at a given ω below ω* a rate r belongs to σ² = (r + ω - 1)²/(ω² r), and at or above ω* the rate is
//! ω - 1 and tells no more, so that ω is lowered a little. Constraint: a sweep that lowers the dual value, which plain
//! Sinkhorn never does, is answered by a plain sweep and a smaller ω.

/// Plain sweeps before a rate is believed.
const FIRST: usize = 3;
/// ω after the plain sweeps at most: their rate often tells of a start that is not linear yet.
const LARGEST_FIRST: f64 = 1.7;
/// Fewest sweeps over which the rate of a relaxed iteration is measured; the nearer ω is to 2, the longer errors swing.
const WINDOW: usize = 4;
/// Sweeps that a new ω disturbs.
const SKIPPED: usize = 2;
/// σ² is not believed beyond this: ω* = 1.96.
const LARGEST_CONTRACTION: f64 = 0.9995;
/// How far ω moves towards the best factor that a window tells.
const STEP: f64 = 0.8;
/// Rates below ω - 1 plus this share of 2 - ω are taken for those of an ω at or above the best.
const MARGIN: f64 = 0.1;
/// What such a window leaves of ω - 1.
const EASED: f64 = 0.96;
/// What a lowered dual value takes from ω - 1.
const RETREAT: f64 = 0.7;
/// Falls of the dual value below this multiple of ε are rounding.
const DUAL_NOISE: f64 = 1e-6;
/// Errors below this are rounding and tell no rate.
const ERROR_NOISE: f64 = 3e-6;

/// Chooses ω for each sweep of one reference.
#[derive(Debug, Clone)]
pub(crate) struct Relaxation {
    epsilon: f64,
    omega: f64,
    highest: f64,
    /// Of every sweep at this ω, the newest last.
    errors: Vec<f64>,
    dual: f64,
    contraction: Option<f64>,
    rest: bool,
    /// A plain sweep is tried once the error is below this multiple of the tolerance's.
    trial: f64,
}

fn best(contraction: f64) -> f64 {
    2.0 / (1.0 + (1.0 - contraction).sqrt())
}

impl Relaxation {
    pub(crate) fn new(epsilon: f64) -> Self {
        Self {
            epsilon,
            omega: 1.0,
            highest: 1.0,
            errors: Vec::new(),
            dual: f64::NEG_INFINITY,
            contraction: None,
            rest: false,
            trial: 1.0,
        }
    }

    /// ω of the next sweep.
    pub(crate) fn omega(&self) -> f64 {
        if self.rest { 1.0 } else { self.omega }
    }

    /// Whether ω is now higher than this has ever told: sweeps at it deserve patience.
    pub(crate) fn rose(&mut self) -> bool {
        let rose = self.omega() > self.highest;
        self.highest = self.highest.max(self.omega());
        rose
    }

    /// σ², the factor by which a plain sweep shrinks the error, where it was seen.
    pub(crate) fn contraction(&self) -> Option<f64> {
        self.contraction
    }

    /// Whether a plain sweep is likely to end within the tolerance: a relaxed sweep leaves its own overshoot of
    /// 1/(2 - ω) times the error in the plan. Each trial that fails halves what the next one asks.
    pub(crate) fn near(&mut self, error: f64, tolerance: f64) -> bool {
        let near = error * (2.0 - self.omega) <= self.trial * tolerance;
        if near {
            self.trial *= 0.5;
        }
        near
    }

    /// Hears the marginal error and the dual value of the plan of a sweep at this ω.
    pub(crate) fn heard(&mut self, omega: f64, error: f64, dual: f64) {
        let fell = dual < self.dual - DUAL_NOISE * self.epsilon;
        self.dual = dual;
        if omega != self.omega {
            // A plain sweep amid relaxed ones: begin to measure anew.
            self.rest = false;
            self.errors.clear();
            return;
        }
        if fell && self.omega > 1.0 {
            self.take(1.0 + RETREAT * (self.omega - 1.0));
            self.rest = true;
            return;
        }
        self.errors.push(error);
        let Some(rate) = self.rate() else { return };
        if self.omega == 1.0 {
            self.contraction = Some(rate);
            self.take(best(rate).min(LARGEST_FIRST));
            return;
        }
        let contraction = (rate + self.omega - 1.0).powi(2) / (self.omega * self.omega * rate);
        if rate <= self.omega - 1.0 + MARGIN * (2.0 - self.omega) {
            self.take(1.0 + EASED * (self.omega - 1.0));
        } else if contraction < 1.0 {
            self.contraction = Some(contraction);
            let wanted = best(contraction.min(LARGEST_CONTRACTION));
            self.take(self.omega + STEP * (wanted - self.omega).max(0.0));
        } else {
            self.errors.clear();
        }
    }

    /// The factor by which the error shrinks a sweep, once a window shows it.
    fn rate(&self) -> Option<f64> {
        let (window, skipped) =
            if self.omega == 1.0 { (1, FIRST - 1) } else { (WINDOW.max((1.0 / (2.0 - self.omega)) as usize), SKIPPED) };
        let (count, newest) = (self.errors.len(), *self.errors.last()?);
        if count <= window + skipped || newest <= ERROR_NOISE {
            return None;
        }
        let early = *self.errors.get(count.checked_sub(1 + window)?)?;
        let rate = (newest / early).powf(1.0 / window as f64);
        (rate > 0.0 && rate < 1.0).then_some(rate)
    }

    fn take(&mut self, omega: f64) {
        self.omega = omega;
        self.errors.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gauss-Seidel on two coupled numbers, whose error shrinks by σ² a sweep: sweeps to 1e-10.
    fn sweeps(contraction: f64, relaxed: bool) -> usize {
        let coupling = contraction.sqrt();
        let (mut x, mut y) = (1.0, 1.0);
        let mut relaxation = Relaxation::new(1.0);
        for sweep in 1..10_000 {
            let omega = if relaxed { relaxation.omega() } else { 1.0 };
            x += omega * (coupling * y - x);
            let fresh = coupling * x;
            let error = f64::abs(coupling * y - x) + f64::abs(fresh - y);
            relaxation.heard(omega, error * 1e4, -(x * x + y * y - 2.0 * coupling * x * y));
            y += omega * (fresh - y);
            if error < 1e-10 {
                return sweep;
            }
        }
        10_000
    }

    #[test]
    fn over_relaxation_finds_the_best_factor_of_a_linear_iteration() {
        for contraction in [0.5, 0.8, 0.95, 0.99] {
            let (plain, relaxed) = (sweeps(contraction, false), sweeps(contraction, true));
            let ideal = 1e-10f64.ln() / (best(contraction) - 1.0).ln();
            assert!((relaxed as f64) < 2.2 * ideal + 8.0, "{contraction}: {relaxed} sweeps, ideal {ideal:.0}");
            assert!(relaxed < plain, "{contraction}: {relaxed} sweeps, plain {plain}");
        }
    }

    #[test]
    fn a_lowered_dual_value_is_answered_by_a_plain_sweep_and_a_smaller_factor() {
        let mut relaxation = Relaxation::new(0.1);
        for k in 0..4 {
            relaxation.heard(relaxation.omega(), 0.9f64.powi(k), f64::from(k));
        }
        let omega = relaxation.omega();
        assert!(omega > 1.3, "{omega}");
        relaxation.heard(omega, 0.7, 4.5);
        assert_eq!(relaxation.omega(), omega);
        relaxation.heard(omega, 2.0, 3.0);
        assert_eq!(relaxation.omega(), 1.0);
        relaxation.heard(1.0, 1.5, 3.5);
        assert!(relaxation.omega() > 1.0 && relaxation.omega() < omega);
    }
}
