//! Fine-tuning runs on disk: stop, resume, lock, failure.

use std::path::{Path, PathBuf};

use dipole::jobs::Silent;
use dipole::model::{ChatTokenizer, DecoderFacts};
use dipole::project::ProjectError;
use dipole::project::tuning::{RunLock, RunState, RunStore, TuneRun, held_out_rows, rows_file, tune};
use dipole::training::{Control, Finish, TrainEvent, TrainSettings, read_steps};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model")
}

fn rows(folder: &Path) -> PathBuf {
    let line = |number: u32| {
        format!(
            r#"{{"instruction": "How to cook {number}?", "output": "boil {number} eggs", "weight": {}}}"#,
            f64::from(number % 3) / 2.0
        )
    };
    let path = folder.join("purified.jsonl");
    std::fs::write(&path, (0..12).map(|number| line(number) + "\n").collect::<String>()).expect("written");
    path
}

fn settings() -> TrainSettings {
    TrainSettings {
        rank: 2,
        batch_rows: 2,
        steps: Some(6),
        evaluation_share: 0.25,
        evaluate_every: 3,
        checkpoint_every: 2,
        ..TrainSettings::default()
    }
}

#[test]
fn a_run_is_stopped_listed_resumed_and_then_complete() {
    let home = tempfile::tempdir().expect("a folder");
    let store = RunStore::beside(&home.path().join("projects"));
    assert_eq!(store.list().expect("no run yet"), []);
    let data = rows_file(rows(home.path()).parent().expect("a folder")).expect("an export folder");
    let folder = store.create("a/b model").expect("a folder");
    assert!(folder.starts_with(home.path().join("runs")) && folder.display().to_string().ends_with("-a-b-model"));
    let run = TuneRun::new(&model(), &data, "the kept rows", settings(), 1);
    let control = Control::default();
    let stopper = control.clone();
    let mut stop = move |event: &TrainEvent| {
        if matches!(event, TrainEvent::Step(report) if report.step == 3) {
            stopper.stop();
        }
    };
    let lock = RunLock::take(&folder).expect("free");
    let run = tune(&folder, run, &control, &mut stop, &Silent, &lock).expect("stopped");
    assert!(store.list().expect("listed")[0].is_live, "the lock is held");
    assert!(matches!(RunLock::take(&folder), Err(ProjectError::Busy { .. })));
    drop(lock);
    assert_eq!((run.state.clone(), run.steps_done, run.steps), (RunState::Ended(Finish::Stopped), 3, 6));
    assert_eq!((run.rows.read, run.rows.used, run.rows.weightless), (12, 8, 4));
    let stored = store.list().expect("listed").remove(0);
    assert_eq!((&stored.run, stored.checkpoint, stored.has_adapter), (&run, Some(3), true));
    assert!(stored.can_resume() && !stored.is_live && !stored.has_merged);

    let lock = RunLock::take(&folder).expect("free again");
    let done = tune(&folder, stored.run, &Control::default(), &mut |_: &TrainEvent| {}, &Silent, &lock).expect("done");
    drop(lock);
    assert_eq!((done.state.clone(), done.steps_done), (RunState::Ended(Finish::Complete), 6));
    assert!(done.evaluation.is_some() && done.first_loss == run.first_loss && done.seconds > run.seconds);
    let stored = store.list().expect("listed").remove(0);
    assert!(!stored.can_resume());
    assert_eq!(
        read_steps(&folder).expect("events").iter().map(|step| step.step).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );

    let facts = DecoderFacts::read(&model()).expect("a model");
    let tokenizer = ChatTokenizer::open(&model(), &facts.spec).expect("a tokenizer");
    let held = held_out_rows(&stored.run, &tokenizer, 100, &Silent).expect("rows");
    assert_eq!(held.len(), 2);
    assert_eq!(held_out_rows(&stored.run, &tokenizer, 1, &Silent).expect("rows"), held[..1]);
}

#[test]
fn a_run_that_cannot_begin_says_so_on_disk() {
    let home = tempfile::tempdir().expect("a folder");
    let store = RunStore { root: home.path().join("runs") };
    let folder = store.create("run").expect("a folder");
    let run = TuneRun::new(&home.path().join("none"), &rows(home.path()), "a file", settings(), 1);
    let lock = RunLock::take(&folder).expect("free");
    let error =
        tune(&folder, run, &Control::default(), &mut |_: &TrainEvent| {}, &Silent, &lock).expect_err("no model");
    let said = error.to_string();
    assert!(said.contains("config.json"), "{said}");
    drop(lock);
    let stored = store.list().expect("listed").remove(0);
    assert_eq!(stored.run.state, RunState::Failed(said));
    assert!(stored.can_resume() && stored.checkpoint.is_none());
    std::fs::write(folder.join("run.json"), "{").expect("written");
    assert_eq!(store.list().expect("a damaged run is left out"), []);
    let error = rows_file(&home.path().join("runs")).expect_err("no export").to_string();
    assert!(error.contains("purified"), "{error}");
}

#[test]
fn the_facts_of_a_model_are_those_of_the_loaded_one() {
    use dipole::model::{Decoder, Precision};
    let facts = DecoderFacts::read(&model()).expect("a model");
    for precision in [Precision::Stored, Precision::F32, Precision::Bf16] {
        let decoder = Decoder::open(&model(), precision, &candle_core::Device::Cpu, &Silent).expect("the fixture");
        assert_eq!(&facts.spec, decoder.spec());
        let (said, is) = (facts.weight_bytes(precision), decoder.weight_bytes());
        assert!(said.abs_diff(is) * 50 < is, "{precision:?}: {said} for {is}");
    }
    let home = tempfile::tempdir().expect("a folder");
    std::fs::copy(model().join("config.json"), home.path().join("config.json")).expect("copied");
    let error = DecoderFacts::read(home.path()).expect_err("no weights").to_string();
    assert!(error.contains("model.safetensors"), "{error}");
}
