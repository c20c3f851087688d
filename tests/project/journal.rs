//! Decisions are on disk before the call returns and are there again after any accident.

use std::fs;
use std::path::{Path, PathBuf};

use dipole::data::RowId;
use dipole::project::{Journal, PastHow, ProjectError};
use dipole::selection::Verdict;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn rows(numbers: &[u64]) -> Vec<(u64, RowId)> {
    numbers.iter().map(|&row| (row, RowId(format!("id{row}")))).collect()
}

fn in_force(journal: &Journal) -> Vec<(u64, Verdict, Option<String>)> {
    journal.decisions().0.values().map(|decision| (decision.row, decision.verdict, decision.note.clone())).collect()
}

fn open(path: &Path) -> Journal {
    Journal::open(path).expect("opens")
}

fn error(path: &Path) -> String {
    match Journal::open(path) {
        Ok(_) => panic!("must not open"),
        Err(error) => error.to_string().replace(&path.display().to_string(), "…"),
    }
}

/// A journal with a header, three decisions, an undo and a redo.
fn written(folder: &Path) -> PathBuf {
    let path = folder.join("journal.jsonl");
    let mut journal = open(&path);
    journal.decide(&rows(&[1, 2]), Some(Verdict::Drop), Some("rude\nwords")).expect("writes");
    journal.decide(&rows(&[7]), Some(Verdict::Keep), None).expect("writes");
    journal.decide(&rows(&[2]), None, None).expect("writes");
    assert!(journal.undo().expect("writes"));
    assert!(journal.redo().expect("writes"));
    path
}

#[test]
fn one_action_over_many_rows_is_one_step() {
    let folder = folder();
    let mut journal = open(&folder.path().join("j"));
    assert!(!journal.undo().expect("nothing") && !journal.redo().expect("nothing"));
    journal.decide(&rows(&[3, 4, 5]), Some(Verdict::Drop), None).expect("writes");
    journal.decide(&rows(&[4]), Some(Verdict::Keep), Some("fine")).expect("writes");
    assert!(journal.undo().expect("writes"));
    assert_eq!(in_force(&journal), [3, 4, 5].map(|row| (row, Verdict::Drop, None)));
    assert!(journal.undo().expect("writes"));
    assert!(journal.decisions().is_empty() && !journal.can_undo() && journal.can_redo());
    assert!(journal.redo().expect("writes") && journal.redo().expect("writes"));
    assert_eq!(journal.decisions().get(4).expect("decided").note.as_deref(), Some("fine"));
    assert!(journal.undo().expect("writes"));
    journal.decide(&rows(&[9]), Some(Verdict::Keep), None).expect("writes");
    assert!(!journal.can_redo(), "a new action ends redo");
}

#[test]
fn a_row_named_twice_in_one_action_is_undone_whole() {
    let folder = folder();
    let mut journal = open(&folder.path().join("j"));
    journal.decide(&rows(&[5]), Some(Verdict::Keep), None).expect("writes");
    journal.decide(&rows(&[5, 5]), Some(Verdict::Drop), None).expect("writes");
    journal.undo().expect("writes");
    assert_eq!(in_force(&journal), [(5, Verdict::Keep, None)]);
}

#[test]
fn reopening_gives_the_same_decisions_and_steps() {
    let folder = folder();
    let path = written(folder.path());
    let mut journal = open(&path);
    assert_eq!(in_force(&journal), [(1, Verdict::Drop, Some("rude\nwords".to_owned())), (7, Verdict::Keep, None)]);
    assert!(journal.can_undo() && !journal.can_redo());
    for _ in 0..3 {
        assert!(journal.undo().expect("writes"));
    }
    assert!(journal.decisions().is_empty() && !journal.can_undo());
    drop(journal);
    let mut journal = open(&path);
    assert!(journal.redo().expect("writes"));
    assert_eq!(journal.decisions().len(), 2);
}

