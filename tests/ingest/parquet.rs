//! Parquet read, and written back with equal columns and types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, StringDictionaryBuilder, StructBuilder};
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, PrimitiveArray, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Fields, Schema as ArrowSchema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;
use dipole::data::{Container, Dataset, FindingKind, OpenOptions, Schema, WeightedRow, write_rows};
use dipole::jobs::Silent;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use super::{Scratch, file, open};

pub fn bytes(batch: &RecordBatch, properties: Option<WriterProperties>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), properties).expect("a writer");
    writer.write(batch).expect("memory");
    writer.close().expect("memory");
    bytes
}

/// Rows of `prompt` and `completion`.
pub fn prompts(rows: &[(&str, &str)]) -> Vec<u8> {
    let column = |pick: fn(&(&str, &str)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(pick)))
    };
    let batch = RecordBatch::try_from_iter([
        ("prompt", column(|row| row.0.to_owned())),
        ("completion", column(|row| row.1.to_owned())),
    ]);
    bytes(&batch.expect("a batch"), None)
}

fn read_back(path: &std::path::Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).expect("opens")).expect("Parquet");
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().expect("reads").map(|batch| batch.expect("a batch")).collect();
    concat_batches(&schema, &batches).expect("one batch")
}

/// The message lists of `rows` conversations: (role, content) with some contents null.
fn conversations(rows: usize) -> ArrayRef {
    let fields =
        Fields::from(vec![Field::new("role", DataType::Utf8, true), Field::new("content", DataType::Utf8, true)]);
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for row in 0..rows {
        for (role, content) in [
            ("user", Some(format!("question {row}"))),
            ("assistant", (row % 3 != 0).then(|| format!("answer \"{row}\"\n"))),
        ] {
            let turn = list.values();
            turn.field_builder::<StringBuilder>(0).expect("role").append_value(role);
            turn.field_builder::<StringBuilder>(1).expect("content").append_option(content);
            turn.append(true);
        }
        list.append(true);
    }
    Arc::new(list.finish())
}

/// A batch with every sort of column that training data have.
fn rich(rows: usize) -> RecordBatch {
    let at = |row: usize| 1_700_000_000_000_000 + row as i64;
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    (0..rows).for_each(|row| dictionary.append_option((row % 4 != 0).then(|| ["red", "green"][row % 2])));
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("score", DataType::Float64, true)),
            Arc::new(Float64Array::from_iter((0..rows).map(|row| (row % 2 == 0).then_some(row as f64 / 8.0))))
                as ArrayRef,
        ),
        (
            Arc::new(Field::new("deep", DataType::Utf8, true)),
            Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 5 != 0).then(|| format!("é{row}")))))
                as ArrayRef,
        ),
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| (1 << 53) + 1 + row as i64)))),
        ("messages", conversations(rows)),
        ("kind", Arc::new(dictionary.finish())),
        ("meta", Arc::new(inner)),
        ("weight", Arc::new(Int32Array::from_iter((0..rows).map(|row| (row % 2 == 0).then_some(row as i32))))),
        ("plain", Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from_iter_values((0..rows).map(at)))),
        (
            "utc",
            Arc::new(
                TimestampNanosecondArray::from_iter_values((0..rows).map(|row| at(row) * 1_000)).with_timezone("UTC"),
            ),
        ),
        (
            "zone",
            Arc::new(
                TimestampMillisecondArray::from_iter((0..rows).map(|row| (row % 2 == 0).then(|| at(row) / 1_000)))
                    .with_timezone("Europe/Berlin"),
            ),
        ),
        (
            "price",
            Arc::new(
                Decimal128Array::from_iter_values((0..rows).map(|row| 12_345 + row as i128))
                    .with_precision_and_scale(20, 3)
                    .expect("fits"),
            ),
        ),
        ("raw", Arc::new(BinaryArray::from_iter_values((0..rows).map(|row| [0xff, row as u8])))),
        ("flag", Arc::new(BooleanArray::from_iter((0..rows).map(|row| Some(row % 2 == 0))))),
        ("large", Arc::new(LargeStringArray::from_iter_values((0..rows).map(|row| "z".repeat(row % 7))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let note = HashMap::from([("note".to_owned(), field.name().clone())]);
            field.as_ref().clone().with_metadata(note)
        })
        .collect();
    let metadata =
        HashMap::from([("source".to_owned(), "a test".to_owned()), ("huggingface".to_owned(), "{}".to_owned())]);
    let schema = Arc::new(ArrowSchema::new_with_metadata(fields, metadata));
    RecordBatch::try_new(schema, batch.columns().to_vec()).expect("the same columns")
}

