//! Everything that decides a purification, as one serialisable value.

use std::path::PathBuf;

use crate::data::Mapping;
use crate::embedding::{EncoderChoice, Views};
use crate::selection::SelectionSettings;
use crate::selection::calibration::CalibrationSettings;
use crate::transport::Settings;

/// What the user asked for. It is saved with the project and written into the manifest.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub custom: PathBuf,
    pub safe: Vec<PathBuf>,
    pub harmful: Vec<PathBuf>,
    /// Corrects the detected schema of the custom set.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    pub encoder: EncoderChoice,
    #[serde(default)]
    pub views: Option<Views>,
    #[serde(default)]
    pub settings: Settings,
    /// Finds λ and ε by canaries; the settings' own are not used then.
    #[serde(default)]
    pub calibration: Option<CalibrationSettings>,
    #[serde(default)]
    pub selection: SelectionSettings,
}

/// What else an export needs to know; none of it changes the rows.
#[derive(Debug, Clone, Default)]
pub struct ExportContext {
    /// Licences the user gave for the custom data, as SPDX names or free text.
    pub licences: Vec<String>,
    /// The sampled command line or "window".
    pub origin: String,
    /// [`super::Journal::head`] of the journal that the decisions come from.
    pub journal_head: Option<String>,
    /// Leaves `explanations.csv` out; it is the largest of the tables.
    pub skip_explanations: bool,
}
