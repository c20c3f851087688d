//! The work panes over the real library: drop, mend, run, export, by the names that a screen reader would say.
//!
//! Constraint: nothing is timed; a step that never comes fails after [`PATIENCE`] with what the window shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dipole::embedding::{Cache, Encoding};
use dipole::gui::backend::Library;
use dipole::gui::{Action, App, GuiOptions, Role, Step};
use dipole::selection::Keep;
use dipole::transport::CpuEngine;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

const PATIENCE: Duration = Duration::from_secs(120);

struct Window {
    harness: Harness<'static, App>,
    home: tempfile::TempDir,
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window reads by path".to_owned())
    }
}

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)
}

impl Window {
    fn open() -> Self {
        Self::sized([1440.0, 900.0])
    }

    fn sized(size: [f32; 2]) -> Self {
        Self::with(size, |options| options)
    }

    fn with(size: [f32; 2], change: impl Fn(GuiOptions) -> GuiOptions) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let backend = Library {
            engine: Arc::new(CpuEngine::new()),
            cache_dir: Some(home.path().join("cache")),
            project_root: home.path().join("projects"),
            sample: home.path().join("sample"),
        };
        let options = GuiOptions {
            fresh: true,
            project_root: Some(home.path().join("projects")),
            size: Some(size),
            threads: 2,
            ..GuiOptions::default()
        };
        let options = change(options);
        let harness = Harness::builder()
            .with_size(size)
            .allow_missing_glyphs()
            .build_eframe(move |cc| App::new(cc, options, Arc::new(backend)));
        Self { harness, home }
    }

    fn app(&self) -> &App {
        self.harness.state()
    }

    /// Draws frames until it holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            self.harness.step();
            if holds(self) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{what} did not come; the window shows: {:#?}", self.texts());
            std::thread::sleep(Duration::from_millis(5));
        }
        // What the last frame wished for is drawn, too.
        self.harness.run_steps(2);
        self.harness.check_accessibility();
    }

    fn until_idle(&mut self) {
        self.until("rest", |window| window.app().is_idle());
    }

    fn texts(&self) -> Vec<String> {
        let nodes = self.harness.root().children_recursive().map(|node| node.accesskit_node());
        nodes.filter_map(|node| node.label().or_else(|| node.value())).collect()
    }

    fn shows(&self, text: &str) -> bool {
        self.texts().iter().any(|shown| shown.contains(text))
    }

    /// Clicks as a user does, who scrolls to what she clicks.
    fn click(&mut self, name: &str) {
        self.harness.get_by_label(name).scroll_to_me();
        self.harness.run_steps(4);
        self.harness.get_by_label(name).click();
        self.harness.run_steps(3);
    }

    fn send(&mut self, action: Action) {
        self.harness.state_mut().send(action);
        self.harness.run_steps(2);
    }

    fn type_into(&mut self, field: &str, text: &str) {
        self.harness.get_by_label(field).scroll_to_me();
        self.harness.run_steps(4);
        self.harness.get_by_label(field).focus();
        self.harness.run_steps(2);
        self.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        self.harness.run_steps(2);
        self.harness.get_by_label(field).type_text(text);
        self.harness.run_steps(3);
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn drop_at(&mut self, at: egui::Pos2, path: PathBuf) {
        self.harness.hover_at(at);
        self.harness.step();
        self.harness
            .input_mut()
            .hovered_files
            .push(egui::HoveredFile { path: Some(path.clone()), ..Default::default() });
        self.harness.run_steps(2);
        self.harness.input_mut().hovered_files.clear();
        self.harness.input_mut().dropped_files.push(Arc::new(Dropped(path)));
        self.harness.run_steps(2);
    }

    fn open_demo(&mut self) {
        for (role, name) in
            [(Role::Custom, "custom.jsonl"), (Role::Safe, "safe.jsonl"), (Role::Harmful, "harmful.jsonl")]
        {
            self.send(Action::Open(role, vec![demo(name)]));
        }
        self.until_idle();
    }

    fn purified() -> Self {
        let mut window = Self::open();
        window.open_demo();
        window.send(Action::Purify);
        window.until("a result", |window| window.app().session().solved.is_some());
        window.until_idle();
        window
    }
}

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
    run.solver.lambda = 0.6;
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

const SENTENCES: [&str; 6] = [
    "Please explain how the heat pump in my cellar moves warmth from the cold ground into the rooms above it.",
    "Write a short poem about an old lighthouse keeper who counts the ships that pass by during the night.",
    "Which documents should I bring when I open a bank account for the first time in a foreign country?",
    "Describe the steps that a baker takes each morning before the first customers come into the shop.",
    "Give me three ideas for a birthday party that can be held in a small garden with twelve children.",
    "Bitte schreibe meinem Vermieter einen kurzen Brief über die kaputte Heizung und die nassen Wände im Bad.",
];

fn alpaca(questions: &[String]) -> String {
    questions.iter().map(|ask| format!("{{\"instruction\": \"{ask}\", \"output\": \"Gladly.\"}}\n")).collect()
}

