//! `explanations.csv`: for every readable row which force dominates, where its transport mass goes, and which references
//! are nearest.
//!
//! Constraints: rows ascend; blocks of fixed size, so that memory does not grow with the rows; every number of a
//! sentence can be recomputed from this file and `weights.csv`; the same result gives the same bytes for any number of
//! threads.

use std::fs::File;
use std::path::Path;

use rayon::prelude::*;

use super::manifest::file_name;
use super::pipeline::{place, roles, texts};
use super::{Export, ProjectError};
use crate::data::Dataset;
use crate::embedding::{Joined, Texts, View};
use crate::jobs::{Cancelled, Progress};
use crate::selection::explanation::{Explained, Explainer, Force, Grouping, ReferenceWords, Toward, group};
use crate::transport::{Points, Problem};

/// The file's name in an export folder.
pub(super) const EXPLANATIONS: &str = "explanations.csv";
/// Rows that are held at once.
const BLOCK: usize = 2048;
/// Shared words that are told of a row and its nearest reference.
const SHARED: usize = 5;
/// The columns before those of the groups; the last column is `sentence`.
const COLUMNS: [&str; 13] = [
    "row",
    "id",
    "force",
    "farther_than",
    "nearer_than",
    "safe_file",
    "safe_row",
    "safe_cosine",
    "safe_shared",
    "harmful_file",
    "harmful_row",
    "harmful_cosine",
    "harmful_shared",
];

/// A reference with its groups and words.
struct Reference<'a> {
    files: Vec<&'a Dataset>,
    grouping: Grouping,
    words: ReferenceWords,
}

/// What a row shares with the nearest reference of each side.
type Shared = [String; 2];

/// Writes one line for every readable row.
pub(super) fn write(path: &Path, what: &Export<'_>, progress: &dyn Progress) -> Result<(), ProjectError> {
    let pool = crate::transport::pool(what.plan.settings.threads)?;
    // However deep it was noticed, a wish to stop is told as one.
    let told = |error| if progress.is_cancelled() { Cancelled.into() } else { error };
    pool.install(|| write_here(path, what, progress)).map_err(told)
}

fn write_here(path: &Path, what: &Export<'_>, progress: &dyn Progress) -> Result<(), ProjectError> {
    let [custom, safe, harmful] = what.purified.vectors.each_ref().map(Points::from);
    let problem = Problem { custom, safe, harmful };
    let [custom_texts, safe_texts, harmful_texts] = texts(what.sets);
    progress.tick("grouping references", 0, None);
    let [_, (_, safe_files), (_, harmful_files)] = roles(what.sets);
    let seed = what.plan.settings.seed;
    let reference = |points: Points<'_>, texts: &Joined<'_>, files| -> Result<_, ProjectError> {
        let grouping = group(points, texts, seed, progress)?;
        Ok(Reference { files, grouping, words: ReferenceWords::new(texts, progress)? })
    };
    let safe = reference(safe, &safe_texts, safe_files)?;
    let harmful = reference(harmful, &harmful_texts, harmful_files)?;
    let explainer = Explainer::new(problem, &what.purified.outcome, &safe.grouping, &harmful.grouping)?;

    let failed = |error: csv::Error| ProjectError::Io { path: path.to_owned(), source: error.into() };
    let mut out = csv::Writer::from_path(path).map_err(failed)?;
    out.write_record(header(&safe.grouping, &harmful.grouping)).map_err(failed)?;
    let rows = custom.rows;
    for start in (0..rows).step_by(BLOCK) {
        progress.check()?;
        progress.tick("writing explanations.csv", start as u64, Some(rows as u64));
        let explained = explainer.block(start..start + BLOCK, progress)?;
        let shared: Vec<Shared> = explained
            .par_iter()
            .enumerate()
            .map(|(at, one)| shared(&custom_texts, start + at, one, &safe.words, &harmful.words))
            .collect::<Result<_, ProjectError>>()?;
        for (at, (one, shared)) in explained.into_iter().zip(shared).enumerate() {
            let line =
                line(&what.sets.custom, start + at, one.rounded(), shared, [&safe, &harmful]).ok_or_else(|| {
                    let index = start + at;
                    ProjectError::Inconsistent(format!("row index {index} has no record; open the files again"))
                })?;
            out.write_record(line).map_err(failed)?;
        }
    }
    out.flush().map_err(ProjectError::io(path))?;
    drop(out);
    File::open(path).and_then(|file| file.sync_all()).map_err(ProjectError::io(path))
}

/// Group columns are called by number and terms, as in `safe 2: bread · flour`.
fn header(safe: &Grouping, harmful: &Grouping) -> Vec<String> {
    let mut header: Vec<String> = COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    for (reference, grouping) in [("safe", safe), ("harmful", harmful)] {
        let named =
            grouping.groups.iter().zip(1..).map(|(group, number)| format!("{reference} {number}: {}", group.name()));
        header.extend(named);
    }
    header.push("sentence".to_owned());
    header
}

fn shared(
    custom: &Joined<'_>,
    row: usize,
    one: &Explained,
    safe: &ReferenceWords,
    harmful: &ReferenceWords,
) -> Result<Shared, ProjectError> {
    let words = ReferenceWords::words_of(&custom.text(row, View::Row)?);
    let of = |reference: &ReferenceWords, toward: &Toward| {
        reference.shared(&reference.numbers(&words), toward.nearest, SHARED).join(" ")
    };
    Ok([of(safe, &one.reason.safe), of(harmful, &one.reason.harmful)])
}

/// `None` where the row or a reference has no record.
fn line(
    custom: &Dataset,
    index: usize,
    one: Explained,
    shared: Shared,
    references: [&Reference<'_>; 2],
) -> Option<Vec<String>> {
    let reason = one.reason;
    let force = match reason.force {
        Force::Pull => "pull",
        Force::Push => "push",
    };
    let mut line = vec![
        custom.number(index)?.to_string(),
        custom.id(index)?.0,
        force.to_owned(),
        format!("{:?}", reason.farther_than),
        format!("{:?}", reason.nearer_than),
    ];
    for ((reference, toward), shared) in references.iter().zip([reason.safe, reason.harmful]).zip(shared) {
        let (path, number, _) = place(&reference.files, toward.nearest)?;
        line.extend([file_name(&path), number.to_string(), toward.cosine.to_string(), shared]);
    }
    line.extend(one.safe_shares.iter().chain(&one.harmful_shares).map(f64::to_string));
    let [safe, harmful] = references;
    line.push(reason.sentence(&safe.grouping, &harmful.grouping));
    Some(line)
}
