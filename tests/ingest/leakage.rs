//! What a custom set shares with a reference.

use dipole::data::Severity;
use dipole::data::analysis::{AnalysisSettings, Overlap, exact_leakage, leakage};
use dipole::jobs::Silent;

use super::{file, open};

fn rows(pairs: &[(&str, &str)]) -> String {
    pairs
        .iter()
        .map(|(prompt, completion)| {
            serde_json::json!({ "prompt": prompt, "completion": completion }).to_string() + "\n"
        })
        .collect()
}

fn pairs(overlap: &Overlap) -> Vec<(u64, u64)> {
    overlap.pairs.iter().map(|pair| (pair.custom, pair.reference)).collect()
}

#[test]
fn each_row_is_counted_in_the_strictest_way_that_holds() {
    let story =
        "once upon a time there lived a small grey mouse in a big old house near the sea with its nine children";
    let custom = file(
        "custom.jsonl",
        "not json\n".to_owned()
            + &rows(&[
                ("How do I boil an egg?", "Eight minutes."),
                ("What is new?", "Nothing is shared here."),
                ("Tell me a story", story),
                ("How do I boil an EGG", "In hot water, as my mother did it for years."),
                ("How do I boil an egg?", "Eight minutes."),
            ]),
    );
    let reference = file(
        "safe.json",
        format!(
            "[{}]",
            rows(&[
                ("Something else", "entirely different words"),
                ("Tell me a story", &format!("{story} and more")),
                ("How do I boil an egg?", "Eight minutes."),
                ("Tell me a story", &format!("{story}.")),
            ])
            .trim_end()
            .replace('\n', ",")
        ),
    );
    let (custom, reference) = (open(&custom), open(&reference));
    let exact = exact_leakage(&custom, &reference);
    assert_eq!((pairs(&exact.exact), exact.near, exact.prompt), (vec![(1, 2), (5, 2)], None, None));

    let found = leakage(&custom, &reference, &AnalysisSettings::default(), &Silent).expect("leakage");
    assert_eq!((found.reference.as_str(), pairs(&found.exact)), ("safe.json", vec![(1, 2), (5, 2)]));
    let near = found.near.as_ref().expect("compared");
    // Of two similar rows the more similar one is named.
    assert_eq!((near.custom_rows, pairs(near), near.pairs[0].similarity), (1, vec![(3, 3)], 1.0));
    assert_eq!(pairs(found.prompt.as_ref().expect("compared")), [(4, 2)]);

    let findings = found.findings();
    let severities: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.count)).collect();
    assert_eq!(severities, [(Severity::Warning, 2), (Severity::Warning, 1), (Severity::Info, 1)]);
    assert_eq!(findings[0].rows, [1, 5]);
    assert!(findings[0].message.contains("row 1 like its row 2, row 5 like its row 2"), "{}", findings[0].message);
    assert!(findings[0].message.contains("safe.json"), "{}", findings[0].message);
}

#[test]
fn sets_without_common_rows_give_no_finding() {
    let custom = open(&file("custom.jsonl", rows(&[("a b c", "d e f")])));
    let reference = open(&file("safe.jsonl", rows(&[("g h i", "j k l")])));
    let found = leakage(&custom, &reference, &AnalysisSettings::default(), &Silent).expect("leakage");
    assert_eq!(found.findings(), []);
    assert_eq!(found.near.expect("compared").custom_rows, 0);
}

#[test]
fn the_layout_of_the_files_makes_no_difference() {
    let custom = open(&file("custom.jsonl", rows(&[("What is two and two?", "Four.")])));
    let chat = r#"{"conversations":[{"from":"human","value":"What is two and two?"},{"from":"gpt","value":"Four."}]}"#;
    let found = exact_leakage(&custom, &open(&file("harmful.jsonl", chat)));
    assert_eq!(pairs(&found.exact), [(0, 0)]);
}

#[test]
fn purify_and_inspect_warn_of_shared_rows() {
    let demo = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name);
        std::fs::read_to_string(path).expect("sample data")
    };
    let shared: String = demo("custom.jsonl").lines().take(30).map(|line| format!("{line}\n")).collect();
    let custom = file("custom.jsonl", demo("custom.jsonl"));
    let safe = file("safe.jsonl", shared + &demo("safe.jsonl"));
    let harmful = file("harmful.jsonl", demo("harmful.jsonl"));
    let run = |arguments: &[&std::ffi::OsStr]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dipole"));
        let output = command.args(arguments).env("DIPOLE_HOME", custom.folder.path()).output().expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let (custom_path, safe_path) = (custom.path.as_os_str(), safe.path.as_os_str());
    let report = run(&["inspect".as_ref(), "--json".as_ref(), custom_path, safe_path]);
    let overlap = &report["overlaps"][0];
    assert_eq!((&overlap["reference"], &overlap["exact"]["custom_rows"]), (&"safe.jsonl".into(), &30.into()));

    let out = custom.folder.path().join("out");
    let words = |word: &'static str| std::ffi::OsStr::new(word);
    run(&[
        words("purify"),
        words("--json"),
        words("--custom"),
        custom_path,
        words("--safe"),
        safe_path,
        words("--harmful"),
        harmful.path.as_os_str(),
        words("--out"),
        out.as_os_str(),
    ]);
    let manifest = std::fs::read(out.join("manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let warnings: Vec<&str> =
        manifest["warnings"].as_array().expect("a list").iter().filter_map(serde_json::Value::as_str).collect();
    assert!(
        warnings.iter().any(|warning| warning.starts_with("safe: 30 rows of the custom set stand")),
        "{warnings:?}"
    );
    assert!(!warnings.iter().any(|warning| warning.starts_with("harmful:")), "{warnings:?}");
}
