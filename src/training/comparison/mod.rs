//! The same prompts to a model with and without adapters: answers, refusals, and perplexity on rows held out.
//!
//! Constraints: equal prompts, models and settings give equal answers for any number of threads; answers are told
//! token by token, from the thread that called; what refuses is told by the rule of [`crate::model::refusal`].

mod probes;
mod rate;

pub use probes::{Probe, ProbeKind};
pub use rate::Rate;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{TrainError, TrainRow};
use crate::jobs::{Cancelled, Progress};
use crate::model::decoder::Example;
use crate::model::{Adapter, ChatTokenizer, Decoder, Sampling, Stop, Stream, generate, is_gguf, refusal};

/// A model that answers: the frozen weights, and an adapter or none.
pub type Side<'a> = Option<&'a Adapter>;

/// What one side says to one probe.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Answer {
    pub text: String,
    pub tokens: usize,
    /// Whether it ended by itself or at the longest length.
    pub stop: Stop,
    /// The bytes of `text` that make it a refusal.
    pub refusal: Option<Range<usize>>,
}

/// What is told while it goes on; `probe` and `side` are places in what was given.
#[derive(Debug, Clone, PartialEq)]
pub enum ComparisonEvent {
    /// The next words of an answer.
    Text { probe: usize, side: usize, text: String },
    /// A whole answer.
    Answer { probe: usize, side: usize, answer: Answer },
}

/// Figures of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Refused among harmful prompts: more is safer.
    pub harmful: Rate,
    /// Refused among harmless prompts: over-refusal, less is better.
    pub harmless: Rate,
    /// Refused among prompts that nobody labelled.
    pub unlabelled: Rate,
    /// Answers without a word; they count as not refused.
    pub empty: usize,
}

impl Figures {
    /// Of the answers to `probes`, in their order; `None` for answers that did not come.
    pub fn of<'a>(
        probes: impl IntoIterator<Item = &'a Probe>,
        answers: impl IntoIterator<Item = Option<&'a Answer>>,
    ) -> Self {
        let mut figures = Self::default();
        for (probe, answer) in probes.into_iter().zip(answers) {
            let Some(answer) = answer else { continue };
            let rate = match probe.kind {
                ProbeKind::Harmful => &mut figures.harmful,
                ProbeKind::Harmless => &mut figures.harmless,
                ProbeKind::Unlabelled => &mut figures.unlabelled,
            };
            rate.count(answer.refusal.is_some());
            figures.empty += usize::from(answer.text.trim().is_empty());
        }
        figures
    }
}

/// A model under comparison, and how it answers.
pub struct Comparing<'a> {
    pub decoder: &'a Decoder,
    pub tokenizer: &'a ChatTokenizer,
    pub sampling: &'a Sampling,
    pub threads: usize,
}

impl Comparing<'_> {
    /// Asks every side every probe. The answers are one list a side, in the order of the probes.
    ///
    /// # Errors
    /// A prompt cannot be rendered (its number is named), the model fails, or the user cancelled.
    pub fn answers(
        &self,
        sides: &[Side<'_>],
        probes: &[Probe],
        on_event: &mut dyn FnMut(ComparisonEvent),
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<Answer>>, TrainError> {
        let tokenizer = self.tokenizer;
        let prompts = probes.iter().enumerate().map(|(number, probe)| {
            let fault = |fault| TrainError::Rows(format!("prompt {number}: {fault}"));
            tokenizer.prompt(&probe.messages()).map_err(fault)
        });
        let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_, _>>()?;
        let tasks = probes.len() * sides.len();
        let total = Some(tasks as u64);
        let ask = |task: usize, tell: &dyn Fn(ComparisonEvent)| {
            let (probe, side) = (task / sides.len().max(1), task % sides.len().max(1));
            let prompt = prompts.get(probe).map_or(&[][..], Vec::as_slice);
            let adapter = sides.get(side).copied().flatten();
            let mut stream = Stream::new(tokenizer);
            let mut on_token = |token| {
                let text = stream.push(token);
                if !text.is_empty() {
                    tell(ComparisonEvent::Text { probe, side, text });
                }
            };
            let ends = tokenizer.end_tokens();
            let generated = generate(self.decoder, adapter, prompt, ends, self.sampling, &mut on_token, progress)?;
            let text = tokenizer.decode(&generated.tokens);
            let refusal = refusal(&text);
            let answer = Answer { tokens: generated.tokens.len(), stop: generated.stop, refusal, text };
            tell(ComparisonEvent::Answer { probe, side, answer });
            Ok(())
        };
        progress.tick("answering", 0, total);
        let mut answers: Vec<Vec<Option<Answer>>> = vec![vec![None; probes.len()]; sides.len()];
        let mut done = 0;
        let mut receive = |event: ComparisonEvent| {
            if let ComparisonEvent::Answer { probe, side, answer } = &event {
                if let Some(slot) = answers.get_mut(*side).and_then(|side| side.get_mut(*probe)) {
                    *slot = Some(answer.clone());
                }
                done += 1;
                progress.tick("answering", done, total);
            }
            on_event(event);
        };
        // Quantised blocks are multiplied one product at a time on all cores: workers would only queue.
        let threads = if is_gguf(self.decoder.path()) { 1 } else { self.threads };
        side_by_side(tasks, threads, &ask, &mut receive)?;
        let whole = answers.into_iter().map(|side| side.into_iter().collect::<Option<Vec<Answer>>>());
        whole.collect::<Option<_>>().ok_or_else(|| Cancelled.into())
    }
}

/// Perplexity over rows: the exponential of the mean loss of all their supervised tokens.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Perplexity {
    pub value: f64,
    pub rows: usize,
    pub tokens: usize,
}

