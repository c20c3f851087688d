//! Transport at fixed weights: against the float64 oracle, plain and over-relaxed, in every format.

use dipole::jobs::Silent;
use dipole::transport::{
    Coupling, CpuEngine, Engine, KernelFormat, Points, SinkhornSettings, Stop, TransportError, sinkhorn,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::clouds::{World, world};
use crate::oracle::{Reference, potential_error, total_variation};

fn weights(seed: u64, n: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let drawn: Vec<f64> = (0..n).map(|_| random.random_range(0.05..1.0)).collect();
    let total: f64 = drawn.iter().sum();
    drawn.iter().map(|w| w / total).collect()
}

fn transport(world: &World, weights: &[f64], settings: &SinkhornSettings) -> Coupling {
    sinkhorn(world.custom.points(), world.safe.points(), Some(weights), settings, &Silent).expect("solves")
}

/// L1 errors of both marginals of the plan of these potentials, in float64.
fn marginal_errors(reference: &Reference, weights: &[f64], found: &Coupling) -> f64 {
    let m = found.column_potential.len();
    let mut columns = vec![0.0; m];
    let mut error = 0.0;
    for ((costs, f), w) in reference.costs.iter().zip(&found.row_potential).zip(weights) {
        let mut row = 0.0;
        for ((cost, g), column) in costs.iter().zip(&found.column_potential).zip(&mut columns) {
            let entry = w / m as f64 * ((f + g - cost) / reference.epsilon).exp();
            row += entry;
            *column += entry;
        }
        error += (row - w).abs();
    }
    error + columns.iter().map(|column| (column - 1.0 / m as f64).abs()).sum::<f64>()
}

#[test]
fn potentials_and_marginals_meet_the_oracle_in_every_format() {
    let world = world(70, 230, 410, 1, 32);
    let weights = weights(1, 230);
    let log_weights: Vec<f64> = weights.iter().map(|w| w.ln()).collect();
    for epsilon in [0.1, 0.05, 0.03] {
        let mut reference = Reference::new(world.custom.points(), world.safe.points(), 1.0);
        reference.epsilon = epsilon;
        let exact = reference.solved(&log_weights, 800);
        for (format, limit) in
            [(KernelFormat::Single, 1e-4), (KernelFormat::Recomputed, 1e-4), (KernelFormat::Half, 2e-3)]
        {
            for relaxed in [false, true] {
                let label = format!("epsilon {epsilon} {format:?} relaxed {relaxed}");
                let settings = SinkhornSettings {
                    epsilon,
                    tolerance: 1e-6,
                    format: Some(format),
                    relaxed,
                    ..SinkhornSettings::default()
                };
                let found = transport(&world, &weights, &settings);
                assert!(found.converged && found.marginal_error <= 1e-6, "{label}: {}", found.marginal_error);
                let (_, largest) = potential_error(&found.row_potential, &exact.f, &weights);
                assert!(largest <= limit, "{label}: {largest:e}");
                assert!((found.cost - exact.dual(&log_weights)).abs() <= 1e-5, "{label}: {}", found.cost);
                let error = marginal_errors(&reference, &weights, &found);
                assert!(error <= if format == KernelFormat::Half { 6e-4 } else { 3e-5 }, "{label}: {error:e}");
            }
        }
    }
}

/// Its column's mass comes from it alone, so that its density is as large as its weight is small.
#[test]
fn a_row_of_hardly_any_weight_gets_its_potential_in_every_format() {
    let (n, m) = (1000, 40);
    let along = |axis: bool| if axis { [0.0f32, 1.0] } else { [1.0, 0.0] };
    let x: Vec<f32> = (0..n).flat_map(|row| along(row + 1 == n)).collect();
    let y: Vec<f32> = (0..m).flat_map(|column| along(column + 1 == m)).collect();
    let points = |data| Points::new(data, data.len() / 2, 2).expect("fits");
    for (lonely, epsilon) in [(1e-9, 0.02), (1e-5, 0.012), (1e-12, 0.05)] {
        let mut weights = vec![1.0; n];
        weights[n - 1] = lonely * n as f64;
        let total: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let mut reference = Reference::new(points(&x), points(&y), 1.0);
        reference.epsilon = epsilon;
        for format in [KernelFormat::Single, KernelFormat::Half, KernelFormat::Recomputed] {
            let settings = SinkhornSettings {
                epsilon,
                tolerance: 1e-6,
                max_sweeps: 40,
                format: Some(format),
                ..SinkhornSettings::default()
            };
            let found = sinkhorn(points(&x), points(&y), Some(&weights), &settings, &Silent).expect("solves");
            for (row, (costs, f)) in reference.costs.iter().zip(&found.row_potential).enumerate() {
                let entries =
                    costs.iter().zip(&found.column_potential).map(|(cost, g)| ((f + g - cost) / epsilon).exp());
                let sum = entries.sum::<f64>() / m as f64;
                assert!((sum - 1.0).abs() < 3e-3, "weight {lonely:e}, epsilon {epsilon}, {format:?}, row {row}: {sum}");
            }
        }
    }
}

#[test]
fn over_relaxation_takes_fewer_sweeps_and_never_more() {
    let world = world(71, 400, 120, 1, 24);
    let weights = weights(2, 400);
    let sweeps = |epsilon, relaxed| {
        let settings = SinkhornSettings { epsilon, relaxed, ..SinkhornSettings::default() };
        let found = transport(&world, &weights, &settings);
        assert!(found.converged);
        found.sweeps
    };
    for epsilon in [0.3, 0.1, 0.05, 0.02, 0.01] {
        let (plain, relaxed) = (sweeps(epsilon, false), sweeps(epsilon, true));
        assert!(relaxed <= plain + 1, "epsilon {epsilon}: {relaxed} sweeps, plain {plain}");
        if epsilon <= 0.02 {
            assert!(2 * relaxed < plain, "epsilon {epsilon}: {relaxed} sweeps, plain {plain}");
        }
    }
}

#[test]
fn the_same_bits_come_from_any_number_of_threads() {
    let world = world(72, 1500, 200, 1, 40);
    let weights = weights(3, 1500);
    for format in [KernelFormat::Single, KernelFormat::Half, KernelFormat::Recomputed] {
        let solved = |threads| {
            let settings =
                SinkhornSettings { epsilon: 0.03, format: Some(format), threads, ..SinkhornSettings::default() };
            let found = transport(&world, &weights, &settings);
            (found.row_potential, found.column_potential, found.sweeps)
        };
        let one = solved(1);
        assert_eq!(one, solved(2));
        assert_eq!(one, solved(5));
    }
}

#[test]
fn rows_without_weight_count_for_nothing_and_bad_inputs_are_named() {
    let world = world(73, 60, 40, 1, 12);
    let mut half = vec![1.0; 60];
    half[30..].fill(0.0);
    let settings = SinkhornSettings { epsilon: 0.1, tolerance: 1e-6, ..SinkhornSettings::default() };
    let whole = transport(&world, &half, &settings);
    let first = world.custom.pick(&(0..30).collect::<Vec<_>>());
    let part = sinkhorn(first.points(), world.safe.points(), None, &settings, &Silent).expect("solves");
    assert!((whole.cost - part.cost).abs() < 1e-6);

    let refused = |weights: &[f64], settings: &SinkhornSettings| {
        sinkhorn(world.custom.points(), world.safe.points(), Some(weights), settings, &Silent).expect_err("refused")
    };
    for bad in [vec![1.0; 59], vec![0.0; 60], vec![-1.0; 60], vec![f64::NAN; 60]] {
        assert!(matches!(refused(&bad, &settings), TransportError::Setting { setting: "weights", .. }));
    }
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let bad = SinkhornSettings { epsilon, ..settings.clone() };
        assert!(matches!(refused(&half, &bad), TransportError::Setting { setting: "epsilon", .. }));
    }
}

