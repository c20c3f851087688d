//! `dipole bench project`: seconds and trustworthiness of the map's projection.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::arrays::clusters;
use super::median;
use crate::commands::terminal::Terminal;
use crate::embedding::projection::{
    LayoutObserver, Place, ProjectionSettings, neighbour_embedding, principal_plane, trustworthiness,
};
use crate::embedding::{Embeddings, write_npy};

/// What is projected, and how often.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Unit vectors, rows × dimensions; without it synthetic clusters are made
    #[arg(long, value_name = "FILE.npy")]
    pub x: Option<PathBuf>,
    /// Rows of the synthetic clusters
    #[arg(long, default_value_t = 20_000)]
    pub rows: usize,
    /// Dimensions of the synthetic clusters
    #[arg(long, default_value_t = 384)]
    pub dim: usize,
    #[arg(long, default_value_t = 15)]
    pub neighbours: usize,
    /// Rounds of the layout [default: 500 up to 10,000 rows, else 200]
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Worker threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Runs; the median is told
    #[arg(long, default_value_t = 1)]
    pub repeat: usize,
    /// Rows of the seeded sample that trustworthiness is measured on
    #[arg(long, default_value_t = 5_000)]
    pub sample: usize,
    /// Where to write the places, rows × 2 float32
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,
}

impl LayoutObserver for Terminal {
    fn layout(&self, _places: &[Place]) {}
}

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let vectors = match &arguments.x {
        Some(path) => Embeddings::read_npy(path)?,
        None => clusters(arguments.rows, arguments.dim, arguments.seed)?,
    };
    let settings = ProjectionSettings {
        neighbours: arguments.neighbours,
        epochs: arguments.epochs,
        seed: arguments.seed,
        threads: arguments.threads,
    };
    let (mut plane_s, mut embedding_s) = (Vec::new(), Vec::new());
    let (mut plane, mut places) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repeat.max(1) {
        let began = Instant::now();
        plane = principal_plane(&[&vectors], settings.seed, settings.threads, terminal)?;
        plane_s.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        places = neighbour_embedding(&[&vectors], &plane, &settings, terminal)?;
        embedding_s.push(began.elapsed().as_secs_f64());
    }
    let sample = sample(vectors.rows(), arguments.sample, arguments.seed);
    let some = rows_of(&vectors, &sample);
    let trust = |places: &[Place]| {
        let places: Vec<Place> = sample.iter().filter_map(|row| places.get(*row).copied()).collect();
        trustworthiness(&some, &places, 15)
    };
    if let Some(path) = &arguments.out {
        write_npy(path, &[places.len(), 2], places.concat().into_iter())?;
    }
    let (plane_s, embedding_s) = (median(plane_s), median(embedding_s));
    let (of_plane, of_embedding) = (trust(&plane), trust(&places));
    let shown = |trust: Option<f64>| trust.map_or("-".to_owned(), |trust| format!("{trust:.4}"));
    let text = format!(
        "{} rows, {} dimensions\nmain plane           {plane_s:.2} s   trustworthiness {}\nneighbour embedding  {embedding_s:.2} s   trustworthiness {}\n",
        vectors.rows(),
        vectors.dim(),
        shown(of_plane),
        shown(of_embedding)
    );
    let value = json!({
        "rows": vectors.rows(), "dim": vectors.dim(), "neighbours": settings.neighbours, "sample": sample.len(),
        "plane_s": plane_s, "embedding_s": embedding_s,
        "plane_trustworthiness": of_plane, "embedding_trustworthiness": of_embedding,
    });
    terminal.result(&value, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Different rows in ascending order, the same for a seed.
fn sample(rows: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..rows).collect();
    for place in 0..wanted.min(rows) {
        let other = random.random_range(place..rows);
        order.swap(place, other);
    }
    order.truncate(wanted.min(rows));
    order.sort_unstable();
    order
}

fn rows_of(vectors: &Embeddings, rows: &[usize]) -> Embeddings {
    let data = rows.iter().flat_map(|row| vectors.row(*row).iter().copied()).collect();
    Embeddings::new(rows.len(), vectors.dim(), data).unwrap_or_else(Embeddings::empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_and_in_order() {
        let rows = sample(100, 30, 7);
        assert_eq!(rows.len(), 30);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows.iter().all(|row| *row < 100));
        assert_eq!((sample(100, 30, 7) == rows, sample(100, 30, 8) == rows), (true, false));
    }
}
