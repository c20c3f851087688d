//! The main job through the window: three dropped files, a run, decisions by key and by click, an export that verifies,
//! and the decisions again in the next window.

use std::collections::BTreeMap;
use std::path::Path;

use dipole::gui::{Action, App, Column, Role, Shown, Step};
use dipole::jobs::Silent;
use dipole::project::{Journal, verify};
use dipole::selection::{Keep, Verdict};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::stage::{drop_files, library, open_any_script, options, sample, settle, type_at_once, wait};

const NONE: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

fn press(harness: &mut Harness<'_, App>, key: Key, modifiers: Modifiers) {
    type_at_once(harness, &[(key, modifiers)]);
    settle(harness);
}

fn verdict(harness: &Harness<'_, App>, row: u32) -> Option<Verdict> {
    harness.state().session().decision(row).map(|decision| decision.verdict)
}

fn shown(harness: &Harness<'_, App>) -> Vec<u32> {
    harness.state().session().table.rows.iter().collect()
}

/// The one journal below `root`, read without opening it for writing.
fn journal(root: &Path) -> dipole::selection::Decisions {
    let folders = std::fs::read_dir(root.join("projects")).expect("projects");
    let mut found =
        folders.map(|entry| entry.expect("entry").path().join("journal.jsonl")).filter(|path| path.is_file());
    let path = found.next().expect("a journal");
    assert!(found.next().is_none(), "one journal only");
    Journal::read(&path).expect("it reads")
}

