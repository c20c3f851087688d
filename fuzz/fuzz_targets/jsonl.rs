//! JSON lines: behind a good row, and alone.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    dipole_fuzz::check(data);
    dipole_fuzz::check(&[b"{\"instruction\":\"a\",\"output\":\"b\"}\n", data].concat());
});
