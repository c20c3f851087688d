//! Over-relaxation of Sinkhorn at fixed weights: log u ← log u + ω (log ũ - log u), and log v likewise.
//!
//! Source: successive over-relaxation after Young; for Sinkhorn, Thibault et al. (2021) and Lehmann et al. (2022).
//! Near its limit plain Sinkhorn shrinks its error by σ² a sweep, and the best factor is ω* = 2/(1 + √(1 - σ²)), which
//! shrinks it by ω* - 1. σ² is read from the errors of the first plain sweeps and raised when later ones tell more:
//! at a given ω below ω* a rate r belongs to σ² = (r + ω - 1)²/(ω² r). Constraint: a sweep that lowers the dual value,
//! which plain Sinkhorn never does, is answered by a plain sweep and a smaller ω.

/// Plain sweeps before a rate is believed.
const FIRST: usize = 3;
/// Sweeps over which the rate of a relaxed iteration is measured.
const WINDOW: usize = 4;
/// σ² is not believed beyond this: ω* = 1.94.
const LARGEST_CONTRACTION: f64 = 0.999;
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
    largest: f64,
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
            largest: best(LARGEST_CONTRACTION),
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
            self.omega = 1.0 + RETREAT * (self.omega - 1.0);
            self.largest = self.omega;
            self.rest = true;
            return;
        }
        self.errors.push(error);
        let Some(rate) = self.rate() else { return };
        if self.omega == 1.0 {
            self.contraction = Some(rate);
            self.take(best(rate));
            return;
        }
        let contraction = (rate + self.omega - 1.0).powi(2) / (self.omega * self.omega * rate);
        let known = self.contraction.unwrap_or(0.0);
        if rate > self.omega - 1.0 && contraction > known && contraction < 1.0 {
            self.contraction = Some(contraction);
            self.take(best(contraction));
        } else {
            self.errors.drain(..WINDOW);
        }
    }

    /// The factor by which the error shrinks a sweep, once it is seen. Relaxed errors swing: of two windows, after the
    /// sweeps that a new ω disturbs, the one that shrank more counts.
    fn rate(&self) -> Option<f64> {
        let (window, windows, first) = if self.omega == 1.0 { (1, 1, FIRST) } else { (WINDOW, 2, 3 * WINDOW) };
        let (count, newest) = (self.errors.len(), *self.errors.last()?);
        if count <= first || newest <= ERROR_NOISE {
            return None;
        }
        let mut smallest = f64::INFINITY;
        for k in 0..windows {
            let late = *self.errors.get(count.checked_sub(1 + k * window)?)?;
            let early = *self.errors.get(count.checked_sub(1 + (k + 1) * window)?)?;
            smallest = smallest.min((late / early).powf(1.0 / window as f64));
        }
        (smallest > 0.0 && smallest < 1.0).then_some(smallest)
    }

    fn take(&mut self, omega: f64) {
        self.omega = omega.min(self.largest);
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
