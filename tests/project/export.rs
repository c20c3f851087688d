//! The export folder: every record accounted for, in the input's own form, checked by `verify`, replaced atomically.

use std::fs;
use std::path::{Path, PathBuf};

use dipole::data::RowId;
use dipole::embedding::EncoderChoice;
use dipole::jobs::{CancelToken, Progress, Silent};
use dipole::project::{
    Export, ExportContext, ExportReport, Plan, ProjectError, Purified, Sets, export, purify, verify,
};
use dipole::selection::{Decision, Decisions, Keep, Selection, SelectionSettings, Verdict};
use dipole::transport::{CpuEngine, Settings};
use serde_json::Value;

const TOPICS: [&str; 4] = ["bread and flour", "garden and soil", "letters and stamps", "rivers and boats"];

fn sentence(row: usize) -> (String, String) {
    let topic = TOPICS[row % TOPICS.len()];
    (format!("Tell me about {topic}, part {row}?"), format!("There is much to say on {topic}; number {row} is one."))
}

struct World {
    home: tempfile::TempDir,
    plan: Plan,
}

/// A custom file with this content beside two small references.
fn world(name: &str, custom: &[u8]) -> World {
    let home = tempfile::tempdir().expect("folder");
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = home.path().join(name);
        fs::write(&path, bytes).expect("file");
        path
    };
    let rows = |word: &str| -> String {
        (0..12)
            .map(|row| format!("{{\"prompt\": \"{word} {row} please\", \"completion\": \"{word} {}\"}}\n", row * 7))
            .collect()
    };
    let plan = Plan {
        custom: write(name, custom),
        safe: vec![write("safe.jsonl", rows("bread garden letters").as_bytes())],
        harmful: vec![write("harmful.jsonl", rows("knives poison threats").as_bytes())],
        mapping: None,
        encoder: EncoderChoice::Lexical,
        views: None,
        settings: Settings::default(),
        calibration: None,
        selection: SelectionSettings { keep: Keep::Share(0.75), ..SelectionSettings::default() },
    };
    World { home, plan }
}

struct Made {
    sets: Sets,
    plan: Plan,
    purified: Purified,
    selection: Selection,
    decisions: Decisions,
    context: ExportContext,
}

impl Made {
    fn export(&self, folder: &Path, progress: &dyn Progress) -> Result<ExportReport, ProjectError> {
        let what = Export {
            sets: &self.sets,
            plan: &self.plan,
            purified: &self.purified,
            selection: &self.selection,
            decisions: &self.decisions,
            context: &self.context,
        };
        export(folder, &what, progress)
    }
}

fn make(world: &World, decisions: Decisions) -> Made {
    let sets = Sets::open(&world.plan, &Silent).expect("opens");
    let purified = purify(&sets, &world.plan, &CpuEngine::new(), None, &Silent).expect("purifies");
    let numbers: Vec<u64> = (0..sets.custom.len()).filter_map(|index| sets.custom.number(index)).collect();
    let selection =
        Selection::from(&purified.outcome, &world.plan.selection, &numbers, &sets.custom, &decisions).expect("selects");
    let context =
        ExportContext { licences: vec!["CC-BY-4.0".to_owned()], origin: "test".to_owned(), ..ExportContext::default() };
    Made { sets, plan: world.plan.clone(), purified, selection, decisions, context }
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).expect("manifest")).expect("JSON")
}

fn holds(folder: &Path) -> Vec<String> {
    verify(folder, &Silent).expect("verifies").mismatches
}

fn jsonl() -> Vec<u8> {
    let mut text = String::new();
    for row in 0..40 {
        let (prompt, completion) = sentence(row);
        text.push_str(&format!(
            "{{\"z\": {{\"b\": 1.50, \"a\": [1e2]}}, \"prompt\": {}, \"completion\": {}, \"weight\": \"{row}kg\"}}\n",
            serde_json::to_string(&prompt).expect("JSON"),
            serde_json::to_string(&completion).expect("JSON")
        ));
        if row == 7 {
            text.push_str("{\"prompt\": \"cut sho\n");
        }
    }
    text.into_bytes()
}

