//! The background work of a comparison: loading the model, asking it with and without the adapter, its perplexity.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::app::{App, Found};
use super::compare::{CompareAction, CompareChoices, CompareEvent, CompareState, Compared, PromptsFrom, SIDES};
use super::pick;
use super::roles::name_of;
use super::state::Step;
use super::tune::{TuneAction, failure};
use crate::jobs::{Job, JobContext, JobState, Progress};
use crate::model::{Adapter, ChatTokenizer, Decoder, Precision, Sampling};
use crate::project::tuning::{StoredRun, held_out_rows};
use crate::project::unpack_starter;
use crate::training::{Comparing, ComparisonEvent, Probe, perplexity};

/// Prompts of a file that are asked.
const MOST_PROMPTS: usize = 500;
/// Held-out rows that the perplexity is measured on.
const MOST_ROWS: usize = 200;

/// Everything a comparison needs.
struct Request {
    base: PathBuf,
    adapter: PathBuf,
    choices: CompareChoices,
    typed: String,
    /// The run that made the adapter, where it is known.
    run: Option<StoredRun>,
    /// The base is the built-in model.
    is_starter: bool,
    threads: usize,
}

impl App {
    pub(super) fn apply_compare(&mut self, action: CompareAction) {
        match action {
            CompareAction::Set(choices) => self.state.compare = *choices,
            CompareAction::SetTyped(text) => self.session.tune.compare.typed = text,
            CompareAction::Of(folder) => {
                let Some(run) = self.session.tune.stored_or_shown(&folder) else { return };
                let (base, adapter) = (run.run.base.display().to_string(), run.adapter().display().to_string());
                (self.state.compare.base, self.state.compare.adapter) = (base, adapter);
                self.step = Step::Compare;
            }
            CompareAction::PickBase => {
                let start = Some(PathBuf::from(self.state.compare.base.trim()));
                self.small.push(pick::folder("Choose a base model", start, self.waker(), Found::CompareBase));
            }
            CompareAction::PickAdapter => {
                let start = Some(PathBuf::from(self.state.compare.adapter.trim()));
                self.small.push(pick::folder("Choose an adapter", start, self.waker(), Found::CompareAdapter));
            }
            CompareAction::PickPrompts => self.small.push(pick::prompts(self.waker())),
            CompareAction::Start => self.start_compare(),
            CompareAction::Stop => {
                if let Some(job) = &self.session.tune.compare.job {
                    job.cancel();
                }
            }
        }
    }

    /// Why nothing can be compared now.
    pub(super) fn can_compare(&self) -> Result<(), String> {
        let (choices, compare) = (&self.state.compare, &self.session.tune.compare);
        if compare.job.is_some() {
            Err("A comparison is going on.".to_owned())
        } else if self.session.tune.live.as_ref().is_some_and(|live| !live.control.is_paused()) {
            Err("Wait until fine-tuning has ended, or pause it: both need the processor.".to_owned())
        } else if choices.base.trim().is_empty() {
            Err("Choose the base model first.".to_owned())
        } else if choices.adapter.trim().is_empty() {
            Err("Choose an adapter first: fine-tune a model, or name a folder.".to_owned())
        } else if choices.prompts == PromptsFrom::File && choices.file.trim().is_empty() {
            Err("Choose a file of prompts first.".to_owned())
        } else if choices.prompts == PromptsFrom::Typed && compare.typed.trim().is_empty() {
            Err("Type a prompt first.".to_owned())
        } else {
            Ok(())
        }
    }

    fn start_compare(&mut self) {
        let choices = self.state.compare.clone();
        let base = PathBuf::from(choices.base.trim());
        let adapter = PathBuf::from(choices.adapter.trim());
        let run =
            self.session.tune.history.iter().find(|run| run.adapter() == adapter && run.run.base == base).cloned();
        let typed = self.session.tune.compare.typed.clone();
        let threads = self.state.tune.threads(self.options.threads);
        let title = Some((name_of(&base), run.as_ref().map_or_else(|| name_of(&adapter), |run| name_of(&run.folder))));
        let is_starter = self.options.starter.as_ref() == Some(&base);
        let request = Request { base, adapter, choices, typed: typed.clone(), run, is_starter, threads };
        let work = move |context: &JobContext<CompareEvent>| answer(&request, context);
        let job = Some(Job::spawn("Comparing answers", self.waker(), work));
        self.session.tune.compare = CompareState { typed, job, title, ..CompareState::default() };
        self.step = Step::Compare;
    }

