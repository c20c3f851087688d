//! What the window knows of a ranking: calibration, reasons, reference health, other rankings, past decisions.

use std::path::PathBuf;

use dipole::gui::insight::{DataTab, InsightAction, PurifyTab};
use dipole::gui::{Action, Role, Step};
use dipole::selection::{Keep, Verdict};
use egui_kittest::kittest::Queryable as _;

use super::window::{Window, demo};

/// The sample's harmful reference in two files, so that canaries can choose.
fn two_sources(window: &Window) -> [PathBuf; 2] {
    let text = std::fs::read_to_string(demo("harmful.jsonl")).expect("the sample");
    let lines: Vec<&str> = text.lines().collect();
    let (one, two) = lines.split_at(lines.len() / 2);
    [window.write("one.jsonl", &one.join("\n")), window.write("two.jsonl", &two.join("\n"))]
}

fn show(window: &mut Window, action: InsightAction) {
    window.send(Action::Insight(action));
    window.harness.run_steps(4);
}

#[test]
fn the_window_calibrates_by_itself_and_says_what_one_harmful_file_cannot_choose() {
    let mut window = Window::open();
    show(&mut window, InsightAction::ShowPurify(PurifyTab::Calibration));
    assert!(window.shows("Nothing to purify yet"), "{:#?}", window.texts());
    window.open_demo();
    show(&mut window, InsightAction::ShowPurify(PurifyTab::Calibration));
    assert!(window.shows("Not calibrated yet"));
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    let solved = window.app().session().solved.clone().expect("solved");
    let found = solved.purified.calibration.clone().expect("calibrated by default");
    // The share of canaries stands above the histogram and leads here.
    let dropped = solved.ranking.len() - window.app().session().counts.machine_keep;
    let share = 100.0 * found.recall.at(dropped).share;
    window.click(&format!("canaries dropped {share:.0} %"));
    assert_eq!(window.app().step(), Step::Purify);
    assert!(window.shows("λ and ε are fixed, not chosen"), "{:#?}", window.texts());
    assert!(window.shows(&found.statement(dropped)) && window.shows("canaries and references share their source"));
    // The grid is there to look at, closed.
    assert!(!window.shows("λ = 0.3, ε = 0.03"));
    window.click("What canaries of the same source see, which was not used to choose");
    window.until("the grid", |window| window.shows("λ = 0.3, ε = 0.03"));

    // A stricter cut finds more canaries; the suggested one is a click away.
    window.send(Action::SetKeep(Keep::Share(0.95)));
    window.harness.run_steps(4);
    let kept = found.suggested_keep;
    assert_ne!(window.app().session().counts.machine_keep, kept);
    window.click("Apply the suggested cut");
    assert_eq!(window.app().session().counts.machine_keep, kept);
    assert!(window.shows("in force"));

    // By hand the result before is stale, and the pane says how to calibrate again.
    let mut run = window.app().state().run.clone();
    run.calibration = None;
    window.send(Action::SetRun(Box::new(run)));
    window.harness.run_steps(4);
    assert!(window.shows("The settings changed since this result."));
}

#[test]
fn several_harmful_files_choose_their_pairs_and_the_grid_marks_them() {
    let mut window = Window::open();
    let harmful = two_sources(&window);
    window.send(Action::Open(Role::Custom, vec![demo("custom.jsonl")]));
    window.send(Action::Open(Role::Safe, vec![demo("safe.jsonl")]));
    window.send(Action::Open(Role::Harmful, harmful.to_vec()));
    window.until_idle();
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    show(&mut window, InsightAction::ShowPurify(PurifyTab::Calibration));
    let solved = window.app().session().solved.clone().expect("solved");
    let found = solved.purified.calibration.clone().expect("calibrated");
    assert_eq!(found.folds, 2);
    assert!(window.shows("Which λ and ε bring canaries up") && window.shows("files left out in turn"));
    assert!(window.shows("each harmful file was left out in turn"));
    for point in &found.grid {
        let mark = if point.chosen { "; its score is averaged" } else { "" };
        let auroc = point.auroc.map_or_else(String::new, |auroc| format!("canary AUROC {auroc:.3}{mark}"));
        let text = format!("λ = {}, ε = {}: {auroc}", point.lambda, point.epsilon);
        assert!(window.shows(&text), "{text} in {:#?}", window.texts());
    }
}

