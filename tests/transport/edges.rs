//! Inputs at the edge: a clear error or a correct answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dipole::jobs::{Progress, Silent};
use dipole::transport::{
    CheckedSettings, CpuEngine, Engine, KernelFormat, Observer, Outcome, Points, Problem, Regularisation, Settings,
    SolverKind, TracePoint, TransportError,
};

use crate::clouds::{Cloud, World, world};
use crate::oracle::total_variation;
use crate::parity::{EXACT, check, settings, solve};

fn checked() -> CheckedSettings {
    settings(0.6, 0.1, 0.7).checked().expect("settings in range")
}

fn error(problem: &Problem<'_>) -> TransportError {
    CpuEngine::new().solve(problem, &checked(), &Silent).expect_err("must fail")
}

fn sets(world: &mut World) -> [(&'static str, &mut Cloud); 3] {
    [("custom", &mut world.custom), ("safe", &mut world.safe), ("harmful", &mut world.harmful)]
}

fn warns(outcome: &Outcome, words: &str) -> bool {
    outcome.warnings.iter().any(|warning| warning.contains(words))
}

fn assert_uniform(outcome: &Outcome) {
    let n = outcome.weights.len();
    let uniform = vec![1.0 / n as f64; n];
    assert!(total_variation(&outcome.weights, &uniform) < 1e-9, "weights are not uniform");
    assert!(warns(outcome, "equal"), "{:?}", outcome.warnings);
}

#[test]
fn a_vector_without_direction_is_named_by_set_and_row() {
    for place in 0..3 {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut world = world(1, 9, 7, 5, 6);
            let (set, cloud) = &mut sets(&mut world)[place];
            let set = *set;
            cloud.data[4 * 6 + 2] = bad;
            let found = error(&world.problem());
            assert_eq!(found, TransportError::NotFinite { set, row: 4 });
            assert!(found.to_string().starts_with(&format!("{set} row 4 ")), "{found}");
        }
        let mut world = world(1, 9, 7, 5, 6);
        let (set, cloud) = &mut sets(&mut world)[place];
        let set = *set;
        cloud.data[3 * 6..4 * 6].fill(0.0);
        assert_eq!(error(&world.problem()), TransportError::ZeroVector { set, row: 3 });
    }
}

#[test]
fn sets_that_are_empty_or_of_another_dimension_are_named() {
    for place in 0..3 {
        let mut world = world(2, 9, 7, 5, 6);
        let (set, cloud) = &mut sets(&mut world)[place];
        let set = *set;
        **cloud = Cloud { data: Vec::new(), rows: 0, dim: 6 };
        assert_eq!(error(&world.problem()), TransportError::Empty { set });
    }
    for place in 1..3 {
        let mut world = world(2, 9, 7, 5, 6);
        let (set, cloud) = &mut sets(&mut world)[place];
        let set = *set;
        **cloud = Cloud::from_fn(7, 5, |_, k| k as f32 + 1.0);
        assert_eq!(error(&world.problem()), TransportError::Dimensions { set, expected: 6, found: 5 });
    }
    let nothing = Points { data: &[], rows: 3, dim: 0 };
    let problem = Problem { custom: nothing, safe: nothing, harmful: nothing };
    assert_eq!(error(&problem), TransportError::ZeroVector { set: "custom", row: 0 });
    assert!(Points::new(&[0.0; 7], 2, 3).is_none() && Points::new(&[], usize::MAX, 2).is_none());
}

