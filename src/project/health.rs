//! Reference health: what the texts and the vectors of the three sets say against the references, in sentences.
//!
//! Constraints: every finding has its figures and the way out; the thresholds below are the only ones, and each is
//! documented; a finding names rows by file and record. Nothing here changes a result.

use super::{ProjectError, Sets};
use crate::data::analysis::{AnalysisSettings, Leakage, exact_leakage, leakage};
use crate::data::{Dataset, Severity};
use crate::embedding::{Embeddings, Texts};
use crate::jobs::Progress;
use crate::selection::health::{Health, LIKENESS_NEIGHBOURS, NEIGHBOURS, check};
use crate::transport::{Points, Problem, Side};

/// From this likeness on a safe reference does not look like the custom rows. Measured with lexical vectors: 0.55 to 0.65
/// where the reference was drawn for the task, 0.88 for a general one beside instruction rows.
pub const UNLIKE: f64 = 0.8;
/// From this share of misplaced rows on the references overlap.
pub const OVERLAPPING: f64 = 0.1;
/// From this share of near twins on a reference repeats itself.
pub const REPEATING: f64 = 0.2;
/// From this share of custom rows without a reference near them coverage is a warning; below, it is told.
pub const UNCOVERED: f64 = 0.05;
/// Up to this many rows in all sets, texts are compared too, not contents alone.
const NEAR_ROWS: usize = 20_000;
/// Rows that a finding names.
const NAMED: usize = 20;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthKind {
    Likeness,
    Overlap,
    Leakage,
    Duplicates,
    Coverage,
    Suspects,
}

