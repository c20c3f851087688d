//! Groups of rows that are alike: exact repeats by content hash, and the joining of pairs into groups.

use rayon::slice::ParallelSliceMut;

use crate::data::Dataset;

/// Marks a row that is in no group.
pub const NO_GROUP: u32 = u32::MAX;

/// Rows that are alike, directly or through others.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Group {
    /// The first record numbers (0-based) of its rows, ascending, at most [`SHOWN_ROWS`].
    pub rows: Vec<u64>,
    /// All its rows.
    pub size: u64,
    /// The lowest Jaccard similarity of the pairs that hold it together; 1 for equal rows.
    pub similarity: f64,
}

/// At most this many rows of a group are listed.
pub const SHOWN_ROWS: usize = 20;

/// Counts over all groups, and the largest of them.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Groups {
    pub groups: u64,
    /// Rows in any group.
    pub rows: u64,
    /// Rows beyond the first of their group.
    pub surplus: u64,
    /// The largest groups, those of equal size by their first row.
    pub listed: Vec<Group>,
}

/// The first row of equal content, by row.
pub(super) struct Repeats {
    pub first_of: Vec<u32>,
}

/// Finds the rows of equal content hash.
pub(super) fn repeats(dataset: &Dataset) -> Repeats {
    let hashes = dataset.content_hashes();
    let mut order: Vec<u32> = (0..u32::try_from(hashes.len()).unwrap_or(u32::MAX)).collect();
    let hash = |row: &u32| hashes.get(*row as usize);
    order.par_sort_unstable_by(|a, b| hash(a).cmp(&hash(b)).then(a.cmp(b)));
    let mut first_of = vec![0; order.len()];
    let mut first = None;
    for row in &order {
        let same = first.filter(|first| hash(first) == hash(row));
        first = Some(same.unwrap_or(*row));
        if let (Some(place), Some(first)) = (first_of.get_mut(*row as usize), first) {
            *place = first;
        }
    }
    Repeats { first_of }
}

/// Disjoint sets of rows. The root of a set is its first row.
#[derive(Clone)]
pub(super) struct UnionFind {
    parent: Vec<u32>,
    /// By root: the lowest similarity that joined its set.
    similarity: Vec<f32>,
}

impl UnionFind {
    pub fn new(rows: usize) -> Self {
        let parent: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
        let similarity = vec![1.0; parent.len()];
        Self { parent, similarity }
    }

    pub fn root(&mut self, mut row: u32) -> u32 {
        while let Some(parent) = self.parent.get(row as usize).copied()
            && parent != row
        {
            // Halving the path keeps later walks short.
            let above = self.parent.get(parent as usize).copied().unwrap_or(parent);
            if let Some(place) = self.parent.get_mut(row as usize) {
                *place = above;
            }
            row = above;
        }
        row
    }

    pub fn join(&mut self, a: u32, b: u32, similarity: f32) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (first, second) = (a.min(b), a.max(b));
        let below = self.similarity.get(second as usize).copied().unwrap_or(1.0).min(similarity);
        if let Some(lowest) = self.similarity.get_mut(first as usize) {
            *lowest = lowest.min(below);
        }
        if let Some(parent) = self.parent.get_mut(second as usize) {
            *parent = first;
        }
    }

    /// The groups of two rows and more, and the number of its group by row.
    pub fn into_groups(mut self, dataset: &Dataset, listed: usize) -> (Groups, Vec<u32>) {
        let rows = u32::try_from(self.parent.len()).unwrap_or(u32::MAX);
        let mut size = vec![0_u32; self.parent.len()];
        for row in 0..rows {
            let root = self.root(row) as usize;
            if let Some(size) = size.get_mut(root) {
                *size += 1;
            }
        }
        let size_of = |root: u32| size.get(root as usize).copied().unwrap_or(0);
        let mut number = vec![NO_GROUP; self.parent.len()];
        let mut roots = Vec::new();
        let mut groups = Groups::default();
        for row in 0..rows {
            let root = self.root(row);
            if size_of(root) < 2 {
                continue;
            }
            let own = if root == row {
                groups.groups += 1;
                groups.rows += u64::from(size_of(root));
                groups.surplus += u64::from(size_of(root)) - 1;
                roots.push(root);
                u32::try_from(roots.len() - 1).unwrap_or(NO_GROUP)
            } else {
                number.get(root as usize).copied().unwrap_or(NO_GROUP)
            };
            if let Some(place) = number.get_mut(row as usize) {
                *place = own;
            }
        }
        roots.sort_by_key(|root| (std::cmp::Reverse(size_of(*root)), *root));
        roots.truncate(listed);
        let mut places: std::collections::HashMap<u32, usize> = roots.iter().copied().zip(0..).collect();
        groups.listed = roots
            .iter()
            .map(|root| Group {
                rows: Vec::new(),
                size: u64::from(size_of(*root)),
                similarity: f64::from(self.similarity.get(*root as usize).copied().unwrap_or(1.0)),
            })
            .collect();
        for row in 0..rows {
            if places.is_empty() {
                break;
            }
            let root = self.root(row);
            let Some(group) = places.get(&root).and_then(|place| groups.listed.get_mut(*place)) else { continue };
            group.rows.push(dataset.number(row as usize).unwrap_or(u64::from(row)));
            if group.rows.len() >= SHOWN_ROWS {
                places.remove(&root);
            }
        }
        (groups, number)
    }
}