#[test]
fn from_dropped_files_to_a_verified_export_and_back() {
    let root = tempfile::tempdir().expect("a folder");
    let files = sample(root.path());
    let mut harness = open_any_script(options(root.path()), library(root.path()));
    settle(&mut harness);
    harness.state_mut().send(Action::GoTo(Step::Review));
    settle(&mut harness);
    harness.get_by_label("Add files");

    // Dropped together, they find their roles by name.
    drop_files(&mut harness, &files);
    settle(&mut harness);
    for role in Role::ALL {
        let of_role = harness.state().session().files.iter().filter(|file| file.role == role).count();
        assert_eq!(of_role, 1, "{role:?}");
    }
    let rows = harness.state().session().rows();
    assert!(rows > 500, "{rows} rows");

    // Before a run the rows are there in file order, and the pane leads on.
    press(&mut harness, Key::Num3, CTRL);
    assert_eq!(shown(&harness).len(), rows);
    harness.get_by_label_contains("Row 0, not purified yet");
    harness.get_by_label("Purify these rows").click();
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    settle(&mut harness);
    assert_eq!(harness.state().step(), Step::Review);
    let counts = harness.state().session().counts;
    assert_eq!((counts.kept, counts.kept + counts.dropped), ((rows as f64 * 0.8 + 0.5) as usize, rows));

    // The most suspicious row is first, and is dropped.
    let order = shown(&harness);
    let figures = |harness: &Harness<'_, App>, row| {
        harness.state().session().solved.as_ref().and_then(|solved| solved.figures(row)).expect("figures")
    };
    assert_eq!(figures(&harness, order[0]).rank, 1);
    // The sample holds a record that cannot be read: row numbers are not row indices.
    let custom = harness.state().session().custom_rows().expect("open").clone();
    let number = |row: u32| custom.number(row as usize).expect("a record");
    assert_ne!(number(rows as u32 - 1), rows as u64 - 1);
    harness.get_by_label_contains(&format!("Row {}, dropped, score", number(order[0])));

    // By key: nothing is shown in the frame of the key, everything once it is on disk.
    type_at_once(&mut harness, &[(Key::K, NONE)]);
    assert_eq!(verdict(&harness, order[0]), None);
    settle(&mut harness);
    assert_eq!(verdict(&harness, order[0]), Some(Verdict::Keep));
    assert_eq!(journal(root.path()).get(number(order[0])).map(|d| d.verdict), Some(Verdict::Keep));
    press(&mut harness, Key::ArrowDown, NONE);
    press(&mut harness, Key::X, NONE);
    assert_eq!(verdict(&harness, order[1]), Some(Verdict::Drop));

    // By click on the row's own button, and on the evidence's.
    harness.get_by_label_contains(&format!("Row {}, dropped, score", number(order[4]))).hover();
    harness.step();
    harness.get_by_label(&format!("Keep row {}", number(order[4]))).click();
    settle(&mut harness);
    assert_eq!(verdict(&harness, order[4]), Some(Verdict::Keep));
    assert_eq!(harness.state().session().counts.by_hand, 3);

    // Undo, redo.
    press(&mut harness, Key::Z, CTRL);
    assert_eq!(verdict(&harness, order[4]), None);
    press(&mut harness, Key::Z, CTRL_SHIFT);
    assert_eq!(verdict(&harness, order[4]), Some(Verdict::Keep));
    let kept_by_hand = harness.state().session().counts.kept;
    assert_eq!(kept_by_hand, counts.kept + 2, "two dropped rows are kept by hand");

    // Filters by fate.
    for (chip, expected) in [("Kept", kept_by_hand), ("By hand", 3), ("Dropped", rows - kept_by_hand), ("All", rows)] {
        harness.get_by_label(chip).click();
        settle(&mut harness);
        let session = harness.state().session();
        assert_eq!(session.table.rows.len(), expected, "{chip}");
        let fits = session.table.rows.iter().all(|row| match session.table.filter.shown {
            Shown::All => true,
            Shown::Kept => session.fate(row).kept,
            Shown::Dropped => !session.fate(row).kept,
            Shown::ByHand => session.fate(row).by_hand,
        });
        assert!(fits, "{chip}");
    }

    // A decision does not pull the row away from under the reader; the filter is renewed at her wish.
    harness.get_by_label("By hand").click();
    settle(&mut harness);
    press(&mut harness, Key::U, NONE);
    assert_eq!(harness.state().session().table.rows.len(), 3);
    harness.get_by_label("Filter again").click();
    settle(&mut harness);
    assert_eq!(harness.state().session().table.rows.len(), 2);
    press(&mut harness, Key::Z, CTRL);

    // Search, with no key of the words taken for a command.
    press(&mut harness, Key::Escape, NONE);
    press(&mut harness, Key::Slash, NONE);
    harness.event(egui::Event::Text("how".to_owned()));
    settle(&mut harness);
    let found = shown(&harness);
    assert!(!found.is_empty() && found.len() < rows, "{} rows found", found.len());
    for row in 0..rows as u32 {
        let contains = custom.row(row as usize).expect("readable").text().to_lowercase().contains("how");
        assert_eq!(found.contains(&row), contains, "row {row}");
    }
    harness.event(egui::Event::Text(" no row has this".to_owned()));
    settle(&mut harness);
    harness.get_by_label("The filter shows nothing");
    harness.get_by_label("Show all rows").click();
    settle(&mut harness);
    assert_eq!(shown(&harness).len(), rows);

    // Sorting by a click on the head.
    harness.get_by_label("Sort by Weight").click();
    settle(&mut harness);
    let weights: Vec<f64> = shown(&harness).iter().map(|row| figures(&harness, *row).weight).collect();
    assert!(weights.is_sorted_by(|a, b| a >= b));
    harness.get_by_label("Sort by Score").click();
    settle(&mut harness);
    assert_eq!(shown(&harness), order);

    // The cut, dragged to the left: fewer rows are kept.
    let before = harness.state().session().counts.machine_keep;
    let cut = harness.get_by_label("Cut").rect().center();
    harness.hover_at(cut);
    harness.drag_at(cut);
    harness.hover_at(cut - egui::vec2(60.0, 0.0));
    harness.step();
    let session = harness.state().session();
    let kept = session.counts.machine_keep;
    assert!(kept < before, "{kept} of {before}");
    assert!(matches!(harness.state().state().run.selection.keep, Keep::Share(_)));
    harness.drop_at(cut - egui::vec2(60.0, 0.0));
    settle(&mut harness);
    let moved = harness.get_by_label("Cut").rect().center();
    assert!((moved.x - (cut.x - 60.0)).abs() < 30.0, "the cut lies at {moved} and was dropped 60 left of {cut}");
    let machine_keep = harness.state().session().counts.machine_keep;

    // Export, and verify what was written.
    let folder = root.path().join("export");
    harness.state_mut().send(Action::SetExportFolder(folder.display().to_string()));
    settle(&mut harness);
    press(&mut harness, Key::E, CTRL);
    let session = harness.state().session();
    let report = session.export.report.as_ref().unwrap_or_else(|| panic!("not exported: {:?}", session.export.error));
    assert_eq!((report.kept, report.removed), (session.counts.kept as u64, session.counts.dropped as u64));
    let checked = verify(&folder, &Silent).expect("verified");
    assert_eq!(checked.mismatches, Vec::<String>::new());

    let text = std::fs::read_to_string(folder.join("weights.csv")).expect("weights");
    let decisions: BTreeMap<u64, &str> = text
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[0].parse().expect("a row"), fields[8])
        })
        .collect();
    assert_eq!(decisions.len(), rows);
    for row in 0..rows as u32 {
        let decision = decisions[&number(row)];
        let fate = harness.state().session().fate(row);
        let expected = match (fate.kept, fate.by_hand) {
            (true, true) => "kept-by-hand",
            (false, true) => "dropped-by-hand",
            (true, false) => "kept",
            (false, false) => "dropped",
        };
        assert_eq!(decision, expected, "row {row}");
    }
    assert_eq!(decisions[&number(order[0])], "kept-by-hand");
    assert_eq!(decisions[&number(order[1])], "dropped-by-hand");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).expect("manifest");
    let head = harness.state().session().record.head.clone().expect("the journal has a head");
    assert!(manifest.contains(&head), "the manifest names the head of the journal");

    // The next window finds files, decisions and result of the last one.
    drop(harness);
    let mut next = options(root.path());
    next.fresh = false;
    let mut harness = open_any_script(next, library(root.path()));
    wait(&mut harness, "the last project", |app| app.session().numbers.is_some());
    settle(&mut harness);
    assert_eq!(verdict(&harness, order[0]), Some(Verdict::Keep));
    assert_eq!(verdict(&harness, order[1]), Some(Verdict::Drop));
    assert_eq!(verdict(&harness, order[4]), Some(Verdict::Keep));
    assert_eq!(harness.state().session().counts.by_hand, 3);
    press(&mut harness, Key::Enter, CTRL);
    wait(&mut harness, "the second run", |app| app.session().solved.is_some());
    settle(&mut harness);
    assert_eq!(shown(&harness), order, "the same input gives the same order");
    let again = harness.state().session().counts;
    assert!(again.by_hand == 3 && machine_keep > 0, "{again:?}");
}