#[test]
fn a_decision_is_in_the_file_when_the_call_returns() {
    let folder = folder();
    let path = folder.path().join("j");
    let mut journal = open(&path);
    journal.set_actor("Ada");
    journal.decide(&rows(&[3]), Some(Verdict::Drop), None).expect("writes");
    let text = fs::read_to_string(&path).expect("reads");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["dipole_journal"], 1);
    assert_eq!(
        (&lines[1]["event"], &lines[1]["decision"], &lines[1]["actor"]),
        (&"decide".into(), &"drop".into(), &"Ada".into())
    );
    assert_eq!(lines[1]["rows"], serde_json::json!([[3, "id3"]]));
    let header = text.lines().next().expect("a header");
    assert_eq!(lines[1]["previous"], blake3::hash(header.as_bytes()).to_hex().as_str());
    let last = text.lines().last().expect("a line");
    assert_eq!(journal.head(), blake3::hash(last.as_bytes()).to_hex().as_str());
}

#[test]
fn an_action_that_changes_nothing_is_not_recorded() {
    let folder = folder();
    let path = folder.path().join("j");
    let mut journal = open(&path);
    journal.decide(&[], Some(Verdict::Drop), None).expect("nothing");
    journal.decide(&rows(&[3]), None, None).expect("nothing");
    assert!(!journal.can_undo());
    journal.decide(&rows(&[3]), Some(Verdict::Drop), None).expect("writes");
    journal.decide(&rows(&[3]), Some(Verdict::Drop), None).expect("nothing");
    assert_eq!(fs::read_to_string(&path).expect("reads").lines().count(), 2);
}

#[test]
fn every_prefix_of_a_journal_opens_and_loses_nothing() {
    let source = folder();
    let whole = fs::read(written(source.path())).expect("reads");
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    // Each prefix costs several flushes, so those between line ends are sampled.
    let near_an_end = |length: usize| ends.iter().any(|end| length.abs_diff(*end) <= 2);
    for length in (0..=whole.len()).filter(|&length| length % 41 == 0 || near_an_end(length)) {
        let folder = folder();
        let path = folder.path().join("j");
        fs::write(&path, &whole[..length]).expect("writes");
        let mut journal = open(&path);
        let torn = journal.torn().map(|torn| fs::read(torn).expect("reads"));
        let kept = ends.iter().copied().filter(|end| end - 1 <= length).max().unwrap_or(0);
        let lost = if kept >= length { None } else { Some(whole[kept..length].to_vec()) };
        assert_eq!(torn, lost, "cut at {length}");
        journal.decide(&rows(&[99]), Some(Verdict::Keep), None).expect("writes");
        let decisions = journal.decisions().clone();
        drop(journal);
        assert_eq!(*open(&path).decisions(), decisions, "cut at {length}");
        assert_eq!(Journal::read(&path).expect("reads"), decisions);
    }
}

#[test]
fn a_last_line_of_zeros_is_set_aside() {
    let folder = folder();
    let path = written(folder.path());
    let before = open(&path).decisions().clone();
    let mut bytes = fs::read(&path).expect("reads");
    bytes.extend([0; 300]);
    fs::write(&path, &bytes).expect("writes");
    assert_eq!(Journal::read(&path).expect("reads"), before);
    let journal = open(&path);
    assert_eq!(*journal.decisions(), before);
    assert_eq!(fs::read(journal.torn().expect("set aside")).expect("reads"), [0; 300]);
}

#[test]
fn a_changed_removed_or_added_line_is_named() {
    let folder = folder();
    let path = written(folder.path());
    let text = fs::read_to_string(&path).expect("reads");
    let lines: Vec<&str> = text.lines().collect();
    let open_with = |lines: &[&str]| {
        fs::write(&path, lines.join("\n") + "\n").expect("writes");
        error(&path)
    };
    let changed = lines[1].replace("\"drop\"", "\"keep\"");
    assert!(open_with(&[lines[0], &changed, lines[2]]).starts_with("…: line 3: field previous:"));
    assert!(open_with(&[lines[0], lines[2], lines[3]]).starts_with("…: line 2: field seq:"));
    assert!(open_with(&[lines[0], lines[1], lines[1]]).starts_with("…: line 3: field seq:"));
    assert!(open_with(&[lines[0], "{}", lines[1]]).starts_with("…: line 2: is no journal line"));
    assert!(open_with(&[&lines[0].replace(":1,", ":2,"), lines[1]]).contains("version 2"));
    assert!(Journal::read(&path).is_err());
    let undo = lines[4].replace("\"seq\":4", "\"seq\":1");
    let start = undo.find("\"previous\":\"").expect("chained") + 12;
    let undo = format!("{}{}\"}}", &undo[..start], blake3::hash(lines[0].as_bytes()).to_hex());
    assert!(open_with(&[lines[0], &undo]).ends_with("line 2: field event: there is nothing to undo"));
}

