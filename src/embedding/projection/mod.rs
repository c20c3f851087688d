//! Embeddings in two dimensions, for the map.
//!
//! Purpose: [`principal_plane`] gives a picture at once; [`neighbour_embedding`] refines it so that rows that are near
//! each other in d dimensions stay near on the plane: McInnes, Healy and Melville, "UMAP: Uniform Manifold
//! Approximation and Projection" (2018), with the Cauchy kernel of Böhm, Berens and Kobak (JMLR 23, 2022).
//! Constraints: the same bits for a seed, whatever the number of threads; every set is placed together with the others;
//! memory is one copy of the vectors and O(n·k) beside it.

mod cells;
mod fuzzy;
mod layout;
mod neighbours;
mod principal;
mod quality;

pub use neighbours::{Neighbours, exact_neighbours, nearest_neighbours};
pub use principal::principal_plane;
pub use quality::trustworthiness;

use super::{EmbeddingError, Embeddings};
use crate::jobs::Progress;

/// A place on the plane.
pub type Place = [f32; 2];

/// How the plane is made.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectionSettings {
    /// k: how many neighbours of a row count, 2 to 200.
    pub neighbours: usize,
    /// Rounds of the layout; `None` takes 500 up to 10,000 rows and 200 above.
    pub epochs: Option<usize>,
    pub seed: u64,
    /// 0 takes all cores.
    pub threads: usize,
}

impl Default for ProjectionSettings {
    fn default() -> Self {
        Self { neighbours: 15, epochs: None, seed: 0, threads: 0 }
    }
}

/// Watches a layout come about.
pub trait LayoutObserver: Progress {
    /// Called after every epoch, from the thread that called; must be quick.
    fn layout(&self, places: &[Place]);
}

impl LayoutObserver for crate::jobs::Silent {
    fn layout(&self, _places: &[Place]) {}
}

/// Places the rows of all sets, in their order, near their nearest neighbours.
///
/// # Errors
/// Sets differ in width, `start` has another number of rows than the sets together, a setting is out of range, threads
/// cannot be started, or the user cancelled.
pub fn neighbour_embedding(
    sets: &[&Embeddings],
    start: &[Place],
    settings: &ProjectionSettings,
    observer: &dyn LayoutObserver,
) -> Result<Vec<Place>, EmbeddingError> {
    if !(2..=200).contains(&settings.neighbours) {
        return Err(unusable(format!("{} neighbours; give 2 to 200", settings.neighbours)));
    }
    let rows: usize = sets.iter().map(|set| set.rows()).sum();
    if start.len() != rows {
        return Err(unusable(format!("{} places to start from for {rows} rows", start.len())));
    }
    pool(settings.threads)?.install(|| {
        let graph = neighbours::find(sets, settings.neighbours, settings.seed, observer)?;
        if graph.k == 0 {
            return Ok(start.to_vec());
        }
        let edges = fuzzy::edges(&graph, observer)?;
        drop(graph);
        layout::arrange(&edges, start, settings, observer)
    })
}

/// The widths agree; returns it, and the rows of all sets together.
fn shape(sets: &[&Embeddings]) -> Result<(usize, usize), EmbeddingError> {
    let rows = sets.iter().map(|set| set.rows()).sum();
    // An empty set has no width of its own.
    let mut widths = sets.iter().filter(|set| set.rows() > 0).map(|set| set.dim());
    let dim = widths.next().unwrap_or(0);
    if let Some(other) = widths.find(|width| *width != dim) {
        return Err(unusable(format!("vectors of {dim} and of {other} dimensions; embed all sets together")));
    }
    if u32::try_from(rows).is_err() {
        return Err(unusable(format!("{rows} rows are more than a map holds")));
    }
    Ok((rows, dim))
}

fn pool(threads: usize) -> Result<rayon::ThreadPool, EmbeddingError> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    super::pool(threads)
}

fn unusable(reason: String) -> EmbeddingError {
    EmbeddingError::Set { set: "map".to_owned(), reason }
}

/// 64 bits from a counter: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `out[i][j] = a_i · b_j` for row-major blocks of vectors of length `dim`, on the calling thread.
fn products(a: &[f32], b: &[f32], dim: usize, out: &mut [f32]) {
    let (rows, columns) = (a.len() / dim.max(1), b.len() / dim.max(1));
    faer::linalg::matmul::matmul(
        faer::MatMut::from_row_major_slice_mut(out, rows, columns),
        faer::Accum::Replace,
        faer::MatRef::from_row_major_slice(a, rows, dim),
        faer::MatRef::from_row_major_slice(b, columns, dim).transpose(),
        1.0,
        faer::Par::Seq,
    );
}
