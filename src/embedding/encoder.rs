//! Frozen encoders: the trait, and the loop that feeds one from sets of texts through the cache.
//!
//! Constraints: an encoder maps a text to a vector and to nothing else, so vectors are cached by text alone;
//! the batches do not depend on the number of threads; a window of rows is in memory, never a set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{
    Cache, EmbedSettings, Embedded, EmbeddingError, Embeddings, Fingerprint, Texts, View, Views, concatenate, pool,
};
use crate::jobs::Progress;

/// Rows that are read, looked up, encoded and stored at once.
const WINDOW: usize = 1024;

/// The vector of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    pub vector: Vec<f32>,
    /// The text was longer than the encoder reads.
    pub truncated: bool,
}

/// A frozen network that turns a text into a vector. Sentence encoders are one, hidden states of a causal
/// language model another.
pub trait Encoder: Sync {
    /// What decides the vectors, views apart.
    fn fingerprint(&self) -> Fingerprint;

    /// Length of every vector.
    fn dim(&self) -> usize;

    /// The views that were measured best.
    fn best_views(&self) -> Views;

    /// One encoding a text, in order, the same for any number of threads. `finished` is told how many more
    /// texts are done. No text is empty.
    ///
    /// # Errors
    /// The files of the model contradict each other, or the user cancelled.
    fn encode(
        &self,
        texts: &[&str],
        threads: usize,
        progress: &dyn Progress,
        finished: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Encoding>, EmbeddingError>;
}

/// Embeds the sets with a frozen encoder.
///
/// # Errors
/// A text cannot be read, the encoder failed, or the user cancelled. A cache that cannot be read or written is
/// logged and done without.
pub(super) fn embed(
    encoder: &dyn Encoder,
    sets: &[&dyn Texts],
    settings: &EmbedSettings,
    progress: &dyn Progress,
) -> Result<Embedded, EmbeddingError> {
    let views = settings.views.unwrap_or(encoder.best_views());
    let mut fingerprint = encoder.fingerprint();
    let cache = settings.cache_dir.as_deref().and_then(|folder| {
        Cache::open(folder, &fingerprint.hash, encoder.dim())
            .inspect_err(|error| tracing::warn!("the vector cache is not used: {error}"))
            .ok()
    });
    let total = sets.iter().map(|set| set.len()).sum();
    let threads = settings.threads.clamp(1, 256);
    let mut run = Run { encoder, cache, threads, progress, total, done: 0, computed: 0, cached: 0 };
    let mut matrices = Vec::with_capacity(sets.len());
    let mut truncated = Vec::with_capacity(sets.len());
    // Hashing the texts and looking them up runs on the same number of threads.
    let pool = pool(threads)?;
    for set in sets {
        let (matrix, cut) = pool.install(|| run.set(*set, views))?;
        matrices.push(matrix);
        truncated.push(cut);
    }
    progress.tick("embedding", total as u64, Some(total as u64));
    let mut hash = blake3::Hasher::new();
    hash.update(fingerprint.hash.as_bytes());
    hash.update(match views {
        Views::Row => b"row".as_slice(),
        Views::RowAndResponse => b"row+response",
        Views::RowResponsePrompt => b"row+response+prompt",
    });
    fingerprint.hash = hash.finalize().to_hex().to_string();
    fingerprint.details.insert("views".to_owned(), json!(views));
    fingerprint.details.insert("dim".to_owned(), json!(matrices.first().map_or(0, Embeddings::dim)));
    Ok(Embedded { sets: matrices, fingerprint, computed: run.computed, cached: run.cached, truncated })
}

struct Run<'a> {
    encoder: &'a dyn Encoder,
    cache: Option<Cache>,
    threads: usize,
    progress: &'a dyn Progress,
    total: usize,
    done: usize,
    computed: u64,
    cached: u64,
}

