//! `README.md` of an export: the data card for people.
//!
//! Constraint: a function of the data, the settings and the engine alone; no path of this machine is in it.

use std::fmt::Write;

use super::manifest::{Counts, FileEntry, FileRole, Input, MANIFEST};
use super::{Export, croissant};
use crate::embedding::EncoderChoice;
use crate::transport::{Outcome, Stop};

/// The file's name in an export folder.
pub(super) const CARD: &str = "README.md";

/// The page as Markdown with the Croissant metadata at its end.
pub(super) fn render(
    what: &Export<'_>,
    counts: &Counts,
    inputs: &[Input],
    files: &[FileEntry],
    metadata: &[u8],
) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, what, counts, inputs, files, metadata);
    page
}

fn write_page(
    page: &mut String,
    what: &Export<'_>,
    counts: &Counts,
    inputs: &[Input],
    files: &[FileEntry],
    metadata: &[u8],
) -> std::fmt::Result {
    let outcome = &what.purified.outcome;
    let source = super::manifest::file_name(what.sets.custom.path());
    front_matter(page, what, files)?;
    writeln!(page, "# {}, purified\n", inline(&source))?;
    writeln!(
        page,
        "Fine-tuning data made safer with Dipole {}: every row was weighted by Safety Optimal Transport (arXiv 2601.07200, the \
         published objective), pulled toward a trusted safe reference and pushed away from a harmful one. The rows that \
         ranked best were kept; a reviewer's decisions overrule the machine.\n",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(
        page,
        "**Weights are no proof of safety.** A row unlike both references is simply unknown to the method.\n"
    )?;

    writeln!(page, "## What became of the rows\n")?;
    writeln!(page, "| | rows |\n|---|---:|")?;
    for (name, count) in [
        ("records in the source file", counts.records),
        ("kept", counts.kept),
        ("removed", counts.removed),
        ("quarantined (unreadable)", counts.quarantined),
        ("of these kept by hand", counts.kept_by_hand),
        ("of these dropped by hand", counts.dropped_by_hand),
    ] {
        writeln!(page, "| {name} | {count} |")?;
    }
    writeln!(page, "\nKept + removed + quarantined is the whole file.\n")?;

    writeln!(page, "## What went in\n")?;
    writeln!(page, "| role | file | rows | quarantined | BLAKE3 |\n|---|---|---:|---:|---|")?;
    for input in inputs {
        writeln!(
            page,
            "| {} | {} | {} | {} | `{}` |",
            input.role,
            inline(&input.file),
            input.rows,
            input.quarantined,
            input.blake3
        )?;
    }
    let licences = match what.context.licences.as_slice() {
        [] => "none given".to_owned(),
        given => given.iter().map(|licence| inline(licence)).collect::<Vec<_>>().join(", "),
    };
    writeln!(page, "\nLicence of the source data, as given: {licences}.\n")?;

    writeln!(page, "## How it was done\n")?;
    method(page, what, outcome)?;

    writeln!(page, "## Files\n")?;
    writeln!(page, "| file | what it is |\n|---|---|")?;
    for file in files {
        writeln!(page, "| `{}` | {} |", file.name, explain(file.role))?;
    }
    for (name, role) in [(croissant::CROISSANT, FileRole::Croissant), (CARD, FileRole::Card)] {
        writeln!(page, "| `{name}` | {} |", explain(role))?;
    }
    writeln!(page, "| `{MANIFEST}` | hashes, counts, every setting, convergence; `dipole verify` checks it |\n")?;
    writeln!(
        page,
        "Each kept row has a root-level float `weight`, the factor for its loss (mean 1). A `weight` that was there before is \
         kept as `weight_original`.\n"
    )?;

    writeln!(page, "## Croissant metadata\n")?;
    writeln!(page, "The same as `{}`.\n", croissant::CROISSANT)?;
    writeln!(page, "```json\n{}```", String::from_utf8_lossy(metadata))
}

/// What dataset hubs read: licence, files, tags.
fn front_matter(page: &mut String, what: &Export<'_>, files: &[FileEntry]) -> std::fmt::Result {
    writeln!(page, "---")?;
    match what.context.licences.as_slice() {
        [] => writeln!(page, "license: other")?,
        [one] => writeln!(page, "license: {}", yaml(one))?,
        several => {
            writeln!(page, "license:")?;
            for licence in several {
                writeln!(page, "  - {}", yaml(licence))?;
            }
        }
    }
    writeln!(page, "tags:\n  - fine-tuning\n  - safety\n  - data-selection")?;
    if let Some(file) = files.iter().find(|file| file.role == FileRole::Purified) {
        writeln!(page, "configs:\n  - config_name: default\n    data_files: {}", yaml(&file.name))?;
    }
    writeln!(page, "---\n")
}

fn method(page: &mut String, what: &Export<'_>, outcome: &Outcome) -> std::fmt::Result {
    let settings = &what.plan.settings;
    let selection = &what.plan.selection;
    let encoder = match &what.plan.encoder {
        EncoderChoice::Lexical => "lexical (hashed n-grams, TF-IDF, truncated SVD)".to_owned(),
        EncoderChoice::Sentence(folder) => format!("sentence model {}", inline(&super::manifest::file_name(folder))),
        EncoderChoice::Language(language) => {
            format!("language model {}", inline(&super::manifest::file_name(&language.folder)))
        }
        EncoderChoice::Precomputed(_) => "vectors made elsewhere".to_owned(),
    };
    let stop = match outcome.stop {
        Stop::Converged => "converged",
        Stop::FixedIterations => "ran its fixed number of iterations",
        Stop::StepLimit => "did NOT converge: the step limit came first",
        Stop::Stalled => "did NOT converge: the residual stopped falling",
    };
    writeln!(page, "- Encoder: {encoder}; fingerprint `{}`.", what.purified.fingerprint.hash)?;
    writeln!(
        page,
        "- Transport: λ = {} (0 only pulls, 1 only pushes), ε = {} × the median cost of each reference, seed {}, engine {}; it {stop} after {} iterations.",
        settings.lambda,
        settings.epsilon,
        settings.seed,
        inline(&outcome.engine),
        outcome.iterations
    )?;
    writeln!(
        page,
        "- Cut: by {}, keep {} (the machine keeps {} rows); loss weights: {}.",
        selection.rank_by, selection.keep, what.selection.machine_keep, selection.weights
    )?;
    writeln!(
        page,
        "- The learned weights count like {:.0} of {} rows (1/Σw²).",
        outcome.effective_rows,
        outcome.weights.len()
    )?;
    for warning in what.warnings() {
        writeln!(page, "- Warning: {}", inline(&warning))?;
    }
    writeln!(page)
}

fn explain(role: FileRole) -> &'static str {
    match role {
        FileRole::Purified => "the kept rows in the source's own schema, with weights",
        FileRole::Removed => "the rows that were left out",
        FileRole::Quarantine => "records that could not be read, with their raw text and the reason",
        FileRole::Weights => "score, pull, push, weight, rank and decision of every readable row",
        FileRole::Explanations => {
            "why each row stands where it stands: the dominating force, its transport mass on each group of references, the nearest references, one sentence"
        }
        FileRole::Decisions => "the reviewer's decisions; `--decisions` reads them",
        FileRole::Croissant => "machine-readable metadata",
        FileRole::Card => "this page",
    }
}

/// One line of text from outside, without Markdown or HTML of its own.
fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars().take(400) {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' => safe.extend(['\\', character]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// A YAML scalar: JSON strings are YAML.
fn yaml(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_cannot_break_the_page() {
        assert_eq!(inline("a|b`c\n<script>"), "a\\|b\\`c \\<script\\>");
        assert_eq!(yaml("a: \"b\"\n"), "\"a: \\\"b\\\"\\n\"");
        assert_eq!(croissant::slug("My data (v2).jsonl.gz"), "my-data--v2");
    }
}
