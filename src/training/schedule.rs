//! The step size over a run.

/// How the step size falls after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    #[default]
    Cosine,
    Linear,
    Constant,
}

impl std::str::FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cosine" => Ok(Self::Cosine),
            "linear" => Ok(Self::Linear),
            "constant" => Ok(Self::Constant),
            other => Err(format!("{other:?} is no schedule; give cosine, linear or constant")),
        }
    }
}

impl Schedule {
    /// Share of the highest step size in step `step` of `total`, counted from 0.
    pub fn share(self, step: u64, total: u64, warmup: u64) -> f64 {
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let passed = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
        match self {
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * passed).cos()),
            Self::Linear => 1.0 - passed,
            Self::Constant => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn it_rises_then_falls() {
        let of = |schedule: Schedule, step| schedule.share(step, 12, 2);
        for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
            assert_eq!((of(schedule, 0), of(schedule, 1), of(schedule, 2)), (0.5, 1.0, 1.0));
        }
        assert!((of(Schedule::Cosine, 7) - 0.5).abs() < 1e-12);
        assert!((of(Schedule::Linear, 7) - 0.5).abs() < 1e-12);
        assert!((of(Schedule::Linear, 11) - 0.1).abs() < 1e-12);
        assert_eq!(of(Schedule::Constant, 11), 1.0);
    }
}