#[test]
fn every_record_is_kept_removed_or_quarantined() {
    let world = world("custom.jsonl", &jsonl());
    let made = make(&world, Decisions::default());
    let out = world.home.path().join("out");
    let report = made.export(&out, &Silent).expect("exports");
    assert_eq!(report.kept + report.removed + report.quarantined, 41);
    assert_eq!((report.kept, report.removed, report.quarantined), (30, 10, 1));
    assert_eq!(holds(&out), Vec::<String>::new());

    let lines = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(out.join(name)).expect("file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let (kept, removed) = (lines("purified.jsonl"), lines("removed.jsonl"));
    let mean = kept.iter().map(|row| row["weight"].as_f64().expect("a float")).sum::<f64>() / kept.len() as f64;
    assert!((mean - 1.0).abs() < 1e-9, "mean weight {mean}");
    assert!(removed.iter().all(|row| row["weight"] == 0.0));
    assert!(kept.iter().chain(&removed).all(|row| row["weight_original"].as_str().is_some_and(|w| w.ends_with("kg"))));
    let text = fs::read_to_string(out.join("purified.jsonl")).expect("file");
    assert!(
        text.lines().all(|line| line.starts_with("{\"z\": {\"b\": 1.50, \"a\": [1e2]}, \"prompt\": ")),
        "values changed"
    );
    let quarantined = lines("quarantine.jsonl");
    assert_eq!((quarantined[0]["row"].as_u64(), quarantined[0]["line"].as_u64()), (Some(8), Some(9)));
    assert_eq!(quarantined[0]["raw"], "{\"prompt\": \"cut sho");

    let manifest = manifest(&out);
    assert_eq!(manifest["counts"]["records"], 41);
    assert_eq!(manifest["selection"]["rank_by"], "score");
    assert_eq!(manifest["licences"][0], "CC-BY-4.0");
    assert_eq!(manifest["inputs"].as_array().map(Vec::len), Some(3));
    assert!(!manifest.to_string().contains(&world.home.path().display().to_string()), "a path of this machine");
    let card = fs::read_to_string(out.join("README.md")).expect("card");
    assert!(card.contains("license: \"CC-BY-4.0\"") && card.contains("| kept | 30 |"), "{card}");
    assert!(card.contains("http://mlcommons.org/croissant/1.0"), "no metadata in the card");
}

#[test]
fn each_container_comes_back_as_itself() {
    let mut csv = String::from("question,answer,note\n");
    let mut tsv = String::from("question\tanswer\tnote\n");
    let mut list = Vec::new();
    for row in 0..24 {
        let (question, answer) = sentence(row);
        csv.push_str(&format!("\"{question}\",\"{answer}\",\"n \"\"{row}\"\"\"\n"));
        tsv.push_str(&format!("{question}\t{answer}\tn{row}\n"));
        list.push(serde_json::json!({ "question": question, "answer": answer, "extra": [row] }));
    }
    let json = serde_json::to_string_pretty(&list).expect("JSON");
    for (name, content, purified) in [
        ("c.csv", csv.as_bytes(), "purified.csv"),
        ("c.tsv", tsv.as_bytes(), "purified.tsv"),
        ("c.json", json.as_bytes(), "purified.json"),
        ("mislabelled.txt", csv.as_bytes(), "purified.csv"),
    ] {
        let world = world(name, content);
        let made = make(&world, Decisions::default());
        let out = world.home.path().join("out");
        let report = made.export(&out, &Silent).expect("exports");
        assert_eq!(report.purified_file, purified, "{name}");
        assert_eq!(holds(&out), Vec::<String>::new(), "{name}");
        // What was written can be read and purified again, and the weight stands beside what was there.
        let again =
            Sets::open(&Plan { custom: out.join(purified), ..world.plan.clone() }, &Silent).expect("reads back");
        assert_eq!(again.custom.len() as u64, report.kept, "{name}");
        let record: Value = serde_json::from_slice(&again.custom.record_json(0).expect("row")).expect("JSON");
        assert!(record.get("weight").is_some(), "{name}: {record}");
        assert_eq!(again.custom.mapping().schema, made.sets.custom.mapping().schema, "{name}");
    }
}

#[test]
fn decisions_are_applied_recorded_and_stale_ones_told() {
    let world = world("custom.jsonl", &jsonl());
    let plain = make(&world, Decisions::default());
    let most = plain.selection.order[0] as usize;
    let least = *plain.selection.order.last().expect("rows") as usize;
    let custom = &plain.sets.custom;
    let decide = |index: usize, verdict| {
        let row = custom.number(index).expect("row");
        (row, Decision { row, id: custom.id(index).expect("id"), verdict, note: None, at: String::new() })
    };
    let mut decisions = Decisions([decide(most, Verdict::Keep), decide(least, Verdict::Drop)].into_iter().collect());
    let other = RowId("someone else's".to_owned());
    decisions.0.insert(8, Decision { row: 8, id: other, verdict: Verdict::Keep, note: None, at: String::new() });
    let made = make(&world, decisions);
    let out = world.home.path().join("out");
    made.export(&out, &Silent).expect("exports");
    assert_eq!(holds(&out), Vec::<String>::new());
    let manifest = manifest(&out);
    assert_eq!(manifest["decisions"]["in_force"], 2);
    assert_eq!(manifest["decisions"]["stale_rows"], serde_json::json!([8]));
    assert_eq!(manifest["counts"]["kept_by_hand"], 1);
    assert!(manifest["warnings"].to_string().contains("not applied"), "{}", manifest["warnings"]);
    // The list of decisions in the export is one that can be applied again.
    let again = Decisions::read(&out.join("decisions.jsonl")).expect("reads");
    assert_eq!(again.len(), 2);
    assert_eq!(again.get(custom.number(most).expect("row")).map(|decision| decision.verdict), Some(Verdict::Keep));
    let weights = fs::read_to_string(out.join("weights.csv")).expect("weights");
    assert_eq!(weights.matches("kept-by-hand").count(), 1);
    assert_eq!(weights.matches("dropped-by-hand").count(), 1);
}

#[test]
fn every_change_to_an_export_is_found() {
    let world = world("custom.jsonl", &jsonl());
    let made = make(&world, Decisions::default());
    let out = world.home.path().join("out");
    let files = [
        "purified.jsonl",
        "removed.jsonl",
        "quarantine.jsonl",
        "weights.csv",
        "decisions.jsonl",
        "croissant.json",
        "README.md",
    ];
    for name in files {
        made.export(&out, &Silent).expect("exports over the old one");
        let mut bytes = fs::read(out.join(name)).expect("file");
        bytes.extend_from_slice(b" \n");
        fs::write(out.join(name), bytes).expect("tampering");
        let found = holds(&out);
        assert!(found.iter().any(|line| line.contains(name)), "{name} was changed: {found:?}");
        // An export that was tampered with is still an export and may be replaced.
    }
    made.export(&out, &Silent).expect("exports");
    fs::remove_file(out.join("removed.jsonl")).expect("removes");
    fs::write(out.join("extra.txt"), "x").expect("writes");
    let found = holds(&out);
    assert!(found.iter().any(|line| line.contains("removed.jsonl: is missing")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("extra.txt")), "{found:?}");

    fs::remove_file(out.join("extra.txt")).expect("removes");
    let text = fs::read_to_string(out.join("manifest.json")).expect("manifest");
    fs::write(out.join("manifest.json"), text.replacen("\"purified.jsonl\"", "\"../custom.jsonl\"", 1))
        .expect("writes");
    let found = holds(&out);
    assert!(found.iter().any(|line| line.contains("outside the export")), "{found:?}");
}

#[test]
fn what_is_not_an_export_is_never_replaced() {
    let world = world("custom.jsonl", &jsonl());
    let made = make(&world, Decisions::default());
    let folder = world.home.path().join("mine");
    fs::create_dir(&folder).expect("folder");
    fs::write(folder.join("notes.txt"), "mine").expect("file");
    let error = made.export(&folder, &Silent).expect_err("refused").to_string();
    assert!(error.contains("neither empty nor a Dipole export"), "{error}");
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).expect("file"), "mine");
}