#[test]
fn every_column_survives_with_its_type() {
    let batch = rich(1_000);
    // Many small row groups, so that chosen rows lie in different ones.
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(300)).build();
    let scratch = file("rows.parquet", bytes(&batch, Some(properties)));
    let dataset = open(&scratch);
    assert_eq!((dataset.mapping().schema, dataset.len()), (Schema::Messages, 1_000));

    let chosen: Vec<u32> = (0..1_000).filter(|row| row % 7 == 3 || (500..510).contains(row)).collect();
    let rows: Vec<WeightedRow> =
        chosen.iter().map(|row| WeightedRow { index: *row as usize, weight: f64::from(*row) / 3.0 }).collect();
    let out = scratch.folder.path().join("out.parquet");
    write_rows(&dataset, &rows, Container::Parquet, &out, &Silent).expect("writes");
    let back = read_back(&out);

    let places = UInt32Array::from(chosen.clone());
    let input = read_back(&scratch.path);
    for (field, column) in input.schema().fields().iter().zip(input.columns()) {
        let name = if field.name() == "weight" { "weight_original" } else { field.name() };
        let schema = back.schema();
        let (place, found) = schema.column_with_name(name).expect(name);
        assert_eq!(input.schema().index_of(field.name()).ok(), Some(place), "the order of the columns is kept");
        assert_eq!((found.data_type(), found.is_nullable()), (field.data_type(), field.is_nullable()), "{name}");
        assert_eq!(found.metadata().get("note"), Some(field.name()), "{name}");
        let expected = take(column, &places, None).expect("rows");
        assert_eq!(back.column(place).to_data(), expected.to_data(), "{name}");
    }
    let weight = back.column(back.num_columns() - 1);
    assert_eq!(back.schema().field(back.num_columns() - 1), &Field::new("weight", DataType::Float64, false));
    let expected = Float64Array::from_iter_values(rows.iter().map(|row| row.weight));
    assert_eq!(weight.as_any().downcast_ref::<Float64Array>(), Some(&expected));
    assert_eq!(back.schema().metadata().get("source").map(String::as_str), Some("a test"));
    assert_eq!(back.schema().metadata().get("huggingface"), None);

    // What was written is a data set again.
    let again = open(&Scratch { path: out, folder: scratch.folder });
    assert_eq!(again.content_hash(0), dataset.content_hash(chosen[0] as usize));
}

#[test]
fn a_row_shows_every_value() {
    let dataset = open(&file("rows.parquet", bytes(&rich(4), None)));
    let record: Value = serde_json::from_slice(&dataset.record_json(1).expect("record")).expect("JSON");
    assert_eq!(
        record,
        json!({
            "id": 9_007_199_254_740_994_u64,
            "messages": [
                { "role": "user", "content": "question 1" },
                { "role": "assistant", "content": "answer \"1\"\n" },
            ],
            "kind": "green",
            "meta": { "score": null, "deep": "é1" },
            "weight": null,
            "plain": "2023-11-14T22:13:20.000001",
            "utc": "2023-11-14T22:13:20.000001Z",
            "zone": null,
            "price": 12.346,
            "raw": "ff01",
            "flag": false,
            "large": "z",
        })
    );
    let text = String::from_utf8(dataset.record_json(1).expect("record")).expect("text");
    assert!(text.starts_with("{\"id\":9007199254740994,\"messages\":"), "{text}");
    let record: Value = serde_json::from_slice(&dataset.record_json(2).expect("record")).expect("JSON");
    assert_eq!(record["zone"], json!("2023-11-14T22:13:20Z"));
    assert_eq!(dataset.row(0).expect("row").text(), "question 0");
}

#[test]
fn parquet_rows_can_be_written_as_json_lines() {
    let scratch = file("rows.parquet", bytes(&rich(3), None));
    let dataset = open(&scratch);
    let out = scratch.folder.path().join("out.jsonl");
    write_rows(&dataset, &[WeightedRow { index: 2, weight: 0.25 }], Container::Jsonl, &out, &Silent).expect("writes");
    let text = std::fs::read_to_string(out).expect("reads");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&value["weight"], &value["weight_original"]), (&json!(0.25), &json!(2)));
    assert!(text.contains("\"id\":9007199254740995,"), "{text}");
}

