//! Decisions on their way: what is on screen is on disk, and keys keep their order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dipole::gui::{Action, App, GuiOptions, Role};
use dipole::selection::Verdict;
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::fake::{Board, Fake};
use super::stage::{open, settle, type_at_once, wait};

const NONE: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;

/// Five rows, the first the most suspicious, purified and shown.
fn five_rows() -> (Harness<'static, App>, Arc<Board>) {
    let board = Arc::new(Board::default());
    let fake = Fake { rows: 5, forces: |row| (-(row as f64), row as f64), board: board.clone() };
    let files = |name: &str| vec![PathBuf::from(name)];
    let options = GuiOptions {
        roles: vec![(Role::Custom, files("custom")), (Role::Safe, files("safe")), (Role::Harmful, files("harmful"))],
        auto_purify: true,
        ..GuiOptions::default()
    };
    let mut harness = open(options, Arc::new(fake));
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    settle(&mut harness);
    assert_eq!(harness.state().session().table.cursor, Some(0), "the most suspicious row is under the cursor");
    (harness, board)
}

fn verdicts(app: &App) -> Vec<(u32, Verdict)> {
    let mut verdicts: Vec<_> = app.session().record.verdicts.iter().map(|(row, d)| (*row, d.verdict)).collect();
    verdicts.sort_unstable_by_key(|(row, _)| *row);
    verdicts
}

#[test]
fn a_decision_is_shown_only_when_it_is_on_disk() {
    let (mut harness, board) = five_rows();
    board.hold();
    type_at_once(&mut harness, &[(Key::K, NONE), (Key::ArrowDown, NONE), (Key::X, NONE)]);
    for _ in 0..20 {
        harness.step();
        assert_eq!(verdicts(harness.state()), [], "nothing is on disk yet");
        assert!(harness.query_by_label_contains("by hand:").is_none(), "no row says that it was decided");
    }
    assert!(!harness.state().is_idle(), "a decision is on its way");
    assert_eq!(harness.state().session().table.cursor, Some(1), "the window went on meanwhile");
    board.release();
    settle(&mut harness);
    assert_eq!(verdicts(harness.state()), [(0, Verdict::Keep), (1, Verdict::Drop)]);
    harness.get_by_label_contains("Row 0, kept by hand");
    harness.get_by_label_contains("Row 1, dropped by hand");
}

#[test]
fn keys_typed_within_one_frame_keep_their_order() {
    let (mut harness, board) = five_rows();
    type_at_once(
        &mut harness,
        &[
            (Key::X, NONE),
            (Key::ArrowDown, NONE),
            (Key::X, NONE),
            (Key::ArrowDown, NONE),
            (Key::K, NONE),
            (Key::Z, CTRL),
        ],
    );
    settle(&mut harness);
    assert_eq!(*board.journal.lock(), ["Some(Drop) [0]", "Some(Drop) [1]", "Some(Keep) [2]", "undo"]);
    assert_eq!(verdicts(harness.state()), [(0, Verdict::Drop), (1, Verdict::Drop)]);
    type_at_once(&mut harness, &[(Key::Z, CTRL), (Key::Z, CTRL), (Key::Y, CTRL)]);
    settle(&mut harness);
    assert_eq!(verdicts(harness.state()), [(0, Verdict::Drop)]);
}

#[test]
fn undo_typed_right_behind_the_first_decision_takes_it_back() {
    let (mut harness, board) = five_rows();
    type_at_once(&mut harness, &[(Key::X, NONE), (Key::Z, CTRL)]);
    settle(&mut harness);
    assert_eq!(*board.journal.lock(), ["Some(Drop) [0]", "undo"]);
    assert_eq!(verdicts(harness.state()), []);
    assert!(harness.state().session().record.can_redo);
}

#[test]
fn a_failed_write_is_not_shown_and_takes_what_waited_behind_it_along() {
    let (mut harness, board) = five_rows();
    board.broken.store(true, Ordering::Relaxed);
    board.hold();
    type_at_once(&mut harness, &[(Key::X, NONE), (Key::ArrowDown, NONE), (Key::X, NONE)]);
    board.release();
    settle(&mut harness);
    assert_eq!(*board.journal.lock(), ["Some(Drop) [0]"], "the second was never tried");
    assert_eq!(verdicts(harness.state()), []);
    board.broken.store(false, Ordering::Relaxed);
    type_at_once(&mut harness, &[(Key::X, NONE)]);
    settle(&mut harness);
    assert_eq!(verdicts(harness.state()), [(1, Verdict::Drop)], "the window lives on");
}

#[test]
fn one_decision_on_many_rows_is_one_step_to_undo() {
    let (mut harness, board) = five_rows();
    type_at_once(
        &mut harness,
        &[(Key::ArrowDown, Modifiers::SHIFT), (Key::ArrowDown, Modifiers::SHIFT), (Key::K, NONE)],
    );
    settle(&mut harness);
    assert_eq!(*board.journal.lock(), ["Some(Keep) [0, 1, 2]"]);
    harness.get_by_label_contains("3 rows selected");
    type_at_once(&mut harness, &[(Key::Z, CTRL)]);
    settle(&mut harness);
    assert_eq!(verdicts(harness.state()), []);
}

#[test]
fn clicks_select_like_in_any_list() {
    let (mut harness, _) = five_rows();
    let selected = |harness: &Harness<'_, App>| harness.state().session().table.selected.iter().collect::<Vec<u32>>();
    harness.get_by_label_contains("Row 1, ").click();
    settle(&mut harness);
    assert_eq!(selected(&harness), [1]);
    harness.get_by_label_contains("Row 3, ").click_modifiers(Modifiers::SHIFT);
    settle(&mut harness);
    assert_eq!(selected(&harness), [1, 2, 3]);
    harness.get_by_label_contains("Row 2, ").click_modifiers(Modifiers::COMMAND);
    settle(&mut harness);
    assert_eq!(selected(&harness), [1, 3]);
    type_at_once(&mut harness, &[(Key::A, CTRL)]);
    assert_eq!(selected(&harness), [0, 1, 2, 3, 4]);
    type_at_once(&mut harness, &[(Key::End, NONE)]);
    assert_eq!(selected(&harness), [4]);
}

#[test]
fn a_click_on_the_chosen_button_of_a_row_takes_the_decision_back() {
    let (mut harness, board) = five_rows();
    for expected in ["Some(Drop) [2]", "None [2]"] {
        harness.get_by_label_contains("Row 2, ").hover();
        harness.step();
        harness.get_by_label("Drop row 2").click();
        settle(&mut harness);
        assert_eq!(board.journal.lock().last().map(String::as_str), Some(expected));
    }
    assert_eq!(verdicts(harness.state()), []);
}

#[test]
fn covered_texts_show_only_under_the_pointer() {
    let (mut harness, _) = five_rows();
    harness.get_by_label_contains("question 1");
    harness.state_mut().send(Action::ToggleCover);
    settle(&mut harness);
    assert!(harness.query_all_by_label_contains("question").next().is_none(), "no text is read out or shown");
    harness.get_by_label_contains("Row 1, ");
}
