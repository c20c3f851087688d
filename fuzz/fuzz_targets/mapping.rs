//! Mappings given by the user: names of roles, overrides, saved mappings, and reading with them.
#![no_main]

use dipole::data::{FieldRole, Mapping, OpenOptions, Schema};

const ROWS: &[u8] =
    b"{\"a\":\"x\",\"b\":\"y\",\"c\":[{\"role\":\"user\",\"content\":\"z\"}],\"d\":null}\n{\"a\":1,\"b\":\"\"}\n";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(mapping) = serde_json::from_slice::<Mapping>(data)
        && mapping.validate().is_ok()
    {
        dipole_fuzz::check_with(ROWS, &OpenOptions { mapping: Some(mapping), ..OpenOptions::default() });
    }
    let Some((start, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let overrides: Vec<(String, FieldRole)> = text
        .split(',')
        .filter_map(|part| {
            let (field, role) = part.split_once('=')?;
            // A short name for each role, so that the fuzzer finds them soon.
            let role = role.parse().ok().or_else(|| {
                let place = usize::from(*role.as_bytes().first()?);
                FieldRole::ALL.get(place % (FieldRole::ALL.len() + 1)).copied()
            })?;
            Some((field.to_owned(), role))
        })
        .collect();
    let schema = Schema::ALL[usize::from(*start) % Schema::ALL.len()];
    let base = Mapping { schema, fields: Default::default() };
    if let Ok(mapping) = base.with_overrides(&overrides) {
        mapping.validate().expect("an accepted mapping is valid");
        dipole_fuzz::check_with(ROWS, &OpenOptions { mapping: Some(mapping), ..OpenOptions::default() });
    }
});