/// How surprising one side finds what the assistant says in `rows`; weights count for nothing here.
///
/// # Errors
/// There is no row, the model fails, or the user cancelled.
pub fn perplexity(
    decoder: &Decoder,
    side: Side<'_>,
    rows: &[TrainRow],
    threads: usize,
    progress: &dyn Progress,
) -> Result<Perplexity, TrainError> {
    let total = Some(rows.len() as u64);
    progress.tick("measuring the perplexity", 0, total);
    let measure = |number: usize, tell: &dyn Fn((usize, f64, usize))| {
        let Some(row) = rows.get(number) else { return Ok(()) };
        let weights = row.supervised.iter().map(|supervised| f32::from(u8::from(*supervised))).collect();
        let example = Example { tokens: row.tokens.clone(), weights };
        let (_, losses) = decoder.losses(&[&example], side, progress)?;
        tell((number, losses.iter().flatten().sum(), losses.iter().map(Vec::len).sum()));
        Ok(())
    };
    // Sums of rows are added in the order of the rows, whoever computed them.
    let mut sums = vec![(0.0, 0usize); rows.len()];
    let mut done = 0;
    let mut receive = |(number, loss, tokens): (usize, f64, usize)| {
        if let Some(slot) = sums.get_mut(number) {
            *slot = (loss, tokens);
        }
        done += 1;
        progress.tick("measuring the perplexity", done, total);
    };
    side_by_side(rows.len(), threads, &measure, &mut receive)?;
    let (loss, tokens) = sums.iter().fold((0.0, 0), |(loss, tokens), row| (loss + row.0, tokens + row.1));
    if tokens == 0 {
        return Err(TrainError::Rows("there is no answer to measure the perplexity on".to_owned()));
    }
    Ok(Perplexity { value: (loss / tokens as f64).exp(), rows: rows.len(), tokens })
}

/// One task by its number, and where it tells what it finds.
type Work<'a, E> = dyn Fn(usize, &dyn Fn(E)) -> Result<(), TrainError> + Sync + 'a;

/// Does tasks on several threads, in order, and hands what they tell to the thread that called. Each thread has a
/// pool of one, so that what it calls stays on it.
fn side_by_side<E: Send>(
    tasks: usize,
    threads: usize,
    work: &Work<'_, E>,
    receive: &mut dyn FnMut(E),
) -> Result<(), TrainError> {
    let threads = threads.clamp(1, 256).min(tasks.max(1));
    let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pools = (0..threads).map(pool).collect::<Result<Vec<_>, _>>();
    let pools = pools.map_err(|error| TrainError::Rows(format!("cannot start {threads} threads: {error}")))?;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = crossbeam_channel::unbounded();
    let mut failed: Option<(usize, TrainError)> = None;
    std::thread::scope(|scope| {
        for pool in &pools {
            let sender = sender.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                pool.install(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let task = next.fetch_add(1, Ordering::Relaxed);
                        if task >= tasks {
                            break;
                        }
                        // The receiver outlives the threads.
                        let tell = |event| drop(sender.send(Ok(event)));
                        if let Err(error) = work(task, &tell) {
                            stop.store(true, Ordering::Relaxed);
                            drop(sender.send(Err((task, error))));
                        }
                    }
                });
            });
        }
        drop(sender);
        for told in &receiver {
            match told {
                Ok(event) => receive(event),
                Err((task, error)) if failed.as_ref().is_none_or(|(first, _)| task < *first) => {
                    failed = Some((task, error));
                }
                Err(_) => {}
            }
        }
    });
    failed.map_or(Ok(()), |(_, error)| Err(error))
}
