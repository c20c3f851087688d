//! The embedded default encoder: no weights, fitted on the texts themselves.
//!
//! Hashed words, word pairs and character 4-grams ([`features`]), sublinear TF-IDF, randomised truncated SVD
//! ([`svd`]; latent semantic analysis, Deerwester et al. 1990), projection, unit length, centring by the mean of
//! all rows, unit length. Texts are read twice and kept nowhere; memory is bound by the buckets and by
//! [`FIT_ROWS`]. Nothing of it goes to the cache: fitting depends on the whole corpus and is faster than a disk.
//!
//! How it was weighed (ROC-AUC of the one-shot score over four pairs of a mixed set and a harmful reference):
//! pairs of words at half weight and 4-grams at a fifth do no harm anywhere and help foreign scripts and typing
//! errors; centring lifts λ = .7, ρ = .1 by .02 to .04 and leaves λ = .5, ρ = .1 as it is.

mod features;
mod sparse;
mod svd;

use std::sync::atomic::{AtomicU32, Ordering};

use pulp::Arch;
use rayon::prelude::*;
use serde_json::json;

use self::features::{BUCKETS, COLUMNS, Entry, GRAM, Scratch, features};
use self::sparse::{Sparse, Tf, sum_row};
use self::svd::{Basis, Scaled, truncated_svd};
use super::{EmbedSettings, Embedded, EmbeddingError, Embeddings, Fingerprint, Texts, View, Views, concatenate};
use crate::jobs::Progress;

/// Dimensions asked for; fewer when the corpus has fewer directions.
const RANK: usize = 256;
/// The SVD is fitted on at most this many rows; every set gives its share, and at least [`FIT_ROWS_OF_A_SET`].
const FIT_ROWS: usize = 24_576;
const FIT_ROWS_OF_A_SET: usize = 4_096;
/// From this many rows on, features of a single row are left out.
const DROP_SINGLES_FROM: usize = 1_000;
/// Weights of words, word pairs and character n-grams.
const KIND_WEIGHT: [f64; features::KINDS] = [1.0, 0.5, 0.2];
/// Rows that are read at once.
const BATCH: usize = 512;
/// A mean this long says that all rows are the same text: then there is nothing to centre.
const MAX_MEAN_NORM: f64 = 0.999;
/// Changes whenever the same texts would get other vectors.
const VERSION: u32 = 1;

/// Fits on all sets together and embeds them.
pub(super) fn embed(
    sets: &[&dyn Texts],
    settings: &EmbedSettings,
    progress: &dyn Progress,
) -> Result<Embedded, EmbeddingError> {
    let views = settings.views.unwrap_or(Views::Row);
    let (mut matrices, mut truncated) = embed_view(sets, View::Row, settings.seed, progress)?;
    let mut others = Vec::new();
    for view in views.list().iter().filter(|view| **view != View::Row) {
        let (part, cut) = embed_view(sets, *view, settings.seed, progress)?;
        others.push(part.into_iter());
        for (total, cut) in truncated.iter_mut().zip(cut) {
            *total = (*total).max(cut);
        }
    }
    if !others.is_empty() {
        let beside = |row| {
            let parts: Vec<Embeddings> =
                std::iter::once(row).chain(others.iter_mut().filter_map(Iterator::next)).collect();
            concatenate(&parts)
        };
        matrices = matrices.into_iter().map(beside).collect();
    }
    let rows: usize = sets.iter().map(|set| set.len()).sum();
    let details = json!({
        "version": VERSION,
        "dim": matrices.first().map_or(0, Embeddings::dim),
        "views": views,
        "features": format!("words, word pairs, character {GRAM}-grams"),
        "buckets": COLUMNS,
        "fitted_rows": Corpus { sets, view: View::Row }.fit_rows().iter().map(|fit| fit.count).sum::<usize>(),
        "seed": settings.seed,
    });
    let details = details.as_object().cloned().unwrap_or_default();
    let mut hash = blake3::Hasher::new();
    hash.update(b"dipole lexical");
    hash.update(serde_json::Value::Object(details.clone()).to_string().as_bytes());
    // The space depends on the corpus, so the vectors name it.
    for matrix in &matrices {
        hash.update(&(matrix.rows() as u64).to_le_bytes());
        hash.update(bytemuck::cast_slice(matrix.data()));
    }
    let hash = hash.finalize().to_hex().to_string();
    Ok(Embedded {
        sets: matrices,
        fingerprint: Fingerprint { encoder: "lexical".to_owned(), hash, details },
        computed: rows as u64,
        cached: 0,
        truncated,
    })
}

