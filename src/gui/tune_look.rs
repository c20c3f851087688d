//! What is known before a run begins: the base model, the rows, how a row is tokenised, what it all would take.
//!
//! Constraint: paths are looked at and rows tokenised by jobs; a newer choice ends the look at an older one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use super::tune::{BaseModel, Forecast, Preview, PreviewState, RowsFile, RowsFrom, failure};
use crate::data::{Dataset, OpenOptions, Row};
use crate::jobs::{Job, JobContext, JobState};
use crate::model::{ChatTokenizer, DecoderFacts};
use crate::project::tuning::rows_file;
use crate::project::unpack_starter;
use crate::training::{MemoryEstimate, steps_of};

/// How long a forecast stands.
const FORECAST_AGAIN: Duration = Duration::from_secs(2);

impl App {
    /// Works out what a run with the chosen settings would take, where that may have changed.
    pub(super) fn forecast(&mut self) {
        let tune = &self.session.tune;
        let (Some(model), Some(rows)) = (tune.base.ok(), self.rows_to_tune()) else {
            self.session.tune.forecast = None;
            return;
        };
        let workers = self.state.tune.threads(self.options.threads);
        let of = (model.path.clone(), rows, self.state.tune.settings.clone(), workers);
        if tune.forecast.as_ref().is_some_and(|known| known.of == of && known.at.elapsed() < FORECAST_AGAIN) {
            return;
        }
        let settings = &of.2;
        let weights = model.facts.weight_bytes(settings.precision);
        let longest = settings.max_tokens as u64;
        let memory = MemoryEstimate::new(&model.facts.spec, weights, settings, longest, workers as u64);
        let steps = steps_of(rows, settings);
        self.session.tune.forecast = Some(Forecast { steps, memory, of, at: Instant::now() });
    }

    pub(super) fn follow_choices(&mut self) {
        let (base, file) = (self.state.tune.base_path(), self.state.tune.file_path());
        let (wake, wake_rows) = (self.waker(), self.waker());
        let starter = self.options.starter.clone();
        let tune = &mut self.session.tune;
        tune.base.follow(&base, "Looking at the base model", wake, move |path, _| {
            if starter.as_deref() == Some(path) {
                unpack_starter(path).map_err(|error| error.to_string())?;
            }
            look_at_model(path)
        });
        if self.state.tune.rows_from == RowsFrom::File {
            tune.rows.follow(&file, "Reading the rows", wake_rows, |path, context| {
                let path = rows_file(path).map_err(|error| error.to_string())?;
                let data = Dataset::open(&path, &OpenOptions::default(), context).map_err(|error| error.to_string())?;
                Ok(RowsFile { path, data })
            });
        }
    }

    /// The next row of those chosen, `by` rows on; kept rows only where these are trained on.
    pub(super) fn step_preview(&mut self, by: isize) {
        let is_kept = self.state.tune.rows_from == RowsFrom::Kept;
        let rows = if is_kept { self.session.rows() } else { self.rows_to_tune().unwrap_or(0) };
        let mut at = self.session.tune.preview.row;
        loop {
            let next = at.saturating_add_signed(by);
            if next == at || next >= rows {
                return;
            }
            at = next;
            if !is_kept || self.session.fate(at as u32).kept {
                break;
            }
        }
        self.session.tune.preview.row = at;
    }

    /// Tokenises the chosen row in the background.
    pub(super) fn poll_preview(&mut self) {
        let wake = self.waker();
        let (choices, is_kept) = (&self.state.tune, self.state.tune.rows_from == RowsFrom::Kept);
        let source = if is_kept {
            self.session.custom_rows().filter(|_| self.session.solved.is_some()).cloned()
        } else {
            self.session.tune.rows.ok().map(|rows| Arc::new(rows.data.clone()) as super::backend::Handle)
        };
        let path = if is_kept {
            self.session.custom().map(|file| file.path.clone()).unwrap_or_default()
        } else {
            choices.file_path()
        };
        let of = self.session.tune.preview.of.as_ref();
        let same_rows = of.is_some_and(|of| of.1 == choices.rows_from && of.2 == path);
        let first = if same_rows { Some(self.session.tune.preview.row) } else { self.first_row(is_kept) };
        let tune = &mut self.session.tune;
        let (Some(source), Some(model), Some(first)) = (source, tune.base.ok().cloned(), first) else {
            tune.preview = PreviewState::default();
            return;
        };
        let preview = &mut tune.preview;
        if !same_rows {
            preview.row = first;
        }
        let of = (model.path.clone(), choices.rows_from, path, preview.row, choices.settings.max_tokens);
        if preview.of.as_ref() != Some(&of) {
            let (row, most) = (preview.row, choices.settings.max_tokens);
            let work =
                move |_: &JobContext<()>| Ok::<_, String>(look_at_row(&source.row(row)?, &model.tokenizer, most));
            preview.job = Some(Job::spawn("Tokenising a row", wake, work));
            preview.of = Some(of);
        }
        if let Some(job) = &mut preview.job {
            preview.found = match job.poll() {
                JobState::Running => return,
                JobState::Done(found) => Some(Ok(found)),
                JobState::Failed(failed) => failure(failed).map(Err),
                JobState::Taken => None,
            };
            preview.job = None;
        }
    }

    fn first_row(&self, is_kept: bool) -> Option<usize> {
        if is_kept && self.session.counts.kept == 0 {
            None
        } else if is_kept {
            (0..self.session.rows()).find(|row| self.session.fate(*row as u32).kept)
        } else {
            self.rows_to_tune().filter(|rows| *rows > 0).map(|_| 0)
        }
    }
}

fn look_at_model(path: &Path) -> Result<BaseModel, String> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(format!("{}: it is a file; give the folder that the model's files lie in", path.display()));
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    }
    let facts = DecoderFacts::read(path).map_err(|error| error.to_string())?;
    let tokenizer = ChatTokenizer::open(path, &facts.spec).map_err(|error| error.to_string())?;
    Ok(BaseModel { path: path.to_owned(), facts, tokenizer })
}

fn look_at_row(row: &Row, tokenizer: &ChatTokenizer, most: usize) -> Preview {
    match tokenizer.row(row, most) {
        Ok(tokens) => Preview {
            number: row.number,
            tokens: tokens.tokens.len(),
            supervised: tokens.supervised_tokens(),
            cut: tokens.cut,
            pieces: Ok(tokenizer.preview(&tokens)),
        },
        Err(fault) => Preview { number: row.number, pieces: Err(fault.to_string()), tokens: 0, supervised: 0, cut: 0 },
    }
}
