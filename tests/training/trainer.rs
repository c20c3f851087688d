//! What a run computes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dipole::jobs::Silent;
use dipole::model::{Adapter, Depth, TensorFile};
use dipole::training::{Control, Finish, TrainEvent, TrainSettings};

use super::common::{decoder, prepared, rows, settings, simply, train};

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_batch_of_one_row_keeps_its_weight() {
    let home = home();
    let path = rows(home.path(), &[0.5, 1.5, 3.0, 1.0]);
    let still = TrainSettings { batch_rows: 1, steps: Some(4), learning_rate: 1e-12, clip: 0.0, ..settings() };
    let weighted = simply(&path, &still, &home.path().join("weighted"), 1);
    let flat = simply(&path, &TrainSettings { use_weights: false, ..still }, &home.path().join("flat"), 1);
    let mut ratios: Vec<f64> = Vec::new();
    for (weighted, flat) in weighted.steps().iter().zip(flat.steps()) {
        let ratio = weighted.loss / flat.loss;
        assert!((weighted.gradient_norm / flat.gradient_norm - ratio).abs() < 1e-4 * ratio);
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    // Mean weight 1.5 becomes 1.
    for (ratio, want) in ratios.iter().zip([0.5 / 1.5, 1.0 / 1.5, 1.0, 2.0]) {
        assert!((ratio - want).abs() < 1e-5, "{ratios:?}");
    }
}

#[test]
fn the_loss_of_a_step_is_divided_by_its_rows() {
    let home = home();
    let path = rows(home.path(), &[1.0, 2.0, 0.5, 0.5]);
    let still = |batch_rows, micro_tokens| TrainSettings {
        batch_rows,
        micro_tokens,
        epochs: 1,
        steps: None,
        learning_rate: 1e-12,
        clip: 0.0,
        ..settings()
    };
    let ones = simply(&path, &still(1, 64), &home.path().join("ones"), 1);
    let mean = ones.steps().iter().map(|step| step.loss).sum::<f64>() / 4.0;
    for micro_tokens in [1, 40, 10_000] {
        let together = simply(&path, &still(4, micro_tokens), &home.path().join(format!("{micro_tokens}")), 1);
        let loss = together.steps()[0].loss;
        assert!((loss - mean).abs() < 1e-6 * mean, "{micro_tokens}: {loss} for {mean}");
    }
}

#[test]
fn workers_do_not_change_a_bit() {
    let home = home();
    let path = rows(home.path(), &[1.0; 12]);
    let settings = TrainSettings { dropout: 0.2, evaluation_share: 0.2, evaluate_every: 2, ..settings() };
    let one = simply(&path, &settings, &home.path().join("one"), 1);
    let three = simply(&path, &settings, &home.path().join("three"), 3);
    assert_eq!(one.adapter(), three.adapter());
    let losses =
        |run: &super::common::Run| run.steps().iter().map(|step| (step.loss, step.evaluation)).collect::<Vec<_>>();
    assert_eq!(losses(&one), losses(&three));
    let other = simply(&path, &TrainSettings { seed: 1, ..settings }, &home.path().join("other"), 1);
    assert_ne!(one.adapter(), other.adapter());
}

#[test]
fn training_learns_the_rows() {
    let home = home();
    let path = rows(home.path(), &[1.0; 8]);
    let settings = TrainSettings { steps: Some(40), batch_rows: 8, learning_rate: 2e-2, rank: 8, ..settings() };
    let run = simply(&path, &settings, &home.path().join("out"), 2);
    let (first, last) = (run.outcome.first_loss.expect("a loss"), run.outcome.last_loss.expect("a loss"));
    assert!(last < 0.95 * first, "{first} → {last}");
    let TrainEvent::Begin { rows, held_out, steps, memory, .. } = &run.events[0] else { panic!("no beginning") };
    assert_eq!((*rows, *held_out, *steps), (8, 0, 40));
    assert!(memory.weights > 0 && memory.activations > 0);
    for step in run.steps() {
        assert!(
            step.tokens > 0 && step.tokens_per_second > 0.0 && step.gradient_norm > 0.0 && step.seconds_left >= 0.0
        );
    }
}

#[test]
fn a_run_that_gets_worse_ends_early_with_the_best_adapter() {
    let home = home();
    let path = rows(home.path(), &[1.0; 10]);
    let settings = TrainSettings {
        learning_rate: 0.5,
        clip: 0.0,
        steps: Some(60),
        evaluation_share: 0.2,
        evaluate_every: 1,
        patience: Some(3),
        ..settings()
    };
    let run = simply(&path, &settings, &home.path().join("out"), 1);
    assert_eq!(run.outcome.finish, Finish::EarlyStop);
    assert!(run.outcome.steps < 60);
    let evaluations: Vec<f64> = run.steps().iter().filter_map(|step| step.evaluation).collect();
    let best = evaluations.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(run.outcome.evaluation, Some(best));
    assert!(evaluations.iter().rev().take(3).all(|loss| *loss > best));
    let at_best = evaluations.iter().position(|loss| *loss == best).expect("one of them") as u64 + 1;
    // Training only that far gives the same adapter, but for the schedule, which is made constant here.
    let constant = TrainSettings { schedule: dipole::training::Schedule::Constant, warmup_share: 0.0, ..settings };
    let run = simply(&path, &constant, &home.path().join("constant"), 1);
    let evaluations: Vec<f64> = run.steps().iter().filter_map(|step| step.evaluation).collect();
    let best = evaluations.iter().copied().fold(f64::INFINITY, f64::min);
    let steps = evaluations.iter().position(|loss| *loss == best).expect("one of them") as u64 + 1;
    let short = TrainSettings { steps: Some(steps), patience: None, ..constant };
    assert_eq!(simply(&path, &short, &home.path().join("short"), 1).adapter(), run.adapter());
    assert!(at_best >= 1);
}

#[test]
fn a_paused_run_waits_and_goes_on() {
    let home = home();
    let path = rows(home.path(), &[1.0; 8]);
    let control = Control::default();
    control.pause(true);
    let seen = AtomicUsize::new(0);
    let count = |event: &TrainEvent| {
        if matches!(event, TrainEvent::Step(_)) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(seen.load(Ordering::SeqCst), 0, "no step while it is paused");
            control.pause(false);
        });
        let run = train(&path, &settings(), &home.path().join("out"), 2, false, &control, count).expect("a run");
        assert_eq!((run.outcome.finish, run.outcome.steps), (Finish::Complete, 6));
    });
    assert_eq!(seen.load(Ordering::SeqCst), 6);
}

