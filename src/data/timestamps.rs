//! Timestamps with a named time zone, for the JSON of Parquet rows.
//!
//! Purpose: the Arrow JSON writer knows offsets such as `+00:00` only, and tools write `UTC` or `Europe/Berlin`. The
//! instant is what is stored, so it is shown in UTC; the Parquet column itself keeps its type on export.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_datetime;
use arrow_array::timezone::Tz;
use arrow_array::types::{
    ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, PrimitiveArray};
use arrow_json::writer::NullableEncoder;
use arrow_json::{Encoder, EncoderFactory, EncoderOptions};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};

/// Writes the columns whose zone is a name as UTC; leaves the rest to the writer.
#[derive(Debug)]
pub(super) struct NamedZones;

impl EncoderFactory for NamedZones {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let DataType::Timestamp(unit, Some(zone)) = array.data_type() else { return Ok(None) };
        if zone.parse::<Tz>().is_ok() {
            return Ok(None);
        }
        let encoder: Box<dyn Encoder + 'a> = match unit {
            TimeUnit::Second => Box::new(Utc(array.as_primitive::<TimestampSecondType>())),
            TimeUnit::Millisecond => Box::new(Utc(array.as_primitive::<TimestampMillisecondType>())),
            TimeUnit::Microsecond => Box::new(Utc(array.as_primitive::<TimestampMicrosecondType>())),
            TimeUnit::Nanosecond => Box::new(Utc(array.as_primitive::<TimestampNanosecondType>())),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Utc<'a, T: ArrowTimestampType>(&'a PrimitiveArray<T>);

impl<T: ArrowTimestampType> Encoder for Utc<'_, T> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        let value = self.0.values().get(idx).copied().unwrap_or_default();
        // Writing to memory does not fail. An instant beyond the calendar is shown as its number.
        let _ = match as_datetime::<T>(value) {
            Some(time) => write!(out, "\"{}\"", time.format("%Y-%m-%dT%H:%M:%S%.fZ")),
            None => write!(out, "{value:?}"),
        };
    }
}
