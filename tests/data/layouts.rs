//! The layouts of training rows: who says what is read alike, whatever the schema.

use dipole::data::{Container, Dataset, FieldRole, FindingKind, OpenOptions, Schema, Speaker};

use super::{aside, file, kinds, read_with, usable};

/// The turns of a row as `u: text` lines, rejected turns behind `!`.
fn script(dataset: &Dataset, index: usize) -> String {
    let row = dataset.row(index).expect("a row");
    let line = |turn: &dipole::data::Turn| {
        let who = match turn.speaker {
            Speaker::System => 's',
            Speaker::User => 'u',
            Speaker::Assistant => 'a',
            Speaker::Tool => 't',
            Speaker::None => '-',
        };
        format!("{who}:{}", turn.text)
    };
    let turns = row.turns.iter().map(line);
    let rejected = row.rejected.iter().map(|turn| format!("!{}", line(turn)));
    turns.chain(rejected).collect::<Vec<_>>().join(" | ")
}

#[test]
fn every_schema_is_detected_and_read() {
    for (json, schema, expected) in [
        (
            r#"{"instruction":"Add","input":"1+1","output":"2","system":"Be brief","history":[["hi","ho"]]}"#,
            Schema::Alpaca,
            "s:Be brief | u:hi | a:ho | u:Add\n1+1 | a:2",
        ),
        (r#"{"output":"2","input":"","instruction":"Add","id":4}"#, Schema::Alpaca, "u:Add | a:2"),
        (
            r#"{"conversations":[{"from":"system","value":"S"},{"from":"human","value":"Q"},{"from":"gpt","value":"A"},{"value":"{}","from":"observation"}]}"#,
            Schema::ShareGpt,
            "s:S | u:Q | a:A | t:{}",
        ),
        (r#"{"conversations":["Q","A","Q2"]}"#, Schema::ShareGpt, "u:Q | a:A | u:Q2"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Q1"},{"type":"text","text":"Q2"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"x\":1}"}},{"name":"g","arguments":{"y": [2]}}]},{"role":"tool","content":"ok"},{"role":"assistant","content":"A"}]}"#,
            Schema::Messages,
            "u:Q1\nQ2 | a:f {\"x\":1}\ng {\"y\": [2]} | t:ok | a:A",
        ),
        (r#"{"prompt":"Q","completion":"A"}"#, Schema::PromptCompletion, "u:Q | a:A"),
        (
            r#"{"prompt":[{"role":"system","content":"S"},{"role":"user","content":"Q"}],"completion":[{"role":"assistant","content":"A"}]}"#,
            Schema::PromptCompletion,
            "s:S | u:Q | a:A",
        ),
        (r#"{"question":"Q","answer":"A"}"#, Schema::QuestionAnswer, "u:Q | a:A"),
        (r#"{"text":"T","meta":{"k":[1,{"z":null}]}}"#, Schema::Text, "-:T"),
        (r#"{"prompt":"Q","chosen":"good","rejected":"bad"}"#, Schema::Preference, "u:Q | a:good | !a:bad"),
        (
            r#"{"prompt":"Q","chosen":[{"role":"user","content":"Q"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"Q"},{"role":"assistant","content":"bad"}]}"#,
            Schema::Preference,
            "u:Q | a:good | !a:bad",
        ),
    ] {
        let dataset = usable(&file("row.jsonl", json));
        assert_eq!(dataset.mapping().schema, schema, "{json}");
        assert_eq!(script(&dataset, 0), expected, "{json}");
        assert_eq!(dataset.findings(), [], "{json}");
        assert_eq!(dataset.record_json(0).expect("record"), json.as_bytes());
        // The same row in a list has the same identity.
        let list = usable(&file("row.json", format!("[\n{json}\n]")));
        assert_eq!(list.format().container, Container::Json);
        assert_eq!(list.content_hash(0), dataset.content_hash(0));
    }
}

#[test]
fn what_is_said_decides_the_identity_not_how_it_is_written() {
    let rows = [
        r#"{"prompt":"Qé","completion":"A\n"}"#,
        r#"{"completion" : "A\u000a", "prompt":"Q\u00e9", "extra":[1, 2]}"#,
        r#"{"prompt":"Qé","completion":"A"}"#,
    ];
    let dataset = usable(&file("rows.jsonl", rows.join("\n")));
    assert_eq!(dataset.content_hash(0), dataset.content_hash(1));
    assert_ne!(dataset.content_hash(0), dataset.content_hash(2));
    let id = dataset.id(0).expect("id").0;
    assert_eq!((id.len(), dataset.id(1).expect("id").0), (16, format!("{id}-1")));
    let messages = r#"{"messages":[{"role":"user","content":"Qé"},{"role":"assistant","content":"A\n"}]}"#;
    assert_eq!(usable(&file("rows.jsonl", messages)).content_hash(0), dataset.content_hash(0));
    let table = usable(&file("rows.tsv", "prompt\tcompletion\nQé\t\"A\n\"\n"));
    assert_eq!(table.format().container, Container::Tsv);
    assert_eq!(table.content_hash(0), dataset.content_hash(0));
    // Moving text from one turn to the next makes another row.
    let shifted = usable(&file("rows.jsonl", r#"{"prompt":"QéA","completion":"\n"}"#));
    assert_ne!(shifted.content_hash(0), dataset.content_hash(0));
}

#[test]
fn bad_messages_name_their_place() {
    let good = r#"{"conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]}"#;
    for (turn, kind, field) in [
        (r#"{"from":"gpt","value":7}"#, FindingKind::WrongType, "conversations[1].value"),
        (r#"{"from":"gpt"}"#, FindingKind::MissingField, "conversations[1].value"),
        (r#"{"value":"A"}"#, FindingKind::MissingField, "conversations[1].from"),
        (r#"{"from":"narrator","value":"A"}"#, FindingKind::WrongType, "conversations[1].from"),
        (r#"{"from":"gpt","value":"A","value":"B"}"#, FindingKind::DuplicateKey, "conversations[1].value"),
        ("7", FindingKind::WrongType, "conversations[1]"),
        (r#"{"from":"gpt","value":[1]}"#, FindingKind::WrongType, "conversations[1].value"),
    ] {
        let bad = format!(r#"{{"conversations":[{{"from":"human","value":"Q"}},{turn}]}}"#);
        let dataset = usable(&file("rows.jsonl", format!("{good}\n{bad}\n{good}")));
        assert_eq!(aside(&dataset), [(1, kind, Some(field.to_owned()))], "{turn}");
    }
    let images = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"Q"}]}]}"#;
    let dataset = usable(&file("rows.jsonl", images));
    assert_eq!((script(&dataset, 0).as_str(), kinds(&dataset)), ("u:Q", vec![FindingKind::WrongType]));
}

#[test]
fn tables_may_hold_conversations_in_json() {
    let text = "id,conversations\n1,\"[{\"\"from\"\":\"\"human\"\",\"\"value\"\":\"\"Q\"\"},{\"\"from\"\":\"\"gpt\"\",\"\"value\"\":\"\"A\"\"}]\"\n2,\"[{'from': 'human'}]\"\n";
    let dataset = usable(&file("rows.csv", text));
    assert_eq!((dataset.mapping().schema, script(&dataset, 0).as_str()), (Schema::ShareGpt, "u:Q | a:A"));
    assert_eq!(aside(&dataset), [(1, FindingKind::WrongType, Some("conversations".to_owned()))]);
    assert!(dataset.quarantine()[0].reason.contains("Python"));
}

#[test]
fn a_given_mapping_overrides_the_detected_one() {
    let scratch = file("rows.jsonl", r#"{"prompt":"old","ask":"Q","completion":"A"}"#);
    let detected = usable(&scratch).mapping();
    let mapping = detected.with_overrides(&[("ask".to_owned(), FieldRole::Prompt)]).expect("fits");
    let options = OpenOptions { mapping: Some(mapping.clone()), ..OpenOptions::default() };
    let (dataset, result) = read_with(&scratch, &options);
    result.expect("usable");
    let dataset = dataset.expect("opened");
    assert_eq!((script(&dataset, 0).as_str(), dataset.mapping()), ("u:Q | a:A", mapping));
    let wrong = detected.with_overrides(&[("aks".to_owned(), FieldRole::Prompt)]).expect("holds together");
    let options = OpenOptions { mapping: Some(wrong), ..OpenOptions::default() };
    let error = Dataset::begin(&scratch.path, &options).expect_err("no such field").to_string();
    assert!(error.contains("`aks`") && error.contains("ask"), "{error}");
}