#[test]
fn vectors_of_any_length_give_the_answer_of_unit_vectors() {
    let plain = world(3, 61, 33, 20, 7);
    let settings = settings(0.6, 0.1, 0.7);
    let expected = solve(&plain, &settings, KernelFormat::Single);
    for factor in [1e-5f32, 0.9, 1.1, 1e30] {
        let mut scaled = plain.clone();
        for (_, cloud) in sets(&mut scaled) {
            let dim = cloud.dim;
            cloud.data.iter_mut().enumerate().for_each(|(k, value)| *value *= factor * (1 + k / dim % 3) as f32);
        }
        check(&format!("times {factor:e}"), &scaled, &settings, &EXACT);
        let found = solve(&scaled, &settings, KernelFormat::Single);
        assert!(total_variation(&found.weights, &expected.weights) < 1e-5, "times {factor:e}");
    }
    // The largest numbers there are: their products overflow f32.
    let mut huge = plain;
    for (_, cloud) in sets(&mut huge) {
        cloud.data.iter_mut().for_each(|value| *value = if *value > 0.0 { f32::MAX } else { f32::MIN });
    }
    check("huge", &huge, &settings, &EXACT);
}

#[test]
fn identical_custom_rows_share_the_weight() {
    for (n, dim) in [(37, 7), (131, 384)] {
        let mut world = world(4, n, 33, 20, dim);
        world.custom = world.custom.pick(&vec![0; n]);
        for solver in [SolverKind::Scaling, SolverKind::Adam, SolverKind::OneShot] {
            for format in EXACT {
                assert_uniform(&solve(&world, &Settings { solver, ..settings(0.6, 0.1, 0.7) }, format));
            }
        }
    }
}

#[test]
fn references_may_repeat_rows_and_share_them_with_the_custom_set() {
    let mut world = world(5, 60, 33, 20, 9);
    world.safe = world.safe.pick(&[3; 33]);
    check("safe rows identical", &world, &settings(0.6, 0.1, 0.7), &EXACT);
    world.harmful = world.harmful.pick(&[3; 20]);
    check("both identical", &world, &settings(0.6, 0.1, 0.7), &EXACT);

    let mut world = crate::clouds::world(6, 1, 33, 20, 9);
    world.custom = Cloud {
        data: [world.safe.data.as_slice(), world.harmful.data.as_slice()].concat(),
        rows: world.safe.rows + world.harmful.rows,
        dim: 9,
    };
    check("custom rows are the reference rows", &world, &settings(0.6, 0.1, 0.7), &EXACT);
    let outcome = solve(&world, &settings(0.6, 0.1, 0.7), KernelFormat::Single);
    let items: Vec<(f64, bool)> = outcome.score.iter().enumerate().map(|(row, score)| (*score, row >= 33)).collect();
    let area = dipole::selection::auroc(&items).expect("both classes");
    assert!(area > 0.98, "rows of the harmful reference are the suspicious ones: {area}");
}

#[test]
fn costs_that_tell_nothing_are_an_error_or_an_even_answer() {
    let same = Cloud::from_fn(40, 8, |_, k| (k + 1) as f32);
    let other = world(7, 1, 20, 20, 8);
    for set in ["safe", "harmful"] {
        let (safe, harmful) = if set == "safe" { (&same, &other.harmful) } else { (&other.safe, &same) };
        let found = error(&Problem { custom: same.points(), safe: safe.points(), harmful: harmful.points() });
        assert!(matches!(found, TransportError::FlatCost { set: named, .. } if named == set), "{found}");
    }
    // Every cost is 1: all rows are alike, and that is an answer.
    let axis = |axis: usize| move |_, k| if k == axis { 1.0 } else { 0.0 };
    let (custom, safe, harmful) =
        (Cloud::from_fn(5, 4, axis(0)), Cloud::from_fn(3, 4, axis(1)), Cloud::from_fn(2, 4, axis(2)));
    let world = World { custom, safe, harmful, planted: vec![false; 5] };
    for format in EXACT {
        let outcome = solve(&world, &settings(0.6, 0.1, 0.7), format);
        assert_uniform(&outcome);
        assert!((outcome.safe.cost - 1.0).abs() < 1e-6 && (outcome.objective - (0.4 - 0.6)).abs() < 1e-6);
    }
}

#[test]
fn odd_widths_and_dimensions_meet_the_tolerance() {
    for (seed, columns) in [1, 31, 32, 33].into_iter().enumerate() {
        for (n, dim) in [(23, 7), (70, 384)] {
            let world = world(30 + seed as u64, n, columns, 34 - columns, dim);
            check(&format!("{n}x{columns}x{dim}"), &world, &settings(0.6, 0.15, 0.7), &EXACT);
        }
    }
}

