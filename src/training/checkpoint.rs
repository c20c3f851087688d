//! What a run needs to go on, in one safetensors file that is replaced in one step.
//!
//! It holds the adapter's matrices, both moments of each, the best adapter so far, and the state as JSON in the
//! file's metadata. Random numbers and the order of rows follow from the seed and the step, so the step is all of
//! them that is kept. Constraint: killed at any moment, either the old file or the new one is there, whole.

use std::path::{Path, PathBuf};

use super::TrainError;
use super::optimiser::AdamW;
use crate::model::{TensorFile, write_tensors};

const NAME: &str = "checkpoint.safetensors";
const STATE: &str = "dipole";

/// Everything but numbers of matrices.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    /// Optimiser steps that are done.
    pub step: u64,
    /// Over settings, rows and model: a run is continued only by the same.
    pub run: String,
    pub best: Option<f64>,
    /// Evaluations since the best.
    pub worse: u64,
    /// The run has ended by early stopping.
    pub ended: bool,
}

/// A run at rest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    pub state: State,
    pub values: Vec<Vec<f32>>,
    pub optimiser: AdamW,
    /// The matrices with the lowest held-out loss; empty where none are kept.
    pub best: Vec<Vec<f32>>,
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// The step that the checkpoint in a run's folder stands behind; `None` where there is none that can be read.
pub fn checkpoint_step(folder: &Path) -> Option<u64> {
    let file = TensorFile::open(&path(folder)).ok()?;
    serde_json::from_str::<State>(file.metadata(STATE)?).ok().map(|state| state.step)
}

impl Checkpoint {
    pub(super) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let lists = [
            ("value", &self.values),
            ("first", &self.optimiser.first),
            ("second", &self.optimiser.second),
            ("best", &self.best),
        ];
        let tensors: Vec<_> = lists
            .into_iter()
            .flat_map(|(kind, list)| list.iter().enumerate().map(move |(number, values)| (kind, number, values)))
            .map(|(kind, number, values)| (format!("{kind}.{number}"), vec![values.len()], values.clone()))
            .collect();
        let state = serde_json::to_string(&self.state).unwrap_or_default();
        Ok(write_tensors(&path(folder), &tensors, &[(STATE, &state)])?)
    }

    /// The checkpoint of `folder`, `None` where there is none. `sizes` are those of the matrices.
    pub(super) fn read(folder: &Path, run: &str, sizes: &[usize]) -> Result<Option<Self>, TrainError> {
        let path = path(folder);
        if !path.exists() {
            return Ok(None);
        }
        let fault = |reason: String| TrainError::Resume { path: path.clone(), reason };
        let mut file = TensorFile::open(&path)?;
        let state = file.metadata(STATE).ok_or_else(|| fault("it is no checkpoint of a run".to_owned()))?;
        let state: State =
            serde_json::from_str(state).map_err(|error| fault(format!("its state cannot be read: {error}")))?;
        if state.run != run {
            let reason = "it is of a run with other settings, rows or another model; give those, or another --out";
            return Err(fault(reason.to_owned()));
        }
        let mut list = |kind: &str| {
            let each = sizes.iter().enumerate();
            each.map(|(number, size)| file.read_shaped(&format!("{kind}.{number}"), &[*size])).collect::<Result<_, _>>()
        };
        let (values, first, second) = (list("value")?, list("first")?, list("second")?);
        let best = if state.best.is_some() { list("best")? } else { Vec::new() };
        Ok(Some(Self { optimiser: AdamW { step: state.step, first, second }, state, values, best }))
    }
}
