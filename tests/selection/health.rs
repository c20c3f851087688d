//! Reference health on worlds whose faults are planted.

use dipole::jobs::Silent;
use dipole::selection::health::{Health, NEIGHBOURS, check};
use dipole::transport::{Points, Problem, Side};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 12;

#[derive(Default, Clone)]
struct World {
    sets: [Vec<f32>; 3],
}

const CUSTOM: usize = 0;
const SAFE: usize = 1;
const HARMFUL: usize = 2;

impl World {
    /// Adds rows around an axis.
    fn with(mut self, set: usize, axis: usize, rows: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..rows {
            let row: Vec<f32> = (0..DIM)
                .map(|column| random.random_range(-0.3f32..0.3) + f32::from(u8::from(column == axis)))
                .collect();
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            self.sets[set].extend(row.iter().map(|value| value / norm));
        }
        self
    }

    fn row(&self, set: usize, row: usize) -> &[f32] {
        &self.sets[set][row * DIM..(row + 1) * DIM]
    }

    fn rows(&self, set: usize) -> usize {
        self.sets[set].len() / DIM
    }

    fn check(&self) -> Health {
        let points = |set: usize| Points::new(&self.sets[set], self.rows(set), DIM).expect("whole rows");
        let problem = Problem { custom: points(CUSTOM), safe: points(SAFE), harmful: points(HARMFUL) };
        check(&problem, 7, &Silent).expect("checks")
    }
}

/// Two kinds of custom rows, both in the safe reference, and a harmful kind of its own.
fn sound() -> World {
    World::default()
        .with(CUSTOM, 0, 120, 1)
        .with(CUSTOM, 1, 120, 2)
        .with(SAFE, 0, 60, 3)
        .with(SAFE, 1, 60, 4)
        .with(HARMFUL, 5, 100, 5)
}

#[test]
fn sound_references_look_like_the_rows_and_lie_apart() {
    let found = sound().check();
    let likeness = found.likeness.expect("rows enough");
    assert!((0.4..0.6).contains(&likeness), "alike sets share their neighbours: {likeness}");
    assert_eq!((found.safe.misplaced, found.harmful.misplaced), (Some(0.0), Some(0.0)));
    assert_eq!((found.suspects_in_all, found.twins_in_all), (0, 0));
    // One per cent of the references sets the threshold, so about as many like rows may lie beyond it.
    assert!(found.coverage.share() < 0.05, "{:?}", found.coverage);
}

#[test]
fn a_general_safe_reference_does_not_look_like_the_rows() {
    let world = World::default().with(CUSTOM, 0, 200, 1).with(SAFE, 3, 100, 3).with(HARMFUL, 5, 100, 5);
    assert!(world.check().likeness.expect("rows enough") > 0.95);
}

#[test]
fn rows_filed_on_the_wrong_side_stand_out_and_are_named() {
    // Three harmful rows among the safe ones, and one safe row among the harmful ones.
    let world = sound().with(SAFE, 5, 3, 11).with(HARMFUL, 0, 1, 12);
    let found = world.check();
    let named: Vec<(Side, usize)> = found.suspects.iter().map(|suspect| (suspect.side, suspect.row)).collect();
    for planted in [(Side::Safe, 120), (Side::Safe, 121), (Side::Safe, 122), (Side::Harmful, 100)] {
        assert!(named.contains(&planted), "{planted:?} in {named:?}");
    }
    assert_eq!(found.suspects_in_all, 4, "no other row is suspected: {named:?}");
    assert!(found.suspects.iter().all(|suspect| suspect.other > suspect.own && suspect.outlying > 3.0));
}

#[test]
fn rows_of_both_references_are_twins_and_make_them_overlap() {
    let mut world = sound();
    let copied: Vec<f32> = world.sets[SAFE][..20 * DIM].to_vec();
    world.sets[HARMFUL].extend(copied);
    let found = world.check();
    assert_eq!(found.twins_in_all, 20);
    let first = found.twins.first().expect("a twin");
    assert_eq!(world.row(SAFE, first.safe), world.row(HARMFUL, first.harmful));
    assert!(found.harmful.misplaced.expect("rows") > 0.1);
}

#[test]
fn what_no_reference_is_near_is_listed_whole() {
    // Seven rows of a kind that nobody shows.
    let world = sound().with(CUSTOM, 9, 7, 21);
    let found = world.check();
    let planted: Vec<u32> = (240..247).collect();
    assert!(planted.iter().all(|row| found.coverage.uncovered.contains(row)), "{:?}", found.coverage);
    // The slow way: the nearest reference of every row.
    let cosine = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let slow: Vec<u32> = (0..world.rows(CUSTOM))
        .filter(|row| {
            let references = [SAFE, HARMFUL].into_iter().flat_map(|set| (0..world.rows(set)).map(move |at| (set, at)));
            let best = references
                .map(|(set, at)| cosine(world.row(CUSTOM, *row), world.row(set, at)))
                .fold(f64::NEG_INFINITY, f64::max);
            best < found.coverage.threshold - 1e-6
        })
        .map(|row| row as u32)
        .collect();
    assert_eq!(found.coverage.uncovered, slow);
}

#[test]
fn misplaced_rows_are_those_of_the_definition() {
    // Both references on one axis: a good part lies on the wrong side.
    let world = World::default().with(CUSTOM, 0, 50, 1).with(SAFE, 0, 70, 3).with(HARMFUL, 0, 40, 5);
    let found = world.check();
    let mean = |row: &[f32], set: usize, without: Option<usize>| -> f64 {
        let mut cosines: Vec<f64> = (0..world.rows(set))
            .filter(|at| Some(*at) != without)
            .map(|at| row.iter().zip(world.row(set, at)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
            .collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        cosines.iter().take(NEIGHBOURS).sum::<f64>() / NEIGHBOURS as f64
    };
    let misplaced = |own: usize, other: usize| {
        let wrong = (0..world.rows(own)).filter(|at| {
            let row = world.row(own, *at);
            mean(row, other, None) > mean(row, own, Some(*at))
        });
        wrong.count() as f64 / world.rows(own) as f64
    };
    assert_eq!(found.safe.misplaced, Some(misplaced(SAFE, HARMFUL)));
    assert_eq!(found.harmful.misplaced, Some(misplaced(HARMFUL, SAFE)));
    assert!(found.safe.misplaced > Some(0.02), "the world shows something: {:?}", found.safe);
}

#[test]
fn tiny_and_empty_sets_are_no_trouble() {
    let tiny = World::default().with(CUSTOM, 0, 1, 1).with(SAFE, 0, 1, 2).with(HARMFUL, 1, 1, 3);
    let found = tiny.check();
    assert_eq!((found.likeness, found.safe.misplaced, found.suspects_in_all), (None, None, 0));
    let points = |data| Points::new(data, <[f32]>::len(data) / DIM, DIM).expect("whole rows");
    let none: [f32; 0] = [];
    let problem = Problem { custom: points(&tiny.sets[0]), safe: points(&none), harmful: points(&tiny.sets[2]) };
    assert!(check(&problem, 0, &Silent).expect_err("empty").to_string().contains("embed the sets again"));
}

#[test]
fn the_answer_does_not_hang_on_the_number_of_threads() {
    let world = sound().with(SAFE, 5, 3, 11);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| world.check())
    };
    assert_eq!(with(1), with(3));
}
