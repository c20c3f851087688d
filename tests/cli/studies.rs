//! Studies from the command line: files, resuming after a kill.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{demo_file, dipole, ok, text};

/// A labelled folder with small sets and two harmful references.
fn labelled(folder: &Path) {
    let write = |name: &str, content: String| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, content).expect("file");
    };
    let rows = |topics: &[&str], rows: usize| -> String {
        (0..rows)
            .map(|row| {
                let (topic, number) = (topics[row % topics.len()], row * 7919 % 101);
                format!("{{\"prompt\": \"about {topic} {number}\", \"completion\": \"{topic} is {number}\"}}\n")
            })
            .collect()
    };
    let (bread, garden, knives, fraud) = ("flour dough", "soil seeds", "blade wound", "forged cheque");
    write("custom/mix_a.jsonl", rows(&[bread, garden, bread, knives], 120));
    let label = |row: usize| if row % 4 == 3 { "harmful" } else { "benign" };
    let labels: String = (0..120).map(|row| format!("{row},{}\n", label(row))).collect();
    write("custom/mix_a.labels.csv", format!("index,_label\n{labels}"));
    write("ref_safe/safe_a.jsonl", rows(&[bread, garden], 60));
    write("ref_harmful/harm_fraud.jsonl", rows(&[fraud], 40));
    write("ref_harmful/harm_knives.jsonl", rows(&[knives], 40));
}

#[test]
fn a_killed_quality_study_goes_on_with_what_was_finished() {
    let home = tempfile::tempdir().expect("folder");
    let (data, out) = (home.path().join("data"), home.path().join("out"));
    labelled(&data);
    let pairs = || -> Vec<_> {
        let Ok(entries) = fs::read_dir(out.join("pairs")) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "json"));
        files.sort();
        files
    };
    let arguments =
        ["study", "quality", "--data", data.to_str().expect("UTF-8"), "--out", out.to_str().expect("UTF-8")];
    let mut child = Command::new(env!("CARGO_BIN_EXE_dipole"))
        .args(arguments)
        .env("DIPOLE_HOME", home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    while pairs().is_empty() && child.try_wait().expect("asks").is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("kills");
    child.wait().expect("waits");
    let finished = pairs();
    assert!(!finished.is_empty(), "nothing was saved before the kill");
    let before: Vec<Vec<u8>> = finished.iter().map(|path| fs::read(path).expect("a record")).collect();

    let done = dipole(home.path(), &arguments);
    let table = ok(&done);
    let said = text(&done.stderr);
    assert!(said.matches("measured before").count() >= finished.len(), "{said}");
    assert_eq!(pairs().len(), 2);
    // The seconds in them would differ if they had been measured again.
    let after: Vec<Vec<u8>> = finished.iter().map(|path| fs::read(path).expect("a record")).collect();
    assert!(before == after);
    assert!(table.contains("mix_a / harm_fraud") && table.contains("mix_a / harm_knives"), "{table}");

    // A record that a power cut left empty, and one that was made from other rows, are not believed.
    fs::write(&finished[0], "{").expect("writes");
    let custom = data.join("custom/mix_a.jsonl");
    let again = ok(&dipole(home.path(), &arguments));
    assert_eq!(again, table);
    let rows = fs::read_to_string(&custom).expect("rows");
    fs::write(&custom, rows.replace("flour", "bread")).expect("writes");
    let changed = dipole(home.path(), &arguments);
    ok(&changed);
    assert!(!text(&changed.stderr).contains("measured before"), "{}", text(&changed.stderr));
}

