//! The background work behind the settings panel: graphics adapters and the vector cache.
//!
//! Constraint: as in `work.rs`, jobs run on their own threads; this file only starts them and takes their results.

use std::path::PathBuf;

use super::app::{App, Found};
use crate::embedding::{EncoderChoice, LanguageChoice, Pool};
use crate::jobs::{Job, JobContext, JobFailure, JobState};
use crate::model::is_decoder;

/// The job that empties the vector cache.
const CLEARING: &str = "Clearing the vector cache";

impl Found {
    /// The encoder in a folder that was picked. Reads its configuration, so it is called in a job.
    pub(super) fn of_model(folder: PathBuf) -> Self {
        // What cannot be read says so when it is used.
        Self::Encoder(if is_decoder(&folder).unwrap_or(false) {
            EncoderChoice::Language(LanguageChoice { folder, pool: Pool::Last, layer: None })
        } else {
            EncoderChoice::Sentence(folder)
        })
    }
}

impl App {
    /// Looks for graphics adapters, once.
    pub(super) fn list_adapters(&mut self) {
        let (backend, ctx) = (self.backend.clone(), self.ctx.clone());
        let adapters = &mut self.session.adapters;
        if adapters.job.is_none() && adapters.list.is_none() {
            let work = move |_: &JobContext<()>| Ok::<_, String>(backend.adapters());
            adapters.job = Some(Job::spawn("Looking for graphics adapters", move || ctx.request_repaint(), work));
        }
    }

    pub(super) fn poll_adapters(&mut self) {
        let adapters = &mut self.session.adapters;
        let Some(job) = &mut adapters.job else { return };
        match job.poll() {
            JobState::Running => return,
            JobState::Done(list) => adapters.list = Some(list),
            JobState::Failed(JobFailure::Cancelled) | JobState::Taken => {}
            JobState::Failed(failure) => {
                (adapters.error, adapters.list) = (Some(failure.to_string()), Some(Vec::new()))
            }
        }
        adapters.job = None;
    }

    pub(super) fn clear_cache(&mut self) {
        if let Err(reason) = self.can_clear_cache() {
            self.say(&reason);
            return;
        }
        let (backend, ctx) = (self.backend.clone(), self.ctx.clone());
        self.session.cache.error = None;
        // A measurement that goes on is dropped: it would say what was there before.
        self.session.cache.job = Some(Job::spawn(
            CLEARING,
            move || ctx.request_repaint(),
            move |_: &JobContext<()>| {
                backend.clear_cache()?;
                backend.cache_size()
            },
        ));
    }

    pub(super) fn can_clear_cache(&self) -> Result<(), String> {
        let cache = &self.session.cache;
        if self.session.run.job.is_some() {
            Err("Wait until the run has ended: it uses the vectors.".to_owned())
        } else if cache.job.as_ref().is_some_and(|job| job.name() == CLEARING) {
            Err("It is being cleared.".to_owned())
        } else if cache.size.is_none_or(|size| size.files == 0) {
            Err("It is empty.".to_owned())
        } else {
            Ok(())
        }
    }

    pub(super) fn poll_cache(&mut self) {
        let cache = &mut self.session.cache;
        let Some(job) = &mut cache.job else { return };
        match job.poll() {
            JobState::Running => return,
            JobState::Done(size) => cache.size = size,
            JobState::Failed(JobFailure::Cancelled) | JobState::Taken => {}
            JobState::Failed(failure) => cache.error = Some(failure.to_string()),
        }
        cache.job = None;
    }
}