#[test]
fn a_table_without_known_columns_says_which_it_has() {
    let batch = RecordBatch::try_from_iter([
        ("alpha", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("beta", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
    ]);
    let scratch = file("rows.parquet", bytes(&batch.expect("a batch"), None));
    let error = Dataset::open(&scratch.path, &OpenOptions::default(), &Silent).expect_err("no text").to_string();
    assert!(error.contains("`alpha`, `beta`"), "{error}");
    let none = RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(Vec::<&str>::new())) as ArrayRef)]);
    let scratch = file("rows.parquet", bytes(&none.expect("a batch"), None));
    let error = Dataset::open(&scratch.path, &OpenOptions::default(), &Silent).expect_err("no rows").to_string();
    assert!(error.contains("no records"), "{error}");
}

#[test]
fn a_file_with_lying_or_missing_parts_is_explained() {
    let good = bytes(&rich(50), None);
    let open = |content: &[u8]| {
        let scratch = file("rows.parquet", content);
        Dataset::open(&scratch.path, &OpenOptions::default(), &Silent).map(|dataset| (dataset, scratch))
    };
    let reason = |content: &[u8]| open(content).err().expect("unusable").to_string();
    assert!(reason(b"PAR1").contains("only 4 bytes"));
    assert!(reason(good.get(..good.len() / 2).expect("half")).contains("its end is missing"));
    let with_tail = |change: &dyn Fn(&mut [u8])| {
        let mut content = good.clone();
        let tail = content.len() - 8;
        change(&mut content[tail..]);
        content
    };
    let huge = with_tail(&|tail| tail[..4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes()));
    assert!(reason(&huge).contains("its footer claims 2147483647 bytes"), "{}", reason(&huge));
    let short = with_tail(&|tail| tail[..4].copy_from_slice(&9_u32.to_le_bytes()));
    assert!(reason(&short).contains("no readable Parquet file"), "{}", reason(&short));
    assert!(reason(&with_tail(&|tail| tail[4..].copy_from_slice(b"PARE"))).contains("encrypted"));

    // Every byte of a small file damaged in turn: an answer of some kind, and no record lost.
    let small = prompts(&[("Say hello", "Hello!"), ("b", "c"), ("d", "e")]);
    let (mut told, mut read) = (0, 0);
    for at in 4..small.len() {
        for flip in [0xff, 0x01] {
            let mut damaged = small.clone();
            damaged[at] ^= flip;
            match open(&damaged) {
                Ok((dataset, _scratch)) => {
                    let stats = dataset.stats();
                    assert_eq!(stats.records, stats.rows + stats.quarantined);
                    read += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("rows.parquet"), "{error}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 50 && read > 50, "{told} {read}");
}

#[test]
fn damage_behind_the_first_row_group_keeps_the_rows_before() {
    let rows: Vec<(String, String)> =
        (0..2_000).map(|row| (format!("prompt {row}"), format!("{row:x}").repeat(9))).collect();
    let pairs: Vec<(&str, &str)> = rows.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let batch = RecordBatch::try_from_iter([
        ("prompt", Arc::new(StringArray::from_iter_values(pairs.iter().map(|row| row.0))) as ArrayRef),
        ("completion", Arc::new(StringArray::from_iter_values(pairs.iter().map(|row| row.1))) as ArrayRef),
    ]);
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(500)).build();
    let mut content = bytes(&batch.expect("a batch"), Some(properties));
    // The third of four groups lies behind the middle of the file; its page headers are overwritten.
    let middle = content.len() * 9 / 16;
    content[middle..middle + 4_000].fill(0xff);
    let dataset = open(&file("rows.parquet", content));
    let stats = dataset.stats();
    assert!((500..2_000).contains(&(stats.rows as usize)), "{stats:?}");
    assert_eq!(dataset.findings()[0].kind, FindingKind::DecompressionFailed);
    assert!(dataset.findings()[0].message.contains("cannot be read past row"), "{}", dataset.findings()[0].message);
}

#[test]
fn a_file_that_is_replaced_is_not_exported() {
    let scratch = file("rows.parquet", prompts(&[("a", "b"), ("c", "d")]));
    let dataset = open(&scratch);
    std::fs::write(&scratch.path, prompts(&[("x", "y"), ("z", "w")])).expect("writes");
    let out = scratch.folder.path().join("out.parquet");
    let rows = super::all_rows(&dataset);
    let result = write_rows(&dataset, &rows, Container::Parquet, &out, &Silent);
    assert!(matches!(result, Err(dipole::data::DataError::Changed { .. })), "{result:?}");
}
