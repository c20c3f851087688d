//! Each step of the work, and what lies over it: palette, settings, hints.

use dipole::gui::{Action, Role, Step};
use dipole::selection::Keep;
use dipole::transport::EngineChoice;
use egui_kittest::kittest::Queryable as _;

use super::window::{Window, demo};

#[test]
fn an_empty_window_says_what_belongs_where_and_opens_the_sample() {
    let mut window = Window::open();
    window.until_idle();
    for role in Role::ALL {
        assert!(window.shows(role.title()), "{}", role.title());
        assert!(window.shows(role.help()), "{}", role.help());
    }
    window.click("Try the sample data");
    window.until("three files", |window| window.app().session().missing_for_run().is_none());
    window.until_idle();
    assert!(window.shows("All three roles are filled."));
    assert_eq!(window.app().session().files.len(), 3);
}

#[test]
fn a_file_goes_to_the_card_that_it_is_dropped_on() {
    let mut window = Window::open();
    window.until_idle();
    let card = window.harness.get_by_label(Role::Harmful.help()).rect();
    // Its name says custom; the card under the pointer wins.
    window.drop_at(card.center(), demo("custom.jsonl"));
    window.until_idle();
    let roles: Vec<Role> = window.app().session().files.iter().map(|file| file.role).collect();
    assert_eq!(roles, [Role::Harmful]);
    // Outside of the cards the name decides.
    window.drop_at(egui::pos2(40.0, 20.0), demo("safe.jsonl"));
    window.until_idle();
    let roles: Vec<Role> = window.app().session().files.iter().map(|file| file.role).collect();
    assert_eq!(roles, [Role::Harmful, Role::Safe]);
}

#[test]
fn a_dropped_file_shows_counts_findings_and_the_raw_text_of_what_is_set_aside() {
    let mut window = Window::open();
    let good = "{\"instruction\": \"Name a colour\", \"output\": \"Blue\"}\n";
    let path = window.write("custom.jsonl", &format!("{good}{good}{{\"instruction\": \"broken\n{good}"));
    window.send(Action::Open(Role::Custom, vec![path]));
    window.until_idle();
    let session = window.app().session();
    let facts = session.custom().and_then(|file| file.facts.clone()).expect("facts");
    assert_eq!((facts.stats.rows, facts.stats.quarantined, facts.stats.exact_duplicates), (3, 1, 2));
    assert!(window.shows("Alpaca (instruction, output)"));
    assert!(window.shows("2 rows repeat an earlier row word for word."));
    assert!(window.shows("row 2"), "the finding names its row: {:#?}", window.texts());
    window.click("Set aside: 1 row");
    window.until("the list", |window| window.shows("Show raw text of row 2"));
    window.click("Show raw text of row 2");
    window.until("the raw text", |window| window.shows("{\"instruction\": \"broken"));
}

#[test]
fn an_unusable_file_says_why_and_is_mended_by_naming_its_fields() {
    let mut window = Window::open();
    window.until_idle();
    let row = |n: u32| format!("{{\"ask\": \"Question {n}?\", \"say\": \"Answer {n}.\", \"note\": 1}}\n");
    let path = window.write("odd.jsonl", &(0..5).map(row).collect::<String>());
    window.send(Action::Open(Role::Custom, vec![path]));
    window.until_idle();
    let failed = |window: &Window| window.app().session().custom().is_some_and(|file| !file.is_ready());
    assert!(failed(&window), "the fields are not known");
    assert!(window.shows("none of its 5 records can be used") || window.shows("None of its 5 records can be used"));
    let fields = window.app().session().custom().map(|file| file.fields.clone()).unwrap_or_default();
    assert_eq!(fields, ["ask", "say", "note"]);

    window.click("Layout of the rows");
    window.click("Prompt and completion");
    window.click("Field for user's words");
    window.click("ask");
    assert!(window.shows("No field holds the answer"), "half a mapping is refused at the field");
    window.click("Field for model's answer");
    window.click("say");
    window.click("Read odd.jsonl with these fields");
    window.until_idle();
    assert!(!failed(&window), "{:#?}", window.texts());
    assert_eq!(window.app().session().rows(), 5);
    window.click("Fields and their roles");
    assert!(window.shows("Carried along untouched: note"));
}