#[test]
fn over_relaxed_settling_ends_at_the_weights_of_plain_settling() {
    let world = world(74, 300, 80, 60, 24);
    for epsilon in [0.2, 0.05, 0.03] {
        let settings = crate::parity::settings(0.6, epsilon, 0.7);
        let plain = crate::parity::solve(&world, &settings, KernelFormat::Single);
        let checked = settings.checked().expect("in range");
        let relaxed = CpuEngine::with_format(KernelFormat::Single);
        let relaxed = relaxed.solve(&world.problem(), &checked, &Silent).expect("solves");
        assert_eq!(relaxed.stop, Stop::Converged, "epsilon {epsilon}");
        assert!(relaxed.residual <= 1e-3, "epsilon {epsilon}: {:e}", relaxed.residual);
        assert!(total_variation(&relaxed.weights, &plain.weights) <= 1e-3, "epsilon {epsilon}");
        // Where few sweeps settle the weights, over-relaxation has nothing to win and the trial sweeps cost a little.
        assert!(10 * relaxed.iterations <= 11 * plain.iterations, "{} and {}", relaxed.iterations, plain.iterations);
        for side in [&relaxed.safe, &relaxed.harmful] {
            assert!(side.marginal_error <= 1e-5, "epsilon {epsilon}: {:e}", side.marginal_error);
        }
    }
}
