//! Lists of decisions: JSON lines, CSV, and whatever else stands in the file.
#![no_main]

use dipole::selection::Decisions;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for content in [
        data.to_vec(),
        [b"row,decision,id,note\n", data].concat(),
        [b"{\"row\":1,\"decision\":\"keep\"}\n", data].concat(),
    ] {
        let path = dipole_fuzz::file("decisions", &content);
        if let Err(error) = Decisions::read(&path) {
            assert!(error.to_string().contains("decisions"), "{error}");
        }
    }
});
