//! How much work goes into one submission.
//!
//! Purpose: submissions of 10 to 20 ms, so that a cancel is heard, a driver's watchdog stays quiet and a shared adapter
//! can draw in between. Constraint: sizes follow measured time and change no result.

use std::time::Duration;

const TARGET_SECONDS: f64 = 0.012;
/// Rates that no adapter falls short of by much; the first submissions are sized by them.
const FIRST_FLOPS: f64 = 1e9;
const FIRST_ENTRIES: f64 = 2e7;
/// A rate changes at most by this factor per submission.
const LARGEST_STEP: f64 = 4.0;

/// Measured speed of an adapter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pacer {
    /// Floating-point operations a second of products.
    flops: f64,
    /// Kernel entries a second of a sweep.
    entries: f64,
    pending: f64,
}

impl Pacer {
    pub(super) fn new() -> Self {
        Self { flops: FIRST_FLOPS, entries: FIRST_ENTRIES, pending: 0.0 }
    }

    /// Whether what is encoded is enough for one submission.
    pub(super) fn is_full(&self) -> bool {
        self.pending >= TARGET_SECONDS
    }

    /// Operations that one dispatch may have.
    pub(super) fn flops(&self) -> f64 {
        self.flops * TARGET_SECONDS
    }

    /// Kernel entries that one dispatch may have.
    pub(super) fn entries(&self) -> f64 {
        self.entries * TARGET_SECONDS
    }

    pub(super) fn add_flops(&mut self, flops: f64) {
        self.pending += flops / self.flops;
    }

    pub(super) fn add_entries(&mut self, entries: f64) {
        self.pending += entries / self.entries;
    }

    /// A submission took this long.
    pub(super) fn learn(&mut self, took: Duration) {
        let ratio = self.pending / took.as_secs_f64().max(1e-6);
        self.pending = 0.0;
        if ratio.is_finite() && ratio > 0.0 {
            let ratio = ratio.clamp(1.0 / LARGEST_STEP, LARGEST_STEP);
            self.flops *= ratio;
            self.entries *= ratio;
        }
    }

    /// Forgets what was learned since `earlier`: the work turned out to be none.
    pub(super) fn restore(&mut self, earlier: Self) {
        *self = Self { pending: 0.0, ..earlier };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_approach_the_target() {
        // An adapter of 5 TFLOP/s and 100 µs for any submission.
        let mut pacer = Pacer::new();
        for _ in 0..30 {
            let work = pacer.flops();
            pacer.add_flops(work);
            assert!(pacer.is_full());
            pacer.learn(Duration::from_secs_f64(1e-4 + work / 5e12));
        }
        let took = 1e-4 + pacer.flops() / 5e12;
        assert!((took / TARGET_SECONDS - 1.0).abs() < 0.1, "{took}");
        // Slower by a factor of 100: two submissions are long, later ones are not.
        for _ in 0..6 {
            let work = pacer.flops();
            pacer.add_flops(work);
            pacer.learn(Duration::from_secs_f64(work / 5e10));
        }
        assert!((pacer.flops() / 5e10 / TARGET_SECONDS - 1.0).abs() < 0.1);
    }
}