#[test]
fn a_changed_setting_makes_the_result_stale_and_leads_to_a_new_run() {
    let root = tempfile::tempdir().expect("a folder");
    let [custom, safe, harmful] = sample(root.path());
    let mut options = options(root.path());
    options.roles = vec![(Role::Custom, vec![custom]), (Role::Safe, vec![safe]), (Role::Harmful, vec![harmful])];
    options.auto_purify = true;
    let mut harness = open_any_script(options, library(root.path()));
    wait(&mut harness, "the run", |app| app.session().solved.is_some());
    settle(&mut harness);
    assert!(harness.query_by_label("Purify again").is_none());
    let mut run = harness.state().state().run.clone();
    run.solver.lambda = 0.4;
    run.calibration = None;
    harness.state_mut().send(Action::SetRun(Box::new(run)));
    settle(&mut harness);
    harness.get_by_label("Purify again").click();
    wait(&mut harness, "the second run", |app| app.session().run.job.is_none());
    settle(&mut harness);
    let session = harness.state().session();
    assert_eq!(session.solved.as_ref().map(|solved| solved.plan.settings.lambda), Some(0.4));
    assert!(harness.query_by_label("Purify again").is_none());

    // The columns that show a force can be sorted too.
    for (name, column) in [("Pull", Column::Pull), ("Push", Column::Push), ("Decision", Column::Decision)] {
        harness.get_by_label(&format!("Sort by {name}")).click();
        settle(&mut harness);
        assert_eq!(harness.state().session().table.sort.column, column);
    }
}
