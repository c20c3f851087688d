//! The GPU engine against the oracle, on whatever adapter there is: none is a failure. Sizes keep a software adapter
//! (4 GFLOP/s) within seconds.
//!
//! Tolerances as in parity.rs: float32 for kept-f32 and matrix-free, the half-precision one for kept-u16.

use std::sync::LazyLock;

use dipole::transport::{
    Engine, GpuEngine, GpuKernel, KernelFormat, Outcome, Regularisation, Settings, SolverKind, Stop,
};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::clouds::{Cloud, World, world};
use crate::oracle::{potential_error, scaling, total_variation};
use crate::parity::{compare, settings, solve};

/// One open device a format: compiling the stages takes longer than most solves.
static ENGINES: LazyLock<[GpuEngine; 3]> = LazyLock::new(|| FORMATS.map(|format| GpuEngine::new().with_kernel(format)));

const FORMATS: [GpuKernel; 3] = [GpuKernel::Single, GpuKernel::Packed, GpuKernel::Recomputed];
const EXACT: [GpuKernel; 2] = [GpuKernel::Single, GpuKernel::Recomputed];

/// Warnings and steps as they are told.
#[derive(Default)]
pub struct Listener {
    pub warnings: Mutex<Vec<String>>,
    pub steps: Mutex<Vec<usize>>,
}

impl dipole::jobs::Progress for Listener {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}
}

impl dipole::transport::Observer for Listener {
    fn step(&self, point: &dipole::transport::TracePoint) {
        self.steps.lock().push(point.step);
    }

    fn warn(&self, message: &str) {
        self.warnings.lock().push(message.to_owned());
    }
}

fn engine(format: GpuKernel) -> &'static GpuEngine {
    &ENGINES[FORMATS.iter().position(|known| *known == format).expect("a format")]
}

fn solve_on(world: &World, settings: &Settings, format: GpuKernel) -> Outcome {
    solve_with(engine(format), world, settings)
}

fn solve_with(engine: &GpuEngine, world: &World, settings: &Settings) -> Outcome {
    let checked = settings.clone().checked().expect("settings in range");
    let listener = Listener::default();
    let outcome = engine.solve(&world.problem(), &checked, &listener).expect("solves");
    assert!(outcome.engine.starts_with("gpu ") && !outcome.engine.contains("cpu"), "{:?}", outcome.warnings);
    assert_eq!(*listener.steps.lock(), (1..=outcome.trace.len()).collect::<Vec<_>>());
    outcome
}

fn check(label: &str, world: &World, settings: &Settings, formats: &[GpuKernel]) {
    for format in formats {
        check_with(engine(*format), label, world, settings, *format);
    }
}

fn check_with(engine: &GpuEngine, label: &str, world: &World, settings: &Settings, format: GpuKernel) {
    let outcome = solve_with(engine, world, settings);
    let label = format!("{label} {format:?} ({:?} after {})", outcome.stop, outcome.iterations);
    let steps = outcome.trace.len();
    let exact = scaling(&world.problem(), settings, steps, outcome.iterations - steps - 1);
    let tolerance = if format == GpuKernel::Packed { KernelFormat::Half } else { KernelFormat::Single };
    compare(&label, &outcome, &exact, tolerance);
}

#[test]
fn sums_with_subgroups_and_without_meet_the_tolerance() {
    for subgroups in [true, false] {
        let engines = EXACT.map(|format| GpuEngine::new().with_kernel(format).with_subgroups(subgroups));
        for (engine, format) in engines.iter().zip(EXACT) {
            let label = format!("subgroups {subgroups}");
            check_with(engine, &label, &world(11, 301, 67, 45, 37), &settings(0.7, 0.1, 0.7), format);
            // Costs reach 400 ε here: sums leave the range of float32.
            let small = Settings { max_steps: 30, ..settings(0.6, 0.005, 0.8) };
            check_with(engine, &label, &world(9, 90, 40, 33, 12), &small, format);
            check_with(engine, &label, &world(20, 1, 1, 1, 2), &settings(0.6, 0.15, 0.7), format);
        }
    }
}

#[test]
fn every_format_meets_its_tolerance() {
    let world = world(11, 301, 67, 45, 37);
    for lambda in [0.0, 0.7, 1.0] {
        check(&format!("lambda {lambda}"), &world, &settings(lambda, 0.1, 0.7), &FORMATS);
    }
}

