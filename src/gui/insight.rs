//! What the window knows of the ranking beyond the ranking: why a row stands where it stands, what speaks against the
//! references, what other rankings would drop, and what was decided before.
//!
//! Constraint: data only; `insight_work.rs` starts the jobs and takes their results.

use std::path::PathBuf;
use std::sync::Arc;

use super::backend::Explain;
use super::roles::Role;
use crate::embedding::{EncoderChoice, Views};
use crate::jobs::{Job, Snapshot};
use crate::project::{Beside, HealthReport, Past, Purified, RowReasons};

/// What the Data step shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataTab {
    /// The three role cards.
    #[default]
    Files,
    /// What speaks for and against the references.
    Health,
}

/// What the Purify step shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PurifyTab {
    #[default]
    Run,
    /// What canaries say of λ, ε and the cut.
    Calibration,
    /// This ranking beside others.
    Rankings,
}

/// A wish about what is known of the ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsightAction {
    ShowData(DataTab),
    ShowPurify(PurifyTab),
    CheckReferences,
    StopChecking,
    /// Shows the rows that no reference is near.
    ShowUncovered,
    CompareRankings,
    StopComparing,
    /// The two rankings whose places are drawn.
    ChoosePair(usize, usize),
}

/// Something that is found out for one row at a time.
pub struct OfRow<K, T> {
    pub job: Option<(K, Job<(), T>)>,
    /// The newest answer and what it belongs to.
    pub known: Option<(K, Result<Arc<T>, String>)>,
}

impl<K, T> Default for OfRow<K, T> {
    fn default() -> Self {
        Self { job: None, known: None }
    }
}

impl<K: PartialEq, T> OfRow<K, T> {
    pub fn of(&self, key: &K) -> Option<&Result<Arc<T>, String>> {
        self.known.as_ref().filter(|(known, _)| known == key).map(|(_, found)| found)
    }
}

/// What the reasons are read off.
#[derive(Default)]
pub struct Reasons {
    pub job: Option<Job<(), Arc<dyn Explain>>>,
    pub ready: Option<Arc<dyn Explain>>,
    pub error: Option<String>,
    /// The result that job, answer and error belong to.
    pub of: Option<Arc<Purified>>,
    pub row: OfRow<u32, RowReasons>,
}

impl Reasons {
    /// True where they belong to this result.
    pub fn are_of(&self, purified: &Arc<Purified>) -> bool {
        self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, purified))
    }
}

/// What a look at the references belongs to: files as they were opened, and how texts are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthKey {
    pub files: Vec<(u64, Role)>,
    pub encoder: EncoderChoice,
    pub views: Option<Views>,
}

#[derive(Default)]
pub struct HealthState {
    pub job: Option<(HealthKey, Job<(), HealthReport>)>,
    pub report: Option<(HealthKey, Arc<HealthReport>)>,
    /// What went wrong, and with what.
    pub error: Option<(HealthKey, String)>,
    /// What the user stopped looking at; it is looked at again when asked for.
    pub stopped: Option<HealthKey>,
}

#[derive(Default)]
pub struct RankingsState {
    /// Computes all rankings, or compares them at another cut.
    pub job: Option<Job<(), Beside>>,
    pub beside: Option<Arc<Beside>>,
    pub error: Option<String>,
    /// The result that the answer belongs to, and the one that a job computes rankings of.
    pub of: Option<Arc<Purified>>,
    pub asked: Option<Arc<Purified>>,
    /// Numbers of the rankings on the axes.
    pub pair: Option<(usize, usize)>,
}

/// Everything of this kind that a session holds.
#[derive(Default)]
pub struct Insight {
    pub data: DataTab,
    pub purify: PurifyTab,
    /// The record of decisions on disk.
    pub journal: Option<PathBuf>,
    /// By row and head of the record.
    pub past: OfRow<(u32, Option<String>), Vec<Past>>,
    pub reasons: Reasons,
    pub health: HealthState,
    pub rankings: RankingsState,
}

impl Insight {
    /// Name and progress of the work that the user may wait for.
    pub fn running(&self) -> impl Iterator<Item = (String, Snapshot)> {
        fn of<T: Send + 'static>(job: &Job<(), T>) -> (String, Snapshot) {
            (job.name().to_owned(), job.snapshot())
        }
        let health = self.health.job.as_ref().map(|(_, job)| of(job));
        let (reasons, rankings) = (self.reasons.job.as_ref().map(of), self.rankings.job.as_ref().map(of));
        [reasons, health, rankings].into_iter().flatten()
    }

    /// True while something is found out for the row under the cursor.
    pub fn is_busy(&self) -> bool {
        self.reasons.row.job.is_some() || self.past.job.is_some()
    }
}
