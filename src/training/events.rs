//! What a run tells while it goes on.

use super::MemoryEstimate;

/// One optimiser step.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepReport {
    /// Counted from 1.
    pub step: u64,
    pub steps: u64,
    pub epoch: u64,
    /// Σ v·ℓ / B of the step's rows.
    pub loss: f64,
    /// Mean loss of the held-out rows, where it was measured after this step.
    pub evaluation: Option<f64>,
    pub learning_rate: f64,
    /// Before clipping.
    pub gradient_norm: f64,
    pub tokens: u64,
    pub tokens_per_second: f64,
    /// Resident memory of the process in bytes, where the system tells.
    pub memory: Option<u64>,
    pub seconds_left: f64,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    Complete,
    /// The held-out loss no longer fell.
    EarlyStop,
    /// The user stopped it; it can be resumed.
    Stopped,
}

/// Everything that a window or a terminal may show.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    Begin { rows: u64, held_out: u64, steps: u64, parameters: u64, resumed_at: u64, memory: MemoryEstimate },
    Step(StepReport),
    Checkpoint { step: u64 },
    Warning { message: String },
    End { step: u64, finish: Finish, evaluation: Option<f64> },
}

/// Receives events. Called from the thread that trains.
pub trait Listener {
    fn event(&mut self, event: &TrainEvent);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl Listener for Silence {
    fn event(&mut self, _event: &TrainEvent) {}
}

impl<F: FnMut(&TrainEvent)> Listener for F {
    fn event(&mut self, event: &TrainEvent) {
        self(event);
    }
}