#[test]
fn another_file_is_not_taken_for_a_journal() {
    let folder = folder();
    let path = folder.path().join("j");
    for content in ["hello", "{\"row\": 1}\n", "[1]\n", "{\"a\":", "row,decision\n"] {
        fs::write(&path, content).expect("writes");
        assert_eq!(
            error(&path),
            "…: line 1: this is not a Dipole journal; give another file or move it away",
            "{content}"
        );
        assert_eq!(fs::read_to_string(&path).expect("reads"), content);
    }
}

#[test]
fn only_one_writer_at_a_time() {
    let folder = folder();
    let path = folder.path().join("j");
    let first = open(&path);
    assert!(matches!(Journal::open(&path), Err(ProjectError::Busy { .. })));
    drop(first);
    open(&path);
}

#[test]
fn ten_thousand_rows_are_one_line() {
    let folder = folder();
    let path = folder.path().join("j");
    let mut journal = open(&path);
    let many: Vec<u64> = (0..10_000).collect();
    journal.decide(&rows(&many), Some(Verdict::Drop), None).expect("writes");
    assert_eq!(fs::read_to_string(&path).expect("reads").lines().count(), 2);
    drop(journal);
    let mut journal = open(&path);
    assert_eq!(journal.decisions().len(), 10_000);
    journal.undo().expect("writes");
    assert!(journal.decisions().is_empty());
}

#[test]
fn random_actions_agree_with_a_list_of_snapshots() {
    let folder = folder();
    let path = folder.path().join("j");
    let mut journal = open(&path);
    let (mut past, mut future) = (vec![Vec::new()], Vec::new());
    let mut state = 11_u64;
    let mut next = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for step in 0..150 {
        match next(4) {
            0 => {
                if journal.undo().expect("writes") {
                    future.push(past.pop().expect("a state"));
                }
            }
            1 => {
                if journal.redo().expect("writes") {
                    past.push(future.pop().expect("a state"));
                }
            }
            _ => {
                let chosen: Vec<u64> = (0..=next(3)).map(|_| next(6)).collect();
                let verdict = [None, Some(Verdict::Keep), Some(Verdict::Drop)][next(3) as usize];
                let could_undo = fs::metadata(&path).expect("a file").len();
                journal.decide(&rows(&chosen), verdict, None).expect("writes");
                if fs::metadata(&path).expect("a file").len() > could_undo {
                    past.push(in_force(&journal));
                    future.clear();
                }
            }
        }
        assert_eq!(&in_force(&journal), past.last().expect("a state"), "step {step}");
        if step % 37 == 0 {
            drop(journal);
            journal = open(&path);
        }
    }
}

#[test]
fn the_past_of_a_row_tells_every_sitting() {
    let folder = folder();
    let path = written(folder.path());
    {
        let mut journal = open(&path);
        journal.set_actor("ada");
        journal.decide(&rows(&[2, 9]), Some(Verdict::Keep), Some("fine after all")).expect("writes");
    }
    let told = |row: u64| -> Vec<(Option<Verdict>, PastHow, Option<String>)> {
        let past = Journal::past(&path, row).expect("reads");
        past.into_iter().map(|past| (past.verdict, past.how, past.note)).collect()
    };
    let (keep, drop) = (Some(Verdict::Keep), Some(Verdict::Drop));
    let rude = Some("rude\nwords".to_owned());
    assert_eq!(
        told(2),
        [
            (drop, PastHow::Decided, rude.clone()),
            (None, PastHow::Decided, None),
            (drop, PastHow::Undone, rude),
            (None, PastHow::Repeated, None),
            (keep, PastHow::Decided, Some("fine after all".to_owned())),
        ]
    );
    // Steps that do not touch a row are not of its past.
    assert_eq!(told(7), [(keep, PastHow::Decided, None)]);
    assert_eq!(told(1).len(), 1);
    assert!(told(5).is_empty());
    assert_eq!(Journal::past(&path, 9).expect("reads").first().map(|past| past.actor.clone()), Some("ada".to_owned()));
    assert!(Journal::past(&folder.path().join("none"), 1).is_err());
}