/// A custom file with a near-duplicate (rows 0 and 6) and a safe one that shares its row 1 and nearly its row 2.
fn open_alike(window: &mut Window) -> [PathBuf; 2] {
    let mut custom: Vec<String> = SENTENCES.map(str::to_owned).to_vec();
    custom.push(format!("{} Thank you.", SENTENCES[0]));
    let safe =
        [SENTENCES[1].to_owned(), format!("{} Thank you.", SENTENCES[2]), "What is the capital of Peru?".to_owned()];
    let custom = window.write("custom.jsonl", &alpaca(&custom));
    let safe = window.write("safe.jsonl", &alpaca(&safe));
    window.send(Action::Open(Role::Custom, vec![custom.clone()]));
    window.send(Action::Open(Role::Safe, vec![safe.clone()]));
    window.until_idle();
    [custom, safe]
}

#[test]
fn near_duplicates_languages_and_rows_in_both_sets_are_found_without_being_asked_for() {
    let mut window = Window::open();
    let [custom, _] = open_alike(&mut window);
    assert!(window.shows("1 group of equal or nearly equal rows, 2 in all."), "{:#?}", window.texts());
    assert!(window.shows("The largest has 2 rows. Keeping one of each would leave out 1 row."));
    assert!(window.shows("Languages (guessed): English 85 %, German 14 %."));
    window.click("Rows that are alike: 1 group");
    window.until("the list", |window| window.shows("% alike: 0, 6"));

    assert!(window.shows("1 custom row stands here word for word."));
    assert!(window.shows("Custom row 1 like row 0 here."));
    assert!(window.shows("1 custom row is nearly the same as a row here."));
    assert!(window.shows("Custom row 2 like row 1 here. A reference should not hold what it judges"));
    window.click("Shared with the custom set: 2 rows");
    window.until("the pairs", |window| window.shows("custom row 1 and row 0 here, the same"));
    assert!(window.shows("custom row 2 and row 1 here, 81 % alike"), "{:#?}", window.texts());

    // What was found goes with the file that it was found in, and comes again for the next.
    window.click("Remove custom.jsonl");
    window.until_idle();
    assert!(!window.shows("word for word") && !window.shows("Shared with the custom set"));
    let rest: Vec<String> = SENTENCES[3..].iter().map(|text| (*text).to_owned()).collect();
    std::fs::write(&custom, alpaca(&rest)).expect("written");
    window.send(Action::Open(Role::Custom, vec![custom]));
    window.until_idle();
    assert!(window.shows("Languages (guessed): English 66 %, German 33 %. No rows are nearly the same."));
    assert!(!window.shows("word for word"), "{:#?}", window.texts());
}

#[test]
fn a_large_file_is_looked_into_when_asked() {
    let mut window = Window::with([1440.0, 900.0], |options| GuiOptions { unasked_rows: Some(3), ..options });
    open_alike(&mut window);
    // Equal contents cost no reading; the texts of the custom file wait, and so does the comparison with them.
    assert!(window.shows("1 custom row stands here word for word."), "{:#?}", window.texts());
    assert!(!window.shows("nearly equal rows") && !window.shows("is nearly the same as a row here"));
    assert!(window.shows("Languages (guessed): English"), "the safe file has three rows");
    window.click("Compare texts with the custom set: safe.jsonl");
    window.until_idle();
    assert!(window.shows("1 custom row is nearly the same as a row here."), "{:#?}", window.texts());
    assert!(!window.shows("1 group of equal or nearly equal rows"));
    window.click("Look for near-duplicates and languages: custom.jsonl");
    window.until_idle();
    assert!(window.shows("1 group of equal or nearly equal rows, 2 in all."));
    assert!(!window.shows("Look for near-duplicates"), "there is nothing more to ask for");
}

#[test]
fn the_settings_say_what_the_vector_cache_takes_and_clear_it() {
    let mut window = Window::open();
    let root = window.home.path().join("cache");
    let mut cache = Cache::open(&root, "encoder", 3).expect("opens");
    let encoding = Encoding { vector: vec![1.0, 2.0, 3.0], truncated: false };
    cache.append([([7; 32], &encoding)].into_iter()).expect("appends");
    drop(cache);
    let bytes = Cache::size(&root).expect("measured").bytes;
    assert!(bytes > 0);
    window.until_idle();
    window.send(Action::ToggleSettings);
    window.until_idle();
    assert!(window.shows(&format!("{bytes} B on disk")), "{:#?}", window.texts());
    assert!(window.shows("Cleared ones are computed again when needed."));
    window.click("Clear the vector cache");
    window.until_idle();
    assert!(window.shows("Nothing on disk"), "{:#?}", window.texts());
    assert_eq!(Cache::size(&root).expect("measured"), dipole::embedding::CacheSize::default());
}

#[test]
fn many_records_set_aside_are_counted_in_all_and_listed_in_part() {
    let mut window = Window::open();
    let good = "{\"instruction\": \"Name a colour\", \"output\": \"Blue\"}\n";
    let path = window.write("custom.jsonl", &format!("{good}{}", "{\"instruction\": \n".repeat(1234)));
    window.send(Action::Open(Role::Custom, vec![path]));
    window.until_idle();
    let facts = window.app().session().custom().and_then(|file| file.facts.clone()).expect("facts");
    assert_eq!((facts.stats.quarantined, facts.quarantine.len()), (1234, 200));
    window.click("Set aside: 1,234 rows");
    window.until("the list", |window| window.shows("… and 1,034 more."));
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
