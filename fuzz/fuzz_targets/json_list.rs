//! Items of a JSON list, and objects over several lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    dipole_fuzz::check(&[b"[{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]},", data].concat());
    dipole_fuzz::check(&[b"{\n\"text\":\"a\"\n}\n", data].concat());
});
