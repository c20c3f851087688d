//! The points in memory: what the GPU gets, and where each lies.
//!
//! Constraint: custom rows come first, then the safe, then the harmful references; a point has 16 bytes.

use std::sync::Arc;

use parking_lot::Mutex;

use super::look::{Class, ColourBy, Hidden, Shown};
use super::placement::Placement;
use crate::project::Purified;
use crate::selection::{RankBy, Verdict};

use super::super::selected::Selected;
use super::super::solved::Ranking;
use super::super::view::{Verdicts, ViewRows};

/// A point as the shader reads it.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Point {
    pub position: [f32; 2],
    pub look: u32,
    pub bits: u32,
}

const RANK: u32 = 0x0fff_ffff;
const KEPT: u32 = 0x1000_0000;
const DROPPED: u32 = 0x2000_0000;
const OUTSIDE: u32 = 0x4000_0000;
const SELECTED: u32 = 0x8000_0000;
const UNIT: u32 = 0xffff;
const SIZE_SHIFT: u32 = 16;
const ROLE_SHIFT: u32 = 24;

/// What a point stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Row(u32),
    Safe(u32),
    Harmful(u32),
}

/// All points of a run.
pub struct PointCloud {
    /// What is drawn, with what has changed since it was last uploaded.
    pub drawn: Mutex<Drawn>,
    /// Smallest and largest pull and -push of the custom rows.
    pub low: [f32; 2],
    pub high: [f32; 2],
    /// x = pull (right is far from the safe reference), y = -push (up is close to the harmful one); custom rows only.
    forces: Arc<Placement>,
    /// By meaning, all points; none until it is known.
    meaning: Mutex<Option<Arc<Placement>>>,
    /// Custom rows, safe and harmful references.
    counts: [usize; 3],
}

/// The points and their changes.
pub struct Drawn {
    pub points: Vec<Point>,
    /// Where the points lie in `points`.
    placed: Arc<Placement>,
    /// The newest view that marked the rows outside the filter.
    view: u64,
    selected: Selected,
    /// Counts whole changes.
    pub generation: u64,
    /// Single points changed within this generation.
    pub dirty: Vec<u32>,
}

impl PointCloud {
    pub fn new(purified: &Purified, ranking: &Ranking, colour_by: ColourBy) -> Self {
        let outcome = &purified.outcome;
        let places = outcome.pull.iter().zip(&outcome.push).map(|(pull, push)| [*pull as f32, -*push as f32]);
        let forces = Arc::new(Placement::new(places.collect()));
        let [custom, safe, harmful] = purified.vectors.as_ref();
        // Without the vectors of all rows there is no map by meaning.
        let known = custom.rows() == forces.len();
        let references = if known { [safe.rows(), harmful.rows()] } else { [0; 2] };
        let counts = [forces.len(), references[0], references[1]];
        let units = units(purified, ranking, colour_by);
        let rows = forces.len() as f64;
        let mut points = Vec::with_capacity(counts.iter().sum());
        for (row, position) in forces.positions().iter().enumerate() {
            let weight = outcome.weights.get(row).map_or(1.0, |weight| (weight * rows).max(0.0));
            let size = (weight.sqrt() * 90.0).min(255.0) as u32;
            points.push(Point {
                position: *position,
                look: u32::from(units.get(row).copied().unwrap_or(0)) | size << SIZE_SHIFT,
                bits: ranking.ranks.get(row).copied().unwrap_or(RANK) & RANK,
            });
        }
        for (role, count) in references.into_iter().enumerate() {
            let look = (role as u32 + 1) << ROLE_SHIFT;
            points.extend(std::iter::repeat_n(Point { position: [0.0; 2], look, bits: RANK }, count));
        }
        Self::of_points(points, forces, counts)
    }

    /// Custom rows alone, at the given places, ranked and coloured from left to right.
    pub fn of_places(places: Vec<[f32; 2]>) -> Self {
        let forces = Arc::new(Placement::new(places));
        let span = forces.high[0] - forces.low[0];
        let one = |(row, position): (usize, &[f32; 2])| {
            let unit = (position[0] - forces.low[0]) / span;
            Point { position: *position, look: (unit * UNIT as f32) as u32, bits: (row as u32 + 1) & RANK }
        };
        let points = forces.positions().iter().enumerate().map(one).collect();
        let counts = [forces.len(), 0, 0];
        Self::of_points(points, forces, counts)
    }

    fn of_points(points: Vec<Point>, forces: Arc<Placement>, counts: [usize; 3]) -> Self {
        let drawn = Drawn {
            points,
            placed: forces.clone(),
            view: 0,
            selected: Selected::default(),
            generation: 0,
            dirty: Vec::new(),
        };
        let (low, high) = (forces.low, forces.high);
        Self { drawn: Mutex::new(drawn), low, high, forces, meaning: Mutex::new(None), counts }
    }