#[test]
fn too_few_harmful_rows_are_no_failure_and_are_said() {
    let mut window = Window::open();
    let text = std::fs::read_to_string(demo("harmful.jsonl")).expect("the sample");
    let few: String = text.lines().take(8).map(|line| format!("{line}\n")).collect();
    let path = window.write("few.jsonl", &few);
    for (role, path) in [(Role::Custom, demo("custom.jsonl")), (Role::Safe, demo("safe.jsonl")), (Role::Harmful, path)]
    {
        window.send(Action::Open(role, vec![path]));
    }
    window.until_idle();
    window.send(Action::GoTo(Step::Purify));
    window.harness.run_steps(4);
    assert!(window.shows("too few harmful rows to find this by canaries"), "{:#?}", window.texts());
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    show(&mut window, InsightAction::ShowPurify(PurifyTab::Calibration));
    assert!(window.shows("This result was not calibrated") && window.shows("too few rows to plant any"));
}

#[test]
fn a_row_says_why_it_stands_there_and_what_was_decided_on_it_in_every_sitting() {
    let mut window = Window::purified();
    let row = window.app().session().table.cursor.expect("a row");
    let reasons = window.app().session().insight.reasons.row.of(&row).cloned().expect("found").expect("explained");
    assert!(window.shows(&reasons.sentence), "{} in {:#?}", reasons.sentence, window.texts());
    for side in [&reasons.harmful, &reasons.safe] {
        let group = &side.groups[0];
        assert!(window.shows(&format!("{}: {:.1} % of the mass", group.name, 100.0 * group.share)));
        let near = &side.nearest[0];
        assert!(window.shows(&format!("cosine {:.3}", near.cosine)) && window.shows(&near.file));
    }
    // Another row has other reasons, and nothing of the one before stays.
    window.send(Action::Last);
    window.until_idle();
    let last = window.app().session().table.cursor.expect("a row");
    assert_ne!(last, row);
    assert!(!window.shows(&reasons.sentence));
    let other = window.app().session().insight.reasons.row.of(&last).cloned().expect("found").expect("explained");
    assert!(window.shows(&other.sentence));

    // Decided, taken back, decided otherwise: the record tells all of it, and who it was.
    assert!(!window.shows("UTC ·"));
    window.send(Action::Decide(Some(Verdict::Drop)));
    window.until_idle();
    window.send(Action::Undo);
    window.until_idle();
    assert!(window.shows("left to the machine (a step was taken back) · by "), "{:#?}", window.texts());
    window.send(Action::Select(last));
    window.send(Action::Decide(Some(Verdict::Keep)));
    window.until_idle();
    let lines = |window: &Window| window.texts().iter().filter(|text| text.contains("UTC ·")).count();
    assert_eq!(lines(&window), 3, "{:#?}", window.texts());
}

#[test]
fn references_are_checked_before_and_after_a_run_and_rows_without_one_are_shown() {
    let mut window = Window::open();
    show(&mut window, InsightAction::ShowData(DataTab::Health));
    assert!(window.shows("The references were not checked yet"));
    window.click("Show the files");
    assert!(window.shows(Role::Safe.help()));
    window.open_demo();
    window.click("Reference health");
    window.click("Check the references");
    window.until_idle();
    let report = window.app().session().insight.health.report.clone().expect("checked").1;
    assert!(window.app().session().solved.is_none(), "before any run");
    for finding in &report.findings {
        assert!(window.shows(&finding.title) && window.shows(&finding.text), "{finding:?}");
    }
    assert!(!report.uncovered().is_empty(), "{:?}", report.figures);
    window.click("Show uncovered rows");
    window.until_idle();
    assert_eq!(window.app().step(), Step::Review);
    let shown: Vec<u32> = window.app().session().table.rows.iter().collect();
    assert_eq!(shown, report.uncovered());
    window.click("Stop showing only: No reference near");
    window.until_idle();
    assert_eq!(window.app().session().table.rows.len(), window.app().session().rows());

    // After a run it is there by itself; another encoder or file makes it stale.
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    show(&mut window, InsightAction::ShowData(DataTab::Health));
    assert!(window.shows(&report.findings[0].title));
    window.send(Action::Open(Role::Harmful, vec![demo("safe.jsonl")]));
    window.until_idle();
    show(&mut window, InsightAction::ShowData(DataTab::Health));
    assert!(window.shows("Files or the encoder changed since this look."), "{:#?}", window.texts());
    window.click("Check again");
    window.until_idle();
    assert!(window.shows("Rows stand in both references"), "{:#?}", window.texts());
}

