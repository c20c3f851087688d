//! The vectors on disk: what is there is true, whatever happened to the files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dipole::embedding::{Cache, CacheSize, EmbedSettings, Encoding, Texts};

use super::sentence::Model;
use super::{bits, corpus, run, texts};

const DIM: usize = 3;

fn key(number: u32) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

fn encoding(number: u32) -> Encoding {
    Encoding { vector: vec![number as f32, 0.5, -(number as f32)], truncated: number.is_multiple_of(3) }
}

fn append(cache: &mut Cache, numbers: std::ops::Range<u32>) {
    let of: Vec<([u8; 32], Encoding)> = numbers.map(|number| (key(number), encoding(number))).collect();
    cache.append(of.iter().map(|(key, encoding)| (*key, encoding))).expect("appends");
}

/// Which of `0..most` are there; each must be the very vector that was stored.
fn present(cache: &mut Cache, most: u32) -> Vec<u32> {
    let keys: Vec<[u8; 32]> = (0..most).map(key).collect();
    let found: HashMap<[u8; 32], Encoding> = cache.find(keys.iter());
    let there: Vec<u32> = (0..most).filter(|number| found.contains_key(&key(*number))).collect();
    for number in &there {
        assert_eq!(found[&key(*number)], encoding(*number));
    }
    assert_eq!(found.len(), there.len());
    there
}

fn open(root: &Path) -> Cache {
    Cache::open(root, "encoder", DIM).expect("opens")
}

/// The segments of a cache, in order of name.
fn segments(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("lists").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() { open.push(entry) } else { found.push(entry) }
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_stored_is_found_again_by_the_same_and_by_later_runs() {
    let root = tempfile::tempdir().expect("a folder");
    let mut cache = open(root.path());
    assert!(cache.is_empty());
    append(&mut cache, 0..5);
    append(&mut cache, 5..9);
    assert_eq!(present(&mut cache, 20), (0..9).collect::<Vec<_>>());
    let mut later = open(root.path());
    assert_eq!(later.len(), 9);
    assert_eq!(present(&mut later, 20), (0..9).collect::<Vec<_>>());
    // Stored anew, for instance by another process: still one vector.
    append(&mut later, 3..12);
    assert_eq!(present(&mut open(root.path()), 20), (0..12).collect::<Vec<_>>());
    assert_eq!(open(root.path()).len(), 12);
}

#[test]
fn several_writers_share_the_folder() {
    let root = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let root = root.path();
            scope.spawn(move || {
                let mut cache = open(root);
                for block in 0..10 {
                    let start = writer * 100 + block * 10;
                    append(&mut cache, start..start + 10);
                }
            });
        }
    });
    let mut cache = open(root.path());
    assert_eq!(present(&mut cache, 1000), (0..400).collect::<Vec<_>>());
    assert_eq!(segments(root.path()).len(), 4, "one file a writer");
}

#[test]
fn a_torn_tail_is_left_out_and_what_was_whole_before_is_found() {
    let root = tempfile::tempdir().expect("a folder");
    let mut cache = open(root.path());
    append(&mut cache, 0..4);
    let first = Cache::size(root.path()).expect("a size").bytes;
    append(&mut cache, 4..6);
    drop(cache);
    let [segment] = segments(root.path()).try_into().expect("one segment");
    let whole = std::fs::read(&segment).expect("reads");
    for end in 0..whole.len() {
        std::fs::write(&segment, &whole[..end]).expect("writes");
        let expected = if (end as u64) < first { 0..0 } else { 0..4 };
        assert_eq!(present(&mut open(root.path()), 20), expected.collect::<Vec<_>>(), "cut at {end}");
    }
    // A later writer does not touch the torn file.
    let mut cache = open(root.path());
    append(&mut cache, 4..8);
    assert_eq!(present(&mut open(root.path()), 20), (0..8).collect::<Vec<_>>());
}

#[test]
fn a_changed_byte_costs_at_most_the_vectors_it_is_in() {
    let root = tempfile::tempdir().expect("a folder");
    append(&mut open(root.path()), 0..4);
    let [segment] = segments(root.path()).try_into().expect("one segment");
    let whole = std::fs::read(&segment).expect("reads");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&segment, &bytes).expect("writes");
        let there = present(&mut open(root.path()), 20);
        assert!(there.len() < 4, "byte {at} is covered by no checksum");
    }
}

