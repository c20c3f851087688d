//! Vectors made elsewhere: the formats, and what is said of files that do not fit.

use std::path::PathBuf;

use dipole::embedding::{Embedded, EncoderChoice, Texts};
use half::f16;
use safetensors::tensor::TensorView;

use super::{refused, run, settings, texts};

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("writes");
        path
    }
}

/// An .npy file as NumPy writes it, version 1.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn f4(of: &[f32]) -> Vec<u8> {
    of.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Three rows of two numbers, and the same at unit length.
const ROWS: [f32; 6] = [3.0, 4.0, 0.0, -2.0, 0.0, 0.0];
const UNIT: [f32; 6] = [0.6, 0.8, 0.0, -1.0, 0.0, 0.0];

fn three() -> Vec<String> {
    texts(&["a", "b", "c"])
}

fn embedded(files: &[PathBuf], sets: &[&dyn Texts]) -> Embedded {
    run(sets, &settings(EncoderChoice::Precomputed(files.to_vec())))
}

fn message(files: &[PathBuf], sets: &[&dyn Texts]) -> String {
    refused(sets, &settings(EncoderChoice::Precomputed(files.to_vec())))
}

#[test]
fn npy_is_read_in_three_widths_and_both_orders() {
    let files = Files::new();
    let by_column = [3.0, 0.0, 0.0, 4.0, -2.0, 0.0f32];
    let wide: Vec<u8> = ROWS.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect();
    let narrow: Vec<u8> = ROWS.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
    let cases = [
        npy("<f4", false, "(3, 2)", &f4(&ROWS)),
        npy("<f8", false, "(3, 2)", &wide),
        npy("<f2", false, "(3, 2)", &narrow),
        npy("<f4", true, "(3, 2)", &f4(&by_column)),
    ];
    for (i, bytes) in cases.iter().enumerate() {
        let file = files.write(&format!("{i}.npy"), bytes);
        let embedded = embedded(&[file], &[&three()]);
        assert_eq!(embedded.sets[0].data(), UNIT, "case {i}");
        assert_eq!((embedded.computed, embedded.cached), (0, 0));
        assert_eq!(embedded.fingerprint.encoder, "precomputed");
    }
    // Version 2 has a longer length field.
    let mut second = npy("<f4", false, "(3, 2)", &f4(&ROWS));
    second[6] = 2;
    second.splice(10..10, [0, 0]);
    let file = files.write("second.npy", second);
    assert_eq!(embedded(&[file], &[&three()]).sets[0].data(), UNIT);
}

#[test]
fn one_file_a_set_or_all_in_one() {
    let files = Files::new();
    let (two, one) = (texts(&["a", "b"]), texts(&["c"]));
    let all = files.write("all.npy", npy("<f4", false, "(3, 2)", &f4(&ROWS)));
    let first = files.write("first.npy", npy("<f4", false, "(2, 2)", &f4(&ROWS[..4])));
    let second = files.write("second.npy", npy("<f4", false, "(1, 2)", &f4(&ROWS[4..])));
    let stacked = embedded(std::slice::from_ref(&all), &[&two, &one]);
    let apart = embedded(&[first, second], &[&two, &one]);
    assert_eq!(stacked.sets, apart.sets);
    assert_eq!(stacked.sets[1].data(), [0.0, 0.0], "a zero vector stays zero");
    assert_ne!(stacked.fingerprint.hash, apart.fingerprint.hash);
    let other = files.write("other.npy", npy("<f4", false, "(3, 2)", &f4(&UNIT)));
    assert_ne!(stacked.fingerprint.hash, embedded(&[other], &[&two, &one]).fingerprint.hash);
}

