//! Push-pull optimal transport: `cost → kernel → sinkhorn → push_pull → outcome`.
//!
//! Purpose: learn a weight for every custom row so that the weighted set is near the safe reference and far from
//! the harmful one. Source: Safety Optimal Transport (arXiv 2601.07200), Eq. 5, with the entropic regulariser in
//! the KL convention, OT_ε(a,b) = min_P <C,P> + ε KL(P ‖ a⊗b), and τ KL(w ‖ 1/n).
//! Constraints: deterministic for any number of threads; no n×m allocation past the memory budget; knows neither
//! rows nor files.

mod adam;
mod assemble;
mod chosen;
mod cost;
mod cpu;
mod elementary;
mod entries;
mod error;
mod gibbs;
mod gpu;
mod kernel;
mod log_domain;
mod offsets;
mod one_shot;
mod outcome;
mod pass;
mod plan;
mod problem;
mod products;
mod push_pull;
mod relaxation;
mod rounding;
mod settings;
mod simd;
mod sinkhorn;

pub use chosen::{ChosenEngine, EngineChoice};
pub use cpu::CpuEngine;
pub(crate) use cpu::pool;
pub use error::TransportError;
pub use gpu::{GpuCheck, GpuEngine, GpuKernel, Injection, check_adapter};
pub use outcome::{Outcome, Side, SideOutcome, Stop, TracePoint};
pub use pass::KernelFormat;
pub use plan::strongest_partners;
pub use problem::{Points, Problem};
pub use settings::{CheckedSettings, Regularisation, Settings, SolverKind};
pub use sinkhorn::{Coupling, SinkhornSettings, sinkhorn};

use crate::jobs::Progress;

/// Hears about a solve while it runs.
pub trait Observer: Progress {
    /// One outer step is done.
    fn step(&self, _point: &TracePoint) {}
    /// Something the user should know (a bound not met, a setting known to be fragile).
    fn warn(&self, _message: &str) {}
}

impl Observer for crate::jobs::Silent {}

/// A machine that solves push-pull problems.
pub trait Engine: Send + Sync {
    /// `cpu` or the adapter's name; it goes into the manifest.
    fn name(&self) -> String;
    /// Learns the weights. The same problem, settings and engine give the same bits for any thread count.
    fn solve(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError>;
}
