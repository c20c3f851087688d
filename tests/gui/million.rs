//! A million rows: a frame's work grows with the screen, not with the set.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use dipole::gui::{Action, Column, GuiOptions, Role, Shown};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;

use super::fake::{Board, Fake};
use super::stage::{open, settle, type_at_once, wait};

const ROWS: usize = 1_000_000;
/// More rows than this never fit the table of a window 900 points high.
const SCREEN: usize = 40;

/// Scores that are all different and in no order.
fn forces(row: usize) -> (f64, f64) {
    let mixed = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (mixed as f64 * 1e-6 + row as f64 * 1e-13, 0.0)
}

#[test]
fn only_rows_on_screen_are_asked_for_their_text() {
    let board = Arc::new(Board::default());
    let fake = Fake { rows: ROWS, forces, board: board.clone() };
    let files = |name: &str| vec![PathBuf::from(name)];
    let options = GuiOptions {
        roles: vec![(Role::Custom, files("custom")), (Role::Safe, files("safe")), (Role::Harmful, files("harmful"))],
        auto_purify: true,
        ..GuiOptions::default()
    };
    let mut harness = open(options, Arc::new(fake));
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    settle(&mut harness);
    let asked = |board: &Board| -> BTreeSet<usize> { std::mem::take(&mut *board.asked.lock()).into_iter().collect() };

    // The most suspicious rows are on screen, and a few first rows were read for the cards.
    let order: Vec<u32> = harness.state().session().table.rows.iter().collect();
    assert_eq!(order.len(), ROWS);
    let top: BTreeSet<usize> = order.iter().take(SCREEN).map(|row| *row as usize).collect();
    let seen = asked(&board);
    assert!(seen.iter().all(|row| *row < SCREEN || top.contains(row)), "{seen:?}");
    assert!(seen.len() <= 2 * SCREEN, "{} rows were read", seen.len());

    // The end of the table, a place in the middle, and a page further.
    type_at_once(&mut harness, &[(Key::End, Modifiers::NONE)]);
    settle(&mut harness);
    let seen = asked(&board);
    let bottom: BTreeSet<usize> = order.iter().rev().take(SCREEN).map(|row| *row as usize).collect();
    assert!(seen.is_subset(&bottom), "{:?}", seen.difference(&bottom));
    assert!(seen.contains(&(order[ROWS - 1] as usize)), "the last row is on screen");
    harness.get_by_label_contains(&format!("question {} answer", order[ROWS - 1]));

    let middle = order[ROWS / 2];
    harness.state_mut().send(Action::Select(middle));
    settle(&mut harness);
    let seen = asked(&board);
    let near: BTreeSet<usize> = order[ROWS / 2 - SCREEN..ROWS / 2 + SCREEN].iter().map(|row| *row as usize).collect();
    assert!(seen.is_subset(&near) && seen.contains(&(middle as usize)), "{:?}", seen.difference(&near));
    assert!(seen.len() <= SCREEN, "{} rows were read", seen.len());

    // A frame in which nothing changes asks for nothing.
    harness.run_steps(5);
    assert_eq!(asked(&board), BTreeSet::new());

    // Sorting, filtering and moving the cut read no text but what is on screen then.
    harness.state_mut().send(Action::SortBy(Column::Row));
    settle(&mut harness);
    harness.state_mut().send(Action::Show(Shown::Dropped));
    settle(&mut harness);
    assert_eq!(harness.state().session().table.rows.len(), ROWS / 5);
    harness.state_mut().send(Action::SetKeep(dipole::selection::Keep::Count(ROWS - 7)));
    settle(&mut harness);
    assert_eq!(harness.state().session().table.rows.len(), 7);
    let seen = asked(&board);
    assert!(seen.len() <= 3 * SCREEN, "{} rows were read", seen.len());
}

#[test]
fn a_search_finds_its_rows_among_a_million() {
    let board = Arc::new(Board::default());
    let fake = Fake { rows: ROWS, forces, board: board.clone() };
    let options = GuiOptions { roles: vec![(Role::Custom, vec![PathBuf::from("custom")])], ..GuiOptions::default() };
    let mut harness = open(options, Arc::new(fake));
    settle(&mut harness);
    harness.state_mut().send(Action::FocusSearch);
    settle(&mut harness);
    harness.event(egui::Event::Text("Question 99999".to_owned()));
    settle(&mut harness);
    let found: Vec<u32> = harness.state().session().table.rows.iter().collect();
    // 99,999 itself and the numbers that go on behind it.
    assert_eq!(found.first(), Some(&99_999));
    assert_eq!(found, std::iter::once(99_999).chain(999_990..1_000_000).collect::<Vec<u32>>());
    // A search that is stopped leaves all rows.
    harness.get_by_label("Clear the search").click();
    settle(&mut harness);
    assert_eq!(harness.state().session().table.rows.len(), ROWS);
    assert_eq!(harness.state().session().table.filter.text, "");
}
