//! A sentence encoder from a model folder as an [`Encoder`].
//!
//! Workers of one thread each take batches of texts of similar length. Constraint: the batches depend on the
//! texts alone, and a text's vector does not depend on its batch, so results are bit-equal for any thread count.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::json;

use super::{EmbeddingError, Encoder, Encoding, Fingerprint, Views};
use crate::jobs::Progress;
use crate::model::{SentenceModel, SentenceScratch, Tokens};

/// Tokens that go through the network at once: enough for the matrix products to run at full speed, few enough
/// for their operands to stay in the processor's cache.
const BATCH_TOKENS: usize = 1024;
/// Texts that a worker tokenises at a time.
const TEXTS_A_TASK: usize = 16;

/// See the module's header.
#[derive(Debug)]
pub(super) struct SentenceEncoder {
    model: SentenceModel,
}

impl SentenceEncoder {
    /// # Errors
    /// As [`SentenceModel::open`].
    pub(super) fn open(folder: &Path, progress: &dyn Progress) -> Result<Self, EmbeddingError> {
        Ok(Self { model: SentenceModel::open(folder, progress)? })
    }
}

impl Encoder for SentenceEncoder {
    fn fingerprint(&self) -> Fingerprint {
        let mut details = self.model.details();
        details.insert("dim".to_owned(), json!(self.model.dim()));
        Fingerprint { encoder: "sentence".to_owned(), hash: self.model.hash().to_hex().to_string(), details }
    }

    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn best_views(&self) -> Views {
        Views::RowResponsePrompt
    }

    fn encode(
        &self,
        texts: &[&str],
        threads: usize,
        progress: &dyn Progress,
        finished: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Encoding>, EmbeddingError> {
        let chunks: Vec<&[&str]> = texts.chunks(TEXTS_A_TASK).collect();
        let tokens = side_by_side(
            threads,
            &chunks,
            || (),
            |(), chunk| {
                progress.check()?;
                chunk.iter().map(|text| Ok(self.model.tokens(text)?)).collect::<Result<Vec<Tokens>, EmbeddingError>>()
            },
        )?;
        let tokens: Vec<Tokens> = tokens.into_iter().flatten().collect();
        let batches = batches(&tokens);
        let encoded = side_by_side(threads, &batches, SentenceScratch::default, |scratch, batch| {
            let of: Vec<&Tokens> = batch.iter().filter_map(|&text| tokens.get(text)).collect();
            let vectors = self.model.encode(&of, scratch, progress)?;
            finished(batch.len());
            Ok(vectors)
        })?;
        let mut encodings: Vec<Encoding> =
            tokens.iter().map(|tokens| Encoding { vector: Vec::new(), truncated: tokens.truncated() }).collect();
        for (text, vector) in batches.iter().flatten().zip(encoded.into_iter().flatten()) {
            if let Some(encoding) = encodings.get_mut(*text) {
                encoding.vector = vector;
            }
        }
        Ok(encodings)
    }
}

/// Numbers of texts, the longest first, in batches of at most [`BATCH_TOKENS`] tokens (or one text).
fn batches(tokens: &[Tokens]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    let length = |text: &usize| tokens.get(*text).map_or(0, Tokens::len);
    order.sort_by_key(|text| (std::cmp::Reverse(length(text)), *text));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for text in order {
        let length = length(&text);
        match batches.last_mut() {
            Some(batch) if length <= room => {
                batch.push(text);
                room -= length;
            }
            _ => {
                batches.push(vec![text]);
                room = BATCH_TOKENS.saturating_sub(length);
            }
        }
    }
    batches
}

/// One result a task, in order; each worker takes the next task that nobody has. After an error no task is begun.
pub(super) fn side_by_side<T: Sync, S, R: Send>(
    threads: usize,
    tasks: &[T],
    state: impl Fn() -> S + Sync,
    run: impl Fn(&mut S, &T) -> Result<R, EmbeddingError> + Sync,
) -> Result<Vec<R>, EmbeddingError> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, Result<R, EmbeddingError>)>> = Mutex::new(Vec::with_capacity(tasks.len()));
    let work = || {
        let mut state = state();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(number) else { break };
            let result = run(&mut state, task);
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            done.lock().push((number, result));
        }
    };
    std::thread::scope(|scope| {
        // The calling thread is a worker too.
        for _ in 1..threads.clamp(1, tasks.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