#[test]
fn rows_are_prepared_and_counted() {
    let home = home();
    let path = home.path().join("rows.jsonl");
    let line = |user: &str, answer: &str, weight: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":"{user}"}},{{"role":"assistant","content":"{answer}"}}]{weight}}}"#
        )
    };
    let lines = [
        line("a", "b", ""),
        line("a", "c", r#","weight":0"#),
        line("a", &"water ".repeat(60), r#","weight":2.5"#),
        line("a", "", ""),
    ];
    std::fs::write(&path, lines.join("\n")).expect("writes");
    let decoder = decoder();
    let settings = TrainSettings { max_tokens: 48, ..settings() };
    let got = prepared(&decoder, &path, &settings).expect("rows");
    assert_eq!((got.rows.len(), got.truncated, got.refused, got.weightless), (2, 1, 1, 1));
    assert_eq!(got.rows.iter().map(|row| row.weight).collect::<Vec<_>>(), [1.0, 2.5]);
    assert_eq!((got.refusals[0].row, got.rows[1].tokens.len()), (3, 48));
    std::fs::write(&path, line("a", "b", r#","weight":-1"#)).expect("writes");
    let error = prepared(&decoder, &path, &settings).expect_err("refused").to_string();
    assert!(error.contains("row 0") && error.contains("weight"), "{error}");
    std::fs::write(&path, line("a", "", "")).expect("writes");
    assert!(prepared(&decoder, &path, &settings).expect_err("no row").to_string().contains("none of 1 rows"));
}

/// `tools/check_adapter.py` trained this adapter with `dipole tune` on the purified demo data and loaded it in peft.
#[test]
fn logits_of_a_tuned_adapter_are_those_that_peft_gave() {
    let recorded = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tuned");
    let decoder = decoder();
    let adapter = Adapter::read(&recorded.join("adapter"), &decoder).expect("an adapter");
    let mut file = TensorFile::open(&recorded.join("expected.safetensors")).expect("the fixture");
    let ids: Vec<u32> = file.read("ids").expect("tokens").into_iter().map(|id| id as u32).collect();
    let want = file.read("logits").expect("logits");
    let logits = |adapter| {
        let hidden = decoder.hidden(&[&ids], Depth::Last, adapter, &Silent).expect("states");
        let logits = decoder.logits(&hidden).expect("logits");
        logits.flatten_all().and_then(|logits| logits.to_vec1::<f32>()).expect("numbers")
    };
    let worst = |got: Vec<f32>| got.iter().zip(&want).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst(logits(Some(&adapter))) < 1e-4);
    assert!(worst(logits(None)) > 1e-2, "the adapter does something");
}