fn embed_view(
    sets: &[&dyn Texts],
    view: View,
    seed: u64,
    progress: &dyn Progress,
) -> Result<(Vec<Embeddings>, Vec<u64>), EmbeddingError> {
    let corpus = Corpus { sets, view };
    let total = corpus.len();
    let frequency: Vec<AtomicU32> = (0..COLUMNS).map(|_| AtomicU32::new(0)).collect();
    let fit = corpus.fit_rows();
    let mut fit_features: Vec<Vec<Entry>> = Vec::with_capacity(fit.iter().map(|set| set.count).sum());
    let mut truncated = vec![0u64; sets.len()];
    corpus.visit("counting words", progress, |set, rows| {
        rows.par_iter().flat_map_iter(|(_, (entries, _))| entries).for_each(|entry| {
            if let Some(count) = frequency.get(entry.index()) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        for (row, (entries, cut)) in rows {
            if let Some(truncated) = truncated.get_mut(set) {
                *truncated += u64::from(cut);
            }
            if fit.get(set).is_some_and(|fit| fit.contains(row)) {
                fit_features.push(entries);
            }
        }
    })?;
    let scale = inverse_document_frequency(&frequency, total);
    drop(frequency);
    let basis = fit_basis(&fit_features, &scale, seed, progress)?;
    drop(fit_features);
    let matrices = corpus.project(&basis, progress)?;
    Ok((matrices, truncated))
}

/// ln((1+n)/(1+df)) + 1, times the weight of the kind; zero for what never or (in a large corpus) once occurs.
fn inverse_document_frequency(frequency: &[AtomicU32], rows: usize) -> Vec<f32> {
    let least = if rows >= DROP_SINGLES_FROM { 2 } else { 1 };
    let weigh = |(column, frequency): (usize, &AtomicU32)| {
        let frequency = frequency.load(Ordering::Relaxed);
        if frequency < least {
            return 0.0;
        }
        let weight = KIND_WEIGHT.get(column / BUCKETS).copied().unwrap_or(0.0);
        (weight * (((1 + rows) as f64 / (1.0 + f64::from(frequency))).ln() + 1.0)) as f32
    };
    frequency.iter().enumerate().map(weigh).collect()
}

/// The directions, with the columns that have any; the vectors carry the column scales.
struct Fitted {
    /// Row of `basis` for each column; `u32::MAX` for none.
    place: Vec<u32>,
    basis: Basis,
}

fn fit_basis(rows: &[Vec<Entry>], scale: &[f32], seed: u64, progress: &dyn Progress) -> Result<Fitted, EmbeddingError> {
    let mut place = vec![u32::MAX; COLUMNS];
    let mut frequency = vec![0u32; COLUMNS];
    for entry in rows.iter().flatten() {
        if scale.get(entry.index()).is_some_and(|&scale| scale > 0.0)
            && let Some(frequency) = frequency.get_mut(entry.index())
        {
            *frequency += 1;
        }
    }
    // Frequent columns lie together, so that most reads of the basis find their page and line in a cache.
    let mut order: Vec<(u32, usize)> =
        frequency.iter().enumerate().filter(|(_, rows)| **rows > 0).map(|(column, rows)| (*rows, column)).collect();
    order.sort_unstable_by_key(|&(rows, column)| (std::cmp::Reverse(rows), column));
    let mut column_scale = Vec::with_capacity(order.len());
    for (_, column) in order {
        if let (Some(place), Some(&scale)) = (place.get_mut(column), scale.get(column)) {
            *place = column_scale.len() as u32;
            column_scale.push(scale);
        }
    }
    let rows: Vec<Vec<Entry>> =
        rows.iter().map(|row| moved(row, &place)).filter(|row: &Vec<Entry>| !row.is_empty()).collect();
    let tf = Tf::new();
    let row_scale: Vec<f32> = rows
        .iter()
        .map(|row| {
            let square = |e: &Entry| {
                let value = tf.of(e.count()) * column_scale.get(e.index()).copied().unwrap_or(0.0);
                f64::from(value) * f64::from(value)
            };
            (1.0 / row.iter().map(square).sum::<f64>().sqrt()) as f32
        })
        .collect();
    let by_row = Sparse::from_rows(&rows);
    drop(rows);
    let by_column = by_row.transposed(column_scale.len());
    let scaled = Scaled { by_row: &by_row, by_column: &by_column, row_scale: &row_scale, column_scale: &column_scale };
    let mut basis = truncated_svd(&scaled, RANK, seed, progress)?;
    svd::scale_rows(&mut basis.vectors, &column_scale, basis.rank);
    Ok(Fitted { place, basis })
}

/// The entries whose column has a place, with that place as their index. Order is kept.
fn moved(entries: &[Entry], place: &[u32]) -> Vec<Entry> {
    let to = |entry: &Entry| {
        let &place = place.get(entry.index()).filter(|&&place| place != u32::MAX)?;
        Some(Entry::new(place, entry.count()))
    };
    entries.iter().filter_map(to).collect()
}

/// `count` rows of a set, spread evenly.
struct Spread {
    rows: usize,
    count: usize,
}

impl Spread {
    fn contains(&self, row: usize) -> bool {
        // Row r is taken when it is the first with floor(r·count/rows) = k for some k.
        let (rows, count, row) = (self.rows as u128, self.count as u128, row as u128);
        rows <= count || row == 0 || row * count / rows != (row - 1) * count / rows
    }
}

struct Corpus<'a> {
    sets: &'a [&'a dyn Texts],
    view: View,
}

