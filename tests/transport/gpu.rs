//! The GPU engine against the oracle, on whatever adapter there is: none is a failure. Sizes keep a software adapter
//! (4 GFLOP/s) within seconds.
//!
//! Tolerances as in parity.rs: float32 for kept-f32 and matrix-free, the half-precision one for kept-u16.

use dipole::jobs::Silent;
use dipole::transport::{Engine, GpuEngine, GpuKernel, KernelFormat, Outcome, Settings};

use crate::clouds::{World, world};
use crate::oracle::scaling;
use crate::parity::{compare, settings};

const EXACT: [GpuKernel; 2] = [GpuKernel::Single, GpuKernel::Recomputed];

fn solve_on(engine: &GpuEngine, world: &World, settings: &Settings) -> Outcome {
    let checked = settings.clone().checked().expect("settings in range");
    let outcome = engine.solve(&world.problem(), &checked, &Silent).expect("solves");
    assert!(outcome.engine.starts_with("gpu "), "{}: {:?}", outcome.engine, outcome.warnings);
    outcome
}

fn check(engine: &GpuEngine, label: &str, world: &World, settings: &Settings, format: GpuKernel) {
    let outcome = solve_on(engine, world, settings);
    let label = format!("{label} {format:?} ({:?} after {})", outcome.stop, outcome.iterations);
    let steps = outcome.trace.len();
    let exact = scaling(&world.problem(), settings, steps, outcome.iterations - steps - 1);
    let tolerance = if format == GpuKernel::Packed { KernelFormat::Brain } else { KernelFormat::Single };
    compare(&label, &outcome, &exact, tolerance);
}

#[test]
fn every_format_meets_its_tolerance() {
    let world = world(11, 301, 67, 45, 37);
    for format in EXACT.into_iter().chain([GpuKernel::Packed]) {
        let engine = GpuEngine::new().with_kernel(format);
        for lambda in [0.0, 0.5, 0.7, 1.0] {
            check(&engine, &format!("lambda {lambda}"), &world, &settings(lambda, 0.1, 0.7), format);
        }
    }
}
