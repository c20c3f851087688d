//! Weighted LoRA fine-tuning of a decoder.
//!
//! Purpose: one settings value, one call, typed events; the window and the terminal are two renderers of them.
//! Constraints: the loss of an optimiser step is Σ v·ℓ / B with B, the rows of the step, fixed before anything is
//! accumulated, so a row's weight is never cancelled by its batch; gradients are added in a fixed order, so the
//! number of workers does not change a bit; killed at any moment, a run continues from its last checkpoint to the
//! same bytes.

mod batches;
mod checkpoint;
mod comparison;
mod error;
mod events;
mod freed;
mod log;
mod memory;
mod optimiser;
mod rows;
mod schedule;
mod seal;
mod settings;
mod trainer;

pub use batches::{held_out, steps_of};
pub use checkpoint::checkpoint_step;
pub use comparison::{
    Answer, Comparing, ComparisonEvent, Figures, Perplexity, Probe, ProbeKind, Rate, Side, perplexity,
};
pub use error::TrainError;
pub use events::{Finish, Listener, Silence, StepReport, TrainEvent};
pub use log::{EventLog, read_steps};
pub use memory::MemoryEstimate;
pub use rows::{Prepared, Refusal, TrainRow, prepare, prepare_first};
pub use schedule::Schedule;
pub use seal::{SealSettings, seal};
pub use settings::{Help, TrainSettings};
pub use trainer::{Control, Outcome, Trainer, check_base};
