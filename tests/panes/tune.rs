//! Fine-tuning in the window: what is wrong with a choice, one click to an adapter, pause, stop, and the next start.

use std::path::{Path, PathBuf};

use dipole::gui::{Action, Step};
use dipole::project::tuning::RunState;
use dipole::training::Finish;

use super::window::Window;

pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model")
}

/// Short rows with weights.
pub fn rows(window: &Window) -> PathBuf {
    let row = |n: u32| {
        format!(
            "{{\"instruction\": \"How to cook {n}?\", \"output\": \"Boil {n} eggs.\", \"weight\": {}}}\n",
            n % 3 + 1
        )
    };
    window.write("rows.jsonl", &(0..24).map(row).collect::<String>())
}

/// The Tune step with the fixture as base model.
pub fn at_tune(window: &mut Window) {
    window.send(Action::GoTo(Step::Tune));
    window.type_into("Base model folder", &model().display().to_string());
    window.until("the model", |window| window.app().session().tune.base.ok().is_some());
}

pub fn short(window: &mut Window, steps: &str, longest: &str) {
    window.click("Quick trial");
    window.type_into("Number of steps", steps);
    window.type_into("Longest row, tokens", longest);
}

#[test]
fn a_wrong_model_folder_is_told_by_the_file_that_is_missing() {
    let mut window = Window::open();
    window.send(Action::GoTo(Step::Tune));
    window.until_idle();
    assert!(window.shows("Choose a base model first."), "{:#?}", window.texts());
    assert!(window.shows("Purify first, or choose a file of rows.") && window.shows("Go to Data"));
    let folder = window.home.path().join("half a model");
    std::fs::create_dir(&folder).expect("made");
    let says = |window: &mut Window, path: &Path, words: &str| {
        if window.app().state().tune.base_path() == path {
            window.click("Look again");
        } else {
            window.type_into("Base model folder", &path.display().to_string());
        }
        window.until(words, |window| window.shows(words));
        assert!(window.shows("This base model cannot be used; its field says why."));
    };
    says(&mut window, &folder, "config.json is missing");
    std::fs::copy(model().join("config.json"), folder.join("config.json")).expect("copied");
    says(&mut window, &folder, "model.safetensors");
    std::fs::copy(model().join("model.safetensors"), folder.join("model.safetensors")).expect("copied");
    says(&mut window, &folder, "tokenizer.json is missing");
    says(&mut window, &model().join("config.json"), "it is a file; give the folder");
    says(&mut window, Path::new("/no/such/model"), "No such file or directory");
    std::fs::write(folder.join("config.json"), r#"{"model_type": "mamba"}"#).expect("written");
    says(&mut window, &folder, "its architecture \"mamba\" is not known");
}

#[test]
fn the_built_in_model_is_chosen_and_unpacked_without_a_click() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("models/starter");
    let starter = folder.clone();
    let with =
        move |options: dipole::gui::GuiOptions| dipole::gui::GuiOptions { starter: Some(starter.clone()), ..options };
    let mut window = Window::with([1440.0, 900.0], with);
    assert!(!folder.exists(), "nothing is unpacked before it is wanted");
    window.send(Action::GoTo(Step::Tune));
    window.until("the model", |window| window.app().session().tune.base.ok().is_some());
    assert_eq!(window.app().state().tune.base_path(), folder);
    assert!(window.shows("llama · 11 million parameters") && folder.join("model.safetensors").is_file());
    window.click("Model folder");
    assert!(window.shows("Choose a base model first.") && window.shows("Llama, Mistral, Qwen2"));
    window.type_into("Base model folder", &model().display().to_string());
    window.until("the model", |window| window.shows("2 layers"));
    std::fs::write(folder.join("model.safetensors"), "damaged").expect("written");
    window.click("Starter model (built in)");
    window.until("the starter", |window| window.shows("11 million parameters"));
    window.until_idle();
}

