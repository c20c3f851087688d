//! Warnings about custom rows that stand in a reference too.

use super::{ProjectError, Sets};
use crate::data::analysis::{AnalysisSettings, exact_leakage, leakage};
use crate::data::{Dataset, Severity};
use crate::jobs::Progress;

/// Up to this many rows in all sets, similar rows are looked for too, which reads every text: about a second. Beyond,
/// only equal rows are, by their content hashes; `dipole inspect` and the window look for both in sets of any size.
const NEAR_ROWS: usize = 20_000;

/// One sentence for each way in which a reference file shares rows with the custom set.
///
/// # Errors
/// A text cannot be read again, a file changed, or the user cancelled.
pub(super) fn warnings(sets: &Sets, progress: &dyn Progress) -> Result<Vec<String>, ProjectError> {
    let is_small = sets.all().map(Dataset::len).sum::<usize>() <= NEAR_ROWS;
    let safe = sets.safe.iter().map(|set| ("safe", set));
    let harmful = sets.harmful.iter().map(|set| ("harmful", set));
    let mut warnings = Vec::new();
    for (role, set) in safe.chain(harmful) {
        let found = if is_small {
            leakage(&sets.custom, set, &AnalysisSettings::default(), progress)?
        } else {
            exact_leakage(&sets.custom, set)
        };
        let findings = found.findings().into_iter().filter(|finding| finding.severity == Severity::Warning);
        warnings.extend(findings.map(|finding| format!("{role}: {} {}", finding.count, finding.message)));
    }
    Ok(warnings)
}
