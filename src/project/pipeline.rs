//! The main job.

use std::path::PathBuf;

use super::{Plan, ProjectError};
use crate::data::Dataset;
use crate::embedding::Fingerprint;
use crate::jobs::Progress;
use crate::transport::{Engine, Observer, Outcome};

/// The opened sets of a plan. Several files of one role are one reference, rows in file order.
#[derive(Clone)]
pub struct Sets {
    pub custom: Dataset,
    pub safe: Vec<Dataset>,
    pub harmful: Vec<Dataset>,
}

impl Sets {
    /// Opens every file of the plan, to the end.
    pub fn open(plan: &Plan, progress: &dyn Progress) -> Result<Self, ProjectError> {
        todo!()
    }
}

/// Seconds of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Timing {
    pub embed: f64,
    pub solve: f64,
}

/// Vectors and weights for a plan.
#[derive(Debug, Clone)]
pub struct Purified {
    pub outcome: Outcome,
    pub fingerprint: Fingerprint,
    pub timing: Timing,
    /// Vectors read from the cache, of all.
    pub cached: u64,
    pub computed: u64,
    /// Rows cut to the encoder's length: custom, safe, harmful.
    pub truncated: [u64; 3],
}

/// Embeds and solves. `cache_dir` holds the vector cache.
pub fn purify(
    sets: &Sets,
    plan: &Plan,
    engine: &dyn Engine,
    cache_dir: Option<PathBuf>,
    observer: &dyn Observer,
) -> Result<Purified, ProjectError> {
    todo!()
}
