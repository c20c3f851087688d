//! The built binary, a tiny chat model, and rows.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

pub fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dipole"));
    command.args(arguments).env("DIPOLE_HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn dipole(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().expect("the binary runs")
}

/// The program with `input` on its standard input.
pub fn told(home: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(home, arguments).stdin(Stdio::piped()).spawn().expect("the binary runs");
    child.stdin.take().expect("its input").write_all(input).expect("it listens");
    child.wait_with_output().expect("it ends")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn ok(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "stderr: {}\nstdout: {}", text(&output.stderr), text(&output.stdout));
    text(&output.stdout)
}

pub fn json_of(output: &Output) -> Value {
    serde_json::from_str(&ok(output)).expect("--json prints one JSON value")
}

pub fn model() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model").display().to_string()
}

pub fn demo(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name).display().to_string()
}

/// Chats with an answer each.
pub fn rows(folder: &Path, count: usize) -> PathBuf {
    let path = folder.join("rows.jsonl");
    let line = |number: usize| {
        json!({
            "messages": [
                { "role": "user", "content": format!("How to cook {number}?") },
                { "role": "assistant", "content": format!("boil {} eggs in water", number % 7) },
            ],
        })
        .to_string()
    };
    let lines: Vec<String> = (0..count).map(line).collect();
    std::fs::write(&path, lines.join("\n") + "\n").expect("writes");
    path
}
