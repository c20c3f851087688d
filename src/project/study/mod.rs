//! Studies: what a ranking is worth, on labelled sets, each by one call.
//!
//! Constraints: labels measure and choose nothing; a large set is measured on a seeded sample; every figure is written
//! as data beside the table and the plot that show it; seeds and intervals are told.

mod ablation;
mod attacks;
mod efficiency;
mod geometry;
mod ground;
mod interval;
mod plot;
mod quality;
mod records;
mod report;
mod robustness;
mod sample;
mod sensitivity;
mod tuning;

pub use ablation::ablation;
pub use attacks::Attack;
pub use efficiency::{EfficiencySettings, efficiency};
pub use geometry::geometry;
pub use ground::{Ground, SAMPLE, Trial, demo, stem, trials};
pub use interval::{Spread, delong};
pub use plot::{Plot, Scale, Series, Shape, Spot};
pub use quality::{Measurement, csv, measure, page};
pub use records::Records;
pub use report::{Cell, Report, Table};
pub use robustness::robustness;
pub use sensitivity::sensitivity;
pub use tuning::{TuningSettings, tuning};

use std::path::PathBuf;

use crate::embedding::EncoderChoice;
use crate::selection::SelectionSettings;
use crate::transport::Settings;

/// What every trial of a study shares.
#[derive(Debug, Clone)]
pub struct StudySettings {
    pub encoder: EncoderChoice,
    /// How the encoder is called in the table.
    pub encoder_name: String,
    pub selection: SelectionSettings,
    pub settings: Settings,
    pub cache_dir: Option<PathBuf>,
}
