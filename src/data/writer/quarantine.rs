//! The records set aside, as JSON lines with their raw text.

use std::path::Path;

use serde_json::json;

use super::{Output, tick};
use crate::data::{DataError, Dataset};
use crate::jobs::Progress;

/// Writes one JSON object for each quarantined record: where it stands, why it is no row, and its raw text (at most the first
/// MiB; `raw_hex` besides where it is not UTF-8). Returns how many there are.
///
/// # Errors
/// The file cannot be written, the data set changed on disk, or the user cancelled.
pub fn write_quarantine(dataset: &Dataset, path: &Path, progress: &dyn Progress) -> Result<u64, DataError> {
    let total = usize::try_from(dataset.stats().quarantined).unwrap_or(usize::MAX);
    let mut output = Output::create(path)?;
    let records = (0..total).map_while(|place| dataset.quarantined(place));
    for (done, record) in records.enumerate() {
        tick(progress, done, total)?;
        let raw = dataset.quarantined_raw(&record)?;
        let mut line = json!(record);
        if let Some(object) = line.as_object_mut() {
            object.insert("raw".to_owned(), json!(String::from_utf8_lossy(&raw)));
            if std::str::from_utf8(&raw).is_err() {
                let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
                object.insert("raw_hex".to_owned(), json!(hex));
            }
        }
        output.write(line.to_string().as_bytes())?;
        output.write(b"\n")?;
    }
    output.finish()?;
    Ok(total as u64)
}
