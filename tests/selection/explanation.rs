//! Reasons on clusters that are known, beside slow formulas.

use dipole::embedding::MemoryTexts;
use dipole::jobs::Silent;
use dipole::selection::explanation::{Explainer, Force, Grouping, ReferenceWords, Vocabulary, group, reasons};
use dipole::transport::{CpuEngine, Engine, Outcome, Points, Problem, Settings, SideOutcome};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 12;
const WORDS: [&str; 6] = ["kettle", "harbour", "meadow", "poison", "burglary", "forgery"];

/// `counts[k]` rows around axis k whose texts hold the k-th word.
fn cloud(counts: &[usize], random: &mut ChaCha8Rng) -> (Vec<f32>, MemoryTexts, Vec<usize>) {
    let (mut data, mut texts, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, count) in counts.iter().enumerate() {
        for row in 0..*count {
            let row_of: Vec<f32> = (0..DIM)
                .map(|column| random.random_range(-0.25f32..0.25) + f32::from(u8::from(column == kind)))
                .collect();
            let norm = row_of.iter().map(|v| v * v).sum::<f32>().sqrt();
            data.extend(row_of.iter().map(|v| v / norm));
            let filler = ["alpha", "bravo", "charlie", "delta"][row % 4];
            texts.push(format!("the {} and the {filler} of {}", WORDS[kind], WORDS[kind]));
            kinds.push(kind);
        }
    }
    (data, MemoryTexts::new("cloud", texts), kinds)
}

struct World {
    custom: Vec<f32>,
    safe: Vec<f32>,
    harmful: Vec<f32>,
    kinds: Vec<usize>,
    safe_groups: Grouping,
    harmful_groups: Grouping,
    outcome: Outcome,
}

fn points(data: &[f32]) -> Points<'_> {
    Points::new(data, data.len() / DIM, DIM).expect("whole rows")
}

impl World {
    fn new() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (custom, _, kinds) = cloud(&[60, 60, 60, 12, 12, 12], &mut random);
        let (safe, safe_texts, _) = cloud(&[30, 30, 30], &mut random);
        let (harmful, harmful_texts, _) = cloud(&[0, 0, 0, 30, 30, 30], &mut random);
        let problem = Problem { custom: points(&custom), safe: points(&safe), harmful: points(&harmful) };
        let settings = Settings { threads: 1, ..Settings::default() }.checked().expect("in range");
        let outcome = CpuEngine::default().solve(&problem, &settings, &Silent).expect("solves");
        let safe_groups = group(points(&safe), &safe_texts, 3, &Silent).expect("groups");
        let harmful_groups = group(points(&harmful), &harmful_texts, 3, &Silent).expect("groups");
        Self { custom, safe, harmful, kinds, safe_groups, harmful_groups, outcome }
    }

    fn problem(&self) -> Problem<'_> {
        Problem { custom: points(&self.custom), safe: points(&self.safe), harmful: points(&self.harmful) }
    }
}

#[test]
fn the_planted_group_is_named() {
    let world = World::new();
    assert_eq!((world.safe_groups.groups.len(), world.harmful_groups.groups.len()), (3, 3));
    let found = reasons(&world.problem(), &world.outcome, &world.safe_groups, &world.harmful_groups, &Silent)
        .expect("explains");
    let mut told = 0;
    for (row, (reason, kind)) in found.iter().zip(&world.kinds).enumerate() {
        let (toward, grouping) = if *kind >= 3 {
            assert!(reason.nearer_than > 0.8, "row {row}: {reason:?}");
            (reason.harmful, &world.harmful_groups)
        } else {
            (reason.safe, &world.safe_groups)
        };
        let named = &grouping.groups[toward.group];
        assert_eq!(named.terms.first().map(String::as_str), Some(WORDS[*kind]), "row {row}: {named:?}");
        assert!(toward.share > 0.5, "row {row}: {reason:?}");
        if *kind >= 3 && reason.force == Force::Push {
            told += 1;
            let sentence = reason.sentence(&world.safe_groups, &world.harmful_groups);
            assert!(sentence.contains(&format!("about “{}", WORDS[*kind])), "{sentence}");
        }
    }
    assert!(told >= 12, "only {told} of the 36 planted rows are told by their nearness to the harmful reference");
}