#[test]
fn one_click_trains_on_the_kept_rows_and_leads_to_compare_and_merge() {
    let mut window = Window::purified();
    at_tune(&mut window);
    assert!(window.shows("480 rows of custom.jsonl"), "{:#?}", window.texts());
    assert!(window.shows("2 layers") && window.shows("That is 120 steps"), "{:#?}", window.texts());
    short(&mut window, "4", "160");
    assert!(window.shows("It takes 4 steps, 8 rows at a time; 10 % of the rows are held out"));
    window.until("the preview", |window| window.shows("<|im_start|>assistant"));
    window.type_into("Learning rate", "-1");
    assert!(window.shows("It must be above 0, not -1."), "{:#?}", window.texts());
    window.type_into("Learning rate", "0.002");
    window.click("Fine-tune on the kept rows with their weights");
    window.until("the end", |window| {
        let tune = &window.app().session().tune;
        tune.live.is_none() && tune.shown.is_some() && tune.history.len() == 1
    });
    window.until_idle();
    let tune = &window.app().session().tune;
    let shown = tune.shown.as_ref().expect("a result");
    assert_eq!(shown.run.run.state, RunState::Ended(Finish::Complete), "{:?}", tune.error);
    assert_eq!((shown.steps.len(), shown.run.run.rows.read, shown.run.run.settings.max_tokens), (4, 480, 160));
    assert!(shown.run.run.evaluation.is_some());
    let folder = shown.run.folder.clone();
    assert!(folder.join("adapter/adapter_model.safetensors").is_file());
    let data = std::fs::read_to_string(folder.join("data/purified.jsonl")).expect("the kept rows");
    assert!(data.lines().count() == 480 && data.lines().all(|line| line.contains("\"weight\":")));
    assert_eq!(window.app().state().tune.recent, [model()]);
    for text in ["Done", "4 / 4", "lowest held-out loss", "Gradient norm", "Learning rate", "Earlier runs"] {
        assert!(window.shows(text), "{text}: {:#?}", window.texts());
    }
    window.click("Merge into the model");
    window.until("the merged model", |window| window.shows("Merged model"));
    assert!(folder.join("merged/model.safetensors").is_file());

    window.click("Compare answers");
    assert_eq!(window.app().step(), Step::Compare);
    window.type_into("Longest answer, tokens", "6");
    window.click("Compare");
    window.until("all answers", |window| window.app().session().tune.compare.job.is_none());
    window.until_idle();
    let compare = &window.app().session().tune.compare;
    assert_eq!((compare.error.clone(), compare.rows.len()), (None, 48));
    assert!(compare.rows.iter().all(|row| row.sides.iter().all(|side| side.answer.is_some())));
    assert_eq!(compare.figures.map(|figures| (figures.harmful.of, figures.harmless.of)), [(24, 24); 2]);
    assert!(compare.perplexity.iter().all(Option::is_some), "{:?}", compare.no_perplexity);
    assert!(window.shows("perplexity on held-out rows (less is better)"), "{:#?}", window.texts());
    assert!(window.shows("harmless requests refused (less is better)") && window.shows("All prompts 48"));
}

#[test]
fn a_run_is_paused_stopped_and_goes_on_after_the_next_start() {
    let mut window = Window::open();
    let file = rows(&window);
    at_tune(&mut window);
    window.click("File or export");
    window.type_into("File of rows", &file.display().to_string());
    window.until("the rows", |window| window.shows("24 rows in rows.jsonl"));
    short(&mut window, "100000", "48");
    window.click("Fine-tune on these rows with their weights");
    let steps = |window: &Window| window.app().session().tune.live.as_ref().map_or(0, |live| live.steps.len());
    window.until("two steps", |window| steps(window) >= 2);
    assert!(window.shows("tokens a second") && window.shows("22 rows learnt, 2 held out"), "{:#?}", window.texts());
    assert!(window.shows("What you choose here is for the next one."));
    window.click("Pause");
    window.until("the pause", |window| window.shows("Paused"));
    // The step that went on when it was paused may still be told.
    let rest = |window: &mut Window| {
        std::thread::sleep(std::time::Duration::from_millis(400));
        window.harness.run_steps(3);
        steps(window)
    };
    let mut held = rest(&mut window);
    for _ in 0..20 {
        let before = std::mem::replace(&mut held, rest(&mut window));
        if before == held {
            break;
        }
    }
    assert_eq!(rest(&mut window), held, "no step while it is paused");
    window.click("Go on");
    window.until("more steps", |window| steps(window) > held + 1);
    window.click("Stop");
    window.until("the end", |window| window.app().session().tune.live.is_none());
    window.until_idle();
    let stopped = window.app().session().tune.shown.as_ref().map(|shown| shown.run.clone()).expect("a run");
    assert_eq!(stopped.run.state, RunState::Ended(Finish::Stopped));
    assert!(window.shows(&format!("Stopped behind step {}", stopped.run.steps_done)), "{:#?}", window.texts());

    let mut window = window.again();
    window.send(Action::GoTo(Step::Tune));
    window.until_idle();
    assert!(window.shows("Earlier runs") && window.shows("rows.jsonl"), "{:#?}", window.texts());
    let name = stopped.folder.file_name().expect("a name").to_string_lossy().into_owned();
    window.click(&format!("Show {name}"));
    window.until("the curves", |window| window.shows("Gradient norm"));
    window.click(&format!("Go on with {name}"));
    let before = stopped.run.steps_done as usize;
    window.until("a step", |window| steps(window) > before);
    let live = window.app().session().tune.live.as_ref().expect("it goes on");
    assert!(live.steps.iter().map(|step| step.step).eq(1..=live.steps.len() as u64), "the curves have no gap");
    assert_eq!(live.checkpoint.map(|step| step >= stopped.run.steps_done), Some(true));
    assert!(window.shows(&format!("resumed behind step {}", stopped.run.steps_done)), "{:#?}", window.texts());
    // Closing the window saves what was done.
    eframe::App::on_exit(window.harness.state_mut());
    let mut window = window.again();
    window.send(Action::GoTo(Step::Tune));
    window.until_idle();
    let found = window.app().session().tune.history.first().cloned().expect("the run");
    assert!(found.checkpoint > Some(stopped.run.steps_done) && found.can_resume(), "{found:?}");
}