#[test]
fn every_epsilon_meets_the_tolerance() {
    let world = world(12, 157, 90, 33, 24);
    for (epsilon, share) in [(0.02, 0.7), (0.05, 0.5), (0.3, 0.9), (10.0, 0.8)] {
        let settings = Settings { max_steps: 120, ..settings(0.7, epsilon, share) };
        check(&format!("epsilon {epsilon}"), &world, &settings, &EXACT[..1]);
    }
    // Costs reach 400 ε here.
    let small = Settings { max_steps: 40, ..settings(0.6, 0.005, 0.8) };
    check("smallest", &crate::clouds::world(9, 90, 40, 33, 12), &small, &EXACT[1..]);
}

#[test]
fn odd_sizes_meet_the_tolerance() {
    let sizes = [(1, 1, 1, 2), (1, 5, 3, 7), (2, 1, 1, 3), (9, 33, 31, 2), (65, 32, 1, 65), (130, 1, 64, 17)];
    for (seed, (n, safe, harmful, dim)) in sizes.into_iter().enumerate() {
        let world = world(20 + seed as u64, n, safe, harmful, dim);
        check(&format!("{n}x({safe}+{harmful})x{dim}"), &world, &settings(0.6, 0.15, 0.7), &EXACT);
    }
}

#[test]
fn random_problems_meet_the_tolerance() {
    let mut random = ChaCha8Rng::seed_from_u64(2027);
    for round in 0..6 {
        let (n, safe) = (random.random_range(40..200), random.random_range(20..120));
        let world = world(100 + round, n, safe, random.random_range(20..120), random.random_range(6..48));
        let epsilon = [0.02, 0.05, 0.1][round as usize % 3];
        let settings = settings(random.random_range(0.0..1.0), epsilon, random.random_range(0.45..0.9));
        let label = format!("round {round}, lambda {:.2}, epsilon {epsilon}", settings.lambda);
        check(&label, &world, &settings, &FORMATS[round as usize % 3..][..1]);
    }
}

#[test]
fn a_fixed_temperature_meets_the_tolerance_and_converges() {
    let world = world(13, 200, 50, 40, 16);
    let settings = Settings { regularisation: Regularisation::Tau(0.1), ..settings(0.5, 0.1, 0.7) };
    check("tau", &world, &settings, &EXACT[..1]);
    let outcome = solve_on(&world, &settings, GpuKernel::Single);
    assert_eq!((outcome.stop, outcome.tau), (Stop::Converged, 0.1));
}

#[test]
fn every_solver_tells_what_the_cpu_engine_tells() {
    let world = world(49, 120, 40, 33, 12);
    for solver in [SolverKind::Scaling, SolverKind::Adam, SolverKind::OneShot] {
        let settings = Settings { solver, ..settings(0.4, 0.1, 0.7) };
        let (ours, theirs) =
            (solve_on(&world, &settings, GpuKernel::Single), solve(&world, &settings, KernelFormat::Single));
        assert_eq!(ours.stop, theirs.stop, "{solver:?}");
        assert!(total_variation(&ours.weights, &theirs.weights) < 1e-3, "{solver:?}");
        assert!((ours.objective - theirs.objective).abs() < 1e-5, "{solver:?}");
        assert!((ours.safe.cost - theirs.safe.cost).abs() < 1e-5, "{solver:?}");
        assert!((ours.effective_rows - theirs.effective_rows).abs() < 0.1, "{solver:?}");
        for (ours, theirs) in [(&ours.score, &theirs.score), (&ours.pull, &theirs.pull), (&ours.push, &theirs.push)] {
            assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-5), "{solver:?}");
        }
        assert_eq!(ours.warnings, theirs.warnings, "{solver:?}");
        if solver != SolverKind::Adam {
            assert_eq!(ours.trace.len(), theirs.trace.len(), "{solver:?}");
        }
        for (ours, theirs) in ours.trace.iter().zip(&theirs.trace).take(8) {
            assert!((ours.objective - theirs.objective).abs() < 1e-5, "{solver:?} step {}", ours.step);
            assert!((ours.residual - theirs.residual).abs() < 1e-4, "{solver:?} step {}", ours.step);
            assert!((ours.tau / theirs.tau - 1.0).abs() < 1e-3, "{solver:?} step {}", ours.step);
            assert!((ours.effective_share - theirs.effective_share).abs() < 1e-4, "{solver:?} step {}", ours.step);
            assert!((ours.marginal_safe - theirs.marginal_safe).abs() < 1e-4, "{solver:?} step {}", ours.step);
        }
    }
}

