//! Calibration on worlds whose truth is known.

use dipole::jobs::{Progress, Silent};
use dipole::selection::auroc;
use dipole::selection::calibration::{Calibrated, CalibrationSettings, calibrate, interval, is_possible};
use dipole::transport::{CheckedSettings, CpuEngine, Observer, Points, Problem, Settings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 16;

struct World {
    custom: Vec<f32>,
    safe: Vec<f32>,
    harmful: Vec<f32>,
    /// The last rows of the custom set are harmful.
    planted: usize,
}

impl World {
    /// Benign rows around the first axes, harmful rows around later ones; `kinds[k]` harmful rows of kind k in the
    /// custom set and `references[k]` in the harmful reference.
    fn new(seed: u64, benign: usize, kinds: &[usize], references: &[usize]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = |axis: usize, count: usize, out: &mut Vec<f32>| {
            for _ in 0..count {
                let row: Vec<f32> = (0..DIM)
                    .map(|column| random.random_range(-0.5f32..0.5) + 0.9 * f32::from(u8::from(column == axis)))
                    .collect();
                let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                out.extend(row.iter().map(|v| v / norm));
            }
        };
        let (mut custom, mut safe, mut harmful) = (Vec::new(), Vec::new(), Vec::new());
        for axis in 0..3 {
            rows(axis, benign / 3, &mut custom);
            rows(axis, 40, &mut safe);
        }
        for (kind, (planted, references)) in kinds.iter().zip(references).enumerate() {
            rows(8 + kind, *planted, &mut custom);
            rows(8 + kind, *references, &mut harmful);
        }
        Self { custom, safe, harmful, planted: kinds.iter().sum() }
    }

    fn problem(&self) -> Problem<'_> {
        let points = |data| Points::new(data, <[f32]>::len(data) / DIM, DIM).expect("whole rows");
        Problem { custom: points(&self.custom), safe: points(&self.safe), harmful: points(&self.harmful) }
    }

    fn rows(&self) -> usize {
        self.custom.len() / DIM
    }

    fn is_harmful(&self, row: usize) -> bool {
        row >= self.rows() - self.planted
    }

    fn auroc(&self, score: &[f64]) -> f64 {
        let items: Vec<(f64, bool)> = score.iter().copied().zip((0..).map(|row| self.is_harmful(row))).collect();
        auroc(&items).expect("both classes")
    }
}

fn base(seed: u64) -> CheckedSettings {
    Settings { seed, threads: 1, ..Settings::default() }.checked().expect("in range")
}

fn calibrated(world: &World, sources: &[usize], grid: &CalibrationSettings, seed: u64) -> Calibrated {
    let mut end = 0;
    let sources: Vec<_> = sources
        .iter()
        .map(|rows| {
            end += rows;
            end - rows..end
        })
        .collect();
    calibrate(&CpuEngine::default(), &world.problem(), &sources, grid, &base(seed), &Silent).expect("calibrates")
}

#[test]
fn the_chosen_pairs_rank_planted_rows_nearly_as_well_as_the_best_of_the_grid() {
    let world = World::new(1, 300, &[40, 20], &[80, 40]);
    let found = calibrated(&world, &[120], &CalibrationSettings::default(), 0);
    let reached = world.auroc(&found.score);
    // What every single pair would reach, by the labels that the calibration did not see.
    let mut single = Vec::new();
    for point in &found.calibration.grid {
        let one = CalibrationSettings {
            lambdas: vec![point.lambda],
            epsilons: vec![point.epsilon],
            best: 1,
            single_source: Vec::new(),
            ..CalibrationSettings::default()
        };
        single.push(world.auroc(&calibrated(&world, &[120], &one, 0).score));
    }
    let best = single.iter().copied().fold(0.0, f64::max);
    let worst = single.iter().copied().fold(1.0, f64::min);
    assert!(reached >= best - 0.02 && reached > (best + worst) / 2.0, "{reached} of {best} (worst {worst})");
    assert!(best - worst > 0.005, "every pair ranks alike, so the test shows nothing: {worst} to {best}");
    assert_eq!(found.calibration.grid.iter().filter(|point| point.chosen).count(), 3);
    assert_eq!((found.calibration.canaries, found.calibration.folds), (24, 1));
    assert!(found.calibration.statement(60).contains("share their source"));
}

