//! Where the points lie, with a grid that finds those under the pointer and inside a region.
//!
//! Constraint: a hover looks into the cells around the pointer alone, whatever the number of points.

/// Cells along each axis.
const CELLS: usize = 512;

/// Places of points and their grid.
#[derive(Debug)]
pub struct Placement {
    positions: Vec<[f32; 2]>,
    /// Smallest and largest x and y; apart, even of one point or none.
    pub low: [f32; 2],
    pub high: [f32; 2],
    /// Points by cell: those of cell c are `items[starts[c]..starts[c + 1]]`.
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Placement {
    /// A coordinate that is not finite becomes zero.
    pub fn new(mut positions: Vec<[f32; 2]>) -> Self {
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for position in &mut positions {
            for axis in 0..2 {
                if !position[axis].is_finite() {
                    position[axis] = 0.0;
                }
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
        Self { positions, low, high, starts, items }
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub fn positions(&self) -> &[[f32; 2]] {
        &self.positions
    }

    pub fn position(&self, point: u32) -> Option<[f32; 2]> {
        self.positions.get(point as usize).copied()
    }

    fn cell(&self, axis: usize, value: f32) -> usize {
        cell_of(value, self.low[axis], self.high[axis])
    }

    fn in_cells(&self, y: usize, from: usize, to: usize) -> &[u32] {
        let first = y * CELLS;
        match (self.starts.get(first + from), self.starts.get(first + to + 1)) {
            (Some(from), Some(to)) => self.items.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The point nearest to a place, within `reach` along each axis, among those that `counts` holds true for;
    /// distances are counted in reaches.
    pub fn nearest(&self, at: [f32; 2], reach: [f32; 2], counts: impl Fn(u32) -> bool) -> Option<u32> {
        let (x0, x1) = (self.cell(0, at[0] - reach[0]), self.cell(0, at[0] + reach[0]));
        let (y0, y1) = (self.cell(1, at[1] - reach[1]), self.cell(1, at[1] + reach[1]));
        let mut best: Option<(f32, u32)> = None;
        for y in y0..=y1 {
            for point in self.in_cells(y, x0, x1) {
                let Some(position) = self.position(*point) else { continue };
                let away = [(position[0] - at[0]) / reach[0], (position[1] - at[1]) / reach[1]];
                let distance = away[0] * away[0] + away[1] * away[1];
                if distance <= 1.0 && best.is_none_or(|(least, _)| distance < least) && counts(*point) {
                    best = Some((distance, *point));
                }
            }
        }
        best.map(|(_, point)| point)
    }

    /// The points inside a closed polygon (even-odd rule), in ascending order. A cell that no side crosses is in or out
    /// as a whole.
    pub fn inside(&self, polygon: &[[f32; 2]]) -> Vec<u32> {
        if polygon.len() < 3 {
            return Vec::new();
        }
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for corner in polygon {
            for axis in 0..2 {
                low[axis] = low[axis].min(corner[axis]);
                high[axis] = high[axis].max(corner[axis]);
            }
        }
        let step = [0, 1].map(|axis| (self.high[axis] - self.low[axis]) / CELLS as f32);
        let edge = |axis: usize, cell: usize| self.low[axis] + step[axis] * cell as f32;
        let mut found = Vec::new();
        for y in self.cell(1, low[1])..=self.cell(1, high[1]) {
            for x in self.cell(0, low[0])..=self.cell(0, high[0]) {
                let points = self.in_cells(y, x, x);
                if points.is_empty() {
                    continue;
                }
                // A little wider than the cell: a float on its edge may belong to either.
                let from = [edge(0, x) - 0.01 * step[0], edge(1, y) - 0.01 * step[1]];
                let to = [edge(0, x + 1) + 0.01 * step[0], edge(1, y + 1) + 0.01 * step[1]];
                if sides(polygon).any(|(a, b)| may_touch(a, b, from, to)) {
                    let inside = |point: &&u32| self.position(**point).is_some_and(|at| contains(polygon, at));
                    found.extend(points.iter().filter(inside));
                } else if contains(polygon, [(from[0] + to[0]) / 2.0, (from[1] + to[1]) / 2.0]) {
                    found.extend(points);
                }
            }
        }
        found.sort_unstable();
        found
    }
}

fn sides(polygon: &[[f32; 2]]) -> impl Iterator<Item = ([f32; 2], [f32; 2])> {
    polygon.iter().copied().zip(polygon.iter().copied().cycle().skip(1))
}

/// False only when the side certainly does not touch the rectangle.
fn may_touch(a: [f32; 2], b: [f32; 2], low: [f32; 2], high: [f32; 2]) -> bool {
    let apart = |axis: usize| a[axis].max(b[axis]) < low[axis] || a[axis].min(b[axis]) > high[axis];
    if apart(0) || apart(1) {
        return false;
    }
    // All corners on one side of the line.
    let across = |x: f32, y: f32| (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
    let corners = [across(low[0], low[1]), across(high[0], low[1]), across(low[0], high[1]), across(high[0], high[1])];
    !(corners.iter().all(|side| *side > 0.0) || corners.iter().all(|side| *side < 0.0))
}

/// The even-odd rule.
pub fn contains(polygon: &[[f32; 2]], at: [f32; 2]) -> bool {
    sides(polygon).fold(false, |inside, (a, b)| {
        let crosses = (a[1] > at[1]) != (b[1] > at[1]);
        if crosses && at[0] < (b[0] - a[0]) * (at[1] - a[1]) / (b[1] - a[1]) + a[0] { !inside } else { inside }
    })
}

fn cell_of(value: f32, low: f32, high: f32) -> usize {
    ((((value - low) / (high - low)) * CELLS as f32).max(0.0) as usize).min(CELLS - 1)
}

/// Counting sort of the points by cell.
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
    for (point, position) in positions.iter().enumerate() {
        let place = &mut next[cell(position)];
        items[*place as usize] = point as u32;
        *place += 1;
    }
    (starts, items)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finaliser of MurmurHash3: neighbours have nothing in common.
    fn mixed(i: u32) -> f32 {
        let mut bits = (i ^ (i >> 16)).wrapping_mul(0x85eb_ca6b);
        bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
        ((bits ^ (bits >> 16)) >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn scattered(count: u32) -> Placement {
        Placement::new((0..count).map(|i| [mixed(i), mixed(i + 5000)]).collect())
    }

    #[test]
    fn the_nearest_point_agrees_with_looking_at_all() {
        let placed = scattered(2000);
        let even = |point: u32| point.is_multiple_of(2);
        let mut found = 0;
        for i in 0..500 {
            let (at, reach) = ([mixed(i + 9000), mixed(i + 20_000)], [0.02, 0.05]);
            let distance = |point: u32| {
                let [x, y] = placed.positions[point as usize];
                ((x - at[0]) / reach[0]).powi(2) + ((y - at[1]) / reach[1]).powi(2)
            };
            let near = (0..2000).filter(|point| distance(*point) <= 1.0 && even(*point));
            let nearest = near.min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
            assert_eq!(placed.nearest(at, reach, even), nearest, "at {at:?}");
            found += usize::from(nearest.is_some());
        }
        assert!((100..500).contains(&found), "{found} of 500 places have a point near");
    }

    #[test]
    fn a_region_holds_what_looking_at_all_finds_in_it() {
        let placed = scattered(20_000);
        // A star, whose middle the even-odd rule leaves out, and a box far larger than a cell.
        let star: Vec<[f32; 2]> =
            (0..5).map(|i| (i as f32 * 2.513).sin_cos()).map(|(x, y)| [x * 0.9, y * 0.9]).collect();
        let square = vec![[-0.5, -0.4], [0.6, -0.4], [0.6, 0.3], [-0.5, 0.3]];
        for polygon in [star, square] {
            let all: Vec<u32> = (0..20_000).filter(|i| contains(&polygon, placed.positions[*i as usize])).collect();
            assert!(all.len() > 1000, "{}", all.len());
            assert_eq!(placed.inside(&polygon), all);
        }
        assert!(placed.inside(&[[0.0, 0.0], [1.0, 1.0]]).is_empty());
    }

    #[test]
    fn no_points_one_point_and_infinities_are_no_trouble() {
        let none = Placement::new(Vec::new());
        assert!(none.nearest([0.0; 2], [1.0; 2], |_| true).is_none() && none.low[0] < none.high[0]);
        let odd = Placement::new(vec![[f32::NAN, f32::INFINITY]]);
        assert_eq!((odd.position(0), odd.nearest([0.1, 0.0], [1.0; 2], |_| true)), (Some([0.0; 2]), Some(0)));
    }
}
