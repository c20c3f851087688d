//! What a solve returns: weights, scores, and whether and why it stopped.

/// One of the two references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Safe,
    Harmful,
}

/// Why the solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// With frozen weights the residual and the errors of the column marginals are at most 1e-3.
    Converged,
    /// The fixed number of iterations of `one-shot` ran.
    FixedIterations,
    /// `max_steps` ran out.
    StepLimit,
    /// The residual no longer fell at the smallest damping.
    Stalled,
}

/// One outer step, for the convergence plot.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TracePoint {
    pub step: usize,
    /// r = ‖p - w‖₁, with p the Gibbs weights of the current potentials.
    pub residual: f64,
    /// J_τ(w), the objective.
    pub objective: f64,
    /// ESS/n = 1/(n Σ w²).
    pub effective_share: f64,
    pub tau: f64,
    /// L1 errors of the column marginals.
    pub marginal_safe: f64,
    pub marginal_harmful: f64,
}

/// The transport to one reference.
#[derive(Debug, Clone, PartialEq)]
pub struct SideOutcome {
    /// ε in the unit of the cost = ρ · median(C).
    pub epsilon: f64,
    pub median_cost: f64,
    /// f, one per custom row, in the unit of the cost.
    pub row_potential: Vec<f64>,
    /// g, one per reference row.
    pub column_potential: Vec<f64>,
    /// OT_ε(w, reference).
    pub cost: f64,
    /// L1 error of the column marginal.
    pub marginal_error: f64,
}

/// The result of a solve over n custom rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// w, on the simplex (sums to 1).
    pub weights: Vec<f64>,
    /// G_i = (1-λ) f^Q_i - λ f^M_i at uniform weights after ten iterations, centred by its mean; higher is more
    /// suspicious. Before the weights feed back it ranks better than at their fixed point.
    pub score: Vec<f64>,
    /// f^Q_i - mean of that ranking: how far from the safe reference, more positive is farther.
    pub pull: Vec<f64>,
    /// f^M_i - mean of that ranking: how far from the harmful reference, more negative is nearer.
    pub push: Vec<f64>,
    pub safe: SideOutcome,
    pub harmful: SideOutcome,
    pub tau: f64,
    /// ESS = 1/Σw².
    pub effective_rows: f64,
    /// KL(w ‖ 1/n), in nats.
    pub divergence: f64,
    pub residual: f64,
    pub objective: f64,
    pub trace: Vec<TracePoint>,
    pub stop: Stop,
    pub iterations: usize,
    /// Sentences for the user: fragile settings, bounds not met.
    pub warnings: Vec<String>,
    /// How the kernel was held: `kept-f32`, `kept-f16`, `recomputed`.
    pub kernel: String,
    pub engine: String,
    /// Why this engine was taken; empty where it was asked for.
    pub engine_reason: String,
}