    /// Custom rows.
    pub fn len(&self) -> usize {
        self.counts[0]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Custom rows, safe and harmful references.
    pub fn counts(&self) -> [usize; 3] {
        self.counts
    }

    /// Points of the map by meaning.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    pub fn stands_for(&self, point: u32) -> Stands {
        let [custom, safe, _] = self.counts.map(|count| count as u32);
        match point {
            row if row < custom => Stands::Row(row),
            safe_row if safe_row < custom + safe => Stands::Safe(safe_row - custom),
            harmful => Stands::Harmful(harmful - custom - safe),
        }
    }

    /// The point of the given reference row.
    pub fn reference(&self, harmful: bool, row: u32) -> u32 {
        let [custom, safe, _] = self.counts.map(|count| count as u32);
        custom + row + if harmful { safe } else { 0 }
    }

    /// Where the points lie; forces while the meaning is not known.
    pub fn placement(&self, shown: Shown) -> Arc<Placement> {
        match shown {
            Shown::Forces => self.forces.clone(),
            Shown::Meaning => self.meaning.lock().clone().unwrap_or_else(|| self.forces.clone()),
        }
    }

    pub fn meaning(&self) -> Option<Arc<Placement>> {
        self.meaning.lock().clone()
    }

    /// Takes a newer map by meaning; one of other rows is left alone.
    pub fn set_meaning(&self, placed: Arc<Placement>) {
        if placed.len() == self.total() {
            *self.meaning.lock() = Some(placed);
        }
    }

    /// Points that are drawn of a placement.
    pub fn drawn_points(&self, placed: &Placement) -> usize {
        placed.len().min(self.total())
    }

    /// Moves the drawn points to where `placed` has them, if they are not there.
    pub fn place(&self, placed: &Arc<Placement>) {
        let mut drawn = self.drawn.lock();
        if Arc::ptr_eq(&drawn.placed, placed) {
            return;
        }
        drawn.placed = placed.clone();
        drawn.points.iter_mut().zip(placed.positions()).for_each(|(point, position)| point.position = *position);
        drawn.generation += 1;
        drawn.dirty.clear();
    }

    /// Gives every custom row a new place on the colour scale.
    pub fn recolour(&self, units: &[u16]) {
        let mut drawn = self.drawn.lock();
        for (point, unit) in drawn.points.iter_mut().zip(units) {
            point.look = point.look & !UNIT | u32::from(*unit);
        }
        drawn.generation += 1;
        drawn.dirty.clear();
    }

