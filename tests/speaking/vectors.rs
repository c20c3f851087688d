//! `dipole embed`: what it writes is read back by `--encoder FILE`.

use std::fs;
use std::path::Path;

use dipole::embedding::Embeddings;
use dipole::model::TensorFile;
use serde_json::Value;

use super::common::{demo, dipole, json_of, model, ok, rows, text};

fn scores(export: &Path) -> Vec<f64> {
    let table = fs::read_to_string(export.join("weights.csv")).expect("an export");
    let mut lines = table.lines();
    let at = lines.next().expect("a header").split(',').position(|name| name == "score").expect("the column");
    lines.map(|line| line.split(',').nth(at).expect("a field").parse().expect("a score")).collect()
}

#[test]
fn vectors_of_the_three_sets_are_read_back_as_an_encoder() {
    let home = tempfile::tempdir().expect("folder");
    let at = |name: &str| home.path().join(name).display().to_string();
    let (custom, safe, harmful) = (demo("custom.jsonl"), demo("safe.jsonl"), demo("harmful.jsonl"));
    let purify = |encoder: &str, out: &str| {
        let sets = ["purify", "--custom", &custom, "--safe", &safe, "--harmful", &harmful, "--engine", "cpu"];
        ok(&dipole(home.path(), &[&sets[..], &["--encoder", encoder, "--out", &at(out)]].concat()));
        scores(&home.path().join(out))
    };
    let direct = purify("lexical", "direct");
    for name in ["vectors.npy", "vectors.safetensors"] {
        let told = json_of(&dipole(home.path(), &["embed", &custom, &safe, &harmful, "--out", &at(name), "--json"]));
        assert_eq!((&told["dim"], &told["files"][0]["rows"]), (&Value::from(256), &Value::from(600)));
        assert_eq!(told["files"].as_array().map(Vec::len), Some(3));
    }
    let through = purify(&at("vectors.npy"), "through");
    assert_eq!(through.len(), direct.len());
    let worst = direct.iter().zip(&through).fold(0f64, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-5, "scores differ by {worst}");
    let npy = Embeddings::read_npy(&home.path().join("vectors.npy")).expect("readable");
    let mut tensors = TensorFile::open(&home.path().join("vectors.safetensors")).expect("readable");
    assert_eq!(tensors.metadata("encoder"), Some("lexical"));
    assert_eq!(tensors.read("vectors").expect("the matrix"), npy.data());
}

#[test]
fn hidden_states_are_written_for_any_number_of_threads_alike() {
    let home = tempfile::tempdir().expect("folder");
    let rows = rows(home.path(), 9).display().to_string();
    let embed = |threads: &str, name: &str, encoder: &str| {
        let out = home.path().join(name);
        let shown = out.display().to_string();
        let cache = home.path().join(format!("cache {name}")).display().to_string();
        let arguments =
            ["embed", &rows, "--encoder", encoder, "--out", &shown, "--threads", threads, "--cache", &cache];
        ok(&dipole(home.path(), &arguments));
        fs::read(out).expect("vectors")
    };
    let last = embed("1", "one.npy", &model());
    assert_eq!(last, embed("3", "three.npy", &model()));
    assert_ne!(last, embed("1", "mean.npy", &format!("{}#mean", model())));
    let read = Embeddings::read_npy(&home.path().join("one.npy")).expect("readable");
    assert_eq!((read.rows(), read.dim()), (9, 32));
    assert!(read.row(3).iter().map(|x| x * x).sum::<f32>() - 1.0 < 1e-5);
}

#[test]
fn a_name_of_another_kind_is_refused_before_work_begins() {
    let home = tempfile::tempdir().expect("folder");
    let out = home.path().join("vectors.bin").display().to_string();
    let refused = dipole(home.path(), &["embed", "no such file", "--out", &out]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("must end in .npy or .safetensors"), "{}", text(&refused.stderr));
}
