//! The points in memory: what the GPU gets, and a grid to find the point under the pointer.

use parking_lot::Mutex;

use crate::project::Purified;
use crate::selection::Verdict;

use super::super::solved::Ranking;
use super::super::view::{Verdicts, ViewRows};

/// A point as the shader reads it.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Point {
    pub position: [f32; 2],
    pub unit: f32,
    pub bits: u32,
}

const RANK: u32 = 0x0fff_ffff;
const KEPT: u32 = 0x1000_0000;
const DROPPED: u32 = 0x2000_0000;
const OUTSIDE: u32 = 0x4000_0000;
const CELLS: usize = 256;

/// All points of a run.
pub struct PointCloud {
    /// What is drawn, with what has changed since it was last uploaded.
    pub drawn: Mutex<Drawn>,
    positions: Vec<[f32; 2]>,
    /// Smallest and largest x and y.
    pub low: [f32; 2],
    pub high: [f32; 2],
    /// Rows by cell: those of cell c are `items[starts[c]..starts[c + 1]]`.
    starts: Vec<u32>,
    items: Vec<u32>,
}

/// The points and their changes.
pub struct Drawn {
    pub points: Vec<Point>,
    /// The newest view that marked the rows outside the filter.
    view: u64,
    /// Counts whole changes.
    pub generation: u64,
    /// Single points changed within this generation.
    pub dirty: Vec<u32>,
}

