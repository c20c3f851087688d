//! The map's projection: its oracles are a dense eigendecomposition, every pair of rows, and known clusters.

use dipole::embedding::Embeddings;
use dipole::embedding::projection::{
    LayoutObserver, Place, ProjectionSettings, exact_neighbours, nearest_neighbours, neighbour_embedding,
    principal_plane, trustworthiness,
};
use dipole::jobs::{CancelToken, Progress, Silent};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn normal(random: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0
}

/// Unit vectors around `clusters` random directions; row i belongs to cluster i % clusters.
fn clusters(rows: usize, dim: usize, clusters: usize, spread: f32) -> Embeddings {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let middles: Vec<Vec<f32>> = (0..clusters).map(|_| (0..dim).map(|_| normal(&mut random)).collect()).collect();
    let data = (0..rows).flat_map(|row| {
        let middle = &middles[row % clusters];
        middle.iter().map(|value| value + spread * normal(&mut random)).collect::<Vec<f32>>()
    });
    let mut vectors = Embeddings::new(rows, dim, data.collect()).expect("a matrix");
    vectors.normalise();
    vectors
}

fn split(vectors: &Embeddings, at: usize) -> [Embeddings; 2] {
    let (head, tail) = vectors.data().split_at(at * vectors.dim());
    let part = |data: &[f32]| Embeddings::new(data.len() / vectors.dim(), vectors.dim(), data.to_vec());
    [part(head).expect("a matrix"), part(tail).expect("a matrix")]
}

#[test]
fn the_main_plane_is_that_of_a_dense_decomposition() {
    let vectors = clusters(700, 40, 5, 0.3);
    let places = principal_plane(&[&vectors], 3, 2, &Silent).expect("a plane");
    let (rows, dim) = (vectors.rows(), vectors.dim());
    let mean: Vec<f64> =
        (0..dim).map(|j| (0..rows).map(|i| f64::from(vectors.row(i)[j])).sum::<f64>() / rows as f64).collect();
    let centred = faer::Mat::from_fn(rows, dim, |i, j| f64::from(vectors.row(i)[j]) - mean[j]);
    let exact = centred.svd().expect("a dense decomposition");
    for axis in 0..2 {
        let singular = exact.S().column_vector()[axis];
        let found: Vec<f64> = places.iter().map(|place| f64::from(place[axis])).collect();
        let length = found.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((length / singular - 1.0).abs() < 1e-3, "axis {axis}: {length} and {singular}");
        let alignment: f64 = found.iter().enumerate().map(|(i, x)| x / length * exact.U()[(i, axis)]).sum();
        assert!(alignment.abs() > 0.999, "axis {axis}: {alignment}");
    }
}

