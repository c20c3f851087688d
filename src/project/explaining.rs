//! Why one row stands where it stands, for a reader who looks at one row at a time.
//!
//! Purpose: the same facts that `selection::explanation` tells of all rows, of one row and with the texts beside them.
//! Constraints: references are grouped once; a row costs one look at every reference vector and reads only the few texts
//! that it shows; every number of the sentence stands in the figures beside it.

use std::sync::Arc;

use super::pipeline::texts;
use super::{ProjectError, Purified, Sets};
use crate::data::Dataset;
use crate::embedding::{Texts, View};
use crate::jobs::Progress;
use crate::selection::SelectionError;
use crate::selection::explanation::{Force, Grouping, Reason, Toward, Vocabulary, four_digits, group};
use crate::transport::{Points, SideOutcome, strongest_partners};

/// Nearest references told of each side.
const NEAREST: usize = 3;
/// Words told that a row and a reference share.
const SHARED: usize = 5;
/// Characters of a reference's text that are shown.
const EXCERPT: usize = 280;

/// A group of references and the share of a row's mass that lies on it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupShare {
    /// Its distinguishing terms.
    pub name: String,
    /// References in it.
    pub rows: usize,
    /// In [0, 1], to four digits; before they are rounded those of one side sum to 1.
    pub share: f64,
}

/// A reference near a row.
#[derive(Debug, Clone, PartialEq)]
pub struct NearReference {
    /// The file's name.
    pub file: String,
    /// Its record in that file.
    pub number: u64,
    pub cosine: f64,
    /// Share of the row's mass on it, in [0, 1].
    pub share: f64,
    /// Words that both texts hold and few references do, the rarest first.
    pub shared: Vec<String>,
    /// The beginning of its text.
    pub text: String,
}

/// What one reference says of a row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SideReasons {
    /// The largest share first.
    pub groups: Vec<GroupShare>,
    /// The largest cosine first.
    pub nearest: Vec<NearReference>,
}

/// Everything that is known of why a row stands where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RowReasons {
    pub row: u32,
    pub force: Force,
    pub sentence: String,
    pub safe: SideReasons,
    pub harmful: SideReasons,
}

struct Reference {
    grouping: Grouping,
    words: Vocabulary,
}

/// The groups and words of both references of a result, ready to explain any row.
pub struct Explaining {
    sets: Sets,
    purified: Arc<Purified>,
    safe: Reference,
    harmful: Reference,
    /// Pull of all rows, ascending.
    pulls: Vec<f64>,
    /// Push of all rows with its sign turned, ascending.
    pushes: Vec<f64>,
}

impl Explaining {
    /// Groups both references. `seed` is that of the result's plan.
    ///
    /// # Errors
    /// The files are not those of the result, a text cannot be read, or the user cancelled.
    pub fn new(sets: Sets, purified: Arc<Purified>, seed: u64, progress: &dyn Progress) -> Result<Self, ProjectError> {
        let [custom, safe, harmful] = purified.vectors.each_ref().map(Points::from);
        let [_, safe_texts, harmful_texts] = texts(&sets);
        let outcome = &purified.outcome;
        let fits = sets.custom.len() == custom.rows
            && [outcome.pull.len(), outcome.push.len()].iter().all(|len| *len == custom.rows)
            && [(safe, &safe_texts, &outcome.safe), (harmful, &harmful_texts, &outcome.harmful)]
                .iter()
                .all(|(points, texts, side)| points.rows == texts.len() && side.column_potential.len() == points.rows);
        if !fits {
            return Err(ProjectError::Inconsistent(
                "the result was made for other rows or references; purify again".to_owned(),
            ));
        }
        let reference = |name: &str, points: Points<'_>, texts: &dyn Texts| -> Result<Reference, SelectionError> {
            progress.tick(&format!("grouping the {name} reference"), 0, None);
            Ok(Reference { grouping: group(points, texts, seed, progress)?, words: Vocabulary::new(texts, progress)? })
        };
        let (safe, harmful) = (reference("safe", safe, &safe_texts)?, reference("harmful", harmful, &harmful_texts)?);
        let ascending = |mut values: Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let pulls = ascending(outcome.pull.clone());
        let pushes = ascending(outcome.push.iter().map(|push| -push).collect());
        Ok(Self { sets, purified, safe, harmful, pulls, pushes })
    }

    /// The groups of the safe and of the harmful reference.
    pub fn groupings(&self) -> [&Grouping; 2] {
        [&self.safe.grouping, &self.harmful.grouping]
    }

    /// Explains row `row` of the custom set.
    ///
    /// # Errors
    /// There is no such row, or a text cannot be read.
    pub fn row(&self, row: u32) -> Result<RowReasons, ProjectError> {
        let at = row as usize;
        let outcome = &self.purified.outcome;
        let (Some(pull), Some(push)) = (outcome.pull.get(at).copied(), outcome.push.get(at).copied()) else {
            return Err(ProjectError::Inconsistent(format!("the result has no row {row}; purify again")));
        };
        let below = |sorted: &[f64], value: f64| {
            sorted.partition_point(|other| *other < value) as f64 / sorted.len().max(1) as f64
        };
        let (farther_than, nearer_than) = (below(&self.pulls, pull), below(&self.pushes, -push));
        // How far from the middle each force puts the row, on whichever side; as in `selection::explanation`.
        let is_push = (nearer_than - 0.5).abs() >= (farther_than - 0.5).abs();
        let force = if is_push { Force::Push } else { Force::Pull };
        let [custom, safe, harmful] = self.purified.vectors.as_ref();
        let vector = custom.row(at);
        let text = self.sets.custom.text(at, View::Row)?;
        let (safe_toward, safe) = side(vector, &text, safe.into(), &outcome.safe, &self.safe, &self.sets.safe)?;
        let (harmful_toward, harmful) =
            side(vector, &text, harmful.into(), &outcome.harmful, &self.harmful, &self.sets.harmful)?;
        let reason = Reason { force, farther_than, nearer_than, safe: safe_toward, harmful: harmful_toward };
        // With the digits of the export, so that both say the same.
        let reason = reason.rounded();
        let sentence = reason.sentence(&self.safe.grouping, &self.harmful.grouping);
        Ok(RowReasons { row, force, sentence, safe, harmful })
    }
}

