//! Every baseline against values worked out by hand or by another formula.

use dipole::embedding::MemoryTexts;
use dipole::jobs::Silent;
use dipole::selection::baselines::{Baseline, Material, score};
use dipole::transport::{Points, Problem};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn points(data: &[f32], dim: usize) -> Points<'_> {
    Points::new(data, data.len() / dim, dim).expect("whole rows")
}

fn scores(baseline: Baseline, sets: [&[f32]; 3], dim: usize) -> Vec<f64> {
    let [custom, safe, harmful] = sets.map(|set| points(set, dim));
    let texts = MemoryTexts::new("none", Vec::<String>::new());
    let material =
        Material { problem: Problem { custom, safe, harmful }, custom_texts: &texts, safe_texts: &texts, seed: 3 };
    score(baseline, &material, &Silent).expect("scores")
}

fn cloud(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..rows)
        .flat_map(|_| {
            let row: Vec<f32> = (0..dim).map(|_| random.random_range(-1.0..1.0)).collect();
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.into_iter().map(move |v| v / norm)
        })
        .collect()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} is not {expected}");
}

const EAST: [f32; 2] = [1.0, 0.0];
const NORTH: [f32; 2] = [0.0, 1.0];
const WEST: [f32; 2] = [-1.0, 0.0];

#[test]
fn centroid_and_neighbours_by_hand() {
    let custom = [EAST, NORTH, [0.6, 0.8]].concat();
    let (safe, harmful) = ([EAST, WEST].concat(), [NORTH].concat());
    // mean(S) = 0, mean(H) = north: the score is the second coordinate.
    for (found, expected) in scores(Baseline::Centroid, [&custom, &safe, &harmful], 2).into_iter().zip([0.0, 1.0, 0.8])
    {
        near(found, expected);
    }
    // Fewer references than neighbours: the mean over all of them, which is the same here.
    for (found, expected) in
        scores(Baseline::Neighbours, [&custom, &safe, &harmful], 2).into_iter().zip([0.0, 1.0, 0.8])
    {
        near(found, expected);
    }
}