#[test]
fn the_graph_of_many_rows_has_nearly_all_true_neighbours() {
    let vectors = clusters(13_000, 24, 40, 0.6);
    let found = nearest_neighbours(&[&vectors], 15, 0, 2, &Silent).expect("a graph");
    let exact = exact_neighbours(&[&vectors], 15, 2, &Silent).expect("a graph");
    assert_eq!((found.rows.len(), found.k), (exact.rows.len(), 15));
    // The oracle of the oracle: all pairs of some rows in float64.
    for row in [0, 77, 12_999] {
        let far = |other: usize| -> f64 {
            vectors.row(row).iter().zip(vectors.row(other)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        };
        let mut order: Vec<usize> = (0..vectors.rows()).filter(|other| *other != row).collect();
        order.sort_by(|a, b| far(*a).total_cmp(&far(*b)));
        for (at, other) in order.iter().take(15).enumerate() {
            let listed = exact.distances[row * 15 + at];
            assert!((f64::from(listed) - far(*other)).abs() < 1e-4, "row {row}, neighbour {at}");
        }
    }
    let pairs = found.rows.chunks(15).zip(exact.rows.chunks(15));
    let same: usize = pairs.map(|(found, exact)| exact.iter().filter(|row| found.contains(row)).count()).sum();
    let recall = same as f64 / exact.rows.len() as f64;
    assert!(recall >= 0.97, "recall {recall}");
}

#[test]
fn clusters_stay_together_and_threads_change_no_bit() {
    let vectors = clusters(1_500, 24, 6, 0.35);
    let [custom, reference] = split(&vectors, 1_000);
    let sets = [&custom, &reference];
    let place = |threads: usize| {
        let start = principal_plane(&sets, 5, threads, &Silent).expect("a plane");
        let settings = ProjectionSettings { threads, seed: 5, epochs: Some(150), ..ProjectionSettings::default() };
        (neighbour_embedding(&sets, &start, &settings, &Silent).expect("a layout"), start)
    };
    let (places, plane) = place(1);
    assert_eq!((&places, &plane), (&place(2).0, &place(3).1));
    assert_eq!(places, place(3).0);

    let trust = trustworthiness(&vectors, &places, 15).expect("a figure");
    let before = trustworthiness(&vectors, &plane, 15).expect("a figure");
    assert!(trust > 0.93 && trust > before, "trustworthiness {trust}, of the main plane {before}");
    // Nearly every row has its own cluster around it, also across the two sets.
    let near_own = (0..places.len()).filter(|row| {
        let far = |other: &usize| -> f32 {
            (places[*other][0] - places[*row][0]).powi(2) + (places[*other][1] - places[*row][1]).powi(2)
        };
        let nearest = (0..places.len()).filter(|other| other != row).min_by(|a, b| far(a).total_cmp(&far(b)));
        nearest.is_some_and(|other| other % 6 == row % 6)
    });
    let share = near_own.count() as f64 / places.len() as f64;
    assert!(share > 0.95, "{share} of the rows are next to one of their cluster");
}

#[test]
fn many_rows_give_the_same_bits_on_any_number_of_threads() {
    let vectors = clusters(12_500, 8, 20, 0.5);
    let place = |threads: usize| {
        let start = principal_plane(&[&vectors], 1, threads, &Silent).expect("a plane");
        let settings = ProjectionSettings { threads, epochs: Some(3), ..ProjectionSettings::default() };
        neighbour_embedding(&[&vectors], &start, &settings, &Silent).expect("a layout")
    };
    let one = place(1);
    assert_eq!(one, place(2));
    assert_eq!(one, place(3));
}

#[test]
fn trustworthiness_agrees_with_its_definition() {
    let vectors = clusters(60, 6, 3, 0.8);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let places: Vec<Place> = (0..60).map(|_| [normal(&mut random), normal(&mut random)]).collect();
    let (n, k) = (60_usize, 7_usize);
    let ranks = |far: &dyn Fn(usize) -> f64, own: usize| -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).filter(|row| *row != own).collect();
        order.sort_by(|a, b| far(*a).total_cmp(&far(*b)));
        order
    };
    let mut lost = 0.0;
    for own in 0..n {
        let deep = |row: usize| -> f64 {
            vectors.row(own).iter().zip(vectors.row(row)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
        };
        let flat = |row: usize| f64::from((places[own][0] - places[row][0]).hypot(places[own][1] - places[row][1]));
        let deep = ranks(&deep, own);
        for row in ranks(&flat, own).into_iter().take(k) {
            let rank = 1 + deep.iter().position(|other| *other == row).expect("ranked");
            lost += rank.saturating_sub(k) as f64;
        }
    }
    let expected = 1.0 - lost * 2.0 / (n * k * (2 * n - 3 * k - 1)) as f64;
    let found = trustworthiness(&vectors, &places, k).expect("a figure");
    assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
    assert!(trustworthiness(&vectors, &places[1..], k).is_none());
}

/// Cancels once the layout has begun.
struct Impatient(CancelToken);

impl Progress for Impatient {
    fn tick(&self, _: &str, _: u64, _: Option<u64>) {}
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl LayoutObserver for Impatient {
    fn layout(&self, places: &[Place]) {
        assert_eq!(places.len(), 90);
        self.0.cancel();
    }
}

#[test]
fn odd_sets_are_no_trouble_and_a_wish_to_stop_is_heard() {
    let vectors = clusters(90, 6, 3, 0.5);
    let start = principal_plane(&[&vectors], 0, 1, &Silent).expect("a plane");
    let settings = ProjectionSettings { threads: 1, epochs: Some(5), ..ProjectionSettings::default() };
    let stopped = neighbour_embedding(&[&vectors], &start, &settings, &Impatient(CancelToken::default()));
    assert!(stopped.expect_err("stopped").to_string().contains("cancelled"));
    assert!(neighbour_embedding(&[&vectors], &start[1..], &settings, &Silent).is_err());
    let narrow = clusters(10, 3, 1, 0.5);
    assert!(principal_plane(&[&vectors, &narrow], 0, 1, &Silent).is_err());

    // No row, one row, equal rows, a zero row, fewer rows than neighbours.
    let equal = Embeddings::new(40, 3, [0.0, 1.0, 0.0].repeat(40)).expect("a matrix");
    let single = Embeddings::new(1, 3, vec![0.0; 3]).expect("a matrix");
    for sets in [vec![&equal], vec![&single], vec![&equal, &single], vec![&narrow]] {
        let start = principal_plane(&sets, 0, 1, &Silent).expect("a plane");
        let places = neighbour_embedding(&sets, &start, &settings, &Silent).expect("a layout");
        assert_eq!(places.len(), start.len());
        assert!(places.iter().flatten().all(|value| value.is_finite()));
    }
    let none = Embeddings::empty();
    assert_eq!(principal_plane(&[&none], 0, 1, &Silent).expect("a plane"), Vec::<Place>::new());
}