#[test]
fn one_dimension_knows_two_directions() {
    let line = |signs: &[f32]| Cloud { data: signs.to_vec(), rows: signs.len(), dim: 1 };
    let world = World {
        custom: line(&[1.0, 1.0, -1.0, -1.0, 2.0, -3.0]),
        safe: line(&[1.0, 1.0, -1.0]),
        harmful: line(&[-1.0, 5.0]),
        planted: vec![false; 6],
    };
    check("a line", &world, &settings(0.6, 0.3, 0.7), &EXACT);
}

#[test]
fn one_custom_row_takes_all_the_weight() {
    let world = world(8, 1, 33, 1, 7);
    for solver in [SolverKind::Scaling, SolverKind::Adam, SolverKind::OneShot] {
        let outcome = solve(&world, &Settings { solver, ..settings(0.6, 0.1, 0.7) }, KernelFormat::Single);
        assert_eq!((outcome.weights.as_slice(), outcome.score.as_slice()), (&[1.0][..], &[0.0][..]));
        assert!((outcome.effective_rows - 1.0).abs() < 1e-12 && outcome.divergence.abs() < 1e-12);
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let bad = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.checked().expect_err("must be refused").to_string()
    };
    for epsilon in [0.0, -0.1, 0.004, 11.0, f64::NAN, f64::INFINITY] {
        assert!(bad(&|s| s.epsilon = epsilon).starts_with("epsilon must be from 0.005 to 10, not "));
    }
    for lambda in [-0.01, 1.01, f64::NAN] {
        assert!(bad(&|s| s.lambda = lambda).starts_with("lambda must be from 0 to 1"));
    }
    for share in [0.0, 1.0, f64::NAN] {
        let found = bad(&|s| s.regularisation = Regularisation::EffectiveShare(share));
        assert!(found.starts_with("effective share must be above 0"), "{found}");
    }
    for tau in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(bad(&|s| s.regularisation = Regularisation::Tau(tau)).starts_with("tau must be above 0"));
    }
    for alpha in [0.0, 1.5, f64::NAN] {
        assert!(bad(&|s| s.alpha = alpha).starts_with("alpha must be"));
    }
    assert!(bad(&|s| s.max_steps = 0).starts_with("max_steps must be"));
    assert!(bad(&|s| s.threads = 5000).starts_with("threads must be"));
}

#[test]
fn the_smallest_and_the_largest_epsilon_meet_the_tolerance() {
    let world = world(9, 90, 40, 33, 12);
    // Costs reach 400 ε here: entries leave the range of f32 unless potentials are absorbed.
    let small = Settings { max_steps: 60, ..settings(0.6, 0.005, 0.8) };
    check("smallest", &world, &small, &EXACT);
    assert!(warns(&solve(&world, &small, KernelFormat::Single), "Epsilon 0.005 is small"));
    let large = settings(0.6, 10.0, 0.8);
    let found = solve(&world, &large, KernelFormat::Single);
    assert!(!warns(&found, "Epsilon"));
    check("large", &world, &settings(0.6, 1.0, 0.8), &EXACT);
}

#[test]
fn at_the_ends_of_lambda_the_other_reference_does_not_count() {
    let (world, other) = (world(10, 80, 40, 33, 12), world(11, 1, 40, 33, 12));
    for (lambda, changed) in [
        (0.0, World { harmful: other.harmful.clone(), ..world.clone() }),
        (1.0, World { safe: other.safe.clone(), ..world.clone() }),
    ] {
        let settings = settings(lambda, 0.1, 0.7);
        let (plain, changed) =
            (solve(&world, &settings, KernelFormat::Single), solve(&changed, &settings, KernelFormat::Single));
        assert!(total_variation(&plain.weights, &changed.weights) < 1e-6, "lambda {lambda}");
        assert_eq!(warns(&plain, "With lambda 1"), lambda == 1.0);
    }
}