#[test]
fn another_encoder_or_dimension_sees_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    append(&mut open(root.path()), 0..4);
    assert!(Cache::open(root.path(), "another", DIM).expect("opens").is_empty());
    assert!(Cache::open(root.path(), "encoder", DIM + 1).expect("opens").is_empty());
    // A name that would lead out of the folder does not.
    let outside = Cache::open(root.path(), "../../outside", DIM).expect("opens");
    assert!(outside.is_empty());
    assert!(!root.path().join("../outside").exists());
    // A vector of the wrong length is not stored.
    let mut cache = open(root.path());
    let wrong = Encoding { vector: vec![1.0; DIM + 1], truncated: false };
    cache.append([(key(50), &wrong)].into_iter()).expect("appends");
    assert_eq!(present(&mut open(root.path()), 100), (0..4).collect::<Vec<_>>());
}

#[test]
fn size_is_shown_and_clearing_touches_nothing_else() {
    let root = tempfile::tempdir().expect("a folder");
    assert_eq!(Cache::size(&root.path().join("absent")).expect("a size"), CacheSize::default());
    let mut cache = open(root.path());
    append(&mut cache, 0..100);
    append(&mut Cache::open(root.path(), "another", 7).expect("opens"), 0..1);
    let bytes: u64 = segments(root.path()).iter().map(|path| path.metadata().expect("a file").len()).sum();
    let size = Cache::size(root.path()).expect("a size");
    assert_eq!(size.bytes, bytes);
    let segment = segments(root.path()).remove(0);
    let foreign = segment.with_file_name("notes.txt");
    std::fs::write(&foreign, "mine").expect("writes");
    std::fs::write(root.path().join("project.json"), "{}").expect("writes");
    assert_eq!(Cache::clear(root.path()).expect("clears"), size);
    assert_eq!(Cache::size(root.path()).expect("a size"), CacheSize::default());
    assert!(foreign.exists() && root.path().join("project.json").exists());
    // Who had it open finds nothing, and does not fail.
    assert!(present(&mut cache, 100).is_empty());
    assert!(open(root.path()).is_empty());
}

#[test]
fn embedding_computes_each_text_once_and_then_never_again() {
    let model = Model::copy("bert");
    let root = tempfile::tempdir().expect("a folder");
    let settings = EmbedSettings { cache_dir: Some(root.path().to_owned()), ..model.settings() };
    let mut rows = corpus(400, 30);
    rows.sort();
    rows.dedup();
    let distinct = rows.len() as u64;
    rows.push(rows[0].clone());
    rows.push(" \n".to_owned());
    rows.push("dog ".repeat(100));
    let first = run(&[&rows], &settings);
    assert_eq!((first.computed, first.cached), (distinct + 1, 0));
    let second = run(&[&rows], &settings);
    assert_eq!((second.computed, second.cached), (0, distinct + 2));
    assert_eq!(bits(&first.sets[0]), bits(&second.sets[0]));
    assert_eq!((&first.truncated, &first.fingerprint), (&second.truncated, &second.fingerprint));
    assert_eq!(first.sets[0].row(0), first.sets[0].row(rows.len() - 3));
    assert!(first.sets[0].row(rows.len() - 2).iter().all(|x| *x == 0.0), "an empty text has no direction");
    let without = run(&[&rows], &model.settings());
    assert_eq!(bits(&first.sets[0]), bits(&without.sets[0]));
    // Another network has vectors of its own.
    let other = Model::copy("bert");
    other.pool("cls");
    let other = run(&[&rows], &EmbedSettings { cache_dir: settings.cache_dir.clone(), ..other.settings() });
    assert_eq!(other.cached, 0);
}

#[test]
fn a_cache_that_cannot_be_used_is_done_without() {
    let model = Model::copy("bert");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a file, no folder");
    std::fs::write(&file, "").expect("writes");
    let rows = texts(&["a fox"]);
    let settings = EmbedSettings { cache_dir: Some(file), ..model.settings() };
    let embedded = run(&[&rows as &dyn Texts], &settings);
    assert_eq!((embedded.computed, embedded.cached), (1, 0));
}