#[test]
fn a_path_is_typed_a_file_is_moved_and_removed() {
    let mut window = Window::open();
    window.until_idle();
    window.type_into("Path of the safe reference file", &demo("harmful.jsonl").display().to_string());
    window.click("Open the safe reference path");
    window.until_idle();
    assert_eq!(window.app().session().files.first().map(|file| file.role), Some(Role::Safe));
    window.click("More for harmful.jsonl");
    window.click("Move to the harmful reference");
    assert_eq!(window.app().session().files.first().map(|file| file.role), Some(Role::Harmful));
    window.click("Remove harmful.jsonl");
    assert!(window.app().session().files.is_empty());
    window.type_into("Path of the safe reference file", "/no/such/file.jsonl");
    window.click("Open the safe reference path");
    window.until_idle();
    assert!(window.shows("No such file or directory"), "{:#?}", window.texts());
}

#[test]
fn the_palette_finds_and_runs_a_command_by_keys() {
    let mut window = Window::open();
    window.until_idle();
    let shift = egui::Modifiers::COMMAND | egui::Modifiers::SHIFT;
    window.harness.key_press_modifiers(shift, egui::Key::P);
    window.until("the palette", |window| window.shows("Find a command"));
    window.harness.get_by_label("Find a command").type_text("go to rev");
    window.harness.run_steps(3);
    window.harness.key_press(egui::Key::Enter);
    window.harness.run_steps(4);
    assert_eq!(window.app().step(), Step::Review);
    assert!(!window.shows("Find a command"), "it closes");

    // A command that cannot be done now says why and does nothing.
    window.send(Action::OpenPalette);
    window.harness.run_steps(2);
    window.harness.get_by_label("Find a command").type_text("stop the run");
    window.harness.run_steps(3);
    window.harness.key_press(egui::Key::Enter);
    window.harness.run_steps(3);
    assert!(window.shows("Find a command"), "it stays open");
    window.harness.key_press(egui::Key::Escape);
    window.harness.run_steps(4);
    assert!(!window.shows("Find a command"));

    window.harness.key_press(egui::Key::F1);
    window.until("the keys", |window| window.shows("Close the keys"));
    assert!(window.shows("Leave to the machine"));
    window.harness.key_press(egui::Key::F1);
    window.harness.run_steps(4);
    assert!(!window.shows("Close the keys"));
}

#[test]
fn settings_apply_when_valid_and_say_what_is_wrong_at_the_field() {
    let mut window = Window::open();
    window.until_idle();
    window.send(Action::ToggleSettings);
    window.type_into("Keep", "140%");
    assert!(window.shows("Keep must be a share such as 0.8 or 80%"), "{:#?}", window.texts());
    assert_eq!(window.app().state().run.selection.keep, Keep::Share(0.8), "the last valid value stays");
    window.type_into("Keep", "75%");
    assert_eq!(window.app().state().run.selection.keep, Keep::Share(0.75));
    assert!(!window.shows("Keep must be"));
    window.type_into("Blur (ε)", "50");
    assert!(window.shows("Epsilon must be from 0.005 to 10, not 50."));
    window.type_into("Blur (ε)", "0.2");
    assert_eq!(window.app().state().run.solver.epsilon, 0.2);
    window.click("Use the paper's setting");
    assert_eq!(window.app().state().run.solver.lambda, 0.5);
    window.click("Model");
    window.type_into("Model folder", &window.home.path().display().to_string());
    window.until("the finding about the folder", |window| window.shows("This folder lacks config.json"));
    // The finding has moved what stands below it.
    window.harness.run_steps(4);
    window.click("Use the default settings");
    assert_eq!(window.app().state().run, dipole::gui::RunSettings::default());
}

#[test]
fn a_run_is_said_in_words_shows_its_course_and_becomes_stale() {
    let mut window = Window::open();
    window.open_demo();
    window.send(Action::GoTo(Step::Purify));
    assert!(window.shows("The 80 % least suspicious rows are kept"), "{:#?}", window.texts());
    window.click("Purify");
    window.until("a result", |window| window.app().session().solved.is_some());
    window.until_idle();
    assert_eq!(window.app().step(), Step::Review, "the ranked table comes by itself");
    window.send(Action::GoTo(Step::Purify));
    assert!(window.shows("Done: the weights settled"), "{:#?}", window.texts());
    assert!(window.shows("Change per step") && window.shows("Effective share of rows"));
    let mut run = window.app().state().run.clone();
    // Canaries find λ, so this one changes nothing.
    run.solver.lambda = 0.6;
    window.send(Action::SetRun(Box::new(run.clone())));
    assert!(!window.shows("The settings changed since this result."));
    run.calibration = None;
    window.send(Action::SetRun(Box::new(run)));
    assert!(window.shows("The settings changed since this result."));
}

