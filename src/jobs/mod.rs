//! Background work: progress, cancellation, failure.
//!
//! Constraint: this module knows no screen and nothing of what the work is about. Long calls of the library
//! take a `&dyn Progress`; the window, the terminal and the tests each bring their own.

mod job;
mod progress;

pub use job::{Job, JobContext, JobFailure, JobState, Snapshot};
pub use progress::{CancelToken, Cancelled, Progress, Silent};
