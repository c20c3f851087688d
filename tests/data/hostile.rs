//! A folder of hostile files: every one gives a finding or an error with the way out, none a panic.

use dipole::data::{Container, DataError, Dataset, FindingKind, OpenOptions, Severity};

use super::{aside, file, kinds, read, read_with, unusable, usable};

const GOOD: &str = r#"{"instruction":"Say hello","output":"Hello!"}"#;

/// A good record, the bad one, a good one; the bad one is quarantined with this kind and field.
fn between_good(bad: impl AsRef<[u8]>, kind: FindingKind, field: Option<&str>, reason: &str) {
    let mut content = format!("{GOOD}\n").into_bytes();
    content.extend_from_slice(bad.as_ref());
    content.extend_from_slice(format!("\n{GOOD}\n").as_bytes());
    let scratch = file("rows.jsonl", &content);
    let dataset = usable(&scratch);
    assert_eq!(dataset.len(), 2);
    assert_eq!(aside(&dataset), [(1, kind, field.map(str::to_owned))]);
    let record = &dataset.quarantine()[0];
    assert!(record.reason.contains(reason), "{}", record.reason);
    assert_eq!((record.line, record.offset), (2, GOOD.len() as u64 + 1));
    assert_eq!(dataset.quarantined_raw(record).expect("raw"), bad.as_ref());
    let finding = dataset.findings().into_iter().find(|finding| finding.kind == kind).expect("a finding");
    assert_eq!((finding.severity, finding.count, finding.rows), (Severity::Error, 1, vec![1]));
}

