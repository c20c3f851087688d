//! Hidden states of a causal language model as vectors. The states themselves are compared with transformers in
//! `tests/model.rs`; here it is what is taken of them, the cache and the choice.

use std::path::{Path, PathBuf};

use candle_core::Device;
use dipole::embedding::{EncoderChoice, LanguageChoice, Pool};
use dipole::jobs::Silent;
use dipole::model::{ChatTokenizer, Decoder, Depth, Precision};

use super::{bits, run, settings, texts};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model")
}

const TEXTS: [&str; 5] = ["boiling water", "a", "Hello, what shall we cook?", "", "Soup, s'il vous plaît 🦀"];

/// States of a text, token by token.
fn states(text: &str, depth: Depth) -> Vec<Vec<f32>> {
    let decoder = Decoder::open(&model(), Precision::Stored, &Device::Cpu, &Silent).expect("the fixture");
    let tokenizer = ChatTokenizer::open(&model(), decoder.spec()).expect("a tokenizer");
    let (tokens, _) = tokenizer.text(text, 512).expect("tokens");
    decoder.hidden(&[&tokens], depth, None, &Silent).expect("states").to_vec2().expect("numbers")
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / norm).collect()
}

fn choice(text: &str) -> EncoderChoice {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_folder_of_a_language_model_gives_the_last_state_and_options_give_others() {
    let set = texts(&TEXTS);
    let folder = model().display().to_string();
    let language = |pool, layer| EncoderChoice::Language(LanguageChoice { folder: model(), pool, layer });
    assert_eq!(choice(&format!("{folder}#mean:1")), language(Pool::Mean, Some(1)));
    assert_eq!(language(Pool::Mean, Some(1)).to_string(), format!("{folder}#mean:1"));
    for (given, depth, mean) in [
        (folder.clone(), Depth::Last, false),
        (format!("{folder}#last"), Depth::Last, false),
        (format!("{folder}#mean"), Depth::Last, true),
        (format!("{folder}#mean:1"), Depth::After(1), true),
        (format!("{folder}#last:0"), Depth::After(0), false),
    ] {
        let embedded = run(&[&set], &settings(choice(&given)));
        assert_eq!(embedded.fingerprint.encoder, "language");
        for (row, text) in TEXTS.iter().enumerate() {
            let got = embedded.sets[0].row(row);
            if text.is_empty() {
                assert!(got.iter().all(|x| *x == 0.0));
                continue;
            }
            let states = states(text, depth);
            let count = states.len() as f32;
            let want = if mean {
                (0..states[0].len()).map(|at| states.iter().map(|state| state[at]).sum::<f32>() / count).collect()
            } else {
                states.last().expect("a token").clone()
            };
            let worst = unit(want).iter().zip(got).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 1e-5, "{given}, {text:?}: off by {worst}");
        }
    }
}

#[test]
fn vectors_are_cached_by_pooling_and_layer_and_equal_for_any_thread_count() {
    let set = texts(&TEXTS);
    let cache = tempfile::tempdir().expect("a folder");
    let folder = model().display().to_string();
    let of = |given: &str, threads| {
        let mut settings = settings(choice(given));
        settings.cache_dir = Some(cache.path().to_owned());
        settings.threads = threads;
        run(&[&set], &settings)
    };
    let first = of(&folder, 1);
    assert_eq!((first.computed, first.cached), (4, 0));
    let again = of(&folder, 3);
    assert_eq!((again.computed, again.cached), (0, 4));
    assert_eq!(bits(&first.sets[0]), bits(&again.sets[0]));
    assert_eq!(of(&format!("{folder}#mean"), 1).computed, 4, "another pooling is another space");
    let mut alone = settings(choice(&folder));
    alone.threads = 3;
    assert_eq!(bits(&run(&[&set], &alone).sets[0]), bits(&first.sets[0]));
}

#[test]
fn a_layer_that_is_not_there_is_named() {
    let set = texts(&TEXTS);
    let given = choice(&format!("{}#last:9", model().display()));
    let error = dipole::embedding::embed(&[&set], &settings(given), &Silent).expect_err("refused");
    assert!(error.to_string().contains("layer 9"), "{error}");
}
