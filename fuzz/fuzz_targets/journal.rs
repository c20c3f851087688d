//! The decision journal: torn, edited and foreign lines.
#![no_main]

use std::sync::OnceLock;

use dipole::data::RowId;
use dipole::project::Journal;
use dipole::selection::Verdict;

fn good() -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let path = dipole_fuzz::path("good");
        let mut journal = Journal::open(&path).expect("opens");
        for row in 0..4 {
            let verdict = if row % 2 == 0 { Verdict::Keep } else { Verdict::Drop };
            journal.decide(&[(row, RowId(format!("{row:016x}")))], Some(verdict), None).expect("writes");
        }
        journal.undo().expect("writes");
        drop(journal);
        std::fs::read(path).expect("reads")
    })
}

fn check(content: &[u8]) {
    let path = dipole_fuzz::file("journal", content);
    match Journal::read(&path) {
        Ok(decisions) => assert!(decisions.0.len() <= content.len()),
        Err(error) => assert!(error.to_string().contains("journal"), "{error}"),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    check(&[good(), data].concat());
    check(&dipole_fuzz::edited(good(), data));
});
