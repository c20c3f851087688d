//! The three point clouds.

/// A borrowed row-major n×d float32 matrix of unit vectors.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub dim: usize,
}

impl<'a> Points<'a> {
    /// `None` unless `data.len() == rows * dim`.
    pub fn new(data: &'a [f32], rows: usize, dim: usize) -> Option<Self> {
        (rows.checked_mul(dim) == Some(data.len())).then_some(Self { data, rows, dim })
    }
}

impl<'a> From<&'a crate::embedding::Embeddings> for Points<'a> {
    fn from(embeddings: &'a crate::embedding::Embeddings) -> Self {
        Self { data: embeddings.data(), rows: embeddings.rows(), dim: embeddings.dim() }
    }
}

/// n custom rows, m_s safe and m_h harmful reference rows, all of the same dimension d.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    pub custom: Points<'a>,
    pub safe: Points<'a>,
    pub harmful: Points<'a>,
}
