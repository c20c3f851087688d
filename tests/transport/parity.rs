//! The engine against the oracle, with the tolerances of a fast engine:
//! e = f - f*, centred by its w-mean, over the w-weighted standard deviation of f*; float32 kernel: max |e| ≤ 1e-4;
//! bfloat16: rms ≤ 1e-3, max ≤ 5e-3; weights: total variation ≤ 1e-3. Same iterations and temperature, ESS ≥ .4.

use dipole::jobs::Silent;
use dipole::transport::{CpuEngine, Engine, KernelFormat, Outcome, Regularisation, Settings, Stop};

use crate::clouds::{World, world};
use crate::oracle::{Answer, potential_error, scaling, total_variation};

pub const EXACT: [KernelFormat; 2] = [KernelFormat::Single, KernelFormat::Recomputed];

pub fn settings(lambda: f64, epsilon: f64, share: f64) -> Settings {
    Settings {
        lambda,
        epsilon,
        regularisation: Regularisation::EffectiveShare(share),
        threads: 2,
        ..Settings::default()
    }
}

pub fn solve(world: &World, settings: &Settings, format: KernelFormat) -> Outcome {
    let checked = settings.clone().checked().expect("settings in range");
    CpuEngine::with_format(format).plain().solve(&world.problem(), &checked, &Silent).expect("solves")
}

pub fn compare(label: &str, outcome: &Outcome, exact: &Answer, format: KernelFormat) {
    let (rms_limit, limit) = if format == KernelFormat::Half { (1e-3, 5e-3) } else { (1e-4, 1e-4) };
    let weights: Vec<f64> = exact.log_w.iter().map(|w| w.exp()).collect();
    for (side, found, exact) in [("safe", &outcome.safe, &exact.safe), ("harmful", &outcome.harmful, &exact.harmful)] {
        assert!((found.epsilon / exact.epsilon - 1.0).abs() < 1e-5, "{label} {side} epsilon");
        if weights.len() == 1 {
            continue;
        }
        let (rms, largest) = potential_error(&found.row_potential, &exact.f, &weights);
        assert!(rms <= rms_limit && largest <= limit, "{label} {side}: rms {rms:e}, max {largest:e}");
    }
    let distance = total_variation(&outcome.weights, &weights);
    assert!(distance <= 1e-3, "{label}: weights differ by {distance:e}");
    assert!((outcome.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{label}");
}

pub fn check(label: &str, world: &World, settings: &Settings, formats: &[KernelFormat]) {
    for format in formats {
        let outcome = solve(world, settings, *format);
        let label = format!("{label} {format:?} ({:?} after {})", outcome.stop, outcome.iterations);
        let steps = outcome.trace.len();
        let exact = scaling(&world.problem(), settings, steps, outcome.iterations - steps - 1);
        compare(&label, &outcome, &exact, *format);
    }
}

#[test]
fn every_format_meets_its_tolerance_for_every_lambda() {
    // bfloat16 errors average out over columns; the engine takes it only where they do.
    let (narrow, wide) = (world(11, 301, 67, 45, 37), world(14, 203, 403, 301, 37));
    for lambda in [0.0, 0.3, 0.5, 0.7, 1.0] {
        let settings = settings(lambda, 0.1, 0.7);
        check(&format!("lambda {lambda}"), &narrow, &settings, &EXACT);
        check(&format!("lambda {lambda}"), &wide, &settings, &[KernelFormat::Half]);
    }
}

#[test]
fn small_epsilon_and_other_shares_meet_the_tolerance() {
    let world = world(12, 257, 90, 33, 24);
    for (epsilon, share) in [(0.02, 0.7), (0.05, 0.5), (0.3, 0.9)] {
        check(&format!("epsilon {epsilon}"), &world, &settings(0.7, epsilon, share), &EXACT[..1]);
        check(&format!("epsilon {epsilon}"), &world, &settings(0.5, epsilon, share), &EXACT[1..]);
    }
}

#[test]
fn odd_sizes_meet_the_tolerance() {
    for (seed, (n, safe, harmful, dim)) in
        [(1, 1, 1, 1), (1, 5, 3, 7), (2, 1, 1, 3), (9, 33, 31, 2), (65, 32, 1, 65), (130, 1, 64, 17)]
            .into_iter()
            .enumerate()
    {
        let world = world(20 + seed as u64, n, safe, harmful, dim);
        if dim == 1 {
            // One dimension leaves costs of 0 and 2 only; sizes of one are covered by the third.
            continue;
        }
        check(&format!("{n}x({safe}+{harmful})x{dim}"), &world, &settings(0.6, 0.15, 0.7), &EXACT);
    }
}

#[test]
fn a_fixed_temperature_meets_the_tolerance_and_converges() {
    let world = world(13, 200, 50, 40, 16);
    let settings =
        Settings { regularisation: Regularisation::Tau(0.1), lambda: 0.5, epsilon: 0.1, ..Settings::default() };
    check("tau", &world, &settings, &EXACT[..1]);
    let outcome = solve(&world, &settings, KernelFormat::Single);
    assert_eq!(outcome.stop, Stop::Converged);
    assert_eq!(outcome.tau, 0.1);
    assert!(outcome.residual <= 1e-3);
}