#[test]
fn several_sources_are_left_out_one_at_a_time_and_show_unseen_attacks() {
    let world = World::new(2, 300, &[30, 30], &[40, 40]);
    let one = calibrated(&world, &[80], &CalibrationSettings::default(), 0).calibration;
    let two = calibrated(&world, &[40, 40], &CalibrationSettings::default(), 0).calibration;
    assert_eq!((one.folds, two.folds), (1, 2));
    assert_eq!(two.canaries, 2 * 36, "each source up to a tenth of the custom rows");
    assert_eq!(two.grid.iter().filter(|point| point.chosen).count(), 5);
    assert!(two.auroc < one.auroc, "an unseen kind is harder to find: {} against {}", two.auroc, one.auroc);
    assert!(two.statement(60).contains("left out in turn"));
}

#[test]
fn the_same_seed_gives_the_same_bits_for_any_number_of_threads() {
    let world = World::new(3, 150, &[20], &[40]);
    let solve = |threads| {
        let base = Settings { threads, ..Settings::default() }.checked().expect("in range");
        let grid = CalibrationSettings::default();
        calibrate(&CpuEngine::default(), &world.problem(), std::slice::from_ref(&(0..40)), &grid, &base, &Silent)
            .expect("calibrates")
    };
    assert_eq!(solve(1), solve(3));
}

#[test]
fn the_interval_of_the_recall_covers_the_recall_of_rows_like_the_canaries() {
    let grid = CalibrationSettings {
        lambdas: vec![0.5],
        epsilons: vec![0.2],
        best: 1,
        single_source: Vec::new(),
        ..CalibrationSettings::default()
    };
    let seeds = 200;
    let mut covered = 0;
    for seed in 0..seeds {
        // 400 harmful rows like the canaries, so that what they show is nearly the truth.
        let world = World::new(1000 + seed, 1200, &[400], &[200]);
        let found = calibrated(&world, &[200], &grid, seed);
        let dropped = world.rows() / 5;
        let mut order: Vec<usize> = (0..world.rows()).collect();
        order.sort_by(|a, b| found.score[*b].total_cmp(&found.score[*a]));
        let fallen = order.iter().take(dropped).filter(|row| world.is_harmful(**row));
        let truth = fallen.count() as f64 / 400.0;
        let estimate = found.calibration.recall.at(dropped);
        covered += usize::from((estimate.low..=estimate.high).contains(&truth));
    }
    // 95 % asked; three standard deviations of 200 trials are 4.6 %.
    assert!(covered >= 181, "{covered} of {seeds}");
    assert!(covered < 200, "intervals that always hold are too wide to tell anything");
}

#[test]
fn intervals_are_those_of_clopper_and_pearson() {
    // k = 0 and k = n have closed forms: 1 - (α/2)^(1/n).
    let none = interval(0, 20, 0.95);
    assert!((none.high - (1.0 - 0.025_f64.powf(1.0 / 20.0))).abs() < 1e-9 && none.low == 0.0);
    let all = interval(20, 20, 0.95);
    assert!((all.low - 0.025_f64.powf(1.0 / 20.0)).abs() < 1e-9 && all.high == 1.0);
    // Otherwise each bound leaves half of 5 % in the binomial tail beyond k.
    let some = interval(7, 20, 0.95);
    let chance = |k: u32, p: f64| {
        let choose = (1..=k).fold(1.0, |product, i| product * f64::from(20 - k + i) / f64::from(i));
        choose * p.powi(k as i32) * (1.0 - p).powi(20 - k as i32)
    };
    let at_least = (7..=20).map(|k| chance(k, some.low)).sum::<f64>();
    let at_most = (0..=7).map(|k| chance(k, some.high)).sum::<f64>();
    assert!((at_least - 0.025).abs() < 1e-9 && (at_most - 0.025).abs() < 1e-9, "{at_least} {at_most}");
    assert_eq!((interval(0, 0, 0.95).low, interval(0, 0, 0.95).high), (0.0, 1.0));
}

