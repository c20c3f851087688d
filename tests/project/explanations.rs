//! `explanations.csv`: every number of every sentence is there to be recomputed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use dipole::embedding::EncoderChoice;
use dipole::jobs::Silent;
use dipole::project::{Export, ExportContext, Plan, Purified, Sets, export, purify, verify};
use dipole::selection::{Decisions, Selection, SelectionSettings};
use dipole::transport::{CpuEngine, Settings};

type Line = HashMap<String, String>;

fn table(path: &Path) -> (Vec<String>, Vec<Line>) {
    let mut reader = csv::Reader::from_path(path).expect("a table");
    let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let lines = reader
        .records()
        .map(|record| header.iter().cloned().zip(record.expect("a line").iter().map(str::to_owned)).collect())
        .collect();
    (header, lines)
}

fn number(line: &Line, column: &str) -> f64 {
    line[column].parse().unwrap_or_else(|_| panic!("{column}: {}", line[column]))
}

/// Numbers of a sentence in order; terms hold none.
fn numbers(sentence: &str) -> Vec<String> {
    let ends = |c: char| !c.is_ascii_digit() && c != '.';
    sentence.split(ends).map(|part| part.trim_end_matches('.').to_owned()).filter(|part| !part.is_empty()).collect()
}

struct Made {
    home: tempfile::TempDir,
    sets: Sets,
    plan: Plan,
    purified: Purified,
}

impl Made {
    /// Custom rows of four topics; each reference has two topics, enough rows for a group each.
    fn new(threads: usize) -> Self {
        let home = tempfile::tempdir().expect("folder");
        let write = |name: &str, topics: &[&str], rows: usize| -> PathBuf {
            let text: String = (0..rows)
                .map(|row| {
                    let topic = topics[row % topics.len()];
                    let word = ["amber", "birch", "cedar", "daisy", "ember"][row / topics.len() % 5];
                    format!("{{\"prompt\": \"tell about {topic} {word}\", \"completion\": \"{topic} and {word}\"}}\n")
                })
                .collect();
            let path = home.path().join(name);
            fs::write(&path, text).expect("file");
            path
        };
        let (bread, garden) = ("flour dough oven", "soil seeds spade");
        let (knives, fraud) = ("blade wound stab", "forged cheque swindle");
        let plan = Plan {
            custom: write("custom.jsonl", &[bread, garden, knives, fraud], 80),
            safe: vec![write("safe.jsonl", &[bread, garden], 60)],
            harmful: vec![write("knives.jsonl", &[knives], 30), write("fraud.jsonl", &[fraud], 30)],
            mapping: None,
            encoder: EncoderChoice::Lexical,
            views: None,
            settings: Settings { threads, ..Settings::default() },
            calibration: None,
            selection: SelectionSettings::default(),
        };
        let sets = Sets::open(&plan, &Silent).expect("opens");
        let purified = purify(&sets, &plan, &CpuEngine::new(), None, &Silent).expect("purifies");
        Self { home, sets, plan, purified }
    }

    fn export(&self, skip_explanations: bool) -> PathBuf {
        let numbers: Vec<u64> =
            (0..self.sets.custom.len()).filter_map(|index| self.sets.custom.number(index)).collect();
        let decisions = Decisions::default();
        let selection =
            Selection::from(&self.purified.outcome, &self.plan.selection, &numbers, &self.sets.custom, &decisions)
                .expect("selects");
        let what = Export {
            sets: &self.sets,
            plan: &self.plan,
            purified: &self.purified,
            selection: &selection,
            decisions: &decisions,
            context: &ExportContext { skip_explanations, ..ExportContext::default() },
        };
        let out = self.home.path().join("out");
        export(&out, &what, &Silent).expect("exports");
        out
    }
}

