//! The vectors of one set.

/// A row-major n×d matrix of float32. Rows are unit vectors, or zero where the text was empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    rows: usize,
    dim: usize,
    data: Vec<f32>,
}

impl Embeddings {
    /// Takes row-major data as it is; `None` unless `data.len() == rows * dim`.
    pub fn new(rows: usize, dim: usize, data: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(dim) == Some(data.len())).then_some(Self { rows, dim, data })
    }

    /// Reads a matrix of floats from a NumPy `.npy` file, as it is: nothing is normalised.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds something else; the message says what.
    pub fn read_npy(path: &std::path::Path) -> Result<Self, super::EmbeddingError> {
        let (rows, dim, data) = super::npy::read_npy(path)?;
        Ok(Self { rows, dim, data })
    }

    /// Reads a vector of floats, one an entry, from a NumPy `.npy` file.
    ///
    /// # Errors
    /// As [`Self::read_npy`], and where the array is a matrix.
    pub fn read_npy_vector(path: &std::path::Path) -> Result<Vec<f32>, super::EmbeddingError> {
        super::npy::read_npy_vector(path)
    }

    /// All entries zero.
    pub(super) fn zeros(rows: usize, dim: usize) -> Self {
        Self { rows, dim, data: vec![0.0; rows.saturating_mul(dim)] }
    }

    /// Writes rows from `start` on; what does not fit is left out.
    pub(super) fn fill_from<'a>(&mut self, start: usize, rows: impl Iterator<Item = &'a [f32]>) {
        let dim = self.dim.max(1);
        for (target, source) in self.data.chunks_exact_mut(dim).skip(start).zip(rows) {
            target.iter_mut().zip(source).for_each(|(target, &source)| *target = source);
        }
    }

    /// No rows, no columns.
    pub fn empty() -> Self {
        Self { rows: 0, dim: 0, data: Vec::new() }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All entries, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All entries, row-major.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// One row, empty when out of range.
    pub fn row(&self, index: usize) -> &[f32] {
        let start = index.saturating_mul(self.dim);
        self.data.get(start..start.saturating_add(self.dim)).unwrap_or(&[])
    }

    /// Scales every row to unit length in place (norms in float64); zero rows stay zero.
    pub fn normalise(&mut self) {
        for row in self.data.chunks_exact_mut(self.dim.max(1)) {
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            }
        }
    }

    /// Puts matrices of equal width under each other; `None` when widths differ or the list is empty.
    pub fn stack(parts: &[&Self]) -> Option<Self> {
        let dim = parts.first()?.dim;
        if parts.iter().any(|part| part.dim != dim) {
            return None;
        }
        let rows = parts.iter().map(|part| part.rows).sum();
        let data = parts.iter().flat_map(|part| part.data.iter().copied()).collect();
        Self::new(rows, dim, data)
    }
}
