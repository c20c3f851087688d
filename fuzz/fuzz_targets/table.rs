//! CSV and TSV: cells, and whole files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    dipole_fuzz::check(&[b"prompt,completion,weight\na,b,1\n", data].concat());
    dipole_fuzz::check(&[b"conversations\ttext\n", data].concat());
});
