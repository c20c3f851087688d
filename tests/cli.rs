//! The commands as a user runs them: the built binary, real files, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

#[path = "cli/studies.rs"]
mod studies;

fn dipole(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dipole"))
        .args(arguments)
        .env("DIPOLE_HOME", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn demo_file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name).display().to_string()
}

fn purify_demo(home: &Path, out: &Path, more: &[&str]) -> Output {
    let (custom, safe, harmful) = (demo_file("custom.jsonl"), demo_file("safe.jsonl"), demo_file("harmful.jsonl"));
    let out = out.display().to_string();
    let mut arguments = vec!["purify", "--custom", &custom, "--safe", &safe, "--harmful", &harmful, "--out", &out];
    arguments.extend(more);
    dipole(home, &arguments)
}

fn ok(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "stderr: {}\nstdout: {}", text(&output.stderr), text(&output.stdout));
    text(&output.stdout)
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&ok(output)).expect("--json prints one JSON value")
}

/// Name → bytes of every file of an export; the manifest without its `run` object.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("export folder")
        .map(|entry| {
            let entry = entry.expect("entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut bytes = fs::read(entry.path()).expect("file of the export");
            if name == "manifest.json" {
                let mut manifest: Value = serde_json::from_slice(&bytes).expect("manifest is JSON");
                manifest.as_object_mut().expect("object").remove("run").expect("the manifest has a run object");
                bytes = serde_json::to_vec(&manifest).expect("JSON");
            }
            (name, bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_demo_does_the_main_job_without_a_display_and_says_why() {
    let home = tempfile::tempdir().expect("folder");
    let out = home.path().join("export");
    let output = dipole(home.path(), &["demo", "--out", out.to_str().expect("UTF-8")]);
    let shown = ok(&output);
    assert!(text(&output.stderr).contains("there is no display"), "{}", text(&output.stderr));
    assert!(shown.contains("planted unsafe rows dropped"), "{shown}");
    for name in ["purified.jsonl", "removed.jsonl", "quarantine.jsonl", "weights.csv", "manifest.json", "README.md"] {
        assert!(out.join(name).is_file(), "{name} is missing");
    }
    ok(&dipole(home.path(), &["verify", out.to_str().expect("UTF-8")]));
}

#[test]
fn purify_evaluate_verify_agree_on_the_sample() {
    let home = tempfile::tempdir().expect("folder");
    let out = home.path().join("export");
    let done = json(&purify_demo(home.path(), &out, &["--json", "--quiet"]));
    assert!(done["health"]["figures"]["coverage"]["threshold"].is_f64(), "{}", done["health"]);
    let count = |name: &str| done["export"][name].as_u64().unwrap_or_else(|| panic!("{name} in {done}"));
    let records = fs::read_to_string(demo_file("custom.jsonl"))
        .expect("sample")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    assert_eq!(count("kept") + count("removed") + count("quarantined"), records as u64);
    assert_eq!(count("quarantined"), 3);

    let (weights, labels) = (out.join("weights.csv"), demo_file("custom.labels.csv"));
    let figures = json(&dipole(
        home.path(),
        &["evaluate", "--json", "--weights", weights.to_str().expect("UTF-8"), "--labels", &labels],
    ));
    let auroc = figures["auroc_score"].as_f64().expect("a figure");
    assert!(auroc > 0.8, "AUROC by score on the sample is {auroc}");

    let first = fs::read_to_string(out.join("purified.jsonl")).expect("export");
    let first: Value = serde_json::from_str(first.lines().next().expect("a row")).expect("JSON");
    assert!(first["weight"].is_f64(), "{first}");

    fs::write(out.join("removed.jsonl"), "{}\n").expect("tampering");
    let verdict = dipole(home.path(), &["verify", out.to_str().expect("UTF-8")]);
    assert_eq!(verdict.status.code(), Some(1));
    assert!(text(&verdict.stdout).contains("removed.jsonl"), "{}", text(&verdict.stdout));
}

#[test]
fn equal_input_gives_equal_bytes_for_any_thread_count() {
    let home = tempfile::tempdir().expect("folder");
    let (one, three) = (home.path().join("one"), home.path().join("three"));
    ok(&purify_demo(home.path(), &one, &["--threads", "1"]));
    ok(&purify_demo(home.path(), &three, &["--threads", "3"]));
    let (one, three) = (contents(&one), contents(&three));
    assert_eq!(one.len(), three.len());
    for ((name, left), (other, right)) in one.iter().zip(&three) {
        assert_eq!(name, other);
        assert!(left == right, "{name} differs between one and three threads");
    }
}

#[test]
fn every_solver_and_setting_runs_on_the_sample() {
    let home = tempfile::tempdir().expect("folder");
    let runs: [&[&str]; 5] = [
        &["--solver", "one-shot", "--keep", "75%"],
        &["--solver", "adam", "--rank", "weight"],
        &["--preset", "paper", "--keep", "100"],
        &["--lambda", "0", "--weights", "uniform"],
        &["--lambda", "1", "--weights", "tempered:2", "--epsilon", "0.3"],
    ];
    for (index, more) in runs.iter().enumerate() {
        let out = home.path().join(index.to_string());
        ok(&purify_demo(home.path(), &out, more));
        let rows = fs::read_to_string(out.join("purified.jsonl")).expect("export").lines().count();
        assert!(rows >= 100, "{more:?} kept {rows}");
    }
    let kept = fs::read_to_string(home.path().join("2/purified.jsonl")).expect("export").lines().count();
    assert_eq!(kept, 100);
}

#[test]
fn decisions_overrule_the_machine() {
    let home = tempfile::tempdir().expect("folder");
    let plain = home.path().join("plain");
    ok(&purify_demo(home.path(), &plain, &[]));
    let mut reader = csv::Reader::from_path(plain.join("weights.csv")).expect("weights");
    let header = reader.headers().expect("header").clone();
    let column = |name: &str| header.iter().position(|found| found == name).unwrap_or_else(|| panic!("column {name}"));
    let (row, decision) = (column("row"), column("decision"));
    let dropped: String = reader
        .records()
        .map(|record| record.expect("record"))
        .find(|record| record[decision].contains("dropped"))
        .map(|record| record[row].to_owned())
        .expect("the machine drops something");
    let decisions = home.path().join("decisions.csv");
    fs::write(&decisions, format!("row,decision,note\n{dropped},keep,checked by hand\n")).expect("file");
    let overruled = home.path().join("overruled");
    ok(&purify_demo(home.path(), &overruled, &["--decisions", decisions.to_str().expect("UTF-8")]));
    let weights = fs::read_to_string(overruled.join("weights.csv")).expect("weights");
    let line = weights.lines().find(|line| line.starts_with(&format!("{dropped},"))).expect("the row");
    assert!(line.contains("kept-by-hand"), "{line}");
}

#[test]
fn inspect_counts_and_fails_when_nothing_is_usable() {
    let home = tempfile::tempdir().expect("folder");
    let report = json(&dipole(home.path(), &["inspect", "--json", &demo_file("custom.jsonl")]));
    let counts = &report["files"][0]["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap_or_else(|| panic!("{name} in {counts}"));
    assert_eq!(count("records"), count("rows") + count("quarantined"));
    assert_eq!(report["files"][0]["mapping"]["schema"], "alpaca");

    let bad = home.path().join("bad.jsonl");
    fs::write(&bad, "{\"a\": 1\n{\"prompt\": broken}\n").expect("file");
    let output = dipole(home.path(), &["inspect", bad.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("line 1"), "{}", text(&output.stdout));
    let missing = dipole(home.path(), &["inspect", "no/such/file.jsonl"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stdout).contains("no/such/file.jsonl"));
}

#[test]
fn inspect_tells_what_speaks_against_the_references_of_a_file() {
    let home = tempfile::tempdir().expect("folder");
    let [custom, safe, harmful] = ["custom.jsonl", "safe.jsonl", "harmful.jsonl"].map(demo_file);
    let sound = ["inspect", &custom, "--safe", &safe, "--harmful", &harmful, "--fast", "--json"];
    let report = json(&dipole(home.path(), &sound));
    assert_eq!(report["files"].as_array().map(Vec::len), Some(3), "references are inspected too");
    let kinds = |report: &Value| -> Vec<(String, String)> {
        let findings = report["health"]["findings"].as_array().expect("findings").clone();
        findings.iter().map(|f| (f["kind"].to_string(), f["severity"].to_string())).collect()
    };
    for kind in ["\"likeness\"", "\"overlap\"", "\"coverage\""] {
        assert!(kinds(&report).iter().any(|(found, _)| found == kind), "{kind} in {:?}", kinds(&report));
    }
    // The same file on both sides overlaps, in the text for people too.
    let twice = ["inspect", &custom, "--safe", &safe, "--harmful", &safe, "--fast"];
    let text = ok(&dipole(home.path(), &twice));
    assert!(text.contains("warning: Rows stand in both references") && text.contains("Decide for each"), "{text}");
    let half = dipole(home.path(), &["inspect", &custom, "--safe", &safe]);
    assert_eq!(half.status.code(), Some(2), "one reference alone is wrong usage");
}

#[test]
fn a_mapping_given_by_hand_is_used() {
    let home = tempfile::tempdir().expect("folder");
    let file = home.path().join("odd.csv");
    let mut rows = String::from("ask,reply,score\n");
    for row in 0..20 {
        rows.push_str(&format!("What is {row} plus one?,It is {}.,{row}\n", row + 1));
    }
    fs::write(&file, rows).expect("file");
    let path = file.to_str().expect("UTF-8");
    let report =
        json(&dipole(home.path(), &["inspect", "--json", "--map", "ask=prompt", "--map", "reply=response", path]));
    assert_eq!(report["files"][0]["counts"]["rows"], 20, "{report}");
    assert_eq!(report["files"][0]["mapping"]["fields"]["ask"], "prompt");
    let wrong = dipole(home.path(), &["inspect", "--map", "asks=prompt", "--map", "reply=response", path]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stdout).contains("asks"), "{}", text(&wrong.stdout));
}

#[test]
fn usage_errors_exit_with_two() {
    let home = tempfile::tempdir().expect("folder");
    for arguments in [
        &["purify"][..],
        &["purify", "--custom", "a", "--safe", "b", "--harmful", "c", "--out", "d", "--keep", "-3"],
        &["inspect", "x", "--map", "field"],
        &["no-such-verb", "--x"],
    ] {
        let output = dipole(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(dipole(home.path(), &["--version"]).status.code(), Some(0));
}

#[test]
fn a_display_that_does_not_answer_is_named() {
    let home = tempfile::tempdir().expect("folder");
    let output = Command::new(env!("CARGO_BIN_EXE_dipole"))
        .env("DIPOLE_HOME", home.path())
        .env("DISPLAY", ":1873")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    // Where a windowing library is missing, that is said instead.
    assert!(said.contains("no display answers at DISPLAY=:1873") || said.contains("apt-get install"), "{said}");
    assert!(!said.contains(".rs:"), "{said}");
}

#[test]
fn failures_exit_with_one_and_name_the_place() {
    let home = tempfile::tempdir().expect("folder");
    let out: PathBuf = home.path().join("out");
    let output = purify_demo(home.path(), &out, &["--lambda", "1.5"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("lambda"), "{}", text(&output.stderr));
    let output = purify_demo(home.path(), &out, &["--encoder", home.path().to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("config.json"), "{}", text(&output.stderr));
    assert!(!out.exists(), "a failed run leaves no export");
    fs::create_dir(&out).expect("folder");
    fs::write(out.join("notes.txt"), "mine").expect("file");
    let output = purify_demo(home.path(), &out, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("neither empty nor a Dipole export") && !said.contains("reading"), "{said}");
    let missing = dipole(home.path(), &["verify", "no/such/export"]);
    assert_eq!(text(&missing.stderr).matches("No such file").count(), 1, "{}", text(&missing.stderr));
}

#[test]
fn graphics_adapters_are_listed_and_tested_and_one_purifies() {
    let home = tempfile::tempdir().expect("folder");
    let found = json(&dipole(home.path(), &["gpu", "--json"]));
    let adapters = found["adapters"].as_array().expect("a list");
    assert!(!adapters.is_empty(), "no graphics adapter; mesa-vulkan-drivers brings one in software");
    for adapter in adapters {
        assert_eq!(adapter["self_test"]["passed"], true, "{adapter}");
        assert!(adapter["self_test"]["error"].as_f64().is_some_and(|error| error < 1e-4), "{adapter}");
        assert!(adapter["self_test"]["bytes_per_second"].as_f64().is_some_and(|rate| rate > 1e6), "{adapter}");
        assert!(adapter["binding_bytes"].as_u64().is_some_and(|bytes| bytes >= 128 << 20), "{adapter}");
    }
    let listed = ok(&dipole(home.path(), &["gpu", "--no-test"]));
    let name = adapters[0]["name"].as_str().expect("a name");
    assert!(listed.contains(name) && listed.contains("features") && !listed.contains("self-test"), "{listed}");

    let solve = |engine: &str| {
        let out = home.path().join(engine);
        let done = json(&purify_demo(home.path(), &out, &["--json", "--quiet", "--engine", engine]));
        let manifest = fs::read(out.join("manifest.json")).expect("manifest");
        (done, serde_json::from_slice::<Value>(&manifest).expect("JSON"), contents(&out))
    };
    let (done, manifest, gpu) = solve("gpu");
    assert_eq!(done["solve"]["engine"], format!("gpu {name}"), "{done}");
    assert_eq!(manifest["engine"], done["solve"]["engine"]);
    let (done, manifest, auto) = solve("auto");
    assert_eq!(done["solve"]["engine"], "cpu", "the sample is small");
    let reason = manifest["run"]["engine_reason"].as_str().expect("a reason");
    assert!(reason.contains("too small"), "{reason}");
    // Both engines keep the same rows.
    let kept = |files: &[(String, Vec<u8>)]| {
        let (_, weights) = files.iter().find(|(name, _)| name == "weights.csv").expect("weights");
        let line = |line: &str| (line.split(',').next().map(str::to_owned), line.rsplit(',').next().map(str::to_owned));
        text(weights).lines().map(line).collect::<Vec<_>>()
    };
    let (gpu, auto) = (kept(&gpu), kept(&auto));
    let differ = gpu.iter().zip(&auto).filter(|(a, b)| a != b).count();
    assert!(differ <= 2, "{differ} of {} decisions differ", gpu.len());
}

#[test]
fn calibration_tells_what_the_cut_finds_and_the_manifest_says_how() {
    let home = tempfile::tempdir().expect("folder");
    let out = home.path().join("export");
    let told = json(&purify_demo(home.path(), &out, &["--calibrate", "--json"]));
    let statement = told["calibration"]["statement"].as_str().expect("a statement");
    assert!(statement.contains("planted canaries") && statement.contains("share their source"), "{statement}");
    let grid = told["calibration"]["found"]["grid"].as_array().expect("a grid");
    assert_eq!(grid.len(), 20);
    assert_eq!(grid.iter().filter(|point| point["chosen"] == true).count(), 3);
    let manifest = fs::read(out.join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["score"]["calibration"]["grid"], told["calibration"]["found"]["grid"]);
    let learned_at = &manifest["score"]["weights_learned_at"];
    assert!(learned_at["chosen"] == true && grid.contains(learned_at), "{learned_at}");
    assert!(manifest["score"]["how"].as_str().is_some_and(|how| how.contains("mean over the chosen pairs")));
    ok(&dipole(home.path(), &["verify", out.to_str().expect("UTF-8")]));
    // A value of the user's narrows the grid.
    let fixed = json(&purify_demo(home.path(), &out, &["--calibrate", "--lambda", "0.6", "--json"]));
    let grid = fixed["calibration"]["found"]["grid"].as_array().expect("a grid").clone();
    assert!(grid.len() == 5 && grid.iter().all(|point| point["lambda"] == 0.6 && point["chosen"] == true));
}

#[test]
fn rankings_are_compared_with_and_without_labels() {
    let home = tempfile::tempdir().expect("folder");
    let (custom, safe, harmful) = (demo_file("custom.jsonl"), demo_file("safe.jsonl"), demo_file("harmful.jsonl"));
    let sets = ["compare-rankings", "--custom", &custom, "--safe", &safe, "--harmful", &harmful];
    let scores = home.path().join("scores.csv").display().to_string();
    let shown = ok(&dipole(home.path(), &[&sets[..], &["--scores", &scores]].concat()));
    assert!(shown.contains("centroid") && shown.contains("Spearman") && !shown.contains("AUROC"), "{shown}");
    let scores = fs::read_to_string(scores).expect("scores");
    let lines: Vec<&str> = scores.lines().collect();
    assert!(lines[0].starts_with("row,calibrated,fixed,paper,pull-only,push-only"), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 600);
    let labels = demo_file("custom.labels.csv");
    let table = json(&dipole(home.path(), &[&sets[..], &["--labels", &labels, "--json"]].concat()));
    let auroc = |name: &str| {
        let line = table.as_array().expect("lines").iter().find(|line| line["name"] == name).expect("the ranking");
        line["measured"]["auroc"].as_f64().expect("a figure")
    };
    assert!(auroc("calibrated") > 0.9, "{}", auroc("calibrated"));
    assert_eq!(auroc("sft"), 0.5);
    assert!((auroc("random") - 0.5).abs() < 0.15, "{}", auroc("random"));
}

#[test]
fn a_study_measures_every_labelled_set_of_a_folder() {
    let home = tempfile::tempdir().expect("folder");
    let data = home.path().join("data");
    for (folder, file, demo) in [
        ("custom", "mix_demo.jsonl", "custom.jsonl"),
        ("custom", "mix_demo.labels.csv", "custom.labels.csv"),
        ("ref_safe", "safe_demo.jsonl", "safe.jsonl"),
        ("ref_harmful", "harm_demo.jsonl", "harmful.jsonl"),
    ] {
        fs::create_dir_all(data.join(folder)).expect("folder");
        fs::copy(demo_file(demo), data.join(folder).join(file)).expect("copies");
    }
    let (data, out) = (data.display().to_string(), home.path().join("out"));
    let shown = ok(&dipole(home.path(), &["study", "quality", "--data", &data, "--out", &out.display().to_string()]));
    assert!(shown.contains("mix_demo / harm_demo") && shown.contains("| calibrated |"), "{shown}");
    let csv = fs::read_to_string(out.join("quality.csv")).expect("data");
    assert_eq!(csv.lines().count(), 1 + 15);
    assert!(out.join("quality.md").is_file() && out.join("quality.json").is_file());
    let none = dipole(home.path(), &["study", "quality", "--data", home.path().to_str().expect("UTF-8"), "--out", "x"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("ref_safe"), "{}", text(&none.stderr));
}
