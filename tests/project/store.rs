//! Projects are found again by what is in the custom file.

use std::fs;
use std::path::PathBuf;

use dipole::data::RowId;
use dipole::embedding::EncoderChoice;
use dipole::project::{Plan, Project, ProjectError, ProjectStore};
use dipole::selection::{Keep, SelectionSettings, Verdict};
use dipole::transport::Settings;

fn plan() -> Plan {
    Plan {
        custom: PathBuf::from("/data/custom.jsonl"),
        safe: vec![PathBuf::from("/data/safe.jsonl")],
        harmful: vec![PathBuf::from("/data/harmful.jsonl")],
        mapping: None,
        encoder: EncoderChoice::Sentence(PathBuf::from("/models/minilm")),
        views: None,
        settings: Settings::paper(),
        calibration: None,
        selection: SelectionSettings { keep: Keep::Count(10), ..SelectionSettings::default() },
    }
}

fn store() -> (tempfile::TempDir, ProjectStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("projects");
    (folder, ProjectStore { root })
}

#[test]
fn a_project_is_found_again_under_another_name() {
    let (_folder, store) = store();
    assert!(store.last().expect("looks").is_none());
    let mut project = store.for_custom(&[7; 32], "träining data.jsonl").expect("creates");
    let folder = project.folder.clone();
    assert_eq!(folder.file_name().and_then(|name| name.to_str()), Some("tr-ining-data-0707070707070707"));
    project.save_plan(&plan()).expect("saves");
    project.journal.decide(&[(3, RowId("ab".to_owned()))], Some(Verdict::Drop), None).expect("writes");
    drop(project);

    let other = store.for_custom(&[8; 32], "other.jsonl").expect("creates");
    assert_ne!(other.folder, folder);
    assert!(other.plan.is_none() && other.journal.decisions().is_empty());
    drop(other);

    let again = store.for_custom(&[7; 32], "renamed.csv").expect("finds");
    assert_eq!((again.folder.clone(), again.plan.clone()), (folder.clone(), Some(plan())));
    assert_eq!(again.journal.decisions().len(), 1);
    drop(again);
    assert_eq!(store.last().expect("looks").expect("a project").folder, folder);
}

#[test]
fn hashes_that_begin_alike_are_told_apart() {
    let (_folder, store) = store();
    let mut alike = [7; 32];
    drop(store.for_custom(&alike, "a.jsonl").expect("creates"));
    alike[31] = 0;
    let second = store.for_custom(&alike, "b.jsonl").expect("creates").folder;
    assert_eq!(store.for_custom(&alike, "b.jsonl").expect("finds").folder, second);
    assert_eq!(
        fs::read_dir(&store.root).expect("lists").filter(|e| e.as_ref().is_ok_and(|e| e.path().is_dir())).count(),
        2
    );
}

#[test]
fn an_open_project_is_not_opened_twice() {
    let (_folder, store) = store();
    let _project = store.for_custom(&[7; 32], "a.jsonl").expect("creates");
    assert!(matches!(store.for_custom(&[7; 32], "a.jsonl"), Err(ProjectError::Busy { .. })));
}

#[test]
fn relative_paths_are_saved_as_absolute_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut project = Project::open(folder.path()).expect("opens");
    project.save_plan(&Plan { custom: PathBuf::from("custom.jsonl"), ..plan() }).expect("saves");
    drop(project);
    let saved = Project::open(folder.path()).expect("opens").plan.expect("a plan");
    assert_eq!(saved.custom, std::env::current_dir().expect("a folder").join("custom.jsonl"));
}

#[test]
fn malformed_files_are_named_and_kept() {
    let (_folder, store) = store();
    let project = store.for_custom(&[7; 32], "a.jsonl").expect("creates").folder;
    let file = project.join("project.json");
    fs::write(&file, "{\"dipole_project\": 1, \"plan\": {\"custom\": 3}}").expect("writes");
    let error = Project::open(&project).err().expect("must fail").to_string();
    assert!(error.contains("project.json: cannot be read") && error.contains("move it away"), "{error}");
    fs::write(&file, "{\"dipole_project\": 2}").expect("writes");
    assert!(Project::open(&project).err().expect("must fail").to_string().contains("version 2"));
    assert_eq!(fs::read_to_string(&file).expect("reads"), "{\"dipole_project\": 2}");
}

#[test]
fn last_does_not_lead_out_of_the_store() {
    let (folder, store) = store();
    drop(Project::open(&folder.path().join("outside")).expect("opens").save_plan(&plan()));
    fs::create_dir_all(&store.root).expect("creates");
    for name in ["../outside", "..", "/", ""] {
        fs::write(store.root.join("last.json"), serde_json::json!({ "folder": name }).to_string()).expect("writes");
        assert!(store.last().expect("looks").is_none(), "{name}");
    }
}

#[test]
fn saving_leaves_no_other_file_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut project = Project::open(folder.path()).expect("opens");
    project.save_plan(&plan()).expect("saves");
    project.save_plan(&plan()).expect("saves");
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).expect("lists").map(|e| e.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal.jsonl", "journal.jsonl.lock", "project.json"]);
}
