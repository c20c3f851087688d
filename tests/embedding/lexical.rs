//! The lexical encoder against a dense float64 computation: features counted by their text, an exact SVD. Vectors are compared up to a rotation, by their inner products.

use std::collections::{BTreeMap, HashMap};

use dipole::embedding::{EmbedSettings, EncoderChoice, Texts};
use faer::Mat;

use super::{assert_unit, bits, corpus, run, settings, texts};

const RANK: usize = 256;

/// The column of a feature: FNV-1a over its UTF-8 bytes, mixed, top 17 bits; each kind has columns of its own.
fn column(kind: usize, name: &str) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    kind << 17 | ((hash ^ (hash >> 33)) >> 47) as usize
}

/// Counts of words, word pairs and character 4-grams by column, with the weight of their kind.
fn features(text: &str) -> BTreeMap<usize, (f64, f64)> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut counts = BTreeMap::new();
    let mut add = |column: usize, weight: f64| counts.entry(column).or_insert((0.0, weight)).0 += 1.0;
    for word in &words {
        add(column(0, word), 1.0);
        let padded: Vec<char> = format!(" {word} ").chars().collect();
        for gram in padded.windows(4.min(padded.len())) {
            add(column(2, &gram.iter().collect::<String>()), 0.2);
        }
    }
    for pair in words.windows(2) {
        add(column(1, &format!("{} {}", pair[0], pair[1])), 0.5);
    }
    counts
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Vectors of the texts: TF-IDF, projection on the leading right singular vectors, unit length, centring by the
/// mean of the rows that are not zero, unit length.
fn dense(texts: &[String]) -> Vec<Vec<f64>> {
    let rows: Vec<_> = texts.iter().map(|text| features(text)).collect();
    let mut frequency: HashMap<usize, f64> = HashMap::new();
    rows.iter().flat_map(BTreeMap::keys).for_each(|&column| *frequency.entry(column).or_default() += 1.0);
    let mut columns: Vec<usize> = frequency.keys().copied().collect();
    columns.sort_unstable();
    let value = |row: &BTreeMap<usize, (f64, f64)>, column: usize| {
        row.get(&column).map_or(0.0, |(count, weight)| {
            weight * (1.0 + count.ln()) * (((1.0 + texts.len() as f64) / (1.0 + frequency[&column])).ln() + 1.0)
        })
    };
    let tf_idf: Vec<Vec<f64>> =
        rows.iter().map(|row| columns.iter().map(|&column| value(row, column)).collect::<Vec<_>>()).collect();
    let unit: Vec<Vec<f64>> =
        tf_idf.iter().filter(|row| norm(row) > 0.0).map(|row| row.iter().map(|x| x / norm(row)).collect()).collect();
    let matrix = Mat::from_fn(unit.len(), columns.len(), |i, j| unit[i][j]);
    let svd = matrix.thin_svd().expect("an SVD");
    let rank = RANK.min(unit.len());
    let mut vectors: Vec<Vec<f64>> = tf_idf
        .iter()
        .map(|row| {
            let projected: Vec<f64> =
                (0..rank).map(|k| row.iter().enumerate().map(|(j, x)| x * svd.V()[(j, k)]).sum()).collect();
            let length = norm(&projected);
            projected.iter().map(|x| if length > 0.0 { x / length } else { 0.0 }).collect()
        })
        .collect();
    let filled: Vec<usize> = (0..vectors.len()).filter(|&i| norm(&vectors[i]) > 0.0).collect();
    let mean: Vec<f64> =
        (0..rank).map(|k| filled.iter().map(|&i| vectors[i][k]).sum::<f64>() / filled.len() as f64).collect();
    for &i in &filled {
        let moved: Vec<f64> = vectors[i].iter().zip(&mean).map(|(x, m)| x - m).collect();
        vectors[i] = moved.iter().map(|x| x / norm(&moved)).collect();
    }
    vectors
}

