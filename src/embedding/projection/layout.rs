//! The layout: ties attract, random rows repel.
//!
//! Stochastic gradient descent on UMAP's cross entropy with the kernel 1/(1 + A d²). Each epoch moves every row by its
//! own ties against the places of the epoch before, so rows are independent within an epoch and the result does not
//! depend on the number of threads. An edge of strength s is used in a share s of the epochs.

use rayon::prelude::*;

use super::fuzzy::Edges;
use super::{LayoutObserver, Place, ProjectionSettings, mixed};
use crate::embedding::EmbeddingError;

/// Of the kernel 1/(1 + A d²): ties closer than about 0.1 are close enough.
const A: f32 = 1.6;
/// Random rows a used tie.
const REPELLED: u64 = 5;
/// A move is at most this long in each axis.
const LIMIT: f32 = 4.0;
/// Half the width of the picture that the layout starts from.
const START: f32 = 10.0;
const ROWS_AT_ONCE: usize = 1024;
const STAGE: &str = "arranging rows";

pub(super) fn arrange(
    edges: &Edges,
    start: &[Place],
    settings: &ProjectionSettings,
    observer: &dyn LayoutObserver,
) -> Result<Vec<Place>, EmbeddingError> {
    let count = start.len();
    let epochs = settings.epochs.unwrap_or(if count <= 10_000 { 500 } else { 200 });
    let mut places = scaled(start, settings.seed);
    let mut moved = places.clone();
    let strongest = edges.strength.iter().copied().fold(0.0, f32::max).max(f32::MIN_POSITIVE);
    for epoch in 0..epochs {
        observer.tick(STAGE, epoch as u64, Some(epochs as u64));
        let rate = 1.0 - epoch as f32 / epochs as f32;
        moved.par_chunks_mut(ROWS_AT_ONCE).enumerate().try_for_each(|(block, moved)| {
            observer.check()?;
            for (at, place) in moved.iter_mut().enumerate() {
                let row = block * ROWS_AT_ONCE + at;
                *place = step(edges, &places, row, Moment { epoch, rate, strongest, seed: settings.seed });
            }
            Ok::<_, EmbeddingError>(())
        })?;
        std::mem::swap(&mut places, &mut moved);
        observer.layout(&places);
    }
    observer.tick(STAGE, epochs as u64, Some(epochs as u64));
    Ok(places)
}

#[derive(Clone, Copy)]
struct Moment {
    epoch: usize,
    rate: f32,
    strongest: f32,
    seed: u64,
}

/// Where one row goes in one epoch.
fn step(edges: &Edges, places: &[Place], row: usize, now: Moment) -> Place {
    let mut own = places[row];
    let mut random = mixed(now.seed ^ mixed(((now.epoch as u64) << 32) | row as u64));
    for edge in edges.starts[row]..edges.starts[row + 1] {
        let share = f64::from(edges.strength[edge] / now.strongest);
        // Spread evenly over the epochs, each edge with a beat of its own.
        let phase = (mixed(edge as u64 ^ now.seed) >> 40) as f64 / (1_u64 << 24) as f64;
        let beat = |epoch: usize| (epoch as f64 * share + phase).floor();
        if beat(now.epoch + 1) <= beat(now.epoch) {
            continue;
        }
        let [dx, dy] = away(own, places[edges.to[edge] as usize]);
        let square = dx * dx + dy * dy;
        // Twice: the tie's other direction would move this end as well.
        let pull = -4.0 * A / (1.0 + A * square);
        own = go(own, [pull * dx, pull * dy], now.rate);
        for _ in 0..REPELLED {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let other = (((random >> 32) * places.len() as u64) >> 32) as usize;
            if other == row {
                continue;
            }
            let [dx, dy] = away(own, places[other]);
            let square = dx * dx + dy * dy;
            let push = 2.0 / ((0.001 + square) * (1.0 + A * square));
            own = go(own, [push * dx, push * dy], now.rate);
        }
    }
    own
}

fn away(from: Place, other: Place) -> [f32; 2] {
    [from[0] - other[0], from[1] - other[1]]
}

fn go(from: Place, force: [f32; 2], rate: f32) -> Place {
    [from[0] + rate * force[0].clamp(-LIMIT, LIMIT), from[1] + rate * force[1].clamp(-LIMIT, LIMIT)]
}

/// The start centred, its longer axis from -[`START`] to [`START`], with a little noise that parts equal rows.
fn scaled(start: &[Place], seed: u64) -> Vec<Place> {
    let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
    let mut low = [f32::INFINITY; 2];
    let mut high = [f32::NEG_INFINITY; 2];
    for place in start {
        for axis in 0..2 {
            low[axis] = low[axis].min(finite(place[axis]));
            high[axis] = high[axis].max(finite(place[axis]));
        }
    }
    let span = (high[0] - low[0]).max(high[1] - low[1]).max(f32::MIN_POSITIVE);
    let noise = |at: u64| (mixed(at ^ mixed(seed)) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    let one = |row: usize, axis: usize, value: f32| {
        let middle = (low[axis] + high[axis]) / 2.0;
        (finite(value) - middle) / span * 2.0 * START + 0.01 * noise((row * 2 + axis) as u64)
    };
    start.iter().enumerate().map(|(row, place)| [one(row, 0, place[0]), one(row, 1, place[1])]).collect()
}