#[test]
fn a_run_that_fails_says_why_and_can_be_tried_again() {
    let mut window = Window::open();
    let file =
        window.write("silent.jsonl", "{\"instruction\": \"Say nothing.\", \"output\": \"\"}\n".repeat(3).as_str());
    at_tune(&mut window);
    window.click("File or export");
    window.type_into("File of rows", "/no/such/rows.jsonl");
    window.until("the finding", |window| window.shows("No such file or directory"));
    assert!(window.shows("These rows cannot be used; their field says why."));
    window.type_into("File of rows", &file.display().to_string());
    window.until("the rows", |window| window.shows("3 rows in silent.jsonl"));
    window.until("the preview", |window| window.shows("Row 0 is left out: the assistant says nothing in it."));
    window.click("Fine-tune on these rows with their weights");
    window.until("the failure", |window| window.app().session().tune.error.is_some());
    window.until_idle();
    assert!(window.shows("none of 3 rows can be trained on"), "{:#?}", window.texts());
    assert!(window.shows("Try again from the beginning") && window.shows("Failed"));
}

#[test]
fn a_language_model_compares_texts_and_is_remembered() {
    use dipole::embedding::{EncoderChoice, LanguageChoice, Pool};
    use dipole::gui::Role;
    let mut window = Window::open();
    for (role, words) in [(Role::Custom, "cook"), (Role::Safe, "boil"), (Role::Harmful, "burn")] {
        let row = |n: u32| format!("{{\"instruction\": \"How to {words} {n}?\", \"output\": \"{words} {n} eggs.\"}}\n");
        let path = window.write(&format!("{words}.jsonl"), &(0..6).map(row).collect::<String>());
        window.send(Action::Open(role, vec![path]));
    }
    window.until_idle();
    window.send(Action::ToggleSettings);
    window.click("Model");
    window.type_into("Model folder", &model().display().to_string());
    window.until("what is taken of it", |window| window.shows("Vector of a row"));
    window.click("Mean");
    window.type_into("Layer", "1");
    let wanted = LanguageChoice { folder: model(), pool: Pool::Mean, layer: Some(1) };
    assert_eq!(window.app().state().run.encoder, EncoderChoice::Language(wanted));
    window.send(Action::ToggleSettings);
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    assert_eq!(window.app().state().encoders, [model()]);
    // The next time it is one click away.
    window.send(Action::ToggleSettings);
    window.type_into("Model folder", "/elsewhere");
    window.click("Used before: model folder");
    window.click(&format!("Use {}", model().display()));
    window.until("the model again", |window| !window.shows("There is no such folder"));
    assert!(matches!(&window.app().state().run.encoder, EncoderChoice::Language(choice) if choice.folder == model()));
}
