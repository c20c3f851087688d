//! What the review step says when there is nothing, not yet or no longer something to review.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dipole::gui::{Action, App, GuiOptions, Role, Step};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::fake::{Board, Fake};
use super::stage::{open, settle, type_at_once, wait};

fn window(board: &Arc<Board>, names: &[(Role, &str)]) -> Harness<'static, App> {
    let fake = Fake { rows: 500, forces: |row| (row as f64, 0.0), board: board.clone() };
    let roles = names.iter().map(|(role, name)| (*role, vec![PathBuf::from(name)])).collect();
    let mut harness = open(GuiOptions { roles, fresh: true, ..GuiOptions::default() }, Arc::new(fake));
    harness.state_mut().send(Action::GoTo(Step::Review));
    harness.step();
    harness
}

const ALL: [(Role, &str); 3] = [(Role::Custom, "custom"), (Role::Safe, "safe"), (Role::Harmful, "harmful")];

#[test]
fn without_a_file_it_leads_to_the_cards() {
    let mut harness = window(&Arc::default(), &[]);
    settle(&mut harness);
    harness.get_by_label("No rows to review yet");
    harness.get_by_label("Try the sample data");
    harness.get_by_label("Add files").click();
    settle(&mut harness);
    assert_eq!(harness.state().step(), Step::Data);
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let mut harness = window(&Arc::default(), &[(Role::Custom, "broken")]);
    settle(&mut harness);
    harness.get_by_label("broken cannot be used");
    harness.get_by_label("no record in it can be read");
    harness.get_by_label("Go to Data");
}

#[test]
fn the_first_rows_are_there_while_the_rest_is_read() {
    let board = Arc::new(Board::default());
    *board.read_so_far.lock() = Some(0);
    let mut harness = window(&board, &[(Role::Custom, "custom")]);
    wait(&mut harness, "the file to be opened", |app| app.session().custom().is_some_and(|file| file.handle.is_some()));
    harness.get_by_label("The first rows show here while the rest is read.");

    *board.read_so_far.lock() = Some(120);
    wait(&mut harness, "the first rows", |app| app.session().table.rows.len() == 120);
    let shows = |harness: &Harness<'_, App>| harness.query_by_label_contains("question 3 answer").is_some();
    let mut frames = 0;
    while !shows(&harness) {
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(2));
        frames += 1;
        assert!(frames < 10_000, "row 3 is on screen while the file is read");
    }
    harness.get_by_label_contains("Still reading custom");
    // Nothing can be decided yet, and the window says so.
    harness.get_by_label_contains("question 3 answer").click();
    harness.step();
    type_at_once(&mut harness, &[(Key::X, Modifiers::NONE)]);
    assert!(board.journal.lock().is_empty());

    board.finish_reading();
    settle(&mut harness);
    assert_eq!(harness.state().session().table.rows.len(), 500);
    assert_eq!(harness.state().session().table.cursor, Some(3), "the selection stays");
    harness.get_by_label("Add references");
}

#[test]
fn reading_can_be_stopped() {
    let board = Arc::new(Board::default());
    *board.read_so_far.lock() = Some(120);
    let mut harness = window(&board, &[(Role::Custom, "custom")]);
    wait(&mut harness, "the first rows", |app| app.session().table.rows.len() == 120);
    harness.step();
    harness.get_by_label("Stop reading").click();
    settle(&mut harness);
    harness.get_by_label("custom cannot be used");
}

#[test]
fn a_failed_run_says_why_and_leaves_the_rows() {
    let board = Arc::new(Board::default());
    let mut harness = window(&board, &ALL);
    settle(&mut harness);
    board.broken.store(true, Ordering::Relaxed);
    harness.get_by_label("Purify these rows").click();
    settle(&mut harness);
    harness.state_mut().send(Action::GoTo(Step::Review));
    settle(&mut harness);
    harness.get_by_label_contains("the vectors are not finite");
    harness.get_by_label_contains("question 0 answer");
    board.broken.store(false, Ordering::Relaxed);
    harness.get_by_label("Purify these rows").click();
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    settle(&mut harness);
    assert!(harness.query_by_label_contains("the vectors are not finite").is_none());
}

#[test]
fn no_state_breaks_the_layout_of_a_small_window() {
    let board = Arc::new(Board::default());
    let mut harness = window(&board, &ALL);
    for size in [[720.0, 480.0], [760.0, 520.0], [1024.0, 700.0], [2560.0, 1440.0]] {
        harness.set_size(size.into());
        settle(&mut harness);
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, size.into());
        let inside = |harness: &Harness<'_, App>, label: &str| {
            let rect = harness.get_by_label(label).rect();
            assert!(screen.contains_rect(rect), "{label} at {rect} in a window of {size:?}");
        };
        for label in ["All", "By hand", "Find text", "Undo"] {
            inside(&harness, label);
        }
    }
    type_at_once(&mut harness, &[(Key::Enter, Modifiers::COMMAND)]);
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    for size in [[720.0, 480.0], [760.0, 520.0], [1024.0, 700.0], [2560.0, 1440.0]] {
        harness.set_size(size.into());
        settle(&mut harness);
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, size.into());
        for label in ["Keep", "Drop", "Leave to the machine", "Cut", "Rows the machine keeps", "Sort by Score"] {
            let rect = harness.get_by_label(label).rect();
            assert!(screen.contains_rect(rect), "{label} at {rect} in a window of {size:?}");
        }
        let row = harness.get_by_label_contains("Row 499, ").rect();
        assert!(row.width() > 200.0 && screen.contains_rect(row), "{row} in a window of {size:?}");
    }
}

/// Draws frames until a widget of this name is there.
fn appears(harness: &mut Harness<'_, App>, label: &str) {
    for _ in 0..20_000 {
        if harness.query_by_label(label).is_some() {
            return;
        }
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("{label:?} does not appear");
}

#[test]
fn looking_into_a_file_holds_nothing_up_and_can_be_stopped() {
    let board = Arc::new(Board::default());
    board.looking.store(true, Ordering::Relaxed);
    let mut harness = window(&board, &ALL);
    wait(&mut harness, "the first look", |app| {
        app.session().numbers.is_some()
            && app.session().running().iter().any(|(name, _)| name.starts_with("Looking for"))
    });
    // A run and a decision come to their end meanwhile.
    harness.state_mut().send(Action::Purify);
    wait(&mut harness, "the run", |app| app.session().solved.is_some() && app.session().table.cursor.is_some());
    type_at_once(&mut harness, &[(Key::K, Modifiers::NONE)]);
    wait(&mut harness, "the decision", |app| app.session().counts.by_hand == 1);
    harness.state_mut().send(Action::GoTo(Step::Data));
    harness.run_steps(3);
    harness.get_by_label("Looking for near-duplicates and languages…");
    for name in ["custom", "safe", "harmful"] {
        let stop = format!("Stop looking into {name}");
        appears(&mut harness, &stop);
        harness.get_by_label(&stop).click();
        // The job sees the wish at its next look, which is on its own thread.
        appears(&mut harness, &format!("Look for near-duplicates and languages: {name}"));
    }
    settle(&mut harness);
    board.looking.store(false, Ordering::Relaxed);
    harness.get_by_label("Look for near-duplicates and languages: custom").click();
    settle(&mut harness);
    assert!(harness.query_by_label("Look for near-duplicates and languages: custom").is_none());
}
