//! What is found in whole files, and what is kept on disk.

use std::path::PathBuf;

use dipole::embedding::{Cache, CacheSize, Encoding};
use dipole::gui::{Action, GuiOptions, Role};

use super::window::Window;

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
    assert!(!window.shows("stands here word for word") && !window.shows("Shared with the custom set"));
    let rest: Vec<String> = SENTENCES[3..].iter().map(|text| (*text).to_owned()).collect();
    std::fs::write(&custom, alpaca(&rest)).expect("written");
    window.send(Action::Open(Role::Custom, vec![custom]));
    window.until_idle();
    assert!(window.shows("Languages (guessed): English 66 %, German 33 %. No rows are nearly the same."));
    assert!(!window.shows("stands here word for word"), "{:#?}", window.texts());
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
    assert_eq!(Cache::size(&root).expect("measured"), CacheSize::default());
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