#[test]
fn shares_are_those_of_the_plan_row_by_row_and_block_by_block() {
    let world = World::new();
    let explainer =
        Explainer::new(world.problem(), &world.outcome, &world.safe_groups, &world.harmful_groups).expect("fits");
    let n = world.kinds.len();
    let whole = explainer.block(0..n, &Silent).expect("explains");
    let parts: Vec<_> =
        (0..n).step_by(50).flat_map(|at| explainer.block(at..at + 50, &Silent).expect("explains")).collect();
    for (whole, part) in whole.iter().zip(&parts) {
        assert_eq!(whole.reason.force, part.reason.force);
        let all = |one: &dipole::selection::explanation::Explained| {
            [one.safe_shares.clone(), one.harmful_shares.clone()].concat()
        };
        assert!(all(whole).iter().zip(all(part)).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    assert_eq!(parts.len(), n);
    // π(j|i) ∝ exp((g_j - C_ij)/ε), one row and one reference at a time.
    let slow = |row: usize, reference: &[f32], side: &SideOutcome, grouping: &Grouping| -> Vec<f64> {
        let mass: Vec<f64> = (0..reference.len() / DIM)
            .map(|j| {
                let cosine: f64 =
                    (0..DIM).map(|k| f64::from(world.custom[row * DIM + k]) * f64::from(reference[j * DIM + k])).sum();
                ((side.column_potential[j] - (1.0 - cosine)) / side.epsilon).exp()
            })
            .collect();
        let total: f64 = mass.iter().sum();
        let of_group =
            |group| mass.iter().zip(&grouping.of).filter(|(_, of)| **of == group).map(|(mass, _)| mass).sum::<f64>();
        (0..grouping.groups.len()).map(|group| of_group(group) / total).collect()
    };
    for (row, found) in whole.iter().enumerate() {
        let safe = slow(row, &world.safe, &world.outcome.safe, &world.safe_groups);
        let harmful = slow(row, &world.harmful, &world.outcome.harmful, &world.harmful_groups);
        for (found, slow) in [(&found.safe_shares, safe), (&found.harmful_shares, harmful)] {
            assert!(found.iter().zip(&slow).all(|(a, b)| (a - b).abs() < 1e-4), "row {row}: {found:?} for {slow:?}");
        }
        let rounded = found.clone().rounded();
        assert!(rounded.safe_shares.iter().all(|share| format!("{share}").len() <= 6), "{rounded:?}");
    }
    let short = points(&world.safe[DIM..]);
    assert!(
        Explainer::new(
            Problem { safe: short, ..world.problem() },
            &world.outcome,
            &world.safe_groups,
            &world.harmful_groups
        )
        .is_err()
    );
}

#[test]
fn shared_words_are_those_of_the_slow_way() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let vocabulary: Vec<String> = (0..60u32)
        .map(|n| format!("w{}", (0..4).map(|k| char::from(b'a' + (n >> k & 7) as u8)).collect::<String>()))
        .collect();
    let mut text = |words: usize| {
        let chosen: Vec<&str> = (0..words)
            .map(|_| {
                // Some words are common, most are not.
                let at = random.random_range(0..vocabulary.len()).min(random.random_range(0..vocabulary.len()));
                vocabulary[at].as_str()
            })
            .collect();
        chosen.join(" ")
    };
    let reference: Vec<String> = (0..40).map(|_| text(12)).collect();
    let slow = Vocabulary::new(&reference, &Silent).expect("counts");
    let fast = ReferenceWords::new(&reference, &Silent).expect("reads");
    let mut told = 0;
    for _ in 0..20 {
        let row = text(15);
        let numbers = fast.numbers(&ReferenceWords::words_of(&row));
        for (at, other) in reference.iter().enumerate() {
            let expected = slow.shared(&row, other, 3);
            assert_eq!(fast.shared(&numbers, at, 3), expected, "{row} / {other}");
            told += expected.len();
        }
    }
    assert!(told > 100, "only {told} shared words: the test shows nothing");
}
