//! Parquet with a weight column at the end; the other columns keep their types.

use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression as Codec, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use super::{Output, WEIGHT, WeightedRow, renamed, tick};
use crate::data::{Compression, DataError, Dataset, columnar, unpack};
use crate::jobs::Progress;

const BATCH_ROWS: usize = 1024;

pub(super) fn write(
    dataset: &Dataset,
    rows: &[WeightedRow],
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    let input = dataset.path();
    let damaged = |reason: String| DataError::Unusable { path: input.to_owned(), reason };
    let failed = |reason: String| DataError::Io { path: path.to_owned(), source: std::io::Error::other(reason) };
    let builder = columnar::open(input, unpacked(dataset)?, BATCH_ROWS)?;
    let schema = weighted_schema(builder.schema());
    let batches = columnar::guarded(|| builder.build()).map_err(damaged)?;
    let properties = WriterProperties::builder().set_compression(Codec::ZSTD(ZstdLevel::default())).build();
    let mut output = Output::create(path)?;
    let mut writer = ArrowWriter::try_new(&mut output.file, schema.clone(), Some(properties))
        .map_err(|error| failed(error.to_string()))?;

    let mut wanted = rows.iter().peekable();
    let (mut first, mut done) = (0_u64, 0);
    for batch in batches {
        tick(progress, 0, rows.len())?;
        let batch = columnar::guarded(|| batch).map_err(damaged)?;
        let end = first + batch.num_rows() as u64;
        let mut chosen = vec![false; batch.num_rows()];
        let mut weights = Vec::new();
        while let Some(row) = wanted.peek() {
            let number = dataset.number(row.index).unwrap_or(u64::MAX);
            if number >= end {
                break;
            }
            let place = number.checked_sub(first).and_then(|place| chosen.get_mut(usize::try_from(place).ok()?));
            *place.ok_or_else(|| damaged("rows to write are not in ascending order".to_owned()))? = true;
            weights.push(row.weight);
            wanted.next();
            done += 1;
        }
        first = end;
        if weights.is_empty() {
            continue;
        }
        let batch = columnar::guarded(|| weighted(&batch, chosen, weights, &schema)).map_err(damaged)?;
        columnar::guarded(|| writer.write(&batch)).map_err(failed)?;
        progress.tick(super::STAGE, done as u64, Some(rows.len() as u64));
    }
    if wanted.peek().is_some() {
        return Err(DataError::Changed { path: input.to_owned() });
    }
    dataset.reopened()?;
    columnar::guarded(|| writer.close()).map_err(failed)?;
    output.finish()
}

/// The Parquet bytes as a file of their own.
fn unpacked(dataset: &Dataset) -> Result<std::fs::File, DataError> {
    let path = dataset.path();
    let file = dataset.reopened()?;
    if dataset.format().compression == Compression::None {
        return Ok(file);
    }
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let mut stream = unpack::decompress(Box::new(file), dataset.format().compression).map_err(failed)?;
    let mut whole = tempfile::tempfile().map_err(failed)?;
    std::io::copy(&mut stream, &mut whole).map_err(failed)?;
    Ok(whole)
}

fn weighted_schema(schema: &Schema) -> SchemaRef {
    let new_name = renamed(schema.fields().iter().map(|field| field.name().as_str()));
    let mut fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let field = field.as_ref().clone();
            if field.name() == WEIGHT { field.with_name(&new_name) } else { field }
        })
        .collect();
    fields.push(Field::new(WEIGHT, DataType::Float64, false));
    let mut metadata = schema.metadata().clone();
    // It lists the columns one by one, and readers that trust it refuse a file with one more.
    metadata.remove("huggingface");
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn weighted(
    batch: &RecordBatch,
    chosen: Vec<bool>,
    weights: Vec<f64>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let kept = filter_record_batch(batch, &BooleanArray::from(chosen))?;
    let weights: ArrayRef = Arc::new(Float64Array::from(weights));
    RecordBatch::try_new(schema.clone(), kept.columns().iter().cloned().chain([weights]).collect())
}
