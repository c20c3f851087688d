//! Ctrl-C, as a signal to the real process.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::common::{command, demo, model, ok, rows};

const STOPPED: Option<i32> = Some(130);

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// Numbers of the steps in the event file.
fn steps(out: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(out.join("events.jsonl")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "step").filter_map(|event| event["step"].as_u64()).collect()
}

#[test]
fn a_run_that_is_interrupted_leaves_a_checkpoint_and_resumes_to_the_same_bytes() {
    let home = tempfile::tempdir().expect("folder");
    let (model, data) = (model(), rows(home.path(), 24).display().to_string());
    let (whole, part) = (home.path().join("whole"), home.path().join("part"));
    let tune = |out: &Path, more: &[&str]| {
        let out = out.display().to_string();
        let arguments = ["tune", "--model", &model, "--data", &data, "--out", &out, "--steps", "80", "--rank", "4"];
        command(home.path(), &[&arguments[..], &["--checkpoint-every", "1000", "--precision", "f32"], more].concat())
    };
    ok(&tune(&whole, &[]).output().expect("it runs"));
    let child = tune(&part, &["--json"]).spawn().expect("it runs");
    while steps(&part).len() < 3 {
        std::thread::sleep(Duration::from_millis(2));
    }
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), STOPPED);
    let told: Value = serde_json::from_slice(&output.stdout).expect("a result");
    assert_eq!(told["outcome"]["finish"], "stopped");
    let done = told["outcome"]["steps"].as_u64().expect("steps");
    assert!((3..80).contains(&done) && steps(&part).len() as u64 == done, "{done}");
    assert!(part.join("checkpoint.safetensors").is_file());
    ok(&tune(&part, &["--resume"]).output().expect("it runs"));
    assert_eq!(steps(&part), (1..=80).collect::<Vec<u64>>());
    let adapter = |out: &Path| std::fs::read(out.join("adapter/adapter_model.safetensors")).expect("an adapter");
    assert!(adapter(&part) == adapter(&whole), "resumed, the bytes are those of an undisturbed run");
}

#[test]
fn an_interrupted_export_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("folder");
    let out = home.path().join("export");
    let (custom, safe, harmful) = (demo("custom.jsonl"), demo("safe.jsonl"), demo("harmful.jsonl"));
    let shown = out.display().to_string();
    // A grid of calibration takes long enough to be interrupted.
    let sets = ["purify", "--custom", &custom, "--safe", &safe, "--harmful", &harmful, "--out", &shown, "--calibrate"];
    let mut child = command(home.path(), &sets).spawn().expect("it runs");
    let mut said = BufReader::new(child.stderr.take().expect("its words")).lines();
    let first = said.next().expect("a stage").expect("text");
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), STOPPED, "it said {first}");
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    assert!(rest.iter().any(|line| line.contains("stopping; once more ends it at once")), "{rest:?}");
    assert!(rest.last().is_some_and(|line| line.starts_with("dipole: stopped")), "{rest:?}");
    assert!(!out.exists());
}

#[test]
fn an_answer_is_cut_short_and_a_chat_at_rest_ends() {
    let home = tempfile::tempdir().expect("folder");
    let model = model();
    // The greedy words of this model go round in a circle and never end.
    let endless = ["generate", "--model", &model, "--prompt", "Hello", "--max-tokens", "100000000"];
    let mut child = command(home.path(), &endless).spawn().expect("it runs");
    let mut output = child.stdout.take().expect("its words");
    output.read_exact(&mut [0u8; 64]).expect("the first words");
    interrupt(&child);
    output.read_to_end(&mut Vec::new()).expect("its last words");
    assert_eq!(child.wait().expect("it ends").code(), STOPPED);

    let chat = ["chat", "--model", &model, "--max-tokens", "4", "--json"];
    let mut child = command(home.path(), &chat).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(b"Hello\n").expect("it listens");
    let mut answer = String::new();
    BufReader::new(child.stdout.take().expect("its words")).read_line(&mut answer).expect("an answer");
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), STOPPED, "after {answer}");
}