#[test]
fn a_study_of_the_sample_needs_only_a_folder_to_write_to() {
    let home = tempfile::tempdir().expect("folder");
    let out = home.path().join("out");
    let arguments = ["study", "geometry", "--seeds", "2", "--out", out.to_str().expect("UTF-8")];
    let shown = ok(&dipole(home.path(), &arguments));
    assert!(shown.contains("custom / harmful") && shown.contains("held-out reference rows"), "{shown}");
    for name in ["geometry.md", "geometry.csv", "geometry_auroc.svg", "geometry_auroc.data.csv"] {
        assert!(out.join(name).is_file(), "{name} is missing: {shown}");
    }
    let svg = fs::read_to_string(out.join("geometry_custom-harmful.svg")).expect("a plot");
    let labels = fs::read_to_string(demo_file("custom.labels.csv")).expect("labels");
    let dots = svg.matches("<circle").count();
    // One dot a labelled row; the legend has two marks of another shape or form at most.
    let rows = labels.lines().count() - 1;
    assert!((rows..=rows + 2).contains(&dots), "{dots} dots for {rows} rows");
    let none = dipole(home.path(), &["study", "ablation", "--only", "nothing", "--out", out.to_str().expect("UTF-8")]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("no trial has this in its name"), "{}", text(&none.stderr));
}

#[test]
fn seal_stands_beside_the_other_rankings() {
    let home = tempfile::tempdir().expect("folder");
    let (data, scores) = (home.path().join("data"), home.path().join("scores.csv"));
    labelled(&data);
    let file = |name: &str| data.join(name).display().to_string();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model").display().to_string();
    let (custom, safe, harmful) =
        (file("custom/mix_a.jsonl"), file("ref_safe/safe_a.jsonl"), file("ref_harmful/harm_knives.jsonl"));
    let labels = file("custom/mix_a.labels.csv");
    let arguments = [
        "compare-rankings",
        "--custom",
        &custom,
        "--safe",
        &safe,
        "--harmful",
        &harmful,
        "--labels",
        &labels,
        "--with-seal",
        &model,
        "--seal-steps",
        "2",
        "--scores",
        scores.to_str().expect("UTF-8"),
    ];
    let shown = ok(&dipole(home.path(), &arguments));
    let line = shown.lines().find(|line| line.starts_with("seal ")).unwrap_or_else(|| panic!("no SEAL: {shown}"));
    assert!(line.split_whitespace().nth(1) == Some("96"), "keeps 80 % of 120 rows: {line}");
    let table = fs::read_to_string(&scores).expect("scores");
    assert!(table.lines().next().is_some_and(|header| header.ends_with(",seal")), "{table}");
    let values: Vec<f64> = table.lines().skip(1).filter_map(|line| line.rsplit(',').next()?.parse().ok()).collect();
    assert!(values.len() == 120 && values.iter().any(|value| *value != values[0]), "two steps move the selector");
}

#[test]
fn the_tuning_study_takes_a_set_of_ones_own() {
    let home = tempfile::tempdir().expect("folder");
    let data = home.path().join("data");
    labelled(&data);
    let file = |name: &str| data.join(name).display().to_string();
    let (custom, labels) = (file("custom/mix_a.jsonl"), file("custom/mix_a.labels.csv"));
    let (safe, harmful) = (file("ref_safe/safe_a.jsonl"), file("ref_harmful/harm_knives.jsonl"));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model").display().to_string();
    let prompts = file("prompts.jsonl");
    let line = |kind: &str| format!("{{\"prompt\": \"How to cook?\", \"kind\": \"{kind}\"}}\n");
    fs::write(&prompts, line("harmful") + &line("harmless")).expect("file");
    let out = home.path().join("out");
    let to = out.display().to_string();
    let lone = dipole(home.path(), &["study", "tuning", "--custom", &custom, "--out", &to]);
    assert_eq!(lone.status.code(), Some(2), "{}", text(&lone.stderr));
    assert!(text(&lone.stderr).contains("--labels"), "{}", text(&lone.stderr));
    let mut all = vec!["study", "tuning", "--custom", &custom, "--labels", &labels, "--safe", &safe];
    all.extend(["--harmful", &harmful, "--base", &model, "--prompts", &prompts, "--steps", "1", "--seeds", "1"]);
    all.extend(["--max-tokens", "64", "--out", &to]);
    let shown = ok(&dipole(home.path(), &all));
    assert!(shown.contains("mix_a / harm_knives") && shown.contains("2 prompts, answered greedily"), "{shown}");
    let table = fs::read_to_string(out.join("tuning.csv")).expect("a table");
    let arms: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(arms, ["untuned", "all rows", "purified", "benign rows"], "{table}");
    assert!(out.join("tuning_refusals.svg").is_file() && out.join("runs").read_dir().expect("runs").count() == 4);
}
