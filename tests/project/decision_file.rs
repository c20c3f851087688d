//! Lists of decisions for the command line.

use std::fs;

use dipole::data::RowId;
use dipole::project::Journal;
use dipole::selection::{Decision, Decisions, Verdict};

fn read(content: &str) -> Result<Decisions, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    fs::write(&path, content).expect("writes");
    Decisions::read(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "…"))
}

fn decision(row: u64, id: &str, verdict: Verdict, note: Option<&str>) -> Decision {
    Decision { row, id: RowId(id.to_owned()), verdict, note: note.map(str::to_owned), at: String::new() }
}

#[test]
fn csv_and_json_lines_say_the_same() {
    let csv = "\u{feff}row,id,decision,note\r\n4,ab,drop,\"rude, twice\"\r\n2,,keep,\r\n";
    let jsonl = "{\"row\":4,\"id\":\"ab\",\"decision\":\"drop\",\"note\":\"rude, twice\"}\n\n{\"row\":2,\"verdict\":\"keep\",\"note\":null}";
    let expected = [decision(2, "", Verdict::Keep, None), decision(4, "ab", Verdict::Drop, Some("rude, twice"))];
    for content in [csv, jsonl] {
        let found = read(content).expect("reads");
        assert_eq!(found.0.values().cloned().collect::<Vec<_>>(), expected);
    }
    assert!(read("").expect("reads").is_empty());
    assert_eq!(read("decision,row\nkeep,0\n").expect("reads").len(), 1);
}

#[test]
fn what_an_export_writes_reads_back() {
    let list = [
        Decision { at: "2026-01-02T03:04:05Z".to_owned(), ..decision(3, "ab", Verdict::Drop, Some("a \"note\"\n")) },
        decision(8, "cd", Verdict::Keep, None),
    ];
    let content: String = list.iter().map(|d| serde_json::to_string(d).expect("serialises") + "\n").collect();
    assert!(content.starts_with(r#"{"row":3,"id":"ab","decision":"drop","#), "{content}");
    assert_eq!(read(&content).expect("reads").0.into_values().collect::<Vec<_>>(), list);
}

#[test]
fn a_journal_is_a_list_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::open(&path).expect("opens");
    journal.decide(&[(5, RowId("ab".to_owned()))], Some(Verdict::Drop), None).expect("writes");
    assert_eq!(Decisions::read(&path).expect("reads"), *journal.decisions());
}

#[test]
fn errors_name_line_and_field() {
    for (content, expected) in [
        ("id,decision\na,keep\n", "…: line 1: field row: this column is missing from the header"),
        ("row,note\n1,keep\n", "…: line 1: field decision: this column is missing from the header"),
        ("row,decision\n1,keep\n-1,keep\n", "…: line 3: field row: must be a whole number of at least 0, not `-1`"),
        ("row,decision\n1,\n", "…: line 2: field decision: is missing"),
        ("row,decision\n1,Keep\n", "…: line 2: field decision: must be keep or drop, not `Keep`"),
        ("row,decision\n1,keep\n1,drop\n", "…: line 3: field row: row 1 was decided before in this file"),
        ("{\"decision\":\"keep\"}\n", "…: line 1: field row: is missing"),
        (
            "{\"row\":1.5,\"decision\":\"keep\"}",
            "…: line 1: field row: must be a whole number of at least 0, not `1.5`",
        ),
        (
            "{\"row\":1,\"decision\":\"keep\"}\n{\"row\":2,\"decision\":true}",
            "…: line 2: field decision: must be text, not `true`",
        ),
        ("{\"row\":1,\"decision\":\"keep\",\"note\":[1]}", "…: line 1: field note: must be text, not `[1]`"),
        ("[{\"row\":1}]", "…: is a JSON array; write one JSON object a line, or a CSV file"),
    ] {
        assert_eq!(read(content).expect_err(content), expected);
    }
    let broken = read("{\"row\":1,\"decision\":\"keep\"}\n{\"row\":").expect_err("broken");
    assert!(broken.starts_with("…: line 2: is no JSON object"), "{broken}");
    let uneven = read("row,decision\n1,keep,x\n").expect_err("uneven");
    assert!(uneven.contains("line: 2"), "{uneven}");
}