fn side(
    vector: &[f32],
    text: &str,
    points: Points<'_>,
    side: &SideOutcome,
    reference: &Reference,
    files: &[Dataset],
) -> Result<(Toward, SideReasons), ProjectError> {
    let partners = strongest_partners(vector, points, side, points.rows);
    let groups = &reference.grouping.groups;
    let mut shares = vec![0.0; groups.len()];
    let mut share_of = vec![0.0; points.rows];
    for (at, share) in partners {
        let group = reference.grouping.of.get(at as usize);
        if let Some(sum) = group.and_then(|group| shares.get_mut(*group)) {
            *sum += share;
        }
        if let Some(slot) = share_of.get_mut(at as usize) {
            *slot = share;
        }
    }
    let dot = |other: &[f32]| -> f64 { vector.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let mut cosines: Vec<(f64, usize)> = points.data.chunks_exact(points.dim.max(1)).map(dot).zip(0..).collect();
    cosines.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    cosines.truncate(NEAREST);
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let share = |at: &usize| shares.get(*at).copied().unwrap_or(0.0);
    order.sort_by(|a, b| share(b).total_cmp(&share(a)).then(a.cmp(b)));
    let (cosine, nearest) = cosines.first().copied().unwrap_or((0.0, 0));
    let group = order.first().copied().unwrap_or(0);
    let toward = Toward { group, share: share(&group), nearest, cosine };
    let named = |at: &usize| {
        groups.get(*at).map(|group| GroupShare { name: group.name(), rows: group.rows, share: four_digits(share(at)) })
    };
    let near = |(cosine, at): &(f64, usize)| -> Result<Option<NearReference>, ProjectError> {
        let Some((file, index)) = place(files, *at) else { return Ok(None) };
        let other = file.text(index, View::Row)?;
        Ok(Some(NearReference {
            file: Texts::name(file),
            number: file.number(index).unwrap_or(index as u64),
            cosine: four_digits(*cosine),
            share: four_digits(share_of.get(*at).copied().unwrap_or(0.0)),
            shared: reference.words.shared(text, &other, SHARED),
            text: other.chars().take(EXCERPT).collect(),
        }))
    };
    let nearest = cosines.iter().map(near).collect::<Result<Vec<_>, _>>()?;
    Ok((
        toward,
        SideReasons {
            groups: order.iter().filter_map(named).collect(),
            nearest: nearest.into_iter().flatten().collect(),
        },
    ))
}

/// The file that holds a row of a reference, and its index there.
fn place(files: &[Dataset], mut row: usize) -> Option<(&Dataset, usize)> {
    for file in files {
        match row.checked_sub(file.len()) {
            None => return Some((file, row)),
            Some(rest) => row = rest,
        }
    }
    None
}
