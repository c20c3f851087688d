//! What is known of a ranking while it is found out, where it cannot be, and over sittings and a million rows.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dipole::gui::insight::{DataTab, InsightAction, PurifyTab};
use dipole::gui::{Action, App, GuiOptions, Role, Step};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::fake::{Board, Fake};
use super::stage::{library, open, open_any_script, options, sample, settle, type_at_once, wait};

/// A purified set of fake rows.
fn purified(board: &Arc<Board>, rows: usize) -> Harness<'static, App> {
    let fake = Fake { rows, forces: |row| ((row * 7919 % 1009) as f64, 0.0), board: board.clone() };
    let files = |name: &str| vec![PathBuf::from(name)];
    let roles = vec![(Role::Custom, files("custom")), (Role::Safe, files("safe")), (Role::Harmful, files("harmful"))];
    let options = GuiOptions { roles, auto_purify: true, fresh: true, ..GuiOptions::default() };
    let mut harness = open(options, Arc::new(fake));
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    harness
}

fn show(harness: &mut Harness<'_, App>, action: InsightAction) {
    harness.state_mut().send(Action::Insight(action));
    harness.run_steps(3);
}

/// Draws frames until a text is somewhere: a job says how far it is from its own thread.
fn appears(harness: &mut Harness<'_, App>, text: &str) {
    for _ in 0..20_000 {
        if harness.query_all_by_label_contains(text).count() > 0 {
            return;
        }
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("{text:?} does not appear");
}

#[test]
fn a_check_of_the_references_shows_its_progress_is_stopped_and_says_why_it_failed() {
    let board = Arc::new(Board::default());
    board.thinking.store(true, Ordering::Relaxed);
    let mut harness = purified(&board, 500);
    wait(&mut harness, "the check", |app| app.session().insight.health.job.is_some());
    show(&mut harness, InsightAction::ShowData(DataTab::Health));
    assert!(harness.query_all_by_label("Checking the references").count() > 0);
    appears(&mut harness, "thinking");
    // Rows are read and decided meanwhile.
    harness.state_mut().send(Action::GoTo(Step::Review));
    wait(&mut harness, "a row", |app| app.session().table.cursor.is_some());
    type_at_once(&mut harness, &[(Key::K, Modifiers::NONE)]);
    wait(&mut harness, "the decision", |app| app.session().counts.by_hand == 1);

    show(&mut harness, InsightAction::ShowData(DataTab::Health));
    board.broken.store(true, Ordering::Relaxed);
    board.thinking.store(false, Ordering::Relaxed);
    settle(&mut harness);
    harness.get_by_label_contains("A file changed");
    board.broken.store(false, Ordering::Relaxed);
    harness.get_by_label("Try again").click();
    settle(&mut harness);
    harness.get_by_label("The references overlap");
    harness.get_by_label("Take these rows out.");
    assert!(harness.query_by_label_contains("A file changed").is_none());

    // A check that is stopped leaves what was found before.
    board.thinking.store(true, Ordering::Relaxed);
    harness.get_by_label("Check again").click();
    wait(&mut harness, "the check", |app| app.session().insight.health.job.is_some());
    harness.run_steps(2);
    harness.get_by_label("Stop checking").click();
    settle(&mut harness);
    harness.get_by_label("The references overlap");
    board.thinking.store(false, Ordering::Relaxed);
}

#[test]
fn a_calibration_shows_its_progress_on_every_tab_and_is_stopped() {
    let board = Arc::new(Board::default());
    let mut harness = purified(&board, 500);
    settle(&mut harness);
    let before = harness.state().session().solved.clone().expect("solved");
    board.calibrating.store(true, Ordering::Relaxed);
    harness.state_mut().send(Action::Purify);
    wait(&mut harness, "the run", |app| app.session().run.job.is_some());
    for tab in [PurifyTab::Run, PurifyTab::Calibration, PurifyTab::Rankings] {
        show(&mut harness, InsightAction::ShowPurify(tab));
        harness.run_steps(2);
        assert!(harness.query_all_by_label("Purifying").count() > 0, "{tab:?}");
        appears(&mut harness, "calibrating · 40 % · 4 of 10");
    }
    harness.get_by_label("Stop the run").click();
    wait(&mut harness, "the end", |app| app.session().run.job.is_none());
    settle(&mut harness);
    let after = harness.state().session().solved.clone().expect("the result before stays");
    assert!(Arc::ptr_eq(&before, &after));
    assert_eq!(harness.query_all_by_label("Purifying").count(), 0);
}

#[test]
fn a_comparison_shows_its_progress_is_stopped_and_says_why_it_failed() {
    let board = Arc::new(Board::default());
    let mut harness = purified(&board, 500);
    settle(&mut harness);
    show(&mut harness, InsightAction::ShowPurify(PurifyTab::Rankings));
    board.thinking.store(true, Ordering::Relaxed);
    harness.get_by_label("Compare rankings now").click();
    wait(&mut harness, "the comparison", |app| app.session().insight.rankings.job.is_some());
    harness.run_steps(3);
    // The pane and the list of jobs say so.
    assert!(harness.query_all_by_label("Comparing rankings").count() > 0);
    harness.get_by_label("Stop comparing").click();
    settle(&mut harness);
    harness.get_by_label("No ranking was compared yet");

    board.thinking.store(false, Ordering::Relaxed);
    board.broken.store(true, Ordering::Relaxed);
    harness.get_by_label("Compare rankings now").click();
    settle(&mut harness);
    harness.get_by_label_contains("A file changed");
    board.broken.store(false, Ordering::Relaxed);
    harness.get_by_label("Try again").click();
    settle(&mut harness);
    // A ranking without an order says so where it is drawn.
    assert_eq!(harness.state().session().insight.rankings.pair, Some((0, 1)));
    show(&mut harness, InsightAction::ChoosePair(2, 0));
    harness.get_by_label_contains("sft puts every row on one place");

    // Another result makes it stale.
    harness.state_mut().send(Action::Purify);
    wait(&mut harness, "the run", |app| app.session().run.job.is_none() && app.step() == Step::Review);
    settle(&mut harness);
    show(&mut harness, InsightAction::ShowPurify(PurifyTab::Rankings));
    harness.get_by_label_contains("This compares the result before.");
    harness.get_by_label("Compare again").click();
    settle(&mut harness);
    assert!(harness.query_by_label_contains("This compares the result before.").is_none());
}

#[test]
fn a_row_whose_reasons_cannot_be_read_says_so_and_keeps_its_figures() {
    let board = Arc::new(Board::default());
    board.has_vectors.store(true, Ordering::Relaxed);
    let mut harness = purified(&board, 500);
    settle(&mut harness);
    let row = harness.state().session().table.cursor.expect("a row");
    harness.get_by_label_contains(&format!("Its reasons cannot be read: Row {row} has no text."));
    harness.get_by_label_contains("Suspicious mainly because");
}

#[test]
fn a_later_sitting_knows_the_decisions_of_those_before() {
    let root = tempfile::tempdir().expect("a folder");
    sample(root.path());
    let window = |root: &std::path::Path| {
        let options = GuiOptions { roles: vec![(Role::Custom, vec![root.join("custom.jsonl")])], ..options(root) };
        let mut harness = open_any_script(options, library(root));
        settle(&mut harness);
        harness.state_mut().send(Action::GoTo(Step::Review));
        settle(&mut harness);
        harness
    };
    let told = |harness: &Harness<'_, App>| -> Vec<String> {
        let key =
            (harness.state().session().table.cursor.expect("a row"), harness.state().session().record.head.clone());
        let past = harness.state().session().insight.past.of(&key).cloned().expect("read").expect("readable");
        past.iter().map(|past| format!("{:?} {:?}", past.verdict, past.how)).collect()
    };
    let mut first = window(root.path());
    first.state_mut().send(Action::Decide(Some(dipole::selection::Verdict::Drop)));
    settle(&mut first);
    first.state_mut().send(Action::Undo);
    settle(&mut first);
    assert_eq!(told(&first), ["Some(Drop) Decided", "None Undone"]);
    drop(first);

    // No decision is in force, and still what was done is told.
    let mut second = window(root.path());
    assert_eq!(told(&second), ["Some(Drop) Decided", "None Undone"]);
    second.get_by_label_contains("dropped by hand · by ");
    second.state_mut().send(Action::Decide(Some(dipole::selection::Verdict::Keep)));
    settle(&mut second);
    assert_eq!(told(&second).len(), 3);
    // Another row has no past.
    second.state_mut().send(Action::Step(1));
    settle(&mut second);
    assert!(told(&second).is_empty() && second.query_by_label_contains("by hand · by ").is_none());
}

#[test]
fn a_million_rows_are_selected_decided_and_left_in_one_step_each() {
    const ROWS: usize = 1_000_000;
    let board = Arc::new(Board::default());
    let mut harness = purified(&board, ROWS);
    settle(&mut harness);
    type_at_once(&mut harness, &[(Key::A, Modifiers::COMMAND)]);
    harness.run_steps(2);
    assert_eq!(harness.state().session().table.selected.len(), ROWS);
    harness.get_by_label("1,000,000 rows selected");
    // Without one row, and with another filter, the selection stays what it is.
    let row = harness.state().session().table.cursor.expect("a row");
    harness.state_mut().send(Action::ToggleRow(row));
    harness.run_steps(2);
    assert_eq!(harness.state().session().table.selected.len(), ROWS - 1);
    assert!(!harness.state().session().table.selected.contains(&row));
    type_at_once(&mut harness, &[(Key::ArrowDown, Modifiers::NONE)]);
    harness.run_steps(2);
    assert_eq!(harness.state().session().table.selected.len(), 1);
}