#[test]
fn broken_json_is_set_aside_with_its_place() {
    use FindingKind::*;
    between_good(r#"{"instruction":"a" "output":"b"}"#, InvalidJson, None, "at character 20 a `,` or `}` is missing");
    between_good(r#"{"instruction":"a","output":"b""#, InvalidJson, None, "ends too early");
    between_good(r#"{'instruction':'a','output':'b'}"#, InvalidJson, None, "Python");
    between_good(r#"{"instruction":"a","output":"b""#.trim_end_matches('"'), InvalidJson, None, "ends too early");
    between_good(r#"{"instruction":"a","output":"b\"}"#, InvalidJson, None, "ends too early");
    between_good(r#"{"instruction":"a","output":"b",}"#, InvalidJson, None, "a `,` before the `}`");
    between_good(r#"{"instruction":"a","output":"b","x":[1,]}"#, InvalidJson, None, "a `,` before the `]`");
    between_good(r#"{"instruction":"a","output":"b"}{"instruction":"c","output":"d"}"#, InvalidJson, None, "more text");
    between_good(r#"{"instruction":"a","output":"b"},"#, InvalidJson, None, "more text after the end");
    between_good(r#"{"instruction":"a\x","output":"b"}"#, InvalidJson, None, "a backslash must be written twice");
    between_good(r#"{"instruction":"a","output":"b","x":True}"#, InvalidJson, None, "Python");
    between_good(r#"{"instruction":"a","output":"b","x":NaN}"#, InvalidJson, None, "write null");
    between_good(r#"{"instruction":"a","output":"b","x":Infinity}"#, InvalidJson, None, "write null");
    between_good(r#"{"instruction":"a","output":"b","x":-Infinity}"#, InvalidJson, None, "write null");
    between_good(r#"{"instruction":"a\udc00","output":"b"}"#, InvalidJson, None, "half a character");
    between_good(r#"{"instruction":"a","output":"b","\udc00":1}"#, InvalidJson, None, "half a character");
    between_good("{\"instruction\":\"a\0\",\"output\":\"b\"}", InvalidJson, None, "control character");
    between_good("\0\0\0\0", InvalidJson, None, "not valid JSON");
    between_good(r#"{"instruction":"a\ud800","output":"b"}"#, InvalidJson, None, "half a character");
    between_good(r#"{"instruction":"a","output":"b"} tail"#, InvalidJson, None, "more text after the end");
    between_good(b"{\"instruction\":\"\xff\",\"output\":\"b\"}", InvalidUtf8, None, "byte 17");
    between_good(
        "{\"instruction\":\"a\",\"output\":\"b\",\"x\":".to_owned() + &"[".repeat(100_000),
        NestedTooDeep,
        None,
        "127",
    );
    let closed =
        format!("{{\"instruction\":\"a\",\"output\":\"b\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    between_good(closed, NestedTooDeep, None, "flatten");
    let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    between_good(format!("{{\"instruction\":\"a\",\"output\":{objects}}}"), NestedTooDeep, None, "flatten");
}

#[test]
fn wrong_content_is_set_aside_with_its_field() {
    use FindingKind::*;
    between_good("[1,2,3]", NotAnObject, None, "a list");
    between_good("\"text\"", NotAnObject, None, "a text");
    between_good("17", NotAnObject, None, "a number");
    between_good("null", NotAnObject, None, "null");
    between_good(r#"{"instruction":7,"output":"b"}"#, WrongType, Some("instruction"), "put it in quotes");
    between_good(r#"{"instruction":true,"output":"b"}"#, WrongType, Some("instruction"), "true or false");
    between_good(
        r#"{"instruction":"a","output":["b"],"x":[1]}"#.replace("[\"b\"]", "[1]"),
        WrongType,
        Some("output[0]"),
        "a number",
    );
    between_good(r#"{"instruction":"a","output":{"x":1}}"#, WrongType, Some("output"), "an object");
    between_good(r#"{"instruction":"a"}"#, MissingField, Some("output"), "missing");
    between_good(r#"{"instruction":"a","output":null}"#, MissingField, Some("output"), "null");
    between_good("{}", MissingField, Some("instruction"), "missing");
    between_good(r#"{"instruction":"","output":" "}"#, EmptyText, None, "no text");
    between_good(r#"{"instruction":"a","output":"b","output":"c"}"#, DuplicateKey, Some("output"), "twice");
    between_good(r#"{"instruction":"a","output":"b","\u006futput":"c"}"#, DuplicateKey, Some("output"), "twice");
    between_good(r#"{"messages":[{"role":"user","content":"a"}]}"#, MixedSchema, Some("instruction"), "messages");
}

#[test]
fn odd_but_readable_content_is_kept_with_a_remark() {
    let scratch = file(
        "rows.jsonl",
        concat!(
            "{\"instruction\":\"a\",\"output\":\"b\",\"n\":1e999,\"m\":123456789012345678901234567890}\n",
            "{\"instruction\":\"a\",\"output\":\"\"}\n",
            "{\"instruction\":\"a\",\"output\":\"c\",\"k\":1,\"k\":2}\n",
            "{\"instruction\":\"nul \\u0000\",\"output\":\"\\ud83d\\ude00\",\"input\":null}\n",
        ),
    );
    let dataset = usable(&scratch);
    assert_eq!(dataset.len(), 4);
    assert_eq!(kinds(&dataset), [FindingKind::EmptyText, FindingKind::DuplicateKey]);
    assert!(dataset.findings().iter().all(|finding| finding.severity == Severity::Warning));
    assert_eq!(dataset.findings()[1].field.as_deref(), Some("k"));
    assert_eq!(dataset.row(3).expect("row").text(), "nul \0\n😀");
}

#[test]
fn a_byte_order_mark_and_any_line_end_are_read() {
    for end in ["\n", "\r\n", "\r"] {
        let scratch = file("rows.jsonl", format!("\u{feff}{GOOD}{end}{end}{GOOD}{end}   {end}{GOOD}"));
        let dataset = usable(&scratch);
        assert_eq!((dataset.len(), dataset.stats().quarantined), (3, 0), "{end:?}");
        assert_eq!(kinds(&dataset), [FindingKind::ByteOrderMark]);
        assert_eq!((0..3).filter_map(|index| dataset.line(index)).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(dataset.record_json(2).expect("record"), GOOD.as_bytes());
        assert_eq!(dataset.stats().exact_duplicates, 2);
    }
}

#[test]
fn empty_files_say_so() {
    assert!(unusable(&file("a.jsonl", "")).0.contains("the file is empty"));
    for blank in ["\n", " \t\r\n\n ", "\u{feff}", "[]", "[ \n ]"] {
        let (reason, dataset) = unusable(&file("a.jsonl", blank));
        assert!(reason.contains("no records"), "{reason}");
        assert_eq!(dataset.expect("opened").stats().records, 0);
    }
    assert!(unusable(&file("a.csv", "prompt,completion\n")).0.contains("no rows"));
}

#[test]
fn what_is_no_data_file_is_named() {
    assert!(unusable(&file("a.jsonl", b"\xff\xfe{\0\"\0")).0.contains("iconv"));
    let utf16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(unusable(&file("a.jsonl", utf16)).0.contains("UTF-16"));
    assert!(unusable(&file("a.jsonl", b"PK\x03\x04rest")).0.contains("ZIP"));
    assert!(unusable(&file("a.txt", "It was a dark night.\nThe end.\n")).0.contains("neither"));
    let folder = tempfile::tempdir().expect("folder");
    let error = Dataset::begin(folder.path(), &OpenOptions::default()).expect_err("a folder").to_string();
    assert!(error.contains("is a folder"), "{error}");
    let missing = folder.path().join("missing.jsonl");
    let error = Dataset::begin(&missing, &OpenOptions::default()).expect_err("missing");
    assert!(matches!(error, DataError::Io { ref path, .. } if *path == missing), "{error}");
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let refused = |path: &std::path::Path| {
        let error = Dataset::begin(path, &OpenOptions::default()).expect_err("no regular file").to_string();
        assert!(error.contains("save its content to a file first"), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
    };
    #[cfg(unix)]
    {
        refused("/dev/zero".as_ref());
        refused("/dev/null".as_ref());
        let folder = tempfile::tempdir().expect("folder");
        // Nobody writes into this pipe, so opening it would wait for ever.
        let pipe = folder.path().join("pipe.jsonl");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .expect("makes");
        refused(&pipe);
        let link = folder.path().join("link.jsonl");
        std::os::unix::fs::symlink(&link, &link).expect("links");
        let error = Dataset::begin(&link, &OpenOptions::default()).expect_err("a circle");
        assert!(matches!(error, DataError::Io { ref path, .. } if *path == link), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_must_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = file("secret.jsonl", GOOD);
    std::fs::set_permissions(&scratch.path, std::fs::Permissions::from_mode(0o000)).expect("changes");
    let result = Dataset::open(&scratch.path, &OpenOptions::default(), &dipole::jobs::Silent);
    // The administrator may read everything.
    if std::fs::File::open(&scratch.path).is_ok() {
        assert_eq!(result.expect("readable").len(), 1);
    } else {
        let error = result.expect_err("not readable");
        assert!(matches!(error, DataError::Io { ref path, .. } if *path == scratch.path), "{error}");
    }
}

#[test]
fn a_table_with_tabs_is_as_strict_as_one_with_commas() {
    use FindingKind::{FieldCount, InvalidUtf8, Truncated};
    let content = b"prompt\tcompletion\na\tb\nshort\nc\td\te\n\xff\tx\nnul\0\ty\nok\t\"a \"\"b\"\"\"\n\"open\tz\n";
    let dataset = usable(&file("rows.tsv", content));
    assert_eq!(dataset.format().container, Container::Tsv);
    assert_eq!(
        aside(&dataset),
        [
            (1, FieldCount, None),
            (2, FieldCount, None),
            (3, InvalidUtf8, None),
            (4, InvalidUtf8, None),
            (6, Truncated, None)
        ]
    );
    assert_eq!(dataset.row(1).expect("row").text(), "ok\na \"b\"");
}

#[test]
fn a_list_with_garbage_between_its_items_keeps_the_good_ones() {
    let scratch = file("rows.json", format!("[{GOOD}, oops, {GOOD} \"x\" {{\"a\": }}, [1,2], {GOOD}, \0, {GOOD}"));
    let dataset = usable(&scratch);
    assert_eq!(dataset.len(), 4);
    let stats = dataset.stats();
    assert_eq!(stats.quarantined, stats.records - 4);
    assert!(dataset.quarantine().iter().all(|record| !record.reason.is_empty() && record.field.is_none()));
    assert!(kinds(&dataset).contains(&FindingKind::Truncated));
}

#[test]
fn a_file_that_ends_too_early_keeps_what_came_before() {
    let scratch = file("rows.jsonl", format!("{GOOD}\n{GOOD}\n{{\"instruction\":\"a\",\"out"));
    let dataset = usable(&scratch);
    assert_eq!(aside(&dataset), [(2, FindingKind::Truncated, None)]);
    let scratch = file("rows.json", format!("[{GOOD},\n{GOOD},\n{{\"instruction\":\"a\",\"out"));
    let dataset = usable(&scratch);
    assert_eq!(aside(&dataset), [(2, FindingKind::Truncated, None)]);
    let scratch = file("rows.json", format!("[{GOOD},\n{GOOD}\n"));
    let dataset = usable(&scratch);
    assert_eq!((dataset.len(), kinds(&dataset)), (2, vec![FindingKind::Truncated]));
}

#[test]
fn the_items_of_a_bad_list_are_told_apart() {
    let scratch = file("rows.json", format!("[{GOOD},,{GOOD} {GOOD},]{GOOD}"));
    let dataset = usable(&scratch);
    assert_eq!((dataset.len(), dataset.format().container), (4, Container::Json));
    assert_eq!(kinds(&dataset), [FindingKind::Layout, FindingKind::Layout]);
    let scratch = file("rows.json", format!("[{GOOD}, {{\"instruction\":[1,\"output\":\"x\"}}, 7, tru, {GOOD}]"));
    let dataset = usable(&scratch);
    assert_eq!(dataset.len(), 2);
    use FindingKind::{InvalidJson, NotAnObject};
    assert_eq!(aside(&dataset), [(1, InvalidJson, None), (2, NotAnObject, None), (3, InvalidJson, None)]);
}

#[test]
fn lists_and_objects_written_over_lines_are_understood_or_explained() {
    let (reason, dataset) = unusable(&file("rows.jsonl", "[1,2]\n[3,4]\n"));
    assert!(reason.contains("is a list; a row must be an object"), "{reason}");
    assert_eq!(dataset.expect("opened").stats().quarantined, 2);
    let pretty = "{\n  \"instruction\": \"a\",\n  \"output\": \"b\"\n}\n{\n\"instruction\":\"c\",\n\"output\":\"d\"}\n";
    let dataset = usable(&file("rows.json", pretty));
    assert_eq!((dataset.len(), kinds(&dataset)), (2, vec![FindingKind::Layout]));
    assert_eq!(dataset.line(1), Some(5));
    let (reason, _) = unusable(&file("rows.json", "{\n\"version\": 1,\n\"data\": [{\"text\":\"a\"}]\n}"));
    assert!(reason.contains("`version`, `data`"), "{reason}");
}

#[test]
fn long_records_are_hashed_and_shown_in_part() {
    // 100 MB in one line, 64 MiB the limit.
    let mut content = format!("{GOOD}\n{{\"instruction\":\"").into_bytes();
    content.resize(100_000_000, b'x');
    content.extend_from_slice(format!("\"}}\n{GOOD}\n").as_bytes());
    let scratch = file("rows.jsonl", &content);
    let dataset = usable(&scratch);
    assert_eq!((dataset.len(), aside(&dataset)), (2, vec![(1, FindingKind::RowTooLarge, None)]));
    let record = &dataset.quarantine()[0];
    let start = GOOD.len() + 1;
    let long = &content[start..content.len() - GOOD.len() - 2];
    assert_eq!((record.offset, record.bytes), (start as u64, long.len() as u64));
    assert_eq!(record.hash, Some(blake3::hash(long).to_hex().to_string()));
    assert_eq!(dataset.quarantined_raw(record).expect("raw"), long[..1 << 20]);
    assert_eq!(dataset.number(1), Some(2));
}

#[test]
fn long_records_are_found_in_every_container() {
    let options = OpenOptions { max_record_bytes: 1000, ..OpenOptions::default() };
    let long = "y".repeat(9_000_000);
    for (name, content) in [
        ("a.jsonl", format!("{GOOD}\n{{\"instruction\":\"{long}\"}}\n{GOOD}")),
        ("a.json", format!("[{GOOD},{{\"instruction\":\"{long}\"}},{GOOD}]")),
        ("a.csv", format!("instruction,output\na,b\n\"{long}\",c\nd,e\n")),
        ("b.jsonl", format!("{{\"instruction\":\"{long}\"}}\n{GOOD}\n{GOOD}")),
    ] {
        let (dataset, result) = read_with(&file(name, content), &options);
        let dataset = dataset.expect("opened");
        result.expect(name);
        assert_eq!((dataset.len(), dataset.stats().quarantined), (2, 1), "{name}");
        assert!(dataset.quarantine()[0].reason.contains("bytes long"), "{name}");
    }
}

#[test]
fn bad_tables_keep_their_good_rows() {
    let scratch = file(
        "rows.csv",
        concat!(
            "prompt,completion,note\r\n",
            "a,b,c\r\n",
            "short,row\r\n",
            "\r\n",
            "\"quoted \"\"x\"\", with\r\nline breaks\",b,c\r\n",
            "long,row,is,here\r\n",
            "nul\0,b,c\r\n",
            "d,e,\r\n",
        ),
    );
    let dataset = usable(&scratch);
    use FindingKind::{FieldCount, InvalidUtf8};
    assert_eq!(aside(&dataset), [(1, FieldCount, None), (3, FieldCount, None), (4, InvalidUtf8, None)]);
    assert_eq!(dataset.row(1).expect("row").text(), "quoted \"x\", with\r\nline breaks\nb");
    assert_eq!((0..3).filter_map(|index| dataset.line(index)).collect::<Vec<_>>(), [2, 5, 9]);
    assert_eq!(dataset.header().expect("header"), ["prompt", "completion", "note"]);
    let record = String::from_utf8(dataset.record_json(2).expect("record")).expect("text");
    assert_eq!(record, r#"{"prompt":"d","completion":"e","note":""}"#);
}

#[test]
fn a_quote_that_is_never_closed_is_named() {
    let scratch = file("rows.csv", "prompt,completion\na,b\n\"c,d\ne,f\n");
    let dataset = usable(&scratch);
    assert_eq!((dataset.len(), aside(&dataset)), (1, vec![(1, FindingKind::Truncated, None)]));
    assert!(dataset.quarantine()[0].reason.contains("never closed"));
}

#[test]
fn a_table_with_invalid_bytes_or_a_bad_header() {
    let dataset = usable(&file("rows.csv", b"prompt,completion\na,b\n\xff,c\n"));
    assert_eq!(aside(&dataset), [(1, FindingKind::InvalidUtf8, None)]);
    let (reason, _) = unusable(&file("rows.csv", "a,b\n1,2\n3,4\n"));
    assert!(reason.contains("`a`, `b`") && reason.contains("say which field"), "{reason}");
}

#[test]
fn many_keys_do_not_take_forever() {
    let keys: String = (0..200_000).map(|k| format!(",\"k{k}\":{k}")).collect();
    let dataset = usable(&file("rows.jsonl", format!("{{\"text\":\"a\"{keys}}}\n")));
    assert_eq!(dataset.len(), 1);
    let columns = "c,".repeat(200_000);
    let (reason, _) = unusable(&file("rows.csv", format!("text,{columns}\na,{columns}\n")));
    assert!(reason.contains("columns"), "{reason}");
}

#[test]
fn random_bytes_never_panic() {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let seeds: [&[u8]; 6] = [
        b"",
        b"{\"text\":\"hello\"}\n{\"text\":\"you\"}\n",
        b"[{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]}]",
        b"prompt,completion\na,\"b\nc\"\nd,e\n",
        b"{\n\"instruction\": \"a\",\n\"output\": \"b\",\"history\":[[\"a\",\"b\"]]}\n",
        b"text\tlabel\nhello\t1\n",
    ];
    let alphabet = b"{}[]\",:\\\n\r\t\0\xff\xfe\xef\xbb\xbf01aet;| u";
    for round in 0..600 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..random.random_range(0..12) {
            let byte = alphabet[random.random_range(0..alphabet.len())];
            let at = random.random_range(0..=bytes.len());
            match random.random_range(0..3) {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, byte),
            }
        }
        // `read` checks that every record is accounted for; a result of either kind is fine.
        let (dataset, result) = read(&file("any", &bytes));
        if let Err(error) = result {
            assert!(error.to_string().len() > 10, "{error}");
        } else {
            assert!(!dataset.expect("opened").is_empty());
        }
    }
    let noise: Vec<u8> = (0..100_000).map(|_| random.random_range(0..=255u8)).collect();
    assert!(unusable(&file("noise", noise)).0.contains("not text"));
}