    /// Marks the rows outside the filter. `view` counts the wishes: an older one that ends later changes nothing.
    pub fn set_visible(&self, rows: &ViewRows, view: u64) {
        let mut drawn = self.drawn.lock();
        if view < drawn.view {
            return;
        }
        drawn.view = view;
        let all = rows.len() >= self.len();
        for point in drawn.points.iter_mut().take(self.len()) {
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

    /// Marks the selected rows.
    pub fn set_selected(&self, rows: &Selected) {
        let mut drawn = self.drawn.lock();
        let drawn = &mut *drawn;
        if drawn.selected == *rows {
            return;
        }
        let before = std::mem::replace(&mut drawn.selected, rows.clone());
        for row in before.iter().filter(|row| !rows.contains(row)) {
            if let Some(point) = drawn.points.get_mut(row as usize) {
                point.bits &= !SELECTED;
                drawn.dirty.push(row);
            }
        }
        for row in rows.iter().filter(|row| !before.contains(row)) {
            if let Some(point) = drawn.points.get_mut(row as usize) {
                point.bits |= SELECTED;
                drawn.dirty.push(row);
            }
        }
    }

    /// The class of a point, when the machine drops the ranks up to `dropped`.
    pub fn class(drawn: &Drawn, point: u32, dropped: u32) -> Option<Class> {
        let Point { look, bits, .. } = *drawn.points.get(point as usize)?;
        Some(match (look >> ROLE_SHIFT) & 3 {
            1 => Class::Safe,
            2 => Class::Harmful,
            _ if bits & KEPT != 0 => Class::Kept,
            _ if bits & DROPPED != 0 || bits & RANK <= dropped => Class::Dropped,
            _ => Class::Kept,
        })
    }

    /// The point under a place, of those that are shown.
    pub fn nearest(
        &self,
        placed: &Placement,
        at: [f32; 2],
        reach: [f32; 2],
        dropped: u32,
        hidden: Hidden,
    ) -> Option<u32> {
        let drawn = self.drawn.lock();
        placed.nearest(at, reach, |point| Self::class(&drawn, point, dropped).is_some_and(|class| !hidden.has(class)))
    }

    /// The custom rows in a region, of those that are shown and within the filter.
    pub fn rows_inside(&self, placed: &Placement, polygon: &[[f32; 2]], dropped: u32, hidden: Hidden) -> Vec<u32> {
        let mut rows = placed.inside(polygon);
        let drawn = self.drawn.lock();
        rows.retain(|row| {
            let shown = Self::class(&drawn, *row, dropped).is_some_and(|class| !hidden.has(class));
            let outside = drawn.points.get(*row as usize).is_none_or(|point| point.bits & OUTSIDE != 0);
            (*row as usize) < self.len() && shown && !outside
        });
        rows
    }
}

/// True when the colours of a ranking's own figure are wanted, whose scale bends at the cut.
pub fn bends(ranking: &Ranking, colour_by: ColourBy) -> bool {
    matches!((ranking.by, colour_by), (RankBy::Score, ColourBy::Score) | (RankBy::Weight, ColourBy::Weight))
}

/// The place of every custom row on the colour scale.
pub fn units(purified: &Purified, ranking: &Ranking, colour_by: ColourBy) -> Vec<u16> {
    let outcome = &purified.outcome;
    let unit = |value: f32| (value.clamp(0.0, 1.0) * f32::from(u16::MAX)) as u16;
    if bends(ranking, colour_by) {
        return (0..ranking.len() as u32).map(|row| unit(ranking.unit(row))).collect();
    }
    let rows = outcome.weights.len() as f64;
    let values: Vec<f32> = match colour_by {
        ColourBy::Weight => outcome.weights.iter().map(|w| -(w * rows).max(1e-12).log10() as f32).collect(),
        ColourBy::Pull => outcome.pull.iter().map(|pull| *pull as f32).collect(),
        ColourBy::Push => outcome.push.iter().map(|push| -*push as f32).collect(),
        ColourBy::Score | ColourBy::Decision | ColourBy::Role => outcome.score.iter().map(|s| *s as f32).collect(),
    };
    let mut order = values.clone();
    // Half a per mille of outliers at each end does not set the scale.
    let last = order.len().saturating_sub(1);
    let mut at = |place: usize| order.select_nth_unstable_by(place, f32::total_cmp).1.to_owned();
    if values.is_empty() {
        return Vec::new();
    }
    let (low, high) = (at(last / 2000), at(last - last / 2000));
    let span = if high > low { high - low } else { 1.0 };
    values.iter().map(|value| unit((value - low) / span)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(ranks: &[u32]) -> PointCloud {
        let forces = Arc::new(Placement::new(ranks.iter().map(|rank| [*rank as f32, 0.0]).collect()));
        let points = ranks.iter().map(|rank| Point { position: [0.0; 2], look: 0, bits: *rank }).collect();
        PointCloud::of_points(points, forces, [ranks.len(), 0, 0])
    }

    #[test]
    fn an_older_view_that_ends_later_changes_nothing() {
        let cloud = cloud(&[1, 2]);
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

    #[test]
    fn hidden_classes_and_filtered_rows_are_neither_hovered_nor_taken() {
        let cloud = cloud(&[1, 2, 3, 4]);
        let placed = cloud.placement(Shown::Meaning);
        let everywhere = [[-9.0, -9.0], [9.0, -9.0], [9.0, 9.0], [-9.0, 9.0]];
        let mut hidden = Hidden::default();
        assert_eq!(cloud.rows_inside(&placed, &everywhere, 2, hidden), [0, 1, 2, 3]);
        hidden.toggle(Class::Dropped);
        assert_eq!(cloud.rows_inside(&placed, &everywhere, 2, hidden), [2, 3]);
        assert_eq!(cloud.nearest(&placed, [1.0, 0.0], [0.5; 2], 2, hidden), None);
        assert_eq!(cloud.nearest(&placed, [1.0, 0.0], [0.5; 2], 0, hidden), Some(0));
        cloud.set_visible(&ViewRows::List([3].into()), 1);
        assert_eq!(cloud.rows_inside(&placed, &everywhere, 2, hidden), [3]);
    }

    #[test]
    fn a_selection_marks_what_changed_and_no_more() {
        let cloud = cloud(&[1, 2, 3]);
        let taken = |cloud: &PointCloud| std::mem::take(&mut cloud.drawn.lock().dirty);
        cloud.set_selected(&[0, 2].into());
        let mut dirty = taken(&cloud);
        dirty.sort_unstable();
        assert_eq!(dirty, [0, 2]);
        cloud.set_selected(&[0, 2].into());
        assert!(taken(&cloud).is_empty());
        cloud.set_selected(&Selected::default());
        assert!(cloud.drawn.lock().points.iter().all(|point| point.bits & SELECTED == 0));
    }
}
