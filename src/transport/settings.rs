//! The knobs of a solve, raw and checked.

use super::{EngineChoice, TransportError};

const MOST_STEPS: usize = 1_000_000;
const MOST_THREADS: usize = 4096;

/// How the weights are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SolverKind {
    /// Alternates one Sinkhorn iteration with a damped Gibbs update of the weights (ours, the default).
    Scaling,
    /// Gradient descent on w = softmax(θ) with nested Sinkhorn (paper-style reference).
    Adam,
    /// Potentials at uniform weights after ten iterations. A preview, and often the better ranking.
    OneShot,
}

/// How strongly the weights are held near uniform.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regularisation {
    /// τ found by bisection so that ESS/n meets this share, in (0, 1).
    EffectiveShare(f64),
    /// τ given, in the unit of the cost.
    Tau(f64),
}

/// Raw settings with the safe defaults of the method; every field can come from a file.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub solver: SolverKind,
    /// λ in [0, 1]: 0 only pulls, 1 only pushes (0.7; the paper 0.5).
    pub lambda: f64,
    /// ρ: ε as a multiple of each reference's median cost, in [0.005, 10] (0.1).
    pub epsilon: f64,
    pub regularisation: Regularisation,
    /// Damping α of the weight update, in (0, 1] (0.5).
    pub alpha: f64,
    /// Outer steps at most (300).
    pub max_steps: usize,
    pub seed: u64,
    /// Worker threads; 0 takes all cores. Does not change the result.
    pub threads: usize,
    /// Bytes a kept kernel may take (2 GiB); past it, tiles are recomputed.
    pub memory_budget: u64,
    /// Which engine computes; engines differ by their rounding.
    pub engine: EngineChoice,
    /// Name of the graphics adapter; the likely fastest where it is not given.
    pub adapter: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            solver: SolverKind::Scaling,
            lambda: 0.7,
            epsilon: 0.1,
            regularisation: Regularisation::EffectiveShare(0.7),
            alpha: 0.5,
            max_steps: 300,
            seed: 0,
            threads: 0,
            memory_budget: 2 << 30,
            engine: EngineChoice::Auto,
            adapter: None,
        }
    }
}

impl Settings {
    /// The paper's λ; the rest as by default (the paper publishes neither ε nor iteration counts).
    pub fn paper() -> Self {
        Self { lambda: 0.5, ..Self::default() }
    }

    /// Checks every range.
    pub fn checked(self) -> Result<CheckedSettings, TransportError> {
        let fail = |setting, allowed, found: String| Err(TransportError::Setting { setting, allowed, found });
        if !(0.0..=1.0).contains(&self.lambda) {
            return fail("lambda", "from 0 to 1", self.lambda.to_string());
        }
        if !(0.005..=10.0).contains(&self.epsilon) {
            return fail("epsilon", "from 0.005 to 10", self.epsilon.to_string());
        }
        match self.regularisation {
            Regularisation::EffectiveShare(share) if !(share > 0.0 && share < 1.0) => {
                return fail("effective share", "above 0 and below 1", share.to_string());
            }
            Regularisation::Tau(tau) if !(tau > 0.0 && tau.is_finite()) => {
                return fail("tau", "above 0 and finite", tau.to_string());
            }
            _ => {}
        }
        if !(self.alpha > 0.0 && self.alpha <= 1.0) {
            return fail("alpha", "above 0 and at most 1", self.alpha.to_string());
        }
        if self.max_steps == 0 || self.max_steps > MOST_STEPS {
            return fail("max_steps", "from 1 to 1000000", self.max_steps.to_string());
        }
        if self.threads > MOST_THREADS {
            return fail("threads", "from 0 to 4096", self.threads.to_string());
        }
        Ok(CheckedSettings(self))
    }
}

/// Settings whose every field is in range. Compute code takes only these.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct CheckedSettings(Settings);

impl std::ops::Deref for CheckedSettings {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}