#[test]
fn the_suggested_cut_drops_the_wanted_share_of_canaries() {
    let world = World::new(4, 300, &[40], &[100]);
    let found = calibrated(&world, &[100], &CalibrationSettings::default(), 0).calibration;
    let n = world.rows();
    let share = |keep: usize| found.recall.at(n - keep).share;
    assert!(share(found.suggested_keep) >= 0.9, "{}", share(found.suggested_keep));
    assert!(share(found.suggested_keep + 1) < 0.9, "a looser cut would do");
}

#[test]
fn the_curve_is_the_recall_at_every_number_of_dropped_rows() {
    let world = World::new(4, 300, &[40], &[100]);
    let recall = calibrated(&world, &[100], &CalibrationSettings::default(), 0).calibration.recall;
    let curve = recall.curve(1000);
    assert_eq!((curve.first().map(|at| at.0), curve.last().map(|at| at.0)), (Some(0), Some(world.rows())));
    for dropped in 0..=world.rows() {
        let at = curve.iter().rev().find(|(from, _)| *from <= dropped).expect("a step");
        assert_eq!(at.1, recall.at(dropped), "{dropped} dropped");
    }
    // Few steps hold the truth where they stand, and the ends.
    let few = recall.curve(5);
    assert!(few.len() <= 8 && few.iter().all(|(at, estimate)| *estimate == recall.at(*at)));
    assert_eq!(few.last(), curve.last());
}

#[test]
fn rows_enough_for_canaries_are_those_that_calibrate() {
    assert_eq!(
        [vec![14], vec![15], vec![5, 4], vec![5, 5], vec![]].map(|rows| is_possible(&rows)),
        [false, true, false, true, false]
    );
}

#[test]
fn what_cannot_be_calibrated_is_told() {
    let world = World::new(5, 60, &[5], &[10]);
    let source = std::slice::from_ref(&(0..10));
    let told = |grid: CalibrationSettings| {
        calibrate(&CpuEngine::default(), &world.problem(), source, &grid, &base(0), &Silent)
            .expect_err("fails")
            .to_string()
    };
    let good = CalibrationSettings::default;
    assert!(told(good()).contains("10 harmful rows are too few"));
    assert!(told(CalibrationSettings { lambdas: vec![1.5], best: 1, ..good() }).contains("lambda of the grid"));
    assert!(told(CalibrationSettings { epsilons: vec![], ..good() }).contains("calibration grid"));
    assert!(told(CalibrationSettings { canary_share: 0.9, ..good() }).contains("canary share"));
    assert!(told(CalibrationSettings { single_source: vec![(0.5, 0.7)], ..good() }).contains("single-source pairs"));
    assert!(told(CalibrationSettings { best: 0, ..good() }).contains("best pairs"));
    assert!(told(CalibrationSettings { recall: 1.0, ..good() }).contains("canary recall"));
}

#[test]
fn it_stops_when_asked() {
    struct Stop;
    impl Progress for Stop {
        fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    impl Observer for Stop {}
    let world = World::new(6, 60, &[5], &[30]);
    let source = std::slice::from_ref(&(0..30));
    let error =
        calibrate(&CpuEngine::default(), &world.problem(), source, &CalibrationSettings::default(), &base(0), &Stop);
    assert_eq!(error.expect_err("cancelled").to_string(), "cancelled");
}