impl PointCloud {
    /// x = pull (right is far from the safe reference), y = -push (up is close to the harmful one).
    pub fn new(purified: &Purified, ranking: &Ranking) -> Self {
        let outcome = &purified.outcome;
        let positions: Vec<[f32; 2]> =
            outcome.pull.iter().zip(&outcome.push).map(|(pull, push)| [finite(*pull), -finite(*push)]).collect();
        let points = positions
            .iter()
            .enumerate()
            .map(|(row, position)| Point {
                position: *position,
                unit: ranking.unit(row as u32),
                bits: ranking.ranks.get(row).copied().unwrap_or(RANK) & RANK,
            })
            .collect();
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for position in &positions {
            for axis in 0..2 {
                low[axis] = low[axis].min(position[axis]);
                high[axis] = high[axis].max(position[axis]);
            }
        }
        for axis in 0..2 {
            // Also true of no points: then low is above high.
            if high[axis] <= low[axis] {
                let middle = if low[axis].is_finite() { low[axis] } else { 0.0 };
                (low[axis], high[axis]) = (middle - 0.5, middle + 0.5);
            }
        }
        let (starts, items) = grid(&positions, low, high);
        let drawn = Mutex::new(Drawn { points, view: 0, generation: 0, dirty: Vec::new() });
        Self { drawn, positions, low, high, starts, items }
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub fn position(&self, row: u32) -> Option<[f32; 2]> {
        self.positions.get(row as usize).copied()
    }

    /// Marks the rows outside the filter. `view` counts the wishes: an older one that ends later changes nothing.
    pub fn set_visible(&self, rows: &ViewRows, view: u64) {
        let mut drawn = self.drawn.lock();
        if view < drawn.view {
            return;
        }
        drawn.view = view;
        let all = rows.len() >= self.len();
        for point in &mut drawn.points {
            point.bits = if all { point.bits & !OUTSIDE } else { point.bits | OUTSIDE };
        }
        if !all {
            for row in rows.iter() {
                if let Some(point) = drawn.points.get_mut(row as usize) {
                    point.bits &= !OUTSIDE;
                }
            }
        }
        drawn.generation += 1;
        drawn.dirty.clear();
    }

    /// Marks the rows whose verdict turned.
    pub fn set_verdicts(&self, turned: &[u32], now: &Verdicts) {
        let mut drawn = self.drawn.lock();
        for &row in turned {
            let bit = match now.get(&row).map(|decision| decision.verdict) {
                Some(Verdict::Keep) => KEPT,
                Some(Verdict::Drop) => DROPPED,
                None => 0,
            };
            if let Some(point) = drawn.points.get_mut(row as usize) {
                point.bits = point.bits & !(KEPT | DROPPED) | bit;
                drawn.dirty.push(row);
            }
        }
    }

    /// The row nearest to a place, within `reach` along each axis; distances are counted in reaches.
    pub fn nearest(&self, at: [f32; 2], reach: [f32; 2]) -> Option<u32> {
        let cell = |axis: usize, value: f32| cell_of(value, self.low[axis], self.high[axis]);
        let (x0, x1) = (cell(0, at[0] - reach[0]), cell(0, at[0] + reach[0]));
        let (y0, y1) = (cell(1, at[1] - reach[1]), cell(1, at[1] + reach[1]));
        let mut best: Option<(f32, u32)> = None;
        for y in y0..=y1 {
            let first = y * CELLS;
            let (Some(from), Some(to)) = (self.starts.get(first + x0), self.starts.get(first + x1 + 1)) else {
                continue;
            };
            for row in self.items.get(*from as usize..*to as usize).unwrap_or_default() {
                let Some(position) = self.position(*row) else { continue };
                let away = [(position[0] - at[0]) / reach[0], (position[1] - at[1]) / reach[1]];
                let distance = away[0] * away[0] + away[1] * away[1];
                if distance <= 1.0 && best.is_none_or(|(least, _)| distance < least) {
                    best = Some((distance, *row));
                }
            }
        }
        best.map(|(_, row)| row)
    }
}

fn finite(value: f64) -> f32 {
    let value = value as f32;
    if value.is_finite() { value } else { 0.0 }
}

fn cell_of(value: f32, low: f32, high: f32) -> usize {
    ((((value - low) / (high - low)) * CELLS as f32).max(0.0) as usize).min(CELLS - 1)
}

/// Counting sort of the rows by cell.
fn grid(positions: &[[f32; 2]], low: [f32; 2], high: [f32; 2]) -> (Vec<u32>, Vec<u32>) {
    let cell = |p: &[f32; 2]| cell_of(p[1], low[1], high[1]) * CELLS + cell_of(p[0], low[0], high[0]);
    let mut starts = vec![0u32; CELLS * CELLS + 1];
    for position in positions {
        starts[cell(position) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut items = vec![0u32; positions.len()];
    for (row, position) in positions.iter().enumerate() {
        let place = &mut next[cell(position)];
        items[*place as usize] = row as u32;
        *place += 1;
    }
    (starts, items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(positions: &[[f32; 2]]) -> PointCloud {
        let (low, high) = ([-1.0; 2], [1.0; 2]);
        let (starts, items) = grid(positions, low, high);
        let points = positions.iter().map(|position| Point { position: *position, unit: 0.0, bits: 1 }).collect();
        let drawn = Mutex::new(Drawn { points, view: 0, generation: 0, dirty: Vec::new() });
        PointCloud { drawn, positions: positions.to_vec(), low, high, starts, items }
    }

    #[test]
    fn the_nearest_point_agrees_with_looking_at_all() {
        // The finaliser of MurmurHash3: neighbours have nothing in common.
        let mixed = |i: u32| {
            let mut bits = (i ^ (i >> 16)).wrapping_mul(0x85eb_ca6b);
            bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
            ((bits ^ (bits >> 16)) >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let positions: Vec<[f32; 2]> = (0..2000).map(|i| [mixed(i), mixed(i + 5000)]).collect();
        let cloud = cloud(&positions);
        let mut found = 0;
        for i in 0..500 {
            let (at, reach) = ([mixed(i + 9000), mixed(i + 20_000)], [0.02, 0.05]);
            let distance = |row: u32| {
                let [x, y] = positions[row as usize];
                ((x - at[0]) / reach[0]).powi(2) + ((y - at[1]) / reach[1]).powi(2)
            };
            let nearest =
                (0..2000).filter(|row| distance(*row) <= 1.0).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
            assert_eq!(cloud.nearest(at, reach), nearest, "at {at:?}");
            found += usize::from(nearest.is_some());
        }
        assert!((100..500).contains(&found), "{found} of 500 places have a point near");
    }

    #[test]
    fn an_older_view_that_ends_later_changes_nothing() {
        let cloud = cloud(&[[0.0, 0.0], [0.5, 0.5]]);
        let outside = |cloud: &PointCloud| -> Vec<bool> {
            cloud.drawn.lock().points.iter().map(|point| point.bits & OUTSIDE != 0).collect()
        };
        cloud.set_visible(&ViewRows::List([1].into()), 2);
        assert_eq!(outside(&cloud), [true, false]);
        cloud.set_visible(&ViewRows::List([0].into()), 1);
        assert_eq!(outside(&cloud), [true, false]);
        cloud.set_visible(&ViewRows::All(2), 3);
        assert_eq!(outside(&cloud), [false, false]);
    }
}
