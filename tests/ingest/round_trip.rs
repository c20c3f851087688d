//! Writers change nothing but the weight.

use dipole::data::{Container, Dataset, Schema, WeightedRow, write_quarantine, write_rows};
use dipole::jobs::Silent;
use serde_json::Value;

use super::{Scratch, all_rows, file, open};

/// One record of every schema, with keys nobody knows and values whose spelling a parser would change.
fn records() -> Vec<(Schema, String)> {
    let odd = r#""z_id": 12345678901234567890123, "f": 1.50, "e": 1E+2, "u": "\u00e9\/", "deep": {"b": [1.0, null], "a": {"weight": 7}}, "": [], "n": -0"#;
    let json = |fields: &str| format!("{{{odd}, {fields}, \"last\":   \"tab\\t\" }}");
    vec![
        (
            Schema::Alpaca,
            json(r#""instruction": "Add", "input": "1", "output": "2", "system": "s", "history": [["q", "a"]]"#),
        ),
        (
            Schema::ShareGpt,
            json(r#""conversations": [{"from": "human", "value": "Q", "x": 1.0}, {"from": "gpt", "value": "A"}]"#),
        ),
        (
            Schema::Messages,
            json(
                r#""messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}]"#,
            ),
        ),
        (Schema::PromptCompletion, json(r#""prompt": "Q", "completion": "A""#)),
        (Schema::QuestionAnswer, json(r#""question": "Q", "answer": "A""#)),
        (Schema::Text, json(r#""text": "T""#)),
        (Schema::Preference, json(r#""prompt": "Q", "chosen": "good", "rejected": "bad""#)),
    ]
}

fn written(dataset: &Dataset, rows: &[WeightedRow], container: Container, scratch: &Scratch) -> String {
    let out = scratch.folder.path().join("out");
    write_rows(dataset, rows, container, &out, &Silent).expect("writes");
    std::fs::read_to_string(out).expect("text")
}

#[test]
fn json_of_every_schema_keeps_every_byte() {
    for (schema, record) in records() {
        let open_end = record.strip_suffix(" }").expect("ends so");
        let expected = [format!("{open_end}, \"weight\": 0.5}}"), format!("{open_end}, \"weight\": 1.5}}")];
        for (name, content, container) in [
            ("rows.jsonl", format!("{record}\n{record}\n"), Container::Jsonl),
            ("rows.jsonl", format!("\u{feff}{record}\r\n\r\n{record}"), Container::Jsonl),
            ("rows.json", format!("[{record},\n  {record}]"), Container::Json),
        ] {
            let scratch = file(name, content);
            let dataset = open(&scratch);
            assert_eq!((dataset.mapping().schema, dataset.format().container), (schema, container));
            let lines = written(&dataset, &all_rows(&dataset), Container::Jsonl, &scratch);
            assert_eq!(lines, expected.join("\n") + "\n", "{schema}");
            let own = written(&dataset, &all_rows(&dataset), container, &scratch);
            if container == Container::Json {
                assert_eq!(own, format!("[\n{}\n]\n", expected.join(",\n")));
                assert!(serde_json::from_str::<Vec<Value>>(&own).is_ok());
            }
            // Read again, the rows are the same rows.
            let again = open(&file(name, own));
            assert_eq!(again.content_hash(1), dataset.content_hash(1), "{schema}");
        }
    }
}

#[test]
fn an_old_weight_keeps_its_value_and_its_place() {
    let scratch = file(
        "rows.jsonl",
        concat!(
            "{\"weight\": 1e-3, \"text\": \"a\"}\n",
            "{\"text\": \"b\", \"weight\": \"3 kg\", \"weight_original\": [1]}\n",
            "{\"text\": \"c\", \"\\u0077eight\": null}\n",
        ),
    );
    let dataset = open(&scratch);
    let rows = [
        WeightedRow { index: 0, weight: 1.0 },
        WeightedRow { index: 1, weight: 0.1 },
        WeightedRow { index: 2, weight: 1e-9 },
    ];
    assert_eq!(
        written(&dataset, &rows, Container::Jsonl, &scratch),
        concat!(
            "{\"weight_original\": 1e-3, \"text\": \"a\", \"weight\": 1.0}\n",
            "{\"text\": \"b\", \"weight_original_2\": \"3 kg\", \"weight_original\": [1], \"weight\": 0.1}\n",
            "{\"text\": \"c\", \"weight_original\": null, \"weight\": 1e-9}\n",
        )
    );
}

#[test]
fn values_over_several_lines_become_one_line_each() {
    let scratch = file("rows.json", "{\n  \"text\": \"a\",\n  \"n\": 1.0\n}\n{\n  \"text\": \"b\"\n}\n");
    let dataset = open(&scratch);
    let lines = written(&dataset, &all_rows(&dataset), Container::Jsonl, &scratch);
    assert_eq!(lines.lines().count(), 2);
    let values: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&values[0]["weight"], &values[1]["text"]), (&Value::from(0.5), &Value::from("b")));
    assert!(lines.contains("\"n\": 1.0"), "{lines}");
}

/// Cells of every record of a table, its header included.
fn cells(text: &str, delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.expect("a record").iter().map(str::to_owned).collect()).collect()
}

#[test]
fn tables_of_every_schema_keep_every_cell() {
    let chat = r#"[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A, b"}]"#;
    let shared = r#"[{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]"#;
    let tables: [(Schema, &[&str], &[&str]); 7] = [
        (Schema::Alpaca, &["instruction", "input", "output"], &["Add", "1", "2"]),
        (Schema::ShareGpt, &["conversations"], &[shared]),
        (Schema::Messages, &["messages"], &[chat]),
        (Schema::PromptCompletion, &["prompt", "completion"], &["Q", "A \"quoted\"\nline"]),
        (Schema::QuestionAnswer, &["question", "answer"], &["Q", "A"]),
        (Schema::Text, &["text"], &["T"]),
        (Schema::Preference, &["prompt", "chosen", "rejected"], &["Q", "good", "bad"]),
    ];
    for (schema, names, values) in tables {
        for (name, delimiter, container) in [
            ("rows.csv", b',', Container::Csv),
            ("rows.tsv", b'\t', Container::Tsv),
            ("rows.csv", b';', Container::Csv),
        ] {
            // A column without a name, a padded and a doubled one, numbers with spellings of their own, an old weight.
            let header: Vec<&str> =
                ["", " padded ", "note"].into_iter().chain(names.iter().copied()).chain(["note", "weight"]).collect();
            let row: Vec<&str> =
                ["0", "  x ", "007"].into_iter().chain(values.iter().copied()).chain(["1.50", "heavy"]).collect();
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(&header).expect("memory");
            writer.write_record(&row).expect("memory");
            writer.write_record(&row).expect("memory");
            let scratch = file(name, writer.into_inner().expect("memory"));
            let dataset = open(&scratch);
            assert_eq!((dataset.mapping().schema, dataset.format().container), (schema, container), "{header:?}");
            let rows = [WeightedRow { index: 1, weight: 0.25 }];
            let found = cells(&written(&dataset, &rows, container, &scratch), delimiter);
            let mut expected =
                [header.clone(), row.clone()].map(|record| record.into_iter().map(str::to_owned).collect::<Vec<_>>());
            let last = header.len() - 1;
            expected[0][last] = "weight_original".to_owned();
            expected[0].push("weight".to_owned());
            expected[1].push("0.25".to_owned());
            assert_eq!(found, expected, "{schema} {name}");
            // As JSON lines, every column is there under a name of its own.
            let line = written(&dataset, &rows, Container::Jsonl, &scratch);
            let value: serde_json::Map<String, Value> = serde_json::from_str(&line).expect("JSON");
            assert_eq!(
                (value.len(), &value["weight"], &value["weight_original"]),
                (header.len() + 1, &Value::from(0.25), &Value::from("heavy"))
            );
        }
    }
}

#[test]
fn rows_can_only_be_written_to_their_own_container_or_json_lines() {
    let scratch = file("rows.jsonl", "{\"text\":\"a\"}\n");
    let dataset = open(&scratch);
    for container in [Container::Csv, Container::Json, Container::Parquet, Container::Tsv] {
        let out = scratch.folder.path().join("out");
        let error = write_rows(&dataset, &all_rows(&dataset), container, &out, &Silent).expect_err("another container");
        assert!(error.to_string().contains("JSON lines"), "{error}");
        assert!(!out.exists());
    }
    let missing = [WeightedRow { index: 5, weight: 1.0 }];
    let out = scratch.folder.path().join("out");
    let error = write_rows(&dataset, &missing, Container::Jsonl, &out, &Silent).expect_err("no such row").to_string();
    assert!(error.contains("row 5"), "{error}");
}

#[test]
fn no_rows_make_an_empty_file_of_the_container() {
    for (name, content, container, expected) in [
        ("rows.jsonl", "{\"text\":\"a\"}\n", Container::Jsonl, ""),
        ("rows.json", "[{\"text\":\"a\"}]", Container::Json, "[\n\n]\n"),
        ("rows.csv", "text,n\na,1\n", Container::Csv, "text,n,weight\n"),
    ] {
        let scratch = file(name, content);
        assert_eq!(written(&open(&scratch), &[], container, &scratch), expected, "{name}");
    }
}

#[test]
fn the_quarantine_is_written_with_its_raw_bytes() {
    let scratch = file("rows.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"\xff\"}\n{\"txet\":\"b\"}\n\"7\"\n");
    let dataset = open(&scratch);
    let out = scratch.folder.path().join("quarantine.jsonl");
    assert_eq!(write_quarantine(&dataset, &out, &Silent).expect("writes"), 3);
    let text = std::fs::read_to_string(out).expect("text");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let field = |name: &str| -> Vec<&Value> { records.iter().map(|record| &record[name]).collect() };
    assert_eq!(field("row"), [1, 2, 3]);
    assert_eq!(field("line"), [2, 3, 4]);
    assert_eq!(field("raw")[1..], ["{\"txet\":\"b\"}", "\"7\""]);
    assert_eq!(records[0]["raw_hex"], Value::from("7b2274657874223a22ff227d"));
    assert_eq!(field("kind"), ["invalid-utf8", "missing-field", "not-an-object"]);
    assert!(records.iter().all(|record| record["reason"].as_str().is_some_and(|reason| reason.len() > 10)));
}