#[test]
fn equal_rows_get_equal_weights() {
    let mut world = world(4, 37, 33, 20, 7);
    world.custom = world.custom.pick(&[0; 37]);
    let outcome = solve_on(&world, &settings(0.6, 0.1, 0.7), GpuKernel::Single);
    assert!(total_variation(&outcome.weights, &[1.0 / 37.0; 37]) < 1e-6);
    assert!(outcome.warnings.iter().any(|warning| warning.contains("equal")), "{:?}", outcome.warnings);
}

/// Ten iterations at uniform weights against the oracle.
fn check_one_shot(label: &str, world: &World, format: GpuKernel) {
    let settings = Settings { solver: SolverKind::OneShot, ..settings(0.7, 0.1, 0.7) };
    let outcome = solve_on(world, &settings, format);
    let exact = scaling(&world.problem(), &settings, 0, 9);
    let uniform = vec![1.0 / world.custom.rows as f64; world.custom.rows];
    for (found, exact) in [(&outcome.safe, &exact.safe), (&outcome.harmful, &exact.harmful)] {
        let (_, largest) = potential_error(&found.row_potential, &exact.f, &uniform);
        assert!(largest <= 1e-4, "{label} {format:?}: {largest:e}");
    }
}

#[test]
fn each_extreme_alone_meets_the_tolerance() {
    check_one_shot("many rows", &world(60, 100_000, 3, 5, 6), GpuKernel::Single);
    check_one_shot("many columns", &world(61, 20, 20_000, 40, 6), GpuKernel::Recomputed);
    check_one_shot("many dimensions", &world(62, 140, 50, 30, 4096), GpuKernel::Single);
}

#[test]
fn a_kernel_beyond_the_budget_gives_the_same_answer() {
    let world = world(13, 700, 70, 45, 24);
    let plain = settings(0.6, 0.1, 0.7);
    let bytes = 4 * 700 * (96 + 64);
    for format in [GpuKernel::Single, GpuKernel::Packed] {
        let whole = solve_on(&world, &plain, format);
        let kept = if format == GpuKernel::Single { "kept-f32" } else { "kept-u16" };
        assert_eq!(whole.kernel, kept);
        for (budget, label) in [(0, "matrix-free".to_owned()), (bytes / 4, format!("{kept} ("))] {
            let found = solve_on(&world, &Settings { memory_budget: budget, ..plain.clone() }, format);
            assert!(found.kernel.starts_with(&label), "{} for {budget} bytes", found.kernel);
            // The same cosines, made at another time.
            assert!(found.weights == whole.weights && found.trace == whole.trace, "{label}");
        }
    }
}

#[test]
fn the_cut_into_dispatches_changes_no_bit() {
    let world = world(40, 1500, 40, 33, 8);
    let settings = Settings { max_steps: 12, ..settings(0.6, 0.1, 0.7) };
    // A fresh engine begins with small dispatches, a used one has learned larger ones.
    let used = solve_on(&world, &settings, GpuKernel::Single);
    let fresh = GpuEngine::new().with_kernel(GpuKernel::Single);
    let checked = settings.checked().expect("in range");
    let found = fresh.solve(&world.problem(), &checked, &dipole::jobs::Silent).expect("solves");
    assert!(found == used);
}

#[test]
fn the_format_follows_from_the_problem() {
    let solve = |world: &World| {
        let settings = Settings { solver: SolverKind::OneShot, ..settings(0.6, 0.1, 0.7) }.checked().expect("in range");
        GpuEngine::new().solve(&world.problem(), &settings, &dipole::jobs::Silent).expect("solves").kernel
    };
    assert_eq!(solve(&world(50, 100, 50, 40, 24)), "kept-f32");
    assert_eq!(solve(&world(50, 100, 50, 40, 8)), "matrix-free");
    let wide = world(50, 2600, 500, 400, 24);
    assert_eq!(solve(&wide), "kept-u16");
    // Custom rows so alike that rounding would show.
    let base = Cloud::from_fn(2600, 24, |row, k| if k == 0 { 1.0 } else { 1e-4 * ((row * 7 + k * 3) % 11) as f32 });
    assert_eq!(solve(&World { custom: base, ..wide }), "kept-f32");
}