fn tensors(of: &[(&str, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = of.iter().map(|(name, shape, data)| {
        (*name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).expect("a tensor"))
    });
    safetensors::serialize(views, None).expect("serialises")
}

#[test]
fn safetensors_is_read_as_one_matrix_or_as_named_ones() {
    let files = Files::new();
    let file = files.write("one.safetensors", tensors(&[("vectors", vec![3, 2], f4(&ROWS))]));
    assert_eq!(embedded(&[file], &[&three()]).sets[0].data(), UNIT);
    let named = tensors(&[
        ("harmful", vec![1, 2], f4(&[1.0, 0.0])),
        ("custom", vec![3, 2], f4(&ROWS)),
        ("safe", vec![1, 2], f4(&[0.0, 5.0])),
    ]);
    let file = files.write("all.safetensors", named);
    let (safe, harmful) = (texts(&["s"]), texts(&["h"]));
    let sets = embedded(std::slice::from_ref(&file), &[&three(), &safe, &harmful]).sets;
    assert_eq!(sets[0].data(), UNIT);
    assert_eq!((sets[1].data(), sets[2].data()), ([0.0, 1.0].as_slice(), [1.0, 0.0].as_slice()));
    let message = message(&[file], &[&three(), &three(), &harmful]);
    for word in ["all.safetensors", "1 × 2", "safe", "3 × 2"] {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

#[test]
fn files_that_do_not_fit_are_refused_with_both_shapes() {
    let files = Files::new();
    let check = |name: &str, bytes: Vec<u8>, words: &[&str]| {
        let message = message(&[files.write(name, bytes)], &[&three()]);
        for word in words.iter().chain([&name]) {
            assert!(message.contains(word), "{message:?} does not say {word:?}");
        }
    };
    check("rows.npy", npy("<f4", false, "(2, 3)", &f4(&ROWS)), &["2 × 3", "3 readable rows", "3 × 3"]);
    check("flat.npy", npy("<f4", false, "(6,)", &f4(&ROWS)), &["(6,)", "1 dimensions"]);
    check("cube.npy", npy("<f4", false, "(3, 2, 1)", &f4(&ROWS)), &["3 dimensions"]);
    check("short.npy", npy("<f4", false, "(3, 2)", &f4(&ROWS[..5])), &["3×2", "cut short"]);
    check("long.npy", npy("<f4", false, "(3, 2)", &f4(&[0.0; 7])), &["3×2"]);
    check("huge.npy", npy("<f4", false, "(4294967296, 4294967296)", &f4(&ROWS)), &["4294967296×4294967296"]);
    check("objects.npy", npy("|O", false, "(3, 2)", b"\x80\x03."), &["pickled"]);
    check("integers.npy", npy("<i4", false, "(3, 2)", &f4(&ROWS)), &["<i4", "float32"]);
    check("big_end.npy", npy(">f4", false, "(3, 2)", &f4(&ROWS)), &[">f4"]);
    check("empty.npy", Vec::new(), &["0 bytes"]);
    check("text.npy", b"index,vector\n0,1.0\n".to_vec(), &["does not begin as one"]);
    let mut header = npy("<f4", false, "(3, 2)", &f4(&ROWS));
    header[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
    check("header.npy", header, &["ends"]);
    check(
        "two.safetensors",
        tensors(&[("a", vec![3, 2], f4(&ROWS)), ("b", vec![1], f4(&[1.0]))]),
        &["2 tensors", "a, b"],
    );
    check("flat.safetensors", tensors(&[("a", vec![6], f4(&ROWS))]), &["[6]"]);
    check("empty.safetensors", Vec::new(), &["0 bytes"]);
    // Dimensions differ between sets; too many files; a file that is not there.
    let two = files.write("two.npy", npy("<f4", false, "(3, 2)", &f4(&ROWS)));
    let three_wide = files.write("three.npy", npy("<f4", false, "(3, 3)", &f4(&[1.0; 9])));
    let said = message(&[two.clone(), three_wide], &[&three(), &three()]);
    assert!(said.contains("3 dimensions") && said.contains("first set 2"), "{said}");
    let said = message(&[two.clone(), two.clone(), two], &[&three(), &three()]);
    assert!(said.contains("3 vector files") && said.contains("2 sets"), "{said}");
    let said = message(&[files.folder.path().join("absent.npy")], &[&three()]);
    assert!(said.contains("absent.npy"), "{said}");
}

#[test]
fn numbers_that_are_none_are_named_by_row() {
    let files = Files::new();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut rows = ROWS;
        rows[3] = bad;
        let file = files.write("vectors.npy", npy("<f4", false, "(3, 2)", &f4(&rows)));
        let said = message(&[file], &[&three()]);
        assert!(said.contains("vectors.npy") && said.contains("row 1 (0-based), dimension 1"), "{said}");
    }
}

#[test]
fn a_choice_of_files_is_told_from_folders_and_lexical() {
    let parse = |given: &str| given.parse::<EncoderChoice>();
    assert_eq!(parse("lexical"), Ok(EncoderChoice::Lexical));
    let two = EncoderChoice::Precomputed(vec!["a.npy".into(), "b.safetensors".into()]);
    assert_eq!(parse("a.npy,b.safetensors"), Ok(two.clone()));
    assert_eq!(two.to_string(), "a.npy,b.safetensors");
    for (given, word) in [("", "empty"), ("no/such/folder", "no such folder"), ("a.npy,b.txt", "b.txt")] {
        let said = parse(given).expect_err("no encoder").to_string();
        assert!(said.contains(word), "{said}");
    }
}
