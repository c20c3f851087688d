//! What a long call says while it runs, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The work was cancelled by the user; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Receives progress and answers whether to go on. Implementations must be cheap: callers tick often.
pub trait Progress: Send + Sync {
    /// `stage` is a short verb phrase in lower case ("reading custom.jsonl"); `done` and `total` share a unit
    /// (rows, bytes, iterations); `total` is `None` while unknown.
    fn tick(&self, stage: &str, done: u64, total: Option<u64>);

    /// True once the user asked to stop. Callers check at least every 100 ms.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// `Err(Cancelled)` once the user asked to stop.
    fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// Listens to nothing and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}
}

/// A flag shared between whoever may stop the work and the work itself.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the work to stop. It cannot be taken back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once [`CancelToken::cancel`] was called on any clone.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