#[test]
fn neighbours_and_anchors_agree_with_sorting_every_cosine() {
    let dim = 5;
    let (custom, safe, harmful) = (cloud(130, dim, 1), cloud(140, dim, 2), cloud(120, dim, 3));
    for (baseline, count) in [(Baseline::Neighbours, 10), (Baseline::Anchor, 100)] {
        let found = scores(baseline, [&custom, &safe, &harmful], dim);
        for (row, found) in custom.chunks(dim).zip(found) {
            let mean = |reference: &[f32]| {
                let mut cosines: Vec<f64> = reference
                    .chunks(dim)
                    .map(|other| row.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
                    .collect();
                cosines.sort_by(|a, b| b.total_cmp(a));
                cosines[..count].iter().sum::<f64>() / count as f64
            };
            assert!((found - (mean(&harmful) - mean(&safe))).abs() < 1e-5, "{baseline:?}");
        }
    }
}

#[test]
fn saft_is_the_squared_projection_on_the_leading_direction() {
    let dim = 6;
    let custom: Vec<f32> =
        cloud(200, dim, 4).chunks(dim).flat_map(|row| [row[0] * 3.0, row[1], row[2], row[3], row[4], row[5]]).collect();
    let found = scores(Baseline::Saft, [&custom, &custom, &custom], dim);
    let rows = custom.len() / dim;
    let centre: Vec<f64> =
        (0..dim).map(|j| custom.chunks(dim).map(|row| f64::from(row[j])).sum::<f64>() / rows as f64).collect();
    let centred: Vec<Vec<f64>> =
        custom.chunks(dim).map(|row| row.iter().zip(&centre).map(|(z, c)| f64::from(*z) - c).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Power iteration on XᵀX.
    let mut direction = vec![1.0; dim];
    for _ in 0..500 {
        let along: Vec<f64> = centred.iter().map(|row| dot(row, &direction)).collect();
        let next: Vec<f64> = (0..dim).map(|j| centred.iter().zip(&along).map(|(row, a)| row[j] * a).sum()).collect();
        let norm = dot(&next, &next).sqrt();
        direction = next.into_iter().map(|v| v / norm).collect();
    }
    for (row, found) in centred.iter().zip(found) {
        near(found, dot(row, &direction).powi(2));
    }
}

#[test]
fn probe_solves_its_first_order_condition() {
    // n safe rows east, n harmful rows north: by symmetry β = (-t, t), b = 0 and t = n σ(-t).
    let n = 7;
    let (safe, harmful) = (EAST.repeat(n), NORTH.repeat(n));
    let custom = [EAST, NORTH, WEST].concat();
    let (mut low, mut high) = (0.0_f64, n as f64);
    for _ in 0..200 {
        let t = (low + high) / 2.0;
        if t < n as f64 / (1.0 + t.exp()) { low = t } else { high = t }
    }
    for (found, expected) in scores(Baseline::Probe, [&custom, &safe, &harmful], 2).into_iter().zip([-low, low, low]) {
        near(found, expected);
    }
}

#[test]
fn dsir_sums_log_ratios_of_smoothed_buckets() {
    let texts = |rows: &[&str]| MemoryTexts::new("rows", rows.iter().copied());
    let (custom, safe) = (texts(&["Ab, c", "d D"]), texts(&["ab, c"]));
    let vectors = [EAST, NORTH].concat();
    let all = points(&vectors, 2);
    let material = Material {
        problem: Problem { custom: all, safe: all, harmful: all },
        custom_texts: &custom,
        safe_texts: &safe,
        seed: 0,
    };
    let found = score(Baseline::Dsir, &material, &Silent).expect("scores");
    // Raw: ab | , | c | "ab ," | ", c" once each; d twice and "d d" once: 8. Target: the first five: 5.
    let chance = |count: f64, total: f64| ((count + 1.0) / (total + 10_000.0)).ln();
    near(found[0], 5.0 * (chance(1.0, 8.0) - chance(1.0, 5.0)));
    near(found[1], 2.0 * (chance(2.0, 8.0) - chance(0.0, 5.0)) + chance(1.0, 8.0) - chance(0.0, 5.0));
}

#[test]
fn random_hangs_on_the_seed_alone_and_sft_prefers_nobody() {
    let custom = cloud(50, 3, 5);
    let sets = [&custom[..], &custom, &custom];
    let random = scores(Baseline::Random, sets, 3);
    assert_eq!(random, scores(Baseline::Random, sets, 3));
    assert!(random.windows(2).any(|pair| pair[0] < pair[1]) && random.windows(2).any(|pair| pair[0] > pair[1]));
    assert!(scores(Baseline::Sft, sets, 3).iter().all(|score| *score == 0.0));
}

#[test]
fn sets_that_do_not_fit_are_named() {
    let (narrow, wide) = (cloud(3, 2, 6), cloud(3, 4, 7));
    let texts = MemoryTexts::new("none", Vec::<String>::new());
    let told = |custom, safe, harmful| {
        let material =
            Material { problem: Problem { custom, safe, harmful }, custom_texts: &texts, safe_texts: &texts, seed: 0 };
        Baseline::ALL.map(|baseline| score(baseline, &material, &Silent).expect_err("does not fit").to_string())
    };
    let all = points(&narrow, 2);
    for message in told(all, all, points(&wide, 4)) {
        assert!(message.contains("harmful vectors have 4 dimensions"), "{message}");
    }
    for message in told(all, points(&[], 2), all) {
        assert!(message.contains("the safe set has no vectors"), "{message}");
    }
    let mut broken = narrow.clone();
    broken[3] = f32::NAN;
    for message in told(points(&broken, 2), all, all) {
        assert!(message.contains("custom row 1"), "{message}");
    }
}