#[test]
fn an_export_says_what_it_writes_writes_it_and_names_what_forbids_it() {
    let mut window = Window::purified();
    window.send(Action::GoTo(Step::Export));
    assert!(window.shows("Choose a folder first."));
    let folder = window.home.path().join("out");
    window.type_into("Export folder", &folder.display().to_string());
    let records = window.app().session().custom().and_then(|f| f.facts.clone()).expect("facts").stats.records;
    assert!(window.shows(&format!("= {records} records in the file")));
    window.click("Export");
    window.until("the report", |window| window.app().session().export.report.is_some());
    assert!(window.shows("Written"));
    assert!(folder.join("manifest.json").is_file());

    // A folder with other files is not touched, and the pane says why.
    let other = window.home.path().join("other");
    std::fs::create_dir(&other).expect("made");
    std::fs::write(other.join("diary.txt"), "mine").expect("written");
    window.send(Action::SetExportFolder(other.display().to_string()));
    window.click("Export");
    window.until("the failure", |window| window.app().session().export.error.is_some());
    assert!(window.shows("The folder is as it was."));
    assert!(other.join("diary.txt").is_file());
}

#[test]
fn every_pane_is_drawn_in_a_small_light_window() {
    let mut window = Window::sized([760.0, 520.0]);
    window.open_demo();
    window.send(Action::ToggleTheme);
    for step in Step::ALL {
        window.send(Action::GoTo(step));
        window.until_idle();
    }
    window.send(Action::ToggleSettings);
    window.until_idle();
    window.send(Action::OpenPalette);
    window.until_idle();
    assert!(window.shows("Find a command"));
}

#[test]
fn a_squeezed_panel_has_its_size_again_when_the_window_grows() {
    let mut window = Window::purified();
    let edge = |window: &Window| window.harness.get_by_label("Conversation").rect().left();
    let settle = |window: &mut Window| window.harness.run_steps(8);
    settle(&mut window);
    let before = edge(&window);
    window.harness.set_size(egui::vec2(760.0, 520.0));
    settle(&mut window);
    window.harness.set_size(egui::vec2(1440.0, 900.0));
    settle(&mut window);
    assert_eq!(edge(&window), before);
    assert_eq!(window.app().state().evidence_width, 380.0);

    // A dragged edge is remembered.
    let at = egui::pos2(1440.0 - 380.0 + 2.0, 300.0);
    window.harness.hover_at(at);
    settle(&mut window);
    window.harness.drag_at(at);
    settle(&mut window);
    window.harness.hover_at(at - egui::vec2(60.0, 0.0));
    settle(&mut window);
    window.harness.drop_at(at - egui::vec2(60.0, 0.0));
    settle(&mut window);
    let width = window.app().state().evidence_width;
    assert!((width - 440.0).abs() < 8.0, "{width}");
    assert!((edge(&window) - (before - 60.0)).abs() < 8.0, "{} after {before}", edge(&window));
}

#[test]
fn a_hint_waits_for_a_pointer_that_stays_and_goes_under_an_overlay() {
    let mut window = Window::purified();
    window.send(Action::GoTo(Step::Review));
    let weight = window.harness.get_by_label("Sort by Weight").rect();
    let at = weight.center() + egui::vec2(0.0, weight.height() / 2.0 + 14.0);
    window.harness.hover_at(at);
    window.harness.step();
    let hinted = |window: &Window| window.texts().iter().any(|text| text.starts_with("counts"));
    assert!(!hinted(&window), "not at once");
    window.until("the hint", hinted);
    window.send(Action::OpenPalette);
    window.harness.run_steps(4);
    assert!(window.shows("Find a command"));
    assert!(!hinted(&window), "{:#?}", window.texts());
}

#[test]
fn the_settings_list_the_graphics_adapters_and_take_one() {
    let mut window = Window::open();
    window.until_idle();
    window.send(Action::ToggleSettings);
    window.until("the adapters", |window| window.app().session().adapters.list.is_some());
    window.until_idle();
    let first = window.app().session().adapters.list.as_ref().and_then(|list| list.first().cloned());
    let first = first.expect("an adapter; mesa-vulkan-drivers brings one in software");
    assert_eq!(window.app().state().run.solver.engine, EngineChoice::Auto);
    window.click("Graphics");
    assert_eq!(window.app().state().run.solver.engine, EngineChoice::Gpu);
    window.click("Graphics adapter");
    window.click(&format!("{} ({}{})", first.name, first.backend, if first.is_software() { ", software" } else { "" }));
    assert_eq!(window.app().state().run.solver.adapter, Some(first.name));
    window.click("Processor");
    assert_eq!(window.app().state().run.solver.engine, EngineChoice::Cpu);
}
