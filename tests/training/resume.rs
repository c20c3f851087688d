//! Stopped, killed, resumed: the same bytes as if nothing had happened.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dipole::training::{Control, Finish, TrainError, TrainEvent, TrainSettings};
use serde_json::Value;

use super::common::{model, rows, settings, simply, train};

const STEPS: &str = "40";

fn spawn(data: &Path, out: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_dipole"))
        .args(["tune", "--threads", "2", "--steps", STEPS, "--checkpoint-every", "7", "--rank", "4", "--batch", "8"])
        .args(["--dropout", "0.1", "--evaluation-share", "0.1", "--evaluate-every", "9", "--precision", "f32"])
        .arg("--data")
        .arg(data)
        .arg("--model")
        .arg(model())
        .arg("--out")
        .arg(out)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn finish(child: Child) {
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn adapter(out: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["adapter_model.safetensors", "adapter_config.json"];
    names.map(|name| (name.to_owned(), std::fs::read(out.join("adapter").join(name)).expect("an adapter"))).to_vec()
}

/// Numbers of the steps in the event file.
fn steps(out: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(out.join("events.jsonl")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "step").filter_map(|event| event["step"].as_u64()).collect()
}

#[test]
fn killed_at_any_moment_it_resumes_to_the_same_bytes() {
    let home = tempfile::tempdir().expect("a folder");
    let data = rows(home.path(), &[0.5, 1.5, 1.0, 0.25].repeat(8));
    let whole = home.path().join("whole");
    finish(spawn(&data, &whole, &[]));
    let all: Vec<u64> = (1..=40).collect();
    assert_eq!(steps(&whole), all);
    // Before the first checkpoint, between checkpoints, and near the end.
    for (number, upto) in [2, 17, 30].into_iter().enumerate() {
        let out = home.path().join(format!("killed {number}"));
        let mut child = spawn(&data, &out, &["--resume"]);
        while steps(&out).len() < upto {
            assert!(child.try_wait().expect("its state").is_none(), "it ended before it could be killed");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("kills");
        child.wait().expect("it is dead");
        assert!(!out.join("adapter").exists(), "it was killed too late to show anything");
        finish(spawn(&data, &out, &["--resume"]));
        assert_eq!(adapter(&out), adapter(&whole), "killed behind step {upto}");
        assert_eq!(steps(&out), all, "every step is written down once");
    }
}

#[test]
fn stopped_runs_end_within_a_step_and_resume_to_the_same_bytes() {
    let home = tempfile::tempdir().expect("a folder");
    let data = rows(home.path(), &[1.0; 12]);
    let settings = TrainSettings { steps: Some(9), dropout: 0.1, ..settings() };
    let whole = simply(&data, &settings, &home.path().join("whole"), 2);
    let out = home.path().join("stopped");
    let control = Control::default();
    let stop = |event: &TrainEvent| {
        if matches!(event, TrainEvent::Step(report) if report.step == 4) {
            control.stop();
        }
    };
    let stopped = train(&data, &settings, &out, 2, false, &control, stop).expect("a stopped run");
    assert_eq!((stopped.outcome.finish, stopped.outcome.steps), (Finish::Stopped, 4));
    assert_ne!(stopped.adapter(), whole.adapter());
    let again = train(&data, &settings, &out, 1, false, &Control::default(), |_| {});
    assert!(matches!(again, Err(TrainError::Resume { .. })), "a begun run is not overwritten");
    let other = TrainSettings { learning_rate: 1e-3, ..settings.clone() };
    let error = train(&data, &other, &out, 1, true, &Control::default(), |_| {}).err().expect("refused").to_string();
    assert!(error.contains("other settings"), "{error}");
    let resumed = train(&data, &settings, &out, 1, true, &Control::default(), |_| {}).expect("a resumed run");
    assert_eq!(resumed.steps().first().map(|step| step.step), Some(5));
    assert_eq!(resumed.adapter(), whole.adapter());
    let done = train(&data, &settings, &out, 1, true, &Control::default(), |_| {}).expect("nothing is left to do");
    assert_eq!((done.steps().len(), done.adapter()), (0, whole.adapter()));
}

#[test]
fn a_damaged_checkpoint_is_an_error_and_not_a_panic() {
    let home = tempfile::tempdir().expect("a folder");
    let data = rows(home.path(), &[1.0; 6]);
    let out = home.path().join("out");
    simply(&data, &settings(), &out, 1);
    let path = out.join("checkpoint.safetensors");
    let bytes = std::fs::read(&path).expect("a checkpoint");
    for cut in [0, 7, 60, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).expect("writes");
        let resumed = train(&data, &settings(), &out, 1, true, &Control::default(), |_| {});
        assert!(resumed.is_err(), "cut to {cut} bytes");
    }
}