/// Cancels at the n-th look.
struct Impatient {
    token: CancelToken,
    looks: std::sync::atomic::AtomicUsize,
    patience: usize,
}

impl Progress for Impatient {
    fn tick(&self, _: &str, _: u64, _: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        if self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 >= self.patience {
            self.token.cancel();
        }
        self.token.is_cancelled()
    }
}

#[test]
fn an_export_stopped_anywhere_leaves_the_old_folder() {
    let world = world("custom.jsonl", &jsonl());
    let made = make(&world, Decisions::default());
    let out = world.home.path().join("out");
    made.export(&out, &Silent).expect("exports");
    let before = fs::read(out.join("manifest.json")).expect("manifest");
    let mut stopped = 0;
    for patience in 1.. {
        let progress = Impatient { token: CancelToken::default(), looks: 0.into(), patience };
        match made.export(&out, &progress) {
            Err(ProjectError::Cancelled(_)) => {
                stopped += 1;
                assert_eq!(fs::read(out.join("manifest.json")).expect("manifest"), before);
            }
            Ok(_) => break,
            Err(ProjectError::Data(error)) => {
                stopped += 1;
                assert!(error.to_string().contains("cancelled"), "{error}");
            }
            Err(other) => panic!("{other}"),
        }
        let names: Vec<_> =
            fs::read_dir(world.home.path()).expect("lists").map(|e| e.expect("entry").file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().contains("dipole-new")), "left over: {names:?}");
    }
    assert!(stopped > 10, "only {stopped} places to stop at");
    assert_eq!(holds(&out), Vec::<String>::new());
}

