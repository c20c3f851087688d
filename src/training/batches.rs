//! Which rows are in which step, and which of them go through the model together.
//!
//! Everything here follows from the seed and the rows alone, so nothing of it is kept in a checkpoint, and the number
//! of workers changes nothing.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{TrainRow, TrainSettings};

/// Micro-batches of a step are at least so many (or one a row), so that several workers have work.
const LEAST_PARTS: usize = 4;

/// The rows of a run, split and ordered.
#[derive(Debug)]
pub(super) struct Plan {
    /// Numbers of rows that are trained on.
    training: Vec<usize>,
    /// Numbers of rows that are held out.
    pub held_out: Vec<usize>,
    batch_rows: usize,
    pub steps: u64,
    seed: u64,
    order: Option<(u64, Vec<usize>)>,
}

impl Plan {
    pub(super) fn new(rows: usize, settings: &TrainSettings) -> Self {
        let mut all: Vec<usize> = (0..rows).collect();
        let wanted = held_out_count(rows, settings);
        if wanted > 0 {
            all.shuffle(&mut random(settings.seed, "held out", 0));
        }
        let mut training = all.split_off(wanted);
        let mut held_out = all;
        training.sort_unstable();
        held_out.sort_unstable();
        let steps = steps_of(rows, settings);
        Self { training, held_out, batch_rows: settings.batch_rows, steps, seed: settings.seed, order: None }
    }

    pub(super) fn training(&self) -> &[usize] {
        &self.training
    }

    /// Epoch of step `step` (both from 0), and its rows.
    pub(super) fn rows(&mut self, step: u64) -> (u64, &[usize]) {
        let per_epoch = self.training.len().div_ceil(self.batch_rows).max(1) as u64;
        let (epoch, within) = (step / per_epoch, (step % per_epoch) as usize);
        let made = self.order.as_ref().is_some_and(|(of, _)| *of == epoch);
        if !made {
            let mut order = self.training.clone();
            order.shuffle(&mut random(self.seed, "order", epoch));
            self.order = Some((epoch, order));
        }
        let order = self.order.as_ref().map_or(&[][..], |(_, order)| order);
        let start = (within * self.batch_rows).min(order.len());
        (epoch, order.get(start..(start + self.batch_rows).min(order.len())).unwrap_or(&[]))
    }
}

/// Places, among the rows of a run, of those that it holds out: the same for equal settings.
pub fn held_out(rows: usize, settings: &TrainSettings) -> Vec<usize> {
    Plan::new(rows, settings).held_out
}

/// Optimiser steps of a run over so many rows.
pub fn steps_of(rows: usize, settings: &TrainSettings) -> u64 {
    let training = rows - held_out_count(rows, settings);
    let per_epoch = training.div_ceil(settings.batch_rows.max(1)) as u64;
    settings.steps.unwrap_or(per_epoch.saturating_mul(settings.epochs))
}

fn held_out_count(rows: usize, settings: &TrainSettings) -> usize {
    let wanted = (rows as f64 * settings.evaluation_share).round() as usize;
    if settings.evaluation_share > 0.0 { wanted.max(1).min(rows.saturating_sub(1)) } else { 0 }
}

/// Splits rows into micro-batches of about `micro_tokens` tokens: the longest row first, each to the smallest part.
pub(super) fn parts(rows: &[&TrainRow], micro_tokens: usize) -> Vec<Vec<usize>> {
    let total: usize = rows.iter().map(|row| row.tokens.len()).sum();
    let count = total.div_ceil(micro_tokens).max(LEAST_PARTS).min(rows.len());
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let length = |row: &usize| rows.get(*row).map_or(0, |row| row.tokens.len());
    order.sort_by_key(|row| (std::cmp::Reverse(length(row)), *row));
    let mut parts: Vec<(usize, Vec<usize>)> = vec![(0, Vec::new()); count];
    for row in order {
        if let Some(part) = parts.iter_mut().min_by_key(|part| part.0) {
            part.0 += length(&row);
            part.1.push(row);
        }
    }
    parts.into_iter().map(|(_, rows)| rows).filter(|rows| !rows.is_empty()).collect()
}

/// A generator for one purpose.
fn random(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    let mut hash = blake3::Hasher::new();
    hash.update(&seed.to_le_bytes()).update(&number.to_le_bytes()).update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hash.finalize().as_bytes())
}

/// The seed of what is dropped in one micro-batch.
pub(super) fn dropout_seed(seed: u64, step: u64, part: usize) -> u64 {
    random(seed, "dropout", step.wrapping_mul(1 << 16).wrapping_add(part as u64)).random()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tokens: usize) -> TrainRow {
        TrainRow { index: 0, tokens: vec![0; tokens], supervised: vec![true; tokens], weight: 1.0 }
    }

    #[test]
    fn an_epoch_shows_every_training_row_once_and_no_held_out_row() {
        let settings =
            TrainSettings { batch_rows: 4, epochs: 3, evaluation_share: 0.2, seed: 5, ..TrainSettings::default() };
        let mut plan = Plan::new(25, &settings);
        assert_eq!((plan.held_out.len(), plan.training().len(), plan.steps), (5, 20, 15));
        let mut orders = Vec::new();
        for epoch in 0..3 {
            let mut seen: Vec<usize> = (0..5).flat_map(|step| plan.rows(epoch * 5 + step).1.to_vec()).collect();
            orders.push(seen.clone());
            seen.sort_unstable();
            assert_eq!(seen, plan.training());
            assert!(plan.held_out.iter().all(|row| !seen.contains(row)));
        }
        assert_ne!(orders[0], orders[1], "each epoch has its own order");
        assert_eq!(Plan::new(25, &settings).rows(7).1, plan.rows(7).1, "a step's rows follow from its number");
    }

    #[test]
    fn parts_hold_every_row_once_and_are_even() {
        let rows: Vec<TrainRow> = [100, 3, 50, 47, 90, 8, 8, 8].into_iter().map(row).collect();
        let rows: Vec<&TrainRow> = rows.iter().collect();
        let parts = parts(&rows, 60);
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..8).collect::<Vec<_>>());
        let size = |part: &Vec<usize>| part.iter().map(|row| rows[*row].tokens.len()).sum::<usize>();
        assert_eq!(parts.len(), 6);
        assert!(parts.iter().all(|part| size(part) <= 100));
    }
}
