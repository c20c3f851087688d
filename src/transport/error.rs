//! Why a push-pull problem has no answer.

use crate::jobs::Cancelled;

/// The problem or its settings cannot be solved. Each message says what to change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TransportError {
    #[error("{set} has no rows")]
    Empty { set: &'static str },
    #[error("{set} row {row} has a vector that is not finite; embed it again")]
    NotFinite { set: &'static str, row: usize },
    #[error(
        "{set} row {row} has a zero vector: its text is empty to this encoder; quarantine it or choose another encoder"
    )]
    ZeroVector { set: &'static str, row: usize },
    #[error(
        "{set} vectors have {found} dimensions and custom vectors have {expected}; embed all sets with one encoder"
    )]
    Dimensions { set: &'static str, expected: usize, found: usize },
    #[error("{setting} must be {allowed}, not {found}")]
    Setting { setting: &'static str, allowed: &'static str, found: String },
    #[error(
        "the costs to the {set} reference are all equal or tiny (median {median:e}); its rows do not differ from the custom rows for this encoder"
    )]
    FlatCost { set: &'static str, median: f64 },
    #[error(
        "the potentials of the {set} reference stopped being finite at step {step}; raise epsilon, tau or the effective share"
    )]
    Diverged { set: &'static str, step: usize },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