impl Corpus<'_> {
    fn len(&self) -> usize {
        self.sets.iter().map(|set| set.len()).sum()
    }

    fn fit_rows(&self) -> Vec<Spread> {
        let total = self.len();
        let share = |rows: usize| (rows as u128 * FIT_ROWS as u128 / total.max(1) as u128) as usize;
        let least = FIT_ROWS_OF_A_SET.min(FIT_ROWS / self.sets.len().max(1));
        let count = |rows: usize| if total <= FIT_ROWS { rows } else { share(rows).max(least).min(rows) };
        self.sets.iter().map(|set| Spread { rows: set.len(), count: count(set.len()) }).collect()
    }

    /// Reads every row once, in order, and hands its features over in batches.
    fn visit(
        &self,
        stage: &str,
        progress: &dyn Progress,
        mut take: impl FnMut(usize, Vec<(usize, (Vec<Entry>, bool))>),
    ) -> Result<(), EmbeddingError> {
        let total = self.len() as u64;
        let mut done = 0u64;
        for (number, set) in self.sets.iter().enumerate() {
            let rows = set.len();
            for start in (0..rows).step_by(BATCH) {
                progress.check()?;
                progress.tick(stage, done, Some(total));
                let end = (start + BATCH).min(rows);
                let batch: Vec<_> = (start..end)
                    .into_par_iter()
                    .with_min_len(16)
                    .map_init(Scratch::default, |scratch, row| {
                        progress.check()?;
                        Ok((row, features(&set.text(row, self.view)?, scratch)))
                    })
                    .collect::<Result<_, EmbeddingError>>()?;
                take(number, batch);
                done += (end - start) as u64;
            }
        }
        progress.tick(stage, total, Some(total));
        Ok(())
    }

    fn project(&self, fitted: &Fitted, progress: &dyn Progress) -> Result<Vec<Embeddings>, EmbeddingError> {
        let dim = fitted.basis.rank.max(1);
        let mut data: Vec<Vec<f32>> = self.sets.iter().map(|set| Vec::with_capacity(set.len() * dim)).collect();
        let (arch, tf) = (Arch::new(), Tf::new());
        self.visit("embedding", progress, |set, rows| {
            let Some(data) = data.get_mut(set) else { return };
            let start = data.len();
            data.resize(start + rows.len() * dim, 0.0);
            let Some(out) = data.get_mut(start..) else { return };
            out.par_chunks_exact_mut(dim).zip(rows.par_iter()).for_each(|(out, (_, (entries, _)))| {
                sum_row(arch, &tf, &moved(entries, &fitted.place), 1.0, &fitted.basis.vectors, out);
            });
        })?;
        let mut matrices = Vec::with_capacity(data.len());
        for (set, data) in self.sets.iter().zip(data) {
            let rows = data.len() / dim;
            let mut matrix = Embeddings::new(rows, dim, data).ok_or_else(|| EmbeddingError::Set {
                set: set.name(),
                reason: "the set changed while it was read; open it again".to_owned(),
            })?;
            matrix.normalise();
            matrices.push(matrix);
        }
        centre(&mut matrices, dim);
        Ok(matrices)
    }
}

