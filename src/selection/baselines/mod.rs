//! Rankings of the field beside the method, on the same rows and vectors.
//!
//! Purpose: show a reviewer what simpler or other rankings would drop, and measure the method against them. Every
//! score is a suspicion: higher is more suspicious. Constraints: no baseline sees a label; the same inputs and seed
//! give the same bits for any number of threads.

mod dsir;
mod probe;
mod saft;
mod similarity;

use crate::embedding::Texts;
use crate::jobs::Progress;
use crate::transport::Problem;

use super::SelectionError;

/// A ranking that is not the method's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Keep everything: every row is as suspicious as any other.
    Sft,
    /// A seeded random order.
    Random,
    /// Importance of hashed n-grams, safe reference against custom rows (Xie et al. 2023, arXiv 2302.03169, Sec. 3).
    Dsir,
    /// Mean squared projection on the leading singular vectors of the centred custom rows (Choi et al. 2024,
    /// arXiv 2410.10014, Eq. 5), with one vector.
    Saft,
    /// Mean cosine to the [`ANCHORS`] nearest harmful references less that to the nearest safe ones (He et al. 2024,
    /// arXiv 2404.01099, Sec. 3.2, with nearest anchors instead of one mean).
    Anchor,
    /// z·(mean(H) - mean(S)): nearest mean, the control to beat.
    Centroid,
    /// Logistic regression of the harmful against the safe reference (L2, C = 1), applied to the custom rows.
    Probe,
    /// The same difference as `anchor` over the ten nearest references.
    Neighbours,
}

/// Nearest references of `anchor`.
pub const ANCHORS: usize = 100;
/// Nearest references of `neighbours`.
pub const NEIGHBOURS: usize = 10;

impl Baseline {
    pub const ALL: [Self; 8] =
        [Self::Sft, Self::Random, Self::Dsir, Self::Saft, Self::Anchor, Self::Centroid, Self::Probe, Self::Neighbours];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Random => "random",
            Self::Dsir => "dsir",
            Self::Saft => "saft",
            Self::Anchor => "anchor",
            Self::Centroid => "centroid",
            Self::Probe => "probe",
            Self::Neighbours => "10-nn",
        }
    }

    /// What it does, in one sentence for a reviewer.
    pub fn about(self) -> &'static str {
        match self {
            Self::Sft => "Keeps every row.",
            Self::Random => "Drops rows at random.",
            Self::Dsir => "Drops rows whose words are rarer in the safe reference than in the custom set.",
            Self::Saft => "Drops rows that lie far out along the custom set's main direction; looks at no reference.",
            Self::Anchor => {
                "Drops rows nearer to their 100 nearest harmful references than to their 100 nearest safe ones."
            }
            Self::Centroid => {
                "Drops rows nearer to the mean of the harmful reference than to the mean of the safe one."
            }
            Self::Probe => "Drops rows that a linear classifier of the two references calls harmful.",
            Self::Neighbours => {
                "Drops rows nearer to their 10 nearest harmful references than to their 10 nearest safe ones."
            }
        }
    }
}

/// What a baseline may look at.
pub struct Material<'a> {
    pub problem: Problem<'a>,
    /// The texts of the custom rows and of the safe reference, in the order of the vectors.
    pub custom_texts: &'a dyn Texts,
    pub safe_texts: &'a dyn Texts,
    pub seed: u64,
}

/// The suspicion of every custom row, n values; higher is more suspicious.
///
/// # Errors
/// The sets do not fit each other, hold no rows or a value that is no number, a text cannot be read, or the user
/// cancelled.
pub fn score(baseline: Baseline, material: &Material<'_>, progress: &dyn Progress) -> Result<Vec<f64>, SelectionError> {
    check(&material.problem)?;
    progress.check()?;
    let problem = &material.problem;
    match baseline {
        Baseline::Sft => Ok(vec![0.0; problem.custom.rows]),
        Baseline::Random => Ok(random(problem.custom.rows, material.seed)),
        Baseline::Dsir => dsir::score(material.custom_texts, material.safe_texts, progress),
        Baseline::Saft => saft::score(problem.custom, 1, progress),
        Baseline::Anchor => similarity::nearest(problem, ANCHORS, progress),
        Baseline::Neighbours => similarity::nearest(problem, NEIGHBOURS, progress),
        Baseline::Centroid => Ok(similarity::centroid(problem)),
        Baseline::Probe => probe::score(problem, progress),
    }
}

fn random(rows: usize, seed: u64) -> Vec<f64> {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..rows).map(|_| random.random()).collect()
}

fn check(problem: &Problem<'_>) -> Result<(), SelectionError> {
    let dim = problem.custom.dim;
    for (name, points) in [("custom", problem.custom), ("safe", problem.safe), ("harmful", problem.harmful)] {
        if points.rows == 0 || points.dim == 0 {
            return Err(SelectionError::Outcome(format!("the {name} set has no vectors; embed the sets again")));
        }
        if points.dim != dim {
            return Err(SelectionError::Outcome(format!(
                "{name} vectors have {} dimensions and custom vectors have {dim}; embed all sets with one encoder",
                points.dim
            )));
        }
        if let Some(at) = points.data.iter().position(|value| !value.is_finite()) {
            return Err(SelectionError::Outcome(format!(
                "{name} row {} has a vector that is not finite; embed it again",
                at / dim
            )));
        }
    }
    Ok(())
}
