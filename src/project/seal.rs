//! The SEAL ranking on the sets of a plan.

use std::path::Path;
use std::time::Instant;

use candle_core::Device;

use super::{ProjectError, Sets};
use crate::jobs::Progress;
use crate::model::{ChatTokenizer, Decoder, Precision};
use crate::selection::comparison::Contender;
use crate::training::{self, Prepared, SealSettings, TrainError};

/// Ranks the custom rows by SEAL with the language model in `model`: the safe reference is what it is kept good at. The
/// harmful reference is not used.
///
/// # Errors
/// The model cannot be read or trained, a set has no row to train on, or the user cancelled.
pub fn seal(
    sets: &Sets,
    model: &Path,
    settings: &SealSettings,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Contender, ProjectError> {
    let began = Instant::now();
    let decoder = Decoder::open(model, Precision::Stored, &Device::Cpu, progress).map_err(TrainError::from)?;
    let tokenizer = ChatTokenizer::open(model, decoder.spec()).map_err(TrainError::from)?;
    let custom = training::prepare(&sets.custom, &tokenizer, &settings.training, progress)?;
    let mut safe = Prepared::default();
    for set in &sets.safe {
        safe.rows.extend(training::prepare(set, &tokenizer, &settings.training, progress)?.rows);
    }
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let score = training::seal(&decoder, &custom, &safe, sets.custom.len(), settings, threads, progress)?;
    Ok(Contender {
        name: "seal",
        about: "Drops rows that a model tuned to stay good at the safe reference learns to leave out.".to_owned(),
        score,
        weights: None,
        keeps_all: false,
        seconds: began.elapsed().as_secs_f64(),
    })
}