#[test]
fn rankings_stand_side_by_side_and_a_point_selects_its_row() {
    let mut window = Window::open();
    window.open_demo();
    show(&mut window, InsightAction::ShowPurify(PurifyTab::Rankings));
    assert!(window.shows("No ranking was compared yet"));
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    show(&mut window, InsightAction::ShowPurify(PurifyTab::Rankings));
    window.click("Compare rankings now");
    window.until("the table", |window| window.app().session().insight.rankings.beside.is_some());
    window.until_idle();
    let beside = window.app().session().insight.rankings.beside.clone().expect("compared");
    for line in &beside.table {
        assert!(window.shows(&line.name) && window.shows(&line.about), "{}", line.name);
    }
    // A cell of the matrix chooses the pair of the scatter.
    let names: Vec<&str> = beside.contenders.iter().map(|one| one.name).collect();
    let probe = names.iter().position(|name| *name == "probe").expect("there");
    let cell = window.texts().into_iter().find(|text| text.starts_with("probe and this result:")).expect("a cell");
    let at = window.harness.get_by_label(&cell).rect();
    window.click(&cell);
    assert_eq!(window.app().session().insight.rankings.pair, Some((probe, 0)), "clicked at {at}");
    let overlap = beside.agreement.of(probe, 0).expect("both drop");
    assert!(window.shows(&format!("overlap of what they drop: {:.1} %", 100.0 * overlap)));

    // A moved cut is compared anew, on the same rankings.
    window.send(Action::SetKeep(Keep::Count(300)));
    window.until("the new cut", |window| {
        window.app().session().insight.rankings.beside.as_ref().is_some_and(|beside| beside.table[0].dropped == 300)
    });
    window.until_idle();
    let again = window.app().session().insight.rankings.beside.clone().expect("compared");
    assert_eq!(again.contenders[0].score, beside.contenders[0].score);

    // A point is a row: a click on the middle of the plot takes the nearest.
    let before = window.app().session().table.cursor;
    window.harness.get_by_label("Read it").scroll_to_me();
    window.harness.run_steps(60);
    let foot = window.harness.get_by_label("Read it").rect();
    let mut hit = false;
    for away in [(200.0, -120.0), (300.0, -200.0), (420.0, -280.0), (520.0, -330.0), (620.0, -180.0), (380.0, -240.0)] {
        let at = egui::pos2(foot.left() - 250.0 + away.0, foot.top() + away.1);
        window.harness.hover_at(at);
        window.harness.run_steps(2);
        window.harness.drag_at(at);
        window.harness.run_steps(1);
        window.harness.drop_at(at);
        window.harness.run_steps(3);
        hit |= window.app().session().table.cursor != before;
        if hit {
            break;
        }
    }
    assert!(hit, "a click on the plot selects a row");
    window.click("Read it");
    assert_eq!(window.app().step(), Step::Review);
}

#[test]
fn every_tab_is_drawn_in_a_small_light_window() {
    let mut window = Window::sized([760.0, 520.0]);
    window.open_demo();
    window.send(Action::ToggleTheme);
    window.send(Action::Purify);
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    window.send(Action::Insight(InsightAction::CompareRankings));
    window.until_idle();
    for action in [
        InsightAction::ShowPurify(PurifyTab::Run),
        InsightAction::ShowPurify(PurifyTab::Calibration),
        InsightAction::ShowPurify(PurifyTab::Rankings),
        InsightAction::ShowData(DataTab::Files),
        InsightAction::ShowData(DataTab::Health),
    ] {
        show(&mut window, action);
        window.until_idle();
    }
    let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(760.0, 520.0));
    for name in ["Files", "Reference health"] {
        assert!(screen.contains_rect(window.harness.get_by_label(name).rect()), "{name}");
    }
}
