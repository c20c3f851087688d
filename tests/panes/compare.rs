//! The Compare step on the tiny model: typed prompts, answers as they come, stopping, and what is wrong with a choice.

use std::path::{Path, PathBuf};

use dipole::gui::compare::Column;
use dipole::gui::{Action, Step};

use super::tune::model;
use super::window::Window;

fn adapter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tuned/adapter")
}

fn at_compare(window: &mut Window, prompts: &str, longest: &str) {
    window.send(Action::GoTo(Step::Compare));
    window.until_idle();
    window.type_into("Base model to compare", &model().display().to_string());
    window.type_into("Adapter to compare", &adapter().display().to_string());
    window.click("Typed");
    window.type_into("Your prompts", prompts);
    window.type_into("Longest answer, tokens", longest);
}

#[test]
fn typed_prompts_are_answered_side_by_side_as_the_words_come() {
    let mut window = Window::open();
    at_compare(&mut window, "How to cook 3?", "200");
    window.click("Harmful");
    window.click("Compare");
    let column = |window: &Window, side: usize| {
        window.app().session().tune.compare.rows.first().map(|row| row.sides[side].clone()).unwrap_or_default()
    };
    window.until("the first words", |window| !column(window, 0).text.is_empty());
    window.until("all answers", |window| window.app().session().tune.compare.job.is_none());
    window.until_idle();
    let text = |column: Column| column.answer.expect("an answer").text;
    let [base, tuned] = [column(&window, 0), column(&window, 1)].map(text);
    assert_ne!(base, tuned, "the adapter changes the answer");
    let compare = &window.app().session().tune.compare;
    assert_eq!((compare.error.clone(), compare.is_partial), (None, false));
    assert_eq!(compare.figures.map(|figures| figures.harmful.of), [1, 1]);
    assert!(compare.no_perplexity.is_some() && window.shows("No perplexity: The adapter is of no run in the list"));
    assert!(window.shows("by its first 40 words"), "{:#?}", window.texts());
    window.click("Harmless 0");
    assert!(window.shows("No prompt is of this kind."));
}

#[test]
fn a_comparison_is_stopped_and_keeps_what_was_said() {
    let mut window = Window::open();
    let prompts: Vec<String> = (0..40).map(|number| format!("How to cook {number}?")).collect();
    let file = window.write("prompts.txt", &prompts.join("\n"));
    at_compare(&mut window, "unused", "250");
    window.click("File");
    window.type_into("File of prompts", &file.display().to_string());
    window.click("Compare");
    let answered = |window: &Window| {
        let rows = &window.app().session().tune.compare.rows;
        rows.iter().flat_map(|row| &row.sides).filter(|side| side.answer.is_some()).count()
    };
    window.until("an answer", |window| answered(window) > 0);
    window.click("Stop comparing");
    window.until("the stop", |window| window.app().session().tune.compare.job.is_none());
    window.until_idle();
    let compare = &window.app().session().tune.compare;
    assert_eq!((compare.rows.len(), compare.is_partial, compare.error.clone()), (40, true, None));
    assert!((1..80).contains(&answered(&window)), "{}", answered(&window));
    assert!(window.shows("stopped before every prompt was answered"), "{:#?}", window.texts());
    assert!(window.shows("page 1 of 2"));
    window.click("Next page");
    assert!(window.shows("How to cook 39?"));
}

#[test]
fn what_cannot_be_compared_says_why() {
    let mut window = Window::open();
    window.send(Action::GoTo(Step::Compare));
    window.until_idle();
    assert!(window.shows("No model was fine-tuned here yet.") && window.shows("Choose the base model first."));
    window.type_into("Base model to compare", &model().display().to_string());
    assert!(window.shows("Choose an adapter first"), "{:#?}", window.texts());
    window.type_into("Adapter to compare", &model().display().to_string());
    window.click("Compare");
    window.until("the failure", |window| window.app().session().tune.compare.error.is_some());
    window.until_idle();
    assert!(window.shows("adapter_config.json"), "{:#?}", window.texts());
}
