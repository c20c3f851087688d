//! Adds the weight to a record's own text.
//!
//! Constraint: the text is edited, not parsed and printed, so unknown keys, key order, escapes and the spelling of numbers
//! survive byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{WEIGHT, renamed};

/// The record's text on one line with a root-level `weight` at its end; present `weight` keys are renamed.
///
/// # Errors
/// The record is no JSON object; the text says where.
pub(super) fn add_weight(record: &[u8], weight: f64) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(record).map_err(|error| format!("is not UTF-8: {error}"))?.trim();
    let keys = root_keys(text).map_err(|error| format!("is no JSON object: {error}"))?;
    let names = || keys.iter().map(|(name, _)| name.as_ref());
    let end = text.rfind('}').ok_or("is no JSON object")?;
    let new_name = renamed(names());
    let mut line = Vec::with_capacity(text.len() + 48);
    let mut copied = 0;
    for (name, place) in &keys {
        if name == WEIGHT {
            push(&mut line, text.get(copied..place.start));
            line.extend_from_slice(format!("\"{new_name}\"").as_bytes());
            copied = place.end;
        }
    }
    push(&mut line, text.get(copied..end).map(str::trim_end));
    if !keys.is_empty() {
        // The separator that the record itself uses.
        let spaced = text.get(1..).is_some_and(|rest| rest.contains(", \"")) || !text.contains(",\"");
        line.extend_from_slice(if spaced { b", " } else { b"," });
    }
    let colon = if text.contains("\": ") || !text.contains("\":") { ": " } else { ":" };
    line.extend_from_slice(format!("\"{WEIGHT}\"{colon}{}}}", number(weight)).as_bytes());
    // Inside strings JSON allows no line break, so those outside are mere layout.
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    Ok(line)
}

/// The shortest text that reads back as the same float, always with a decimal point or an exponent.
pub(super) fn number(weight: f64) -> String {
    format!("{weight:?}")
}

fn push(line: &mut Vec<u8>, text: Option<&str>) {
    line.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// Name and place (quotes included) of every root key, in order.
type RootKeys<'a> = Vec<(Cow<'a, str>, Range<usize>)>;

fn root_keys(text: &str) -> Result<RootKeys<'_>, serde_json::Error> {
    struct Keys<'a>(&'a str);
    impl<'de> Visitor<'de> for Keys<'de> {
        type Value = RootKeys<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some(key) = map.next_key::<&'de RawValue>()? {
                let start = key.get().as_ptr().addr().saturating_sub(self.0.as_ptr().addr());
                // A key with a lone surrogate cannot be decoded and is not `weight`.
                let name = serde_json::from_str::<Cow<'de, str>>(key.get()).unwrap_or_default();
                keys.push((name, start..start + key.get().len()));
                map.next_value::<serde::de::IgnoredAny>()?;
            }
            Ok(keys)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let keys = reader.deserialize_map(Keys(text))?;
    reader.end()?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(record: &str, weight: f64) -> String {
        String::from_utf8(add_weight(record.as_bytes(), weight).expect("an object")).expect("UTF-8")
    }

    #[test]
    fn only_the_weight_is_new() {
        assert_eq!(
            added(r#"{"b": 1.0, "a": [1e5, {"weight": 2}]}"#, 0.5),
            r#"{"b": 1.0, "a": [1e5, {"weight": 2}], "weight": 0.5}"#
        );
        assert_eq!(added(r#"{"b":1.50,"a":"}\u00e9,\"x"}"#, 1.0), r#"{"b":1.50,"a":"}\u00e9,\"x","weight":1.0}"#);
        assert_eq!(added("{}", 1e-9), r#"{"weight": 1e-9}"#);
        assert_eq!(added("{\r\n  \"a\": 1\r\n}", 2.0), "{    \"a\": 1, \"weight\": 2.0}");
    }

    #[test]
    fn an_old_weight_keeps_its_value_under_another_name() {
        assert_eq!(added(r#"{"weight": "3kg", "a": 1}"#, 0.5), r#"{"weight_original": "3kg", "a": 1, "weight": 0.5}"#);
        assert_eq!(
            added(r#"{"\u0077eight": 3, "weight_original": 1}"#, 0.5),
            r#"{"weight_original_2": 3, "weight_original": 1, "weight": 0.5}"#
        );
    }

    #[test]
    fn what_is_no_object_is_told() {
        for record in ["[1]", "3", "{\"a\": 1} x", "", "{\"a\""] {
            assert!(add_weight(record.as_bytes(), 1.0).is_err(), "{record}");
        }
    }

    #[test]
    fn weights_read_back_as_the_same_float() {
        for weight in [0.0, 1.0, 0.1, 1e-300, 123_456_789.123, f64::MIN_POSITIVE, 1e22] {
            let text = number(weight);
            assert_eq!(text.parse::<f64>(), Ok(weight));
            assert!(text.contains(['.', 'e']), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON").is_f64(), "{text}");
        }
    }
}