impl Run<'_> {
    fn set(&mut self, set: &dyn Texts, views: Views) -> Result<(Embeddings, u64), EmbeddingError> {
        let (rows, dim) = (set.len(), self.encoder.dim());
        let views = views.list();
        let mut parts = vec![Embeddings::zeros(rows, dim); views.len()];
        let mut truncated = 0;
        for start in (0..rows).step_by(WINDOW) {
            let end = (start + WINDOW).min(rows);
            let mut texts = Vec::with_capacity(views.len() * (end - start));
            for view in views {
                texts.extend(self.read(set, *view, start, end)?);
            }
            let encodings = self.window(&texts, end - start)?;
            let mut is_cut = vec![false; end - start];
            for (part, encodings) in parts.iter_mut().zip(encodings.chunks(end - start)) {
                part.fill_from(start, encodings.iter().map(|encoding| encoding.vector.as_slice()));
                is_cut.iter_mut().zip(encodings).for_each(|(cut, encoding)| *cut |= encoding.truncated);
            }
            truncated += is_cut.iter().filter(|cut| **cut).count() as u64;
            self.done += end - start;
            self.progress.tick("embedding", self.done as u64, Some(self.total as u64));
        }
        parts.iter_mut().for_each(Embeddings::normalise);
        let whole = if parts.len() == 1 { parts.pop() } else { None };
        Ok((whole.unwrap_or_else(|| concatenate(&parts)), truncated))
    }

    fn read(&self, set: &dyn Texts, view: View, start: usize, end: usize) -> Result<Vec<String>, EmbeddingError> {
        let read = |index| {
            self.progress.check()?;
            set.text(index, view)
        };
        (start..end).map(read).collect()
    }

    /// Encodings of the texts of `rows` rows: from the cache where they are there, each distinct text once.
    fn window(&mut self, texts: &[String], rows: usize) -> Result<Vec<Encoding>, EmbeddingError> {
        use rayon::prelude::*;
        let dim = self.encoder.dim();
        let empty = Encoding { vector: vec![0.0; dim], truncated: false };
        let keys: Vec<Option<[u8; 32]>> = texts
            .par_iter()
            .map(|text| (!text.trim().is_empty()).then(|| *blake3::hash(text.as_bytes()).as_bytes()))
            .collect();
        let mut found: HashMap<[u8; 32], Encoding> = HashMap::new();
        if let Some(cache) = &mut self.cache {
            found = cache.find(keys.iter().flatten());
            self.cached += keys.iter().flatten().filter(|key| found.contains_key(*key)).count() as u64;
        }
        let mut missing: Vec<(&[u8; 32], &str)> = Vec::new();
        let mut listed = std::collections::HashSet::new();
        for (key, text) in keys.iter().zip(texts) {
            if let Some(key) = key
                && !found.contains_key(key)
                && listed.insert(key)
            {
                missing.push((key, text));
            }
        }
        if !missing.is_empty() {
            let finished = AtomicUsize::new(0);
            let tell = |more: usize| {
                let now = finished.fetch_add(more, Ordering::Relaxed) + more;
                let rows_done = self.done + rows * now / missing.len();
                self.progress.tick("embedding", rows_done as u64, Some(self.total as u64));
            };
            let of: Vec<&str> = missing.iter().map(|(_, text)| *text).collect();
            let encodings = self.encoder.encode(&of, self.threads, self.progress, &tell)?;
            self.computed += encodings.len() as u64;
            if let Some(cache) = &mut self.cache
                && let Err(error) = cache.append(missing.iter().map(|(key, _)| **key).zip(&encodings))
            {
                tracing::warn!("vectors are no longer stored: {error}");
                self.cache = None;
            }
            found.extend(missing.iter().map(|(key, _)| **key).zip(encodings));
        }
        let encodings = keys.iter().map(|key| key.and_then(|key| found.get(&key)).unwrap_or(&empty).clone());
        Ok(encodings.collect())
    }
}
