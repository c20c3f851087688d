//! Whatever the device does, the solve ends: with the CPU engine's answer, or at once when it is cancelled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dipole::jobs::Progress;
use dipole::transport::{
    ChosenEngine, Engine, EngineChoice, GpuEngine, GpuKernel, Injection, KernelFormat, Observer, Settings, SolverKind,
    TracePoint, TransportError,
};

use crate::clouds::world;
use crate::gpu::Listener;
use crate::oracle::total_variation;
use crate::parity::{settings, solve};

#[test]
fn each_failure_is_told_and_the_cpu_engine_goes_on() {
    let world = world(70, 150, 40, 33, 12);
    let cases = [
        (Injection::NoAdapter, "no graphics adapter", false),
        (Injection::Lost { after: 0 }, "lost", false),
        (Injection::Lost { after: 12 }, "lost", true),
        (Injection::OutOfMemory { after: 0 }, "memory", false),
        (Injection::OutOfMemory { after: 12 }, "memory", true),
        (Injection::Refused { after: 12 }, "refused", true),
    ];
    for solver in [SolverKind::Scaling, SolverKind::OneShot] {
        let settings = Settings { solver, ..settings(0.6, 0.05, 0.7) };
        let expected = solve(&world, &settings, KernelFormat::Single);
        for (injection, words, late) in cases {
            if late && solver == SolverKind::OneShot {
                continue;
            }
            let engine = GpuEngine::new().with_kernel(GpuKernel::Single).with_injection(injection);
            let listener = Listener::default();
            let checked = settings.clone().checked().expect("in range");
            let found = engine.solve(&world.problem(), &checked, &listener).expect("solves");
            let label = format!("{injection:?} {solver:?}");
            let told = listener.warnings.lock();
            assert!(told[0].contains(words) && told[0].contains("CPU engine"), "{label}: {told:?}");
            assert_eq!(found.warnings.first(), told.first(), "{label}");
            assert!(total_variation(&found.weights, &expected.weights) < 1e-3, "{label}");
            assert_eq!(found.stop, expected.stop, "{label}");
            if late {
                // From the step the device had reached, with its trace.
                assert!(told[0].contains("goes on from step"), "{label}: {told:?}");
                assert!(found.engine.starts_with("gpu ") && found.engine.ends_with(", then cpu"), "{}", found.engine);
                let steps: Vec<usize> = found.trace.iter().map(|point| point.step).collect();
                assert_eq!(steps, (1..=steps.len()).collect::<Vec<_>>(), "{label}");
                assert_eq!(*listener.steps.lock(), steps, "{label}");
                assert!(steps.len() <= expected.trace.len() + 3, "{label}: {} steps", steps.len());
            } else {
                assert_eq!(found.engine, "cpu", "{label}");
            }
        }
    }
}

#[test]
fn a_kernel_that_the_device_has_no_memory_for_is_made_again_in_every_sweep() {
    let world = world(74, 300, 70, 45, 24);
    let checked = Settings { solver: SolverKind::OneShot, ..settings(0.6, 0.1, 0.7) }.checked().expect("in range");
    let listener = Listener::default();
    let engine = || GpuEngine::new().with_kernel(GpuKernel::Single);
    let full = engine().with_injection(Injection::NoRoom);
    let found = full.solve(&world.problem(), &checked, &listener).expect("solves");
    let kept = engine().solve(&world.problem(), &checked, &dipole::jobs::Silent).expect("solves");
    assert_eq!((kept.kernel.as_str(), found.kernel.as_str()), ("kept-f32", "matrix-free"));
    assert!(listener.warnings.lock()[0].contains("less memory"), "{:?}", listener.warnings.lock());
    assert!(found.warnings[0].contains("less memory") && found.engine.starts_with("gpu "), "{:?}", found.warnings);
    assert!(found.weights == kept.weights);
}

