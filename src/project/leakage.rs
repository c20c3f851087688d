//! Warnings about custom rows that stand in a reference too.

use super::Sets;
use crate::data::analysis::exact_leakage;

/// One sentence for each reference file that shares rows with the custom set. Content hashes alone are compared, so
/// it costs no reading.
pub(super) fn warnings(sets: &Sets) -> Vec<String> {
    let safe = sets.safe.iter().map(|set| ("safe", set));
    let harmful = sets.harmful.iter().map(|set| ("harmful", set));
    safe.chain(harmful)
        .flat_map(|(role, set)| {
            let findings = exact_leakage(&sets.custom, set).findings();
            findings.into_iter().map(move |finding| format!("{role}: {} {}", finding.count, finding.message))
        })
        .collect()
}
