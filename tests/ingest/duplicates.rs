//! Near-duplicate groups against exact Jaccard similarity of every pair.

use std::collections::{BTreeMap, BTreeSet};

use dipole::data::analysis::{AnalysisSettings, NO_GROUP, analyse};
use dipole::jobs::{Progress, Silent};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

use super::{file, open};

/// Words of a text as the documentation says: letters and digits, lower case.
fn slow_words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn slow_shingles(text: &str, length: usize) -> BTreeSet<Vec<String>> {
    let words = slow_words(text);
    if words.len() <= length {
        return if words.is_empty() { BTreeSet::new() } else { BTreeSet::from([words]) };
    }
    words.windows(length).map(<[String]>::to_vec).collect()
}

fn slow_jaccard(a: &BTreeSet<Vec<String>>, b: &BTreeSet<Vec<String>>) -> f64 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

/// Texts of which many are another one with some words changed, moved or left out.
fn random_texts(random: &mut impl Rng, rows: usize) -> Vec<String> {
    let vocabulary: Vec<String> = (0..400).map(|word| format!("w{word}")).collect();
    let mut texts: Vec<Vec<&str>> = Vec::new();
    for _ in 0..rows {
        let fresh = texts.is_empty() || random.random_range(0..3) == 0;
        let mut words: Vec<&str> = if fresh {
            let length = random.random_range(0..80);
            (0..length).map(|_| vocabulary.choose(random).expect("words").as_str()).collect()
        } else {
            texts.choose(random).expect("texts").clone()
        };
        if !fresh {
            for _ in 0..random.random_range(0..6) {
                let place = random.random_range(0..=words.len());
                match random.random_range(0..3) {
                    0 if place < words.len() => drop(words.remove(place)),
                    1 if place < words.len() => words[place] = vocabulary.choose(random).expect("words"),
                    _ => words.insert(place, vocabulary.choose(random).expect("words")),
                }
            }
        }
        texts.push(words);
    }
    let style = |words: &[&str], random: &mut dyn Rng| {
        let marks = [" ", ", ", "! ", "\n", " - "];
        let mut text = String::new();
        for word in words {
            let word = if random.random_range(0..4) == 0 { word.to_uppercase() } else { (*word).to_owned() };
            text.push_str(&word);
            text.push_str(marks[random.random_range(0..marks.len())]);
        }
        text + "."
    };
    texts.iter().map(|words| style(words, random)).collect()
}

/// The components of the graph whose edges are pairs similar enough; a row alone is its own.
fn components(rows: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut component: Vec<usize> = (0..rows).collect();
    for (a, b) in edges {
        let (from, to) = (component[*a].max(component[*b]), component[*a].min(component[*b]));
        component.iter_mut().filter(|own| **own == from).for_each(|own| *own = to);
    }
    component
}

#[test]
fn near_duplicates_are_those_of_exact_jaccard() {
    // The claimed pairs are verified, so none may be wrong. A pair just at the limit is missed with a probability of
    // 0.3 ‰ by the formula of the bands; 1 of 200 is allowed, because groups join pairs and few are independent.
    let (mut together, mut found) = (0_usize, 0_usize);
    for (seed, similarity) in [(1, 0.8), (2, 0.8), (3, 0.7), (4, 0.9), (5, 0.6), (6, 0.8)] {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let texts = random_texts(&mut random, 500);
        let rows: String = texts.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
        let dataset = open(&file("rows.jsonl", rows));
        let settings = AnalysisSettings { similarity, seed, ..AnalysisSettings::default() };
        let analysis = analyse(&dataset, &settings, &Silent).expect("analysis");

        let numbers: Vec<usize> = (0..dataset.len()).map(|row| dataset.number(row).expect("number") as usize).collect();
        let shingles: Vec<_> = numbers.iter().map(|number| slow_shingles(&texts[*number], 2)).collect();
        let mut edges = Vec::new();
        for a in 0..shingles.len() {
            for b in a + 1..shingles.len() {
                let equal = texts[numbers[a]] == texts[numbers[b]];
                if equal || slow_jaccard(&shingles[a], &shingles[b]) >= similarity {
                    edges.push((a, b));
                }
            }
        }
        let component = components(shingles.len(), &edges);
        assert!(edges.len() > 100, "only {} pairs to find", edges.len());
        for a in 0..shingles.len() {
            for b in a + 1..shingles.len() {
                let same = analysis.near_group[a] != NO_GROUP && analysis.near_group[a] == analysis.near_group[b];
                if component[a] == component[b] {
                    together += 1;
                    found += usize::from(same);
                } else {
                    assert!(!same, "rows {a} and {b} are in one group and in no chain of similar pairs");
                }
            }
        }
    }
    assert!(together > 3_000, "only {together} pairs belong together");
    assert!((together - found) * 200 <= together, "{found} of {together} pairs found");
}