#[test]
fn a_tiny_temperature_is_an_error_or_an_answer_with_a_warning() {
    let world = world(12, 80, 40, 33, 12);
    for tau in [1e-3, 1e-6, 1e-12] {
        let settings = Settings { regularisation: Regularisation::Tau(tau), max_steps: 40, ..settings(0.6, 0.1, 0.7) };
        match CpuEngine::new().solve(&world.problem(), &settings.checked().expect("in range"), &Silent) {
            Ok(outcome) => {
                assert!((outcome.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                assert!(outcome.score.iter().all(|score| score.is_finite()));
                assert!(warns(&outcome, "Tau is below a tenth of epsilon"), "{:?}", outcome.warnings);
            }
            Err(error) => assert!(error.to_string().contains("raise epsilon, tau"), "{error}"),
        }
    }
}

#[test]
fn a_kernel_beyond_the_budget_is_recomputed_and_gives_the_same_answer() {
    let world = world(13, 700, 70, 45, 24);
    let plain = settings(0.6, 0.1, 0.7);
    let bytes = 4 * 700 * (96 + 64);
    for (format, kept) in [(KernelFormat::Single, "kept-f32"), (KernelFormat::Half, "kept-f16")] {
        let whole = solve(&world, &plain, format);
        assert_eq!(whole.kernel, kept);
        for (budget, label) in [(0, "recomputed".to_owned()), (bytes / 4, format!("{kept} ("))] {
            let small = Settings { memory_budget: budget, ..plain.clone() };
            let found = solve(&world, &small, format);
            assert!(found.kernel.starts_with(&label), "{} for {budget} bytes", found.kernel);
            let distance = total_variation(&found.weights, &whole.weights);
            assert!(distance < if format == KernelFormat::Single { 1e-6 } else { 1e-3 }, "{label}: {distance:e}");
            assert_eq!(found.stop, whole.stop);
        }
    }
}

/// Cancels when the solve has come to a place, and counts what is still asked afterwards.
struct Stopper {
    stage: &'static str,
    at: u64,
    cancelled: AtomicBool,
    asked: AtomicUsize,
    steps: AtomicUsize,
}

impl Progress for Stopper {
    fn tick(&self, stage: &str, done: u64, _total: Option<u64>) {
        if stage == self.stage && done >= self.at {
            self.cancelled.store(true, Ordering::SeqCst);
        }
    }

    fn is_cancelled(&self) -> bool {
        let cancelled = self.cancelled.load(Ordering::SeqCst);
        self.asked.fetch_add(usize::from(cancelled), Ordering::SeqCst);
        cancelled
    }
}

impl Observer for Stopper {
    fn step(&self, _point: &TracePoint) {
        self.steps.fetch_add(usize::from(self.cancelled.load(Ordering::SeqCst)), Ordering::SeqCst);
    }
}

#[test]
fn a_cancel_ends_the_solve_after_the_strips_in_flight() {
    let world = world(14, 2000, 120, 90, 64);
    for (stage, at) in [("building kernel", 0), ("building kernel", 1), ("aligning", 1), ("aligning", 3)] {
        for solver in [SolverKind::Scaling, SolverKind::Adam, SolverKind::OneShot] {
            let (cancelled, asked, steps) = Default::default();
            let stopper = Stopper { stage, at, cancelled, asked, steps };
            let settings = Settings { solver, ..settings(0.6, 0.1, 0.7) }.checked().expect("in range");
            let found = CpuEngine::with_format(KernelFormat::Recomputed).solve(&world.problem(), &settings, &stopper);
            assert!(matches!(found, Err(TransportError::Cancelled(_))), "{stage} {at} {solver:?}");
            // Two threads work, and each asks once before a strip.
            assert!(stopper.asked.load(Ordering::SeqCst) <= 4, "{stage} {at} {solver:?}: {:?}", stopper.asked);
            assert_eq!(stopper.steps.load(Ordering::SeqCst), 0, "{stage} {at} {solver:?}");
        }
    }
}