#[test]
fn every_number_of_every_sentence_is_recomputed_from_the_files() {
    let made = Made::new(2);
    let out = made.export(false);
    let (header, lines) = table(&out.join("explanations.csv"));
    let (_, weights) = table(&out.join("weights.csv"));
    assert_eq!((lines.len(), weights.len()), (80, 80));
    let groups = |side: &str| -> Vec<&String> {
        header.iter().filter(|name| name.starts_with(&format!("{side} ")) && name.contains(": ")).collect()
    };
    assert_eq!((groups("safe").len(), groups("harmful").len()), (2, 2), "{header:?}");
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let n = weights.len() as f64;
    for (index, (line, weight)) in lines.iter().zip(&weights).enumerate() {
        assert_eq!((&line["row"], &line["id"]), (&weight["row"], &weight["id"]));
        let below = weights.iter().filter(|other| number(other, "pull") < number(weight, "pull")).count() as f64 / n;
        let above = weights.iter().filter(|other| number(other, "push") > number(weight, "push")).count() as f64 / n;
        assert_eq!((number(line, "farther_than"), number(line, "nearer_than")), (below, above));
        let is_push = (above - 0.5).abs() >= (below - 0.5).abs();
        assert_eq!(line["force"], if is_push { "push" } else { "pull" });
        let side = if is_push { "harmful" } else { "safe" };
        let shares: Vec<(&String, f64)> = groups(side).into_iter().map(|name| (name, number(line, name))).collect();
        assert!((shares.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-3, "{shares:?}");
        let (name, most) = *shares.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).expect("groups");
        let (lead, other) = if is_push { (above, below) } else { (below, above) };
        let cosine = number(line, &format!("{side}_cosine"));
        let sentence = &line["sentence"];
        assert_eq!(
            numbers(sentence),
            [percent(lead), percent(other), percent(most), format!("{cosine:.3}")],
            "{sentence}"
        );
        let terms = name.split_once(": ").expect("a name").1;
        assert!(sentence.contains(&format!("“{terms}”")), "{sentence} but {name}");
        assert!(sentence.starts_with(&format!("Judged mainly by {}", line["force"])), "{sentence}");

        // What the columns say is so: the nearest reference, its cosine, and words that both hold.
        let [custom, _, harmful] = &*made.purified.vectors;
        let cosines: Vec<f64> = (0..harmful.rows())
            .map(|row| custom.row(index).iter().zip(harmful.row(row)).map(|(a, b)| f64::from(a * b)).sum())
            .collect();
        let best = cosines.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!((number(line, "harmful_cosine") - best).abs() < 1e-4);
        let file =
            made.sets.harmful.iter().position(|set| set.path().ends_with(&line["harmful_file"])).expect("a file");
        let nearest = number(line, "harmful_row") as usize;
        assert!((cosines[file * 30 + nearest] - best).abs() < 1e-6);
        let text = |set: &dipole::data::Dataset, row: usize| set.row(row).expect("row").text();
        let (own, its) = (text(&made.sets.custom, index), text(&made.sets.harmful[file], nearest));
        assert!(line["harmful_shared"].split(' ').all(|word| own.contains(word) && its.contains(word)));
    }
    // A row of a kind that a group holds alone puts its mass there.
    let knives = header.iter().position(|name| name.starts_with("harmful ") && name.contains("stab")).expect("a group");
    assert!(number(&lines[2], &header[knives]) > 0.7, "{:?}", lines[2]);
    assert!(lines[2]["harmful_file"] == "knives.jsonl" && lines[2]["harmful_shared"].contains("amber"));
    assert_eq!(verify(&out, &Silent).expect("verifies").mismatches, Vec::<String>::new());
    let card = fs::read_to_string(out.join("README.md")).expect("card");
    assert!(card.contains("`explanations.csv`"), "{card}");

    // Any number of threads writes the same bytes; a changed byte is found.
    let path = out.join("explanations.csv");
    let bytes = fs::read(&path).expect("bytes");
    let other = Made::new(1);
    assert!(bytes == fs::read(other.export(false).join("explanations.csv")).expect("bytes"));
    fs::write(&path, String::from_utf8(bytes).expect("UTF-8").replacen("pull", "push", 2)).expect("writes");
    let found = verify(&out, &Silent).expect("verifies").mismatches;
    assert!(found.iter().any(|line| line.contains("explanations.csv")), "{found:?}");
}

#[test]
fn explanations_can_be_left_out() {
    let made = Made::new(1);
    let out = made.export(true);
    assert!(!out.join("explanations.csv").exists());
    assert_eq!(verify(&out, &Silent).expect("verifies").mismatches, Vec::<String>::new());
    let card = fs::read_to_string(out.join("README.md")).expect("card");
    assert!(!card.contains("explanations.csv"));
}