/// A row that a finding names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NamedRow {
    pub file: String,
    /// Its record in that file.
    pub row: u64,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct HealthFinding {
    pub kind: HealthKind,
    /// A warning should be acted on; a note says what was seen.
    pub severity: Severity,
    pub title: String,
    /// What was found, with its figures.
    pub text: String,
    /// What can be done; empty where there is nothing to do.
    pub way_out: String,
    /// The first rows that it is about.
    pub rows: Vec<NamedRow>,
    /// Rows that it is about.
    pub count: u64,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct HealthReport {
    /// Warnings first.
    pub findings: Vec<HealthFinding>,
    /// The figures of the vectors; `None` where only texts were looked at.
    pub figures: Option<Health>,
}

impl HealthReport {
    pub fn warnings(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity != Severity::Info).count()
    }

    /// Indices of the custom rows that no reference is near.
    pub fn uncovered(&self) -> &[u32] {
        self.figures.as_ref().map_or(&[], |figures| &figures.coverage.uncovered)
    }

    /// A few lines for the terminal; with `all`, notes too.
    ///
    /// # Errors
    /// As `text` has them.
    pub fn write(&self, all: bool, text: &mut String) -> std::fmt::Result {
        use std::fmt::Write as _;
        for finding in self.findings.iter().filter(|finding| all || finding.severity != Severity::Info) {
            let gap = if finding.way_out.is_empty() { "" } else { " " };
            writeln!(text, "  {}: {}: {}{gap}{}", finding.severity, finding.title, finding.text, finding.way_out)?;
            if !finding.rows.is_empty() {
                let named: Vec<String> =
                    finding.rows.iter().take(8).map(|row| format!("{} row {}", row.file, row.row)).collect();
                let more = if finding.count > named.len() as u64 { ", …" } else { "" };
                writeln!(text, "    {}{more}", named.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Looks at the references; with `vectors` (custom, safe, harmful, in row order) at their geometry too.
///
/// # Errors
/// A text cannot be read again, the vectors are not those of the sets, or the user cancelled.
pub fn health(
    sets: &Sets,
    vectors: Option<&[Embeddings; 3]>,
    seed: u64,
    progress: &dyn Progress,
) -> Result<HealthReport, ProjectError> {
    let mut findings = by_texts(sets, progress)?;
    let figures = match vectors {
        None => None,
        Some(vectors) => {
            let [custom, safe, harmful] = vectors.each_ref().map(Points::from);
            let rows = |files: &[Dataset]| files.iter().map(Dataset::len).sum::<usize>();
            if [custom.rows, safe.rows, harmful.rows] != [sets.custom.len(), rows(&sets.safe), rows(&sets.harmful)] {
                return Err(ProjectError::Inconsistent(
                    "the vectors are not those of the open files; purify again".to_owned(),
                ));
            }
            let figures = check(&Problem { custom, safe, harmful }, seed, progress)?;
            findings.extend(by_vectors(sets, &figures));
            Some(figures)
        }
    };
    findings.sort_by_key(|finding| finding.severity == Severity::Info);
    Ok(HealthReport { findings, figures })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn by_texts(sets: &Sets, progress: &dyn Progress) -> Result<Vec<HealthFinding>, ProjectError> {
    let is_small = sets.all().map(Dataset::len).sum::<usize>() <= NEAR_ROWS;
    let shared = |one: &Dataset, other: &Dataset| -> Result<Leakage, ProjectError> {
        Ok(if is_small {
            leakage(one, other, &AnalysisSettings::default(), progress)?
        } else {
            exact_leakage(one, other)
        })
    };
    let mut findings = Vec::new();
    for (role, set) in sets.safe.iter().map(|set| ("safe", set)).chain(sets.harmful.iter().map(|set| ("harmful", set)))
    {
        progress.check()?;
        let found = shared(&sets.custom, set)?;
        findings.extend(of_leakage(&sets.custom, set, &found, role));
        let (repeated, all) = (set.stats().exact_duplicates, set.len() as u64);
        if repeated > 0 {
            let share = repeated as f64 / all.max(1) as f64;
            let severity = if share >= REPEATING { Severity::Warning } else { Severity::Info };
            findings.push(HealthFinding {
                kind: HealthKind::Duplicates,
                severity,
                title: format!("{} repeats itself", Texts::name(set)),
                text: format!("{} of {all} ({}) stand in it word for word before.", rows(repeated), percent(share)),
                way_out: "Repeated rows count several times as a reference; keep one of each unless that is meant."
                    .to_owned(),
                rows: Vec::new(),
                count: repeated,
            });
        }
    }
    for safe in &sets.safe {
        for harmful in &sets.harmful {
            progress.check()?;
            findings.extend(of_both(safe, harmful, &shared(safe, harmful)?));
        }
    }
    Ok(findings)
}

fn of_leakage(custom: &Dataset, set: &Dataset, found: &Leakage, role: &str) -> Option<HealthFinding> {
    let near = found.near.as_ref().map_or(0, |near| near.custom_rows);
    let count = found.exact.custom_rows + near;
    if count == 0 {
        return None;
    }
    let pairs = found.exact.pairs.iter().chain(found.near.iter().flat_map(|near| &near.pairs));
    let file = Texts::name(custom);
    Some(HealthFinding {
        kind: HealthKind::Leakage,
        severity: Severity::Warning,
        title: format!("Custom rows stand in the {role} reference"),
        text: format!(
            "{} of the custom set stand in {} word for word, {near} nearly so.",
            rows(found.exact.custom_rows),
            Texts::name(set)
        ),
        way_out: "A reference should not hold what it judges: take these rows out of it.".to_owned(),
        rows: pairs.take(NAMED).map(|pair| NamedRow { file: file.clone(), row: pair.custom }).collect(),
        count,
    })
}

fn of_both(safe: &Dataset, harmful: &Dataset, found: &Leakage) -> Option<HealthFinding> {
    let near = found.near.as_ref().map_or(0, |near| near.custom_rows);
    let count = found.exact.custom_rows + near;
    if count == 0 {
        return None;
    }
    let pairs = found.exact.pairs.iter().chain(found.near.iter().flat_map(|near| &near.pairs));
    let (safe_name, harmful_name) = (Texts::name(safe), Texts::name(harmful));
    let both = |pair: &crate::data::analysis::RowPair| {
        [
            NamedRow { file: safe_name.clone(), row: pair.custom },
            NamedRow { file: harmful_name.clone(), row: pair.reference },
        ]
    };
    Some(HealthFinding {
        kind: HealthKind::Overlap,
        severity: Severity::Warning,
        title: "Rows stand in both references".to_owned(),
        text: format!(
            "{} of {safe_name} stand in {harmful_name} word for word, {near} nearly so.",
            rows(found.exact.custom_rows)
        ),
        way_out: "Decide for each on which side it belongs: on both, it pulls and pushes at once.".to_owned(),
        rows: pairs.take(NAMED / 2).flat_map(both).collect(),
        count,
    })
}

fn by_vectors(sets: &Sets, figures: &Health) -> Vec<HealthFinding> {
    let mut findings = Vec::new();
    if let Some(likeness) = figures.likeness {
        let unlike = likeness >= UNLIKE;
        findings.push(HealthFinding {
            kind: HealthKind::Likeness,
            severity: if unlike { Severity::Warning } else { Severity::Info },
            title: if unlike {
                "The safe reference does not look like your rows".to_owned()
            } else {
                "The safe reference looks like your rows".to_owned()
            },
            text: format!(
                "Of the {LIKENESS_NEIGHBOURS} nearest rows of a safe reference row, among as many custom rows, {} are safe references too (50 % if both looked alike, warned of from {}).",
                percent(likeness),
                percent(UNLIKE)
            ),
            way_out: if unlike {
                "Take safe rows of the same task as the custom set, even if they are few: a general safe reference can do worse than none. Rank with more push (a larger λ) if there are none.".to_owned()
            } else {
                String::new()
            },
            rows: Vec::new(),
            count: 0,
        });
    }
    findings.push(of_mixing(figures));
    if let Some(suspects) = of_suspects(sets, figures) {
        findings.push(suspects);
    }
    for (name, of) in [("safe", figures.safe), ("harmful", figures.harmful)] {
        if of.repeated >= REPEATING {
            findings.push(HealthFinding {
                kind: HealthKind::Duplicates,
                severity: Severity::Warning,
                title: format!("The {name} reference repeats itself"),
                text: format!(
                    "{} of the {} rows looked at have a near twin in it (cosine 0.99 or more).",
                    percent(of.repeated),
                    of.sampled
                ),
                way_out: "It says less than its size suggests; keep one of each kind and add others.".to_owned(),
                rows: Vec::new(),
                count: (of.repeated * of.sampled as f64).round() as u64,
            });
        }
    }
    findings.push(of_coverage(sets, figures));
    findings
}

fn of_mixing(figures: &Health) -> HealthFinding {
    let share = |of: Option<f64>| of.unwrap_or(0.0);
    let (safe, harmful) = (share(figures.safe.misplaced), share(figures.harmful.misplaced));
    let overlapping = safe.max(harmful) >= OVERLAPPING || figures.twins_in_all > 0;
    let twins = match figures.twins_in_all {
        0 => String::new(),
        count => format!(
            " {} of the safe reference looked at have a twin among those of the harmful one.",
            rows(count as u64)
        ),
    };
    HealthFinding {
        kind: HealthKind::Overlap,
        severity: if overlapping { Severity::Warning } else { Severity::Info },
        title: if overlapping { "The references overlap".to_owned() } else { "The references lie apart".to_owned() },
        text: format!(
            "By its {NEIGHBOURS} nearest references, itself left out, {} of the safe and {} of the harmful rows looked at lie nearer to the other side (warned of from {}).{twins}",
            percent(safe),
            percent(harmful),
            percent(OVERLAPPING)
        ),
        way_out: if overlapping {
            "Where they overlap, pull and push cancel. Take out rows that stand on the wrong side, or compare by meaning with a sentence encoder.".to_owned()
        } else {
            String::new()
        },
        rows: Vec::new(),
        count: figures.twins_in_all as u64,
    }
}

fn of_suspects(sets: &Sets, figures: &Health) -> Option<HealthFinding> {
    if figures.suspects_in_all == 0 {
        return None;
    }
    let named =
        figures.suspects.iter().take(NAMED).filter_map(|suspect| {
            named(if suspect.side == Side::Safe { &sets.safe } else { &sets.harmful }, suspect.row)
        });
    let of = |side: Side| figures.suspects.iter().filter(|suspect| suspect.side == side).count();
    let counted = if figures.suspects_in_all > figures.suspects.len() {
        String::new()
    } else {
        format!(" ({} safe, {} harmful)", of(Side::Safe), of(Side::Harmful))
    };
    Some(HealthFinding {
        kind: HealthKind::Suspects,
        severity: Severity::Warning,
        title: "Reference rows that look like the other side".to_owned(),
        text: format!(
            "{}{counted}, each left out in turn, lie nearer to the other reference than to their own and stand out from it by more than three robust standard deviations.",
            rows(figures.suspects_in_all as u64)
        ),
        way_out: "Read them: a row filed on the wrong side teaches the ranking the opposite.".to_owned(),
        rows: named.collect(),
        count: figures.suspects_in_all as u64,
    })
}

fn of_coverage(sets: &Sets, figures: &Health) -> HealthFinding {
    let coverage = &figures.coverage;
    let count = coverage.uncovered.len() as u64;
    let warned = coverage.share() >= UNCOVERED;
    let file = Texts::name(&sets.custom);
    HealthFinding {
        kind: HealthKind::Coverage,
        severity: if warned { Severity::Warning } else { Severity::Info },
        title: if count == 0 {
            "Every row has a reference near it".to_owned()
        } else {
            "No reference is near some rows".to_owned()
        },
        text: format!(
            "{} of {} ({}) have no reference at a cosine of {:.3}, which all but 1 % of the references have among each other (warned of from {}).",
            rows(count),
            coverage.rows,
            percent(coverage.share()),
            coverage.threshold,
            percent(UNCOVERED)
        ),
        way_out: if count == 0 {
            String::new()
        } else {
            "Their scores are guesses: read them, or add references of their kind.".to_owned()
        },
        rows: coverage
            .uncovered
            .iter()
            .take(NAMED)
            .map(|row| NamedRow {
                file: file.clone(),
                row: sets.custom.number(*row as usize).unwrap_or(u64::from(*row)),
            })
            .collect(),
        count,
    }
}

/// A row of a reference by file and record.
fn named(files: &[Dataset], mut row: usize) -> Option<NamedRow> {
    for file in files {
        match row.checked_sub(file.len()) {
            None => return Some(NamedRow { file: Texts::name(file), row: file.number(row)? }),
            Some(rest) => row = rest,
        }
    }
    None
}
