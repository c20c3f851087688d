//! Parquet: edits of a good file.
#![no_main]

use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

fn good() -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let text = StringArray::from(vec![Some("one"), None, Some("three"), Some("one")]);
        let number = Int64Array::from(vec![Some(1), Some(2), None, Some(1 << 60)]);
        let columns = [("text", Arc::new(text) as ArrayRef), ("number", Arc::new(number) as ArrayRef)];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("memory");
        writer.close().expect("memory");
        bytes
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| dipole_fuzz::check(&dipole_fuzz::edited(good(), data)));
