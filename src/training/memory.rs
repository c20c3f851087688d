//! How much memory a run will take, before it begins.
//!
//! An estimate from the sizes of the network: what is kept of each layer for its backward pass, what is kept
//! between layers, and the logits of one chunk. It is meant to be within a third of what is then seen.

use super::TrainSettings;
use crate::model::{DecoderSpec, Module};

/// Rows of logits in memory at once.
const HEAD_ROWS: u64 = 256;

/// In bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryEstimate {
    /// Frozen weights, shared by all workers.
    pub weights: u64,
    /// Adapter, moments, and gradients of all workers.
    pub adapter: u64,
    /// Activations of all workers.
    pub activations: u64,
    /// What the system has left, where it tells.
    pub available: Option<u64>,
}

impl MemoryEstimate {
    /// For frozen weights of so many bytes, a longest row of `longest` tokens, and so many workers.
    pub fn new(spec: &DecoderSpec, weights: u64, settings: &TrainSettings, longest: u64, workers: u64) -> Self {
        let tokens = longest.min(settings.max_tokens as u64).max(settings.micro_tokens as u64);
        let micro_batches = (settings.batch_rows as u64).min(64);
        let parameters = adapter_parameters(spec, settings);
        let width = |inputs: usize| inputs as u64;
        let outputs: u64 = Module::ALL.iter().map(|module| width(module.sizes(spec).1)).sum();
        // Results of the linear maps, norms and residuals, each with its gradient.
        let layer = 2 * tokens * (outputs + 5 * width(spec.hidden) + 3 * width(spec.query_width()) + width(spec.inner));
        let layers = spec.layers as u64;
        let kept = if settings.recompute { layer + layers * tokens * width(spec.hidden) } else { layers * layer };
        let head = 2 * tokens.min(HEAD_ROWS) * width(spec.vocabulary) + 3 * tokens * width(spec.hidden);
        Self {
            weights,
            adapter: 4 * parameters * (5 + micro_batches),
            activations: 4 * (kept + head) * workers,
            available: available(),
        }
    }

    pub fn total(&self) -> u64 {
        self.weights + self.adapter + self.activations
    }

    /// The weights are in memory already; the rest must still fit.
    pub fn is_too_much(&self) -> bool {
        self.available.is_some_and(|available| self.adapter + self.activations > available)
    }
}

/// Numbers in the matrices of the adapter.
fn adapter_parameters(spec: &DecoderSpec, settings: &TrainSettings) -> u64 {
    let mut targets = settings.targets.clone();
    targets.sort();
    targets.dedup();
    let widths: usize = targets.iter().map(|module| module.sizes(spec)).map(|(i, o)| i + o).sum();
    (spec.layers * settings.rank * widths) as u64
}

/// Memory that processes can still get.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Resident memory of this process.
pub(super) fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
}
