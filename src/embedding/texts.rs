//! Sets of texts: what [`super::embed`] reads.
//!
//! Constraint: texts are made when they are asked for; nothing here keeps more than one besides
//! [`MemoryTexts`], which is for callers that hold them anyway.

use super::{EmbeddingError, View};
use crate::data::Dataset;

/// A set of texts, addressed by row index.
///
/// [`Dataset`] is one; so are `Vec<String>` (both views are the same text), [`MemoryTexts`], and [`Joined`].
pub trait Texts: Sync {
    /// How the set is called in errors (the file's name).
    fn name(&self) -> String;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The text of one row.
    ///
    /// # Errors
    /// The row is out of range or cannot be read.
    fn text(&self, index: usize, view: View) -> Result<String, EmbeddingError>;
}

impl Texts for Dataset {
    fn name(&self) -> String {
        let path = self.path();
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }

    fn len(&self) -> usize {
        Dataset::len(self)
    }

    fn text(&self, index: usize, view: View) -> Result<String, EmbeddingError> {
        let row = self.row(index)?;
        Ok(match view {
            View::Row => row.text(),
            View::Response => row.response(),
            View::Prompt => row.prompt(),
        })
    }
}

impl Texts for Vec<String> {
    fn name(&self) -> String {
        "texts".to_owned()
    }

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn text(&self, index: usize, _view: View) -> Result<String, EmbeddingError> {
        self.get(index).cloned().ok_or_else(|| no_such_row(&Texts::name(self), index, Vec::len(self)))
    }
}

/// Texts held in memory. The prompt of a row is the whole row.
#[derive(Debug, Clone, Default)]
pub struct MemoryTexts {
    pub name: String,
    /// The whole row, and its response.
    pub rows: Vec<(String, String)>,
}

impl MemoryTexts {
    /// A set in which the response of every row is the row itself.
    pub fn new<T: Into<String>>(name: impl Into<String>, rows: impl IntoIterator<Item = T>) -> Self {
        let rows = rows.into_iter().map(|row| row.into()).map(|row: String| (row.clone(), row)).collect();
        Self { name: name.into(), rows }
    }
}

impl Texts for MemoryTexts {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn text(&self, index: usize, view: View) -> Result<String, EmbeddingError> {
        let (row, response) = self.rows.get(index).ok_or_else(|| no_such_row(&self.name, index, self.rows.len()))?;
        Ok(match view {
            View::Row | View::Prompt => row.clone(),
            View::Response => response.clone(),
        })
    }
}

/// Several sets under each other as one: the files of one role.
#[derive(Clone)]
pub struct Joined<'a> {
    parts: Vec<&'a dyn Texts>,
}

impl<'a> Joined<'a> {
    /// Rows are numbered through the parts in order.
    pub fn new(parts: Vec<&'a dyn Texts>) -> Self {
        Self { parts }
    }
}

impl Texts for Joined<'_> {
    fn name(&self) -> String {
        self.parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(" + ")
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    fn text(&self, index: usize, view: View) -> Result<String, EmbeddingError> {
        let mut local = index;
        for part in &self.parts {
            match local.checked_sub(part.len()) {
                None => return part.text(local, view),
                Some(rest) => local = rest,
            }
        }
        Err(no_such_row(&self.name(), index, self.len()))
    }
}

fn no_such_row(set: &str, index: usize, rows: usize) -> EmbeddingError {
    EmbeddingError::Set { set: set.to_owned(), reason: format!("row {index} was asked for, the set has {rows} rows") }
}
