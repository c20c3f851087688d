//! The first offsets γ of columns that are far from every row.
//!
//! Purpose: with row minima of the cost as φ, an entry of such a column is as small as e^(reach/ε), where its reach is
//! the largest φ_i - C_ij (≤ 0); beyond a bound the column gets an offset, so that its potential stays near it. The
//! kernel's entries have to be made for reaches to be known, so a guess from sampled rows comes first: a sample only
//! misses nearer rows, and with a margin the guess mostly spares making all entries twice. Constraint: the same bits for
//! any number of threads.

use rayon::prelude::*;

use super::cost::Clouds;
use super::entries::LANES;
use super::kernel::PerBlock;
use super::simd::{self, Level};
use crate::jobs::{Cancelled, Progress};

/// Reaches beyond this, in units of ε, get an offset.
const FAR: f32 = 20.0;
/// How much nearer than its nearest sampled row a column may come, in units of ε.
const MARGIN: f32 = 10.0;
/// Sampled rows at first; where they leave a column far, one row in so many.
const SAMPLE: usize = 128;
const ONE_IN: usize = 8;
/// Rows of one product.
const STRIP: usize = 48;

/// Offsets from evenly spaced rows, one a padded column, in the unit of the cost; 0 for columns that are near.
///
/// Call inside the thread pool that shall do the work.
pub(super) fn guessed(
    clouds: &Clouds<'_>,
    epsilon: PerBlock,
    level: Level,
    progress: &dyn Progress,
) -> Result<Vec<f32>, Cancelled> {
    let n = clouds.rows;
    let mut offsets = vec![0.0; clouds.groups * LANES];
    if n < SAMPLE * ONE_IN {
        return Ok(offsets);
    }
    for step in [n / SAMPLE, ONE_IN] {
        let reach = reaches(clouds, &(0..n).step_by(step).collect::<Vec<_>>(), level, progress)?;
        for (b, block) in clouds.blocks.iter().enumerate() {
            let part = block.start * LANES..block.start * LANES + block.rows;
            let margin = MARGIN * epsilon[b] as f32;
            for (offset, reach) in offsets[part.clone()].iter_mut().zip(&reach[part]) {
                *offset = (-reach - margin).max(0.0);
            }
        }
        if better(clouds, epsilon, &reach, &vec![0.0; reach.len()], f32::INFINITY).is_none() {
            // Rows that were not sampled only come nearer.
            return Ok(vec![0.0; offsets.len()]);
        }
    }
    Ok(offsets)
}

/// The reach of every padded column over some rows.
fn reaches(clouds: &Clouds<'_>, rows: &[usize], level: Level, progress: &dyn Progress) -> Result<Vec<f32>, Cancelled> {
    let nowhere = || vec![f32::NEG_INFINITY; clouds.groups * LANES];
    rows.par_chunks(STRIP)
        .try_fold(nowhere, |mut reach, rows| {
            progress.check()?;
            let mut strip = vec![[0.0; LANES]; rows.len() * clouds.groups];
            clouds.fast_cosines_of(rows, &mut strip);
            for row in strip.chunks_exact(clouds.groups) {
                for block in &clouds.blocks {
                    let part = block.start..block.start + block.groups;
                    let nearest = simd::largest(level, &row[part.clone()].as_flattened()[..block.rows]);
                    let reach = reach.as_chunks_mut::<LANES>().0;
                    simd::raise(level, &row[part.clone()], nearest, &mut reach[part]);
                }
            }
            Ok(reach)
        })
        .try_reduce(nowhere, |mut a, b| {
            for (a, b) in a.iter_mut().zip(b) {
                *a = a.max(b);
            }
            Ok(a)
        })
}

/// Column minima of the cost less its row minima, where these offsets leave a column too far or make one of its entries
/// larger than e^highest.
pub(super) fn better(
    clouds: &Clouds<'_>,
    epsilon: PerBlock,
    reach: &[f32],
    offsets: &[f32],
    highest: f32,
) -> Option<Vec<f32>> {
    let fits = clouds.blocks.iter().zip(epsilon).all(|(block, epsilon)| {
        let part = block.start * LANES..block.start * LANES + block.rows;
        let columns = reach[part.clone()].iter().zip(&offsets[part]);
        let epsilon = epsilon as f32;
        columns.into_iter().all(|(reach, offset)| (-FAR * epsilon..=highest * epsilon).contains(&(reach + offset)))
    });
    (!fits).then(|| reach.iter().map(|reach| -reach.min(0.0)).collect())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::Points;
    use super::*;
    use crate::jobs::Silent;

    const DIM: usize = 8;
    const HIGHEST: f32 = 0.5;

    /// Rows around the first axis, and one where `lonely` says so; columns around the first axis, and one at the second.
    fn reach(lonely: Option<usize>) -> (Vec<f32>, Vec<f32>) {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut around = |axis: usize| -> Vec<f32> {
            let row: Vec<f32> =
                (0..DIM).map(|d| f32::from(u8::from(d == axis)) + random.random_range(-0.05f32..0.05)).collect();
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter().map(|v| v / norm).collect()
        };
        let n = SAMPLE * ONE_IN + 1;
        let x: Vec<f32> = (0..n).flat_map(|row| around(usize::from(Some(row) == lonely))).collect();
        let y: Vec<f32> = (0..40).flat_map(|column| around(usize::from(column == 39))).collect();
        let clouds =
            Clouds::new(Points::new(&x, n, DIM).expect("fits"), &[("y", Points::new(&y, 40, DIM).expect("fits"))])
                .expect("builds")
                .packed();
        let epsilon = [0.02, 0.0];
        let level = Level::detect();
        let guess = guessed(&clouds, epsilon, level, &Silent).expect("not cancelled");
        let whole = reaches(&clouds, &(0..n).collect::<Vec<_>>(), level, &Silent).expect("not cancelled");
        let end = better(&clouds, epsilon, &whole, &guess, HIGHEST).unwrap_or_else(|| guess.clone());
        for (reach, offset) in whole.iter().zip(&end).take(40) {
            assert!((-FAR * 0.02..=HIGHEST * 0.02).contains(&(reach + offset)), "{reach} + {offset}");
        }
        assert!(better(&clouds, epsilon, &whole, &end, HIGHEST).is_none());
        (guess, end)
    }

    #[test]
    fn a_far_column_gets_an_offset_at_the_first_guess() {
        let (guess, end) = reach(None);
        assert!(guess[39] > 0.5 && guess[..39].iter().all(|offset| *offset == 0.0));
        assert_eq!(guess, end);
    }

    #[test]
    fn a_guess_that_missed_the_one_near_row_is_mended() {
        let missed = SAMPLE * ONE_IN - 1;
        let (guess, end) = reach(Some(missed));
        assert!(guess[39] > 0.5 && end[39] < 0.1, "{} {}", guess[39], end[39]);
        // Every eighth row is looked at.
        let (guess, end) = reach(Some(ONE_IN));
        assert_eq!((guess[39], end[39]), (0.0, 0.0));
    }
}