/// Subtracts the mean of all rows that are not zero, and scales to unit length again. A row that is the mean
/// itself keeps its vector: only an empty text is zero.
fn centre(matrices: &mut [Embeddings], dim: usize) {
    let mut mean = vec![0f64; dim];
    let mut rows = 0u64;
    for row in matrices.iter().flat_map(|matrix| matrix.data().chunks_exact(dim)) {
        if row.iter().any(|&x| x != 0.0) {
            rows += 1;
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x));
        }
    }
    mean.iter_mut().for_each(|mean| *mean /= rows.max(1) as f64);
    if mean.iter().map(|x| x * x).sum::<f64>().sqrt() >= MAX_MEAN_NORM {
        return;
    }
    for matrix in matrices {
        matrix.data_mut().par_chunks_exact_mut(dim).for_each(|row| {
            let moved = |(&x, &mean): (&f32, &f64)| f64::from(x) - mean;
            let square: f64 = row.iter().zip(&mean).map(moved).map(|x| x * x).sum();
            if square > 1e-6 && row.iter().any(|&x| x != 0.0) {
                let norm = square.sqrt();
                row.iter_mut().zip(&mean).for_each(|(x, &mean)| *x = ((f64::from(*x) - mean) / norm) as f32);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::{EncoderChoice, MemoryTexts};
    use crate::jobs::Silent;

    fn solved(sets: &[MemoryTexts], threads: usize, views: Option<Views>) -> Embedded {
        let sets: Vec<&dyn Texts> = sets.iter().map(|set| set as &dyn Texts).collect();
        let settings = EmbedSettings { encoder: EncoderChoice::Lexical, views, cache_dir: None, threads, seed: 0 };
        crate::embedding::embed(&sets, &settings, &Silent).expect("embeds")
    }

    /// Rows about the garden and about the sea, and one that says nothing.
    fn sets() -> [MemoryTexts; 2] {
        let garden = ["roses", "tulips", "beans", "apples"];
        let sea = ["ships", "storms", "harbours", "whales"];
        let mut rows = Vec::new();
        for i in 0..60 {
            rows.push(format!("How do {} grow in a garden with {} and good soil?", garden[i % 4], garden[i / 4 % 4]));
            rows.push(format!("Tell me of {} and {} far out at sea, captain {i}.", sea[i % 4], sea[i / 4 % 4]));
        }
        rows.push("… !".to_owned());
        [MemoryTexts::new("custom", rows), MemoryTexts::new("safe", ["beans in a garden", "apples and good soil"])]
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let one = solved(&sets(), 1, Some(Views::RowAndResponse));
        for threads in [2, 5] {
            let other = solved(&sets(), threads, Some(Views::RowAndResponse));
            assert!(one.sets == other.sets, "{threads} threads");
            assert_eq!(one.fingerprint, other.fingerprint);
        }
    }

    #[test]
    fn vectors_have_unit_length_or_none_and_group_by_topic() {
        let embedded = solved(&sets(), 2, None);
        let [custom, safe] = embedded.sets.as_slice() else { panic!("two sets") };
        assert_eq!((custom.rows(), safe.rows(), custom.dim()), (121, 2, safe.dim()));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for row in 0..120 {
            assert!((dot(custom.row(row), custom.row(row)) - 1.0).abs() < 1e-5);
        }
        assert!(custom.row(120).iter().all(|value| *value == 0.0), "a text without words has no direction");
        let nearness =
            |parity: usize| -> Vec<f32> { (0..60).map(|k| dot(custom.row(2 * k + parity), safe.row(0))).collect() };
        let garden = nearness(0).into_iter().fold(f32::MAX, f32::min);
        let sea = nearness(1).into_iter().fold(f32::MIN, f32::max);
        assert!(garden > sea, "garden {garden}, sea {sea}");
        assert_ne!(embedded.fingerprint, solved(&sets()[1..], 2, None).fingerprint);
    }
}