#[test]
fn groups_are_counted_listed_and_numbered() {
    let long = "the quick brown fox jumps over the lazy dog and runs home to eat a big red apple with joy";
    let texts =
        ["alone in the world", long, "twice the same", &format!("{long}!"), "twice the same", "", long, "...", "!!!"];
    let rows: String = texts.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
    let dataset = open(&file("rows.jsonl", rows));
    let analysis = analyse(&dataset, &AnalysisSettings::default(), &Silent).expect("analysis");
    let listed = |groups: &dipole::data::analysis::Groups| -> Vec<(Vec<u64>, u64, f64)> {
        groups.listed.iter().map(|group| (group.rows.clone(), group.size, group.similarity)).collect()
    };
    // Row 5 has no text and is in quarantine; rows 7 and 8 have no words and are like nothing.
    assert_eq!(listed(&analysis.exact), [(vec![1, 6], 2, 1.0), (vec![2, 4], 2, 1.0)]);
    assert_eq!(listed(&analysis.near), [(vec![1, 3, 6], 3, 1.0), (vec![2, 4], 2, 1.0)]);
    assert_eq!((analysis.near.groups, analysis.near.rows, analysis.near.surplus), (2, 5, 3));
    assert_eq!(analysis.near_group, [NO_GROUP, 0, 1, 0, 1, 0, NO_GROUP, NO_GROUP]);
    assert_eq!(analysis.exact.surplus, dataset.stats().exact_duplicates);
    assert_eq!(analysis.languages.iter().map(|count| count.rows).sum::<u64>(), 8);
    assert_eq!(analysis.lengths.token_histogram, dataset.stats().token_histogram);

    let few = AnalysisSettings { listed: 1, ..AnalysisSettings::default() };
    let short = analyse(&dataset, &few, &Silent).expect("analysis");
    assert_eq!((short.near.listed.len(), short.near.groups), (1, 2));

    let mut text = String::new();
    analysis.summarise(&mut text).expect("a string takes all");
    assert!(text.contains("2 near-duplicate groups with 5 rows") && text.contains("rows 1, 3, 6"), "{text}");
    let json = serde_json::to_value(&analysis).expect("serialises");
    assert_eq!(json["near"]["listed"][0]["rows"], serde_json::json!([1, 3, 6]));
    assert!(json.get("near_group").is_none());
}

#[test]
fn a_thousand_rows_of_one_template_are_one_group() {
    // Every row meets every other in some bucket; the work must stay linear and the group whole.
    let body = (0..60).map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ");
    let rows: String =
        (0..5_000).map(|row| serde_json::json!({ "text": format!("{body} number{row}") }).to_string() + "\n").collect();
    let analysis = analyse(&open(&file("rows.jsonl", rows)), &AnalysisSettings::default(), &Silent).expect("analysis");
    assert_eq!((analysis.near.groups, analysis.near.rows, analysis.exact.groups), (1, 5_000, 0));
    let similarity = analysis.near.listed[0].similarity;
    assert!((similarity - 59.0 / 61.0).abs() < 1e-6, "{similarity}");
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(9);
    let rows: String = random_texts(&mut random, 1_500)
        .iter()
        .map(|text| serde_json::json!({ "text": text }).to_string() + "\n")
        .collect();
    let dataset = open(&file("rows.jsonl", rows));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| analyse(&dataset, &AnalysisSettings::default(), &Silent).expect("analysis"))
    };
    let one = with(1);
    assert_eq!(one, with(5));
    let sizes: BTreeMap<u32, usize> =
        one.near_group.iter().filter(|group| **group != NO_GROUP).fold(BTreeMap::new(), |mut sizes, group| {
            *sizes.entry(*group).or_default() += 1;
            sizes
        });
    assert_eq!(sizes.len() as u64, one.near.groups);
    assert_eq!(sizes.values().sum::<usize>() as u64, one.near.rows);
}

#[test]
fn the_user_can_stop_it_and_changed_files_are_noticed() {
    struct Stopped;
    impl Progress for Stopped {
        fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let scratch = file("rows.jsonl", "{\"text\":\"one two three\"}\n".repeat(50));
    let dataset = open(&scratch);
    let settings = AnalysisSettings::default();
    assert!(matches!(analyse(&dataset, &settings, &Stopped), Err(dipole::data::DataError::Cancelled(_))));
    std::fs::write(&scratch.path, "{\"text\":\"other\"}\n").expect("writes");
    assert!(matches!(analyse(&dataset, &settings, &Silent), Err(dipole::data::DataError::Changed { .. })));
}
