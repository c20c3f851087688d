//! What the window remembers between two starts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compare::CompareChoices;
use super::map::MapLook;
use super::tune::TuneChoices;
use crate::embedding::{EncoderChoice, Views};
use crate::selection::SelectionSettings;
use crate::selection::calibration::CalibrationSettings;
use crate::transport::Settings;

/// The step whose pane fills the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Data,
    Purify,
    Review,
    Export,
    Tune,
    Compare,
}

impl Step {
    pub const ALL: [Self; 6] = [Self::Data, Self::Purify, Self::Review, Self::Export, Self::Tune, Self::Compare];

    pub fn title(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Purify => "Purify",
            Self::Review => "Review",
            Self::Export => "Export",
            Self::Tune => "Tune",
            Self::Compare => "Compare",
        }
    }
}

/// How a run is made, apart from its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSettings {
    pub encoder: EncoderChoice,
    pub views: Option<Views>,
    pub solver: Settings,
    /// Find λ and ε by canaries, which is the window's default; `None` takes those of `solver`.
    pub calibration: Option<CalibrationSettings>,
    pub selection: SelectionSettings,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            encoder: EncoderChoice::Lexical,
            views: None,
            solver: Settings::default(),
            calibration: Some(CalibrationSettings::default()),
            selection: SelectionSettings::default(),
        }
    }
}

/// Everything that is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppState {
    pub dark: bool,
    /// Cover row texts until the pointer is on them.
    pub cover_texts: bool,
    pub show_map: bool,
    pub map: MapLook,
    pub map_height: f32,
    pub evidence_width: f32,
    pub run: RunSettings,
    pub export_folder: String,
    pub licences: String,
    /// Model folders that texts were compared with, the newest first.
    pub encoders: Vec<PathBuf>,
    pub tune: TuneChoices,
    pub compare: CompareChoices,
    pub window: [f32; 2],
}

impl Default for AppState {
    fn default() -> Self {
        Self {
            dark: true,
            cover_texts: false,
            show_map: true,
            map: MapLook::default(),
            map_height: 340.0,
            evidence_width: 380.0,
            run: RunSettings::default(),
            export_folder: String::new(),
            licences: String::new(),
            encoders: Vec::new(),
            tune: TuneChoices::default(),
            compare: CompareChoices::default(),
            window: [1440.0, 900.0],
        }
    }
}

impl AppState {
    /// Reads the saved state; anything unreadable gives the default, told in the log.
    pub fn load(path: &Path) -> Self {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!("the window's settings are set aside: {error}");
                Self::default()
            }),
            Err(_) => Self::default(),
        }
    }

    /// Writes the state beside itself and moves it into place.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let scratch = path.with_extension("json.new");
        std::fs::write(&scratch, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(scratch, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_disk_and_a_damaged_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/window.json");
        let state = AppState { dark: false, map_height: 123.0, ..AppState::default() };
        state.save(&path).expect("saved");
        assert_eq!(AppState::load(&path), state);
        std::fs::write(&path, b"{\"dark\": 7").expect("written");
        assert_eq!(AppState::load(&path), AppState::default());
    }
}
