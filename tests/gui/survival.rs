//! A killed window loses no decision that it showed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dipole::gui::{App, GuiOptions, Role};
use dipole::selection::Verdict;
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::stage::{library, open_any_script, options, sample, settle, type_at_once};

const ROOT: &str = "DIPOLE_TEST_KILLED_WINDOW";

fn window(root: &Path) -> Harness<'static, App> {
    let options = GuiOptions { roles: vec![(Role::Custom, vec![root.join("custom.jsonl")])], ..options(root) };
    let mut harness = open_any_script(options, library(root));
    settle(&mut harness);
    harness.state_mut().send(dipole::gui::Action::GoTo(dipole::gui::Step::Review));
    settle(&mut harness);
    harness
}

#[test]
fn decisions_are_there_again_after_the_process_was_killed() {
    // This test starts itself again as the window that is killed.
    if let Some(root) = std::env::var_os(ROOT) {
        let mut harness = window(&PathBuf::from(root));
        let keys = [Key::X, Key::ArrowDown, Key::K, Key::ArrowDown, Key::X];
        type_at_once(&mut harness, &keys.map(|key| (key, Modifiers::NONE)));
        settle(&mut harness);
        assert_eq!(harness.state().session().record.verdicts.len(), 3);
        println!("three decisions are shown");
        std::io::stdout().flush().expect("told");
        std::thread::sleep(std::time::Duration::from_secs(600));
        unreachable!("nobody killed the window");
    }

    let root = tempfile::tempdir().expect("a folder");
    sample(root.path());
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["gui::survival::decisions_are_there_again_after_the_process_was_killed", "--exact", "--nocapture"])
        .env(ROOT, root.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let told = lines.map_while(Result::ok).any(|line| line.contains("three decisions are shown"));
    child.kill().expect("SIGKILL");
    child.wait().expect("it ended");
    assert!(told, "the window showed its decisions before it was killed");

    let mut harness = window(root.path());
    let verdict = |harness: &Harness<'_, App>, row| harness.state().session().decision(row).map(|d| d.verdict);
    assert_eq!(verdict(&harness, 0), Some(Verdict::Drop));
    assert_eq!(verdict(&harness, 1), Some(Verdict::Keep));
    assert_eq!(verdict(&harness, 2), Some(Verdict::Drop));
    assert_eq!(harness.state().session().record.verdicts.len(), 3);
    // The killed window's steps can be undone too.
    type_at_once(&mut harness, &[(Key::Z, Modifiers::COMMAND)]);
    settle(&mut harness);
    assert_eq!(verdict(&harness, 2), None);
}

#[test]
fn decisions_do_not_pass_to_a_file_with_other_words() {
    let root = tempfile::tempdir().expect("a folder");
    let [custom, ..] = sample(root.path());
    let mut harness = window(root.path());
    type_at_once(&mut harness, &[(Key::X, Modifiers::NONE)]);
    settle(&mut harness);
    assert_eq!(harness.state().session().record.verdicts.len(), 1);
    drop(harness);

    let text = std::fs::read_to_string(&custom).expect("the sample");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(0, 1);
    std::fs::write(&custom, lines.join("\n")).expect("written");
    let harness = window(root.path());
    assert_eq!(harness.state().session().record.verdicts.len(), 0, "another file has another project");
    drop(harness);

    // The journal of the first file, as if it were the journal of the second: number and id do not agree.
    let journals = |root: &Path| {
        let folders = std::fs::read_dir(root.join("projects")).expect("projects");
        let mut found: Vec<PathBuf> = folders
            .map(|entry| entry.expect("entry").path().join("journal.jsonl"))
            .filter(|path| path.is_file())
            .collect();
        found.sort_by_key(|path| std::fs::metadata(path).expect("journal").len());
        found
    };
    let found = journals(root.path());
    let [empty, decided] = found.as_slice() else { panic!("{found:?}") };
    std::fs::copy(decided, empty).expect("copied");
    let harness = window(root.path());
    let record = &harness.state().session().record;
    assert_eq!(record.decisions.len(), 1, "the journal holds the decision");
    assert!(record.verdicts.is_empty(), "it is not applied to other words");
    harness.get_by_label_contains("1 decision of earlier");
}