#[test]
fn equal_runs_give_equal_bytes_but_for_run() {
    let world = world("custom.jsonl", &jsonl());
    let folders = ["one", "four"].map(|name| world.home.path().join(name));
    for (folder, threads) in folders.iter().zip([1, 4]) {
        let mut plan = world.plan.clone();
        plan.settings.threads = threads;
        let here = World { home: tempfile::tempdir().expect("folder"), plan };
        make(&here, Decisions::default()).export(folder, &Silent).expect("exports");
    }
    let [one, four] = &folders;
    for entry in fs::read_dir(one).expect("lists") {
        let name = entry.expect("entry").file_name();
        if name != "manifest.json" {
            assert!(
                fs::read(one.join(&name)).expect("file") == fs::read(four.join(&name)).expect("file"),
                "{name:?} differs"
            );
        }
    }
    let [mut one, mut four] = [manifest(one), manifest(four)];
    for manifest in [&mut one, &mut four] {
        assert!(manifest.as_object_mut().expect("object").remove("run").is_some());
    }
    assert_eq!(one, four);
}

#[test]
fn sets_that_do_not_fit_the_result_are_refused() {
    let world = world("custom.jsonl", &jsonl());
    let mut made = make(&world, Decisions::default());
    made.purified.outcome.weights.pop();
    let error = made.export(&world.home.path().join("out"), &Silent).expect_err("refused");
    assert!(matches!(error, ProjectError::Inconsistent(_)), "{error}");
}

#[test]
fn rows_without_words_take_the_mean_direction_and_are_told() {
    let world = world("custom.jsonl", &jsonl());
    let rows = 40 + 24;
    let mut vectors = vec![0.0_f32; rows * 3];
    for (row, vector) in vectors.chunks_exact_mut(3).enumerate() {
        let angle = row as f32;
        vector.copy_from_slice(&[angle.cos(), angle.sin(), 0.5]);
    }
    vectors[5 * 3..6 * 3].fill(0.0);
    let file = world.home.path().join("vectors.npy");
    write_npy(&file, rows, 3, &vectors);
    let plan = Plan { encoder: EncoderChoice::Precomputed(vec![file]), ..world.plan.clone() };
    let made = make(&World { home: tempfile::tempdir().expect("folder"), plan }, Decisions::default());
    let warning = made.purified.outcome.warnings.iter().find(|warning| warning.contains("empty to this encoder"));
    assert!(warning.is_some_and(|w| w.contains("custom.jsonl row 5, line 6")), "{:?}", made.purified.outcome.warnings);
}

fn write_npy(path: &Path, rows: usize, columns: usize, values: &[f32]) {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    fs::write(path, bytes).expect("file");
}
