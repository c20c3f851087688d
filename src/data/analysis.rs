//! Stub.
use super::{DataError, Dataset};
use crate::jobs::Progress;

#[derive(Default)]
pub struct AnalysisSettings {}

#[derive(serde::Serialize)]
pub struct Analysis {}

impl Analysis {
    pub fn summarise(&self, _text: &mut String) -> std::fmt::Result {
        Ok(())
    }
}

pub fn analyse(_: &Dataset, _: &AnalysisSettings, _: &dyn Progress) -> Result<Analysis, DataError> {
    Ok(Analysis {})
}
