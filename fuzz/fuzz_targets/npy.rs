//! NumPy matrices as vectors of a set.
#![no_main]

use dipole::embedding::{EmbedSettings, EncoderChoice, Texts, embed};
use dipole::jobs::Silent;

fn check(content: &[u8]) {
    let path = dipole_fuzz::file("vectors.npy", content);
    let rows = vec!["one".to_owned(), "two".to_owned()];
    let settings = EmbedSettings {
        encoder: EncoderChoice::Precomputed(vec![path]),
        views: None,
        cache_dir: None,
        threads: 1,
        seed: 0,
    };
    match embed(&[&rows as &dyn Texts], &settings, &Silent) {
        Ok(embedded) => assert!(embedded.sets.iter().all(|set| set.rows() == 2)),
        Err(error) => assert!(error.to_string().contains("vectors.npy"), "{error}"),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    // A header of the right length, then numbers.
    let Some((cut, rest)) = data.split_first() else { return };
    let (header, numbers) = rest.split_at(usize::from(*cut).min(rest.len()));
    let length = (header.len() as u16).to_le_bytes();
    check(&[b"\x93NUMPY\x01\x00", length.as_slice(), header, numbers].concat());
    check(&dipole_fuzz::edited(GOOD, data));
});

const GOOD: &[u8] =
    b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }           \n\
    \0\0\x80\x3f\0\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\0\0\0\0\0";
