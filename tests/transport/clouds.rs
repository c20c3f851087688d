//! Seeded point clouds that look like embedded rows: unit vectors around topic centres.

use dipole::transport::{Points, Problem};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Owned vectors of one set.
#[derive(Clone)]
pub struct Cloud {
    pub data: Vec<f32>,
    pub rows: usize,
    pub dim: usize,
}

impl Cloud {
    /// `rows` vectors that `value(row, column)` gives.
    pub fn from_fn(rows: usize, dim: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        Self { data: (0..rows * dim).map(|k| value(k / dim, k % dim)).collect(), rows, dim }
    }

    /// Rows of this set in another order, or again.
    pub fn pick(&self, rows: &[usize]) -> Self {
        let data = rows.iter().flat_map(|row| self.row(*row)).copied().collect();
        Self { data, rows: rows.len(), dim: self.dim }
    }

    pub fn points(&self) -> Points<'_> {
        Points::new(&self.data, self.rows, self.dim).expect("rows times dim")
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }
}

/// Custom rows, references, and which custom rows were planted near the harmful ones.
#[derive(Clone)]
pub struct World {
    pub custom: Cloud,
    pub safe: Cloud,
    pub harmful: Cloud,
    pub planted: Vec<bool>,
}

impl World {
    pub fn problem(&self) -> Problem<'_> {
        Problem { custom: self.custom.points(), safe: self.safe.points(), harmful: self.harmful.points() }
    }
}

fn normal(random: &mut ChaCha8Rng) -> f32 {
    let (a, b): (f32, f32) = (random.random_range(1e-7f32..1.0), random.random_range(0.0f32..1.0));
    (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}

fn centres(random: &mut ChaCha8Rng, count: usize, dim: usize) -> Vec<Vec<f32>> {
    (0..count).map(|_| (0..dim).map(|_| normal(random)).collect()).collect()
}

fn near(random: &mut ChaCha8Rng, centre: &[f32], spread: f32, out: &mut Vec<f32>) {
    let row: Vec<f32> = centre.iter().map(|c| c + spread * normal(random)).collect();
    let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
    out.extend(row.iter().map(|v| v / norm));
}

/// 8 safe topics and 3 harmful ones; a tenth of the custom rows is planted in the harmful topics.
pub fn world(seed: u64, n: usize, m_safe: usize, m_harmful: usize, dim: usize) -> World {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (topics, dangers) = (centres(&mut random, 8, dim), centres(&mut random, 3, dim));
    let mut set = |rows: usize, share: f64| {
        let mut data = Vec::with_capacity(rows * dim);
        let mut planted = Vec::with_capacity(rows);
        for _ in 0..rows {
            let danger = random.random_range(0.0..1.0) < share;
            let list = if danger { &dangers } else { &topics };
            let centre = list[random.random_range(0..list.len())].clone();
            near(&mut random, &centre, 0.9, &mut data);
            planted.push(danger);
        }
        (Cloud { data, rows, dim }, planted)
    };
    let (custom, planted) = set(n, 0.1);
    let (safe, _) = set(m_safe, 0.0);
    let (harmful, _) = set(m_harmful, 1.0);
    World { custom, safe, harmful, planted }
}