/// Largest and root mean square difference of all inner products.
fn apart(texts: &[String]) -> (f64, f64) {
    let embedded = run(&[&texts.to_vec()], &settings(EncoderChoice::Lexical));
    let exact = dense(texts);
    let (mut most, mut squares) = (0f64, 0.0);
    for i in 0..texts.len() {
        for j in 0..texts.len() {
            let pairs = embedded.sets[0].row(i).iter().zip(embedded.sets[0].row(j));
            let got: f64 = pairs.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            let want: f64 = exact[i].iter().zip(&exact[j]).map(|(x, y)| x * y).sum();
            most = most.max((got - want).abs());
            squares += (got - want).powi(2);
        }
    }
    (most, (squares / (texts.len() * texts.len()) as f64).sqrt())
}

#[test]
fn inner_products_are_those_of_a_dense_svd_that_leaves_nothing_out() {
    let mut texts = corpus(90, 25);
    texts.push("Ünïcödé, ÜNÏCÖDÉ naïve 日本語 日本語".to_owned());
    texts.push("... !!!".to_owned());
    texts.push("x".to_owned());
    let (most, _) = apart(&texts);
    assert!(most < 1e-4, "inner products differ by up to {most}");
}

#[test]
fn inner_products_are_those_of_a_dense_truncated_svd() {
    // More rows than dimensions: directions 250 to 260 have nearly equal singular values here, so a randomised
    // subspace takes another mixture of them than the exact one. Seen: 1.9e-2 and 3.1e-3.
    let (most, mean) = apart(&corpus(380, 30));
    assert!(mean < 5e-3 && most < 4e-2, "inner products differ by up to {most}, {mean} on average");
}

#[test]
fn any_number_of_threads_and_any_run_gives_the_same_bits() {
    let (a, b) = (corpus(900, 30), corpus(333, 12));
    let with = |threads| run(&[&a as &dyn Texts, &b], &EmbedSettings { threads, ..settings(EncoderChoice::Lexical) });
    let one = with(1);
    for threads in [1, 2, 5] {
        let again = with(threads);
        assert_eq!(bits(&again.sets[0]), bits(&one.sets[0]), "{threads} threads");
        assert_eq!(bits(&again.sets[1]), bits(&one.sets[1]), "{threads} threads");
        assert_eq!(again.fingerprint, one.fingerprint);
    }
    assert_eq!((one.computed, one.cached), (1233, 0));
}

#[test]
fn vectors_have_unit_length_and_empty_texts_none() {
    let mut rows = corpus(50, 10);
    rows[7] = String::new();
    rows[20] = " \n\t ?! ".to_owned();
    let embedded = run(&[&rows], &settings(EncoderChoice::Lexical));
    for i in 0..rows.len() {
        let row = embedded.sets[0].row(i);
        if i == 7 || i == 20 {
            assert!(row.iter().all(|x| *x == 0.0), "row {i} is empty");
        } else {
            assert_unit(row);
        }
    }
}

#[test]
fn degenerate_corpora_have_an_answer() {
    let cases: [&[&str]; 6] =
        [&[""], &["", "  "], &["one"], &["same text", "same text"], &["a", "b"], &["", "fox", ""]];
    for case in cases {
        let rows = texts(case);
        let embedded = run(&[&rows], &settings(EncoderChoice::Lexical));
        let matrix = &embedded.sets[0];
        assert_eq!(matrix.rows(), rows.len(), "{case:?}");
        assert!(matrix.dim() >= 1 && matrix.data().iter().all(|x| x.is_finite()), "{case:?}");
        for (i, text) in rows.iter().enumerate() {
            let empty = text.trim().is_empty();
            assert_eq!(matrix.row(i).iter().all(|x| *x == 0.0), empty, "{case:?}, row {i}");
        }
    }
}

#[test]
fn equal_texts_have_equal_vectors_and_the_seed_is_told() {
    let mut rows = corpus(60, 10);
    rows[40] = rows[3].clone();
    let embedded = run(&[&rows], &settings(EncoderChoice::Lexical));
    assert_eq!(embedded.sets[0].row(40), embedded.sets[0].row(3));
    let other = run(&[&rows], &EmbedSettings { seed: 7, ..settings(EncoderChoice::Lexical) });
    assert_eq!(other.fingerprint.details["seed"], 7);
    assert_ne!(other.fingerprint.hash, embedded.fingerprint.hash);
}

#[test]
fn texts_beyond_the_limit_are_counted() {
    let mut rows = corpus(5, 10);
    rows[2] = "word ".repeat(40_000);
    assert_eq!(run(&[&rows], &settings(EncoderChoice::Lexical)).truncated, [1]);
}