    pub(super) fn poll_compare(&mut self) {
        let compare = &mut self.session.tune.compare;
        let Some(job) = &mut compare.job else { return };
        let events: Vec<CompareEvent> = job.drain_events().collect();
        let ended = job.poll();
        events.into_iter().for_each(|event| compare.hear(event));
        match ended {
            JobState::Running => return,
            JobState::Done(compared) => {
                for (side, answers) in compared.answers.into_iter().enumerate() {
                    for (probe, answer) in answers.into_iter().enumerate() {
                        compare.hear(CompareEvent::Said(ComparisonEvent::Answer { probe, side, answer }));
                    }
                }
                match compared.perplexity {
                    Ok(found) => found
                        .into_iter()
                        .enumerate()
                        .for_each(|(side, found)| compare.hear(CompareEvent::Perplexity(side, found))),
                    Err(reason) => compare.no_perplexity = Some(reason),
                }
            }
            JobState::Failed(failed) => {
                compare.error = failure(failed);
                compare.is_partial = compare.lacks_answers();
                if compare.error.is_some() {
                    compare.job = None;
                    self.complain("The comparison failed. The Compare step says why.");
                    return;
                }
            }
            JobState::Taken => {}
        }
        compare.job = None;
    }

    /// Takes a folder or file that was picked.
    pub(super) fn take_picked(&mut self, found: Found) {
        let text = |path: &Path| path.display().to_string();
        let mut tune = self.state.tune.clone();
        let mut compare = self.state.compare.clone();
        match found {
            Found::BaseModel(path) => tune.base = text(&path),
            Found::RowsFolder(path) => tune.file = text(&path),
            Found::CompareBase(path) => compare.base = text(&path),
            Found::CompareAdapter(path) => compare.adapter = text(&path),
            Found::Prompts(path) => compare.file = text(&path),
            _ => {}
        }
        self.actions.push_back(super::Action::Tune(TuneAction::Set(Box::new(tune))));
        self.actions.push_back(super::Action::Tune(TuneAction::Compare(CompareAction::Set(Box::new(compare)))));
    }
}

fn answer(request: &Request, context: &JobContext<CompareEvent>) -> Result<Compared, String> {
    let choices = &request.choices;
    let probes = match choices.prompts {
        PromptsFrom::BuiltIn => Probe::built_in(),
        PromptsFrom::Typed => Probe::lines(&request.typed, choices.kind),
        PromptsFrom::File => {
            let path = Path::new(choices.file.trim());
            Probe::read(path, choices.kind, MOST_PROMPTS, context).map_err(say)?
        }
    };
    context.emit(CompareEvent::Probes(probes.clone()));
    if request.is_starter {
        unpack_starter(&request.base).map_err(say)?;
    }
    let precision = request.run.as_ref().map_or(Precision::Stored, |run| run.run.settings.precision);
    let decoder = Decoder::open(&request.base, precision, &Device::Cpu, context).map_err(say)?;
    let tokenizer = ChatTokenizer::open(&request.base, decoder.spec()).map_err(say)?;
    let adapter = Adapter::read(&request.adapter, &decoder).map_err(say)?;
    let sides: [Option<&Adapter>; SIDES] = [None, Some(&adapter)];
    let sampling =
        Sampling { temperature: choices.temperature, max_tokens: choices.max_tokens.max(1), ..Sampling::default() };
    let comparing =
        Comparing { decoder: &decoder, tokenizer: &tokenizer, sampling: &sampling, threads: request.threads };
    let mut tell = |event| context.emit(CompareEvent::Said(event));
    let answers = comparing.answers(&sides, &probes, &mut tell, context).map_err(say)?;
    let held_out = match &request.run {
        None => Err("The adapter is of no run in the list, so no held-out rows are known.".to_owned()),
        Some(run) => match held_out_rows(&run.run, &tokenizer, MOST_ROWS, context) {
            Ok(rows) if rows.is_empty() => {
                Err("The run held out no rows. Set a held-out share to measure it.".to_owned())
            }
            Ok(rows) => Ok(rows),
            Err(_) if context.is_cancelled() => return Err("cancelled".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    };
    let perplexity = held_out.and_then(|rows| {
        let mut found = Vec::new();
        for (side, adapter) in sides.into_iter().enumerate() {
            let of_side = perplexity(&decoder, adapter, &rows, request.threads, context).map_err(say)?;
            context.emit(CompareEvent::Perplexity(side, of_side));
            found.push(of_side);
        }
        Ok(found)
    });
    if context.is_cancelled() {
        return Err("cancelled".to_owned());
    }
    Ok(Compared { answers, perplexity })
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}
