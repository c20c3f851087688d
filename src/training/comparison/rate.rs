//! A share of answers, with how sure it is.

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rate {
    pub refused: usize,
    pub of: usize,
}

/// The normal quantile of a two-sided interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

impl Rate {
    pub(super) fn count(&mut self, refused: bool) {
        self.refused += usize::from(refused);
        self.of += 1;
    }

    /// `None` where nothing was counted.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.refused as f64 / self.of as f64)
    }

    /// The 95 % interval of Wilson (1927), which stays inside 0 to 1 and holds for few answers too.
    pub fn interval(self) -> Option<[f64; 2]> {
        let share = self.share()?;
        let n = self.of as f64;
        let middle = share + Z * Z / (2.0 * n);
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let all = 1.0 + Z * Z / n;
        Some([((middle - half) / all).max(0.0), ((middle + half) / all).min(1.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        assert_eq!(Rate::default().interval(), None);
        // Worked out by hand from the formula.
        for (refused, of, low, high) in
            [(0, 10, 0.0, 0.277_533), (7, 10, 0.396_778, 0.892_209), (10, 10, 0.722_467, 1.0)]
        {
            let [a, b] = Rate { refused, of }.interval().expect("counted");
            assert!((a - low).abs() < 2e-6 && (b - high).abs() < 2e-6, "{refused} of {of}: {a} {b}");
        }
    }
}