#[test]
fn an_adapter_that_is_not_there_is_told_by_name() {
    let world = world(71, 40, 20, 20, 8);
    let listener = Listener::default();
    let checked = settings(0.6, 0.1, 0.7).checked().expect("in range");
    let engine = GpuEngine::on("no such adapter".to_owned());
    let outcome = engine.solve(&world.problem(), &checked, &listener).expect("solves");
    assert_eq!(outcome.engine, "cpu");
    assert!(outcome.warnings[0].contains("no such adapter"), "{:?}", outcome.warnings);
}

/// Cancels when the solve has come to a place, and counts what is still told afterwards.
struct Stopper {
    stage: &'static str,
    at: u64,
    cancelled: AtomicBool,
    ticks: AtomicUsize,
}

impl Progress for Stopper {
    fn tick(&self, stage: &str, done: u64, _total: Option<u64>) {
        if stage == self.stage && done >= self.at {
            self.cancelled.store(true, Ordering::SeqCst);
        } else {
            self.ticks.fetch_add(usize::from(self.cancelled.load(Ordering::SeqCst)), Ordering::SeqCst);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}

impl Observer for Stopper {
    fn step(&self, _point: &TracePoint) {
        assert!(!self.is_cancelled(), "a step after the cancel");
    }
}

#[test]
fn a_cancel_ends_the_solve_before_the_next_submission() {
    let world = world(14, 2000, 120, 90, 64);
    let engine = GpuEngine::new().with_kernel(GpuKernel::Recomputed);
    for (stage, at) in [("building kernel", 0), ("ranking", 2), ("aligning", 3)] {
        let stopper = Stopper { stage, at, cancelled: AtomicBool::new(false), ticks: AtomicUsize::new(0) };
        let settings = settings(0.6, 0.1, 0.7).checked().expect("in range");
        let found = engine.solve(&world.problem(), &settings, &stopper);
        assert!(matches!(found, Err(TransportError::Cancelled(_))), "{stage} {at}: {found:?}");
        assert_eq!(stopper.ticks.load(Ordering::SeqCst), 0, "{stage} {at}");
    }
    // The device is as good as before.
    let settings = Settings { solver: SolverKind::OneShot, ..settings(0.6, 0.1, 0.7) }.checked().expect("in range");
    let outcome = engine.solve(&world.problem(), &settings, &dipole::jobs::Silent).expect("solves");
    assert!(outcome.engine.starts_with("gpu "), "{:?}", outcome.warnings);
}

#[test]
fn a_bad_problem_is_an_error_on_every_engine() {
    let mut world = world(1, 9, 7, 5, 6);
    world.custom.data[4 * 6 + 2] = f32::NAN;
    for engine in [EngineChoice::Gpu, EngineChoice::Cpu, EngineChoice::Auto] {
        let settings = Settings { engine, ..settings(0.6, 0.1, 0.7) }.checked().expect("in range");
        let found = ChosenEngine::default().solve(&world.problem(), &settings, &dipole::jobs::Silent);
        assert_eq!(found, Err(TransportError::NotFinite { set: "custom", row: 4 }), "{engine:?}");
    }
}

#[test]
fn auto_says_why_it_took_an_engine() {
    let small = world(72, 40, 20, 20, 8);
    let solve = |world: &crate::clouds::World, engine| {
        let settings = Settings { engine, solver: SolverKind::OneShot, ..settings(0.6, 0.1, 0.7) };
        let checked = settings.checked().expect("in range");
        ChosenEngine::default().solve(&world.problem(), &checked, &dipole::jobs::Silent).expect("solves")
    };
    let found = solve(&small, EngineChoice::Auto);
    assert_eq!(found.engine, "cpu");
    assert!(found.engine_reason.contains("small"), "{}", found.engine_reason);
    assert_eq!(solve(&small, EngineChoice::Cpu).engine_reason, "");
    assert!(solve(&small, EngineChoice::Gpu).engine.starts_with("gpu "));
    // Large enough for a graphics processor; one that is the processor in disguise loses unheard.
    if dipole::gpu::adapters().iter().all(dipole::gpu::Adapter::is_software) {
        let found = solve(&world(73, 4000, 3600, 3600, 384), EngineChoice::Auto);
        assert_eq!(found.engine, "cpu");
        assert!(found.engine_reason.contains("software"), "{}", found.engine_reason);
    }
}
