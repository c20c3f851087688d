//! Gzip and zstd: any bytes packed well, and edits of a packed file.
#![no_main]

use std::io::Write;
use std::sync::OnceLock;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(content, 1).expect("memory")
}

fn good() -> &'static [Vec<u8>; 2] {
    static GOOD: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    GOOD.get_or_init(|| {
        let rows: String = (0..20).map(|row| format!("{{\"text\":\"row {row}\"}}\n")).collect();
        [gzip(rows.as_bytes()), zstd(rows.as_bytes())]
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let [gz, zst] = good();
    let content = match kind % 6 {
        0 => gzip(rest),
        1 => zstd(rest),
        2 => [gz.as_slice(), rest].concat(),
        3 => [zst.as_slice(), rest].concat(),
        4 => dipole_fuzz::edited(gz, rest),
        _ => dipole_fuzz::edited(zst, rest),
    };
    dipole_fuzz::check(&content);
});
