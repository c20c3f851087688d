//! Views of a row, sets under each other, and sets that cannot be embedded.

use dipole::data::{Dataset, OpenOptions};
use dipole::embedding::{
    EmbedSettings, EmbeddingError, Embeddings, EncoderChoice, Joined, MemoryTexts, Texts, View, Views,
};
use dipole::jobs::Silent;

use super::sentence::Model;
use super::{assert_unit, corpus, refused, run, settings, texts};

fn two_views() -> MemoryTexts {
    let rows = corpus(60, 20).chunks(2).map(|pair| (format!("{} {}", pair[0], pair[1]), pair[1].clone())).collect();
    MemoryTexts { name: "set".to_owned(), rows }
}

fn of(view: fn(&(String, String)) -> &String, set: &MemoryTexts) -> Vec<String> {
    set.rows.iter().map(|row| view(row).clone()).collect()
}

/// Row by row: both parts at unit length, side by side, the whole at unit length.
fn assert_side_by_side(both: &Embeddings, row: &Embeddings, response: &Embeddings) {
    assert_eq!((both.rows(), both.dim()), (row.rows(), row.dim() + response.dim()));
    for i in 0..both.rows() {
        assert_unit(both.row(i));
        let parts = row.row(i).iter().chain(response.row(i)).map(|x| x / 2f32.sqrt());
        for (got, want) in both.row(i).iter().zip(parts) {
            assert!((got - want).abs() < 1e-6);
        }
    }
}

#[test]
fn two_views_of_the_sentence_encoder_lie_side_by_side() {
    let (model, set) = (Model::copy("bert"), two_views());
    let both = run(&[&set], &EmbedSettings { views: Some(Views::RowAndResponse), ..model.settings() });
    let row = run(&[&of(|row| &row.0, &set)], &model.settings());
    let response = run(&[&of(|row| &row.1, &set)], &model.settings());
    assert_side_by_side(&both.sets[0], &row.sets[0], &response.sets[0]);
    assert_ne!(both.fingerprint.hash, row.fingerprint.hash);
    assert_eq!(both.fingerprint.details["dim"], 64);
    // Measured best, so it is what an unset choice takes.
    let unset = run(&[&set], &EmbedSettings { views: None, ..model.settings() });
    let all = run(&[&set], &EmbedSettings { views: Some(Views::RowResponsePrompt), ..model.settings() });
    assert_eq!(unset.sets, all.sets);
    assert_eq!(unset.fingerprint, all.fingerprint);
    assert_ne!(unset.fingerprint.hash, both.fingerprint.hash);
    assert_eq!(unset.fingerprint.details["dim"], 96);
    for i in 0..set.rows.len() {
        assert_unit(all.sets[0].row(i));
        // Texts in memory have the whole row as their prompt.
        let parts = row.sets[0].row(i).iter().chain(response.sets[0].row(i)).chain(row.sets[0].row(i));
        for (got, want) in all.sets[0].row(i).iter().zip(parts.map(|x| x / 3f32.sqrt())) {
            assert!((got - want).abs() < 1e-6);
        }
    }
}

#[test]
fn two_views_of_the_lexical_encoder_lie_side_by_side() {
    let set = two_views();
    let lexical = settings(EncoderChoice::Lexical);
    let both = run(&[&set], &EmbedSettings { views: Some(Views::RowAndResponse), ..lexical.clone() });
    let row = run(&[&of(|row| &row.0, &set)], &lexical);
    let response = run(&[&of(|row| &row.1, &set)], &lexical);
    assert_side_by_side(&both.sets[0], &row.sets[0], &response.sets[0]);
    assert_eq!(run(&[&set], &EmbedSettings { views: None, ..lexical }).sets, row.sets, "the row alone is the default");
}

#[test]
fn an_empty_response_leaves_the_row_alone() {
    let model = Model::copy("bert");
    let set = MemoryTexts {
        name: "set".to_owned(),
        rows: vec![("a fox".to_owned(), String::new()), (String::new(), " ".to_owned())],
    };
    let both = run(&[&set], &EmbedSettings { views: Some(Views::RowAndResponse), ..model.settings() });
    let row = both.sets[0].row(0);
    assert_unit(row);
    assert!(row[32..].iter().all(|x| *x == 0.0));
    assert!(both.sets[0].row(1).iter().all(|x| *x == 0.0));
}

#[test]
fn rows_of_a_data_set_are_embedded_without_json_and_roles() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    let lines = [
        r#"{"messages": [{"role": "user", "content": "a fox"}, {"role": "assistant", "content": "the dog"}]}"#,
        r#"{"messages": [{"role": "user", "content": "a fox"}, {"role": "assistant", "content": "no"}]}"#,
    ];
    std::fs::write(&path, lines.join("\n")).expect("writes");
    let set = Dataset::open(&path, &OpenOptions::default(), &Silent).expect("opens");
    assert_eq!(Texts::name(&set), "rows.jsonl");
    assert_eq!(set.text(0, View::Row).expect("a text"), "a fox\nthe dog");
    assert_eq!(set.text(0, View::Response).expect("a text"), "the dog");
    assert_eq!(set.text(0, View::Prompt).expect("a text"), "a fox");
    let model = Model::copy("bert");
    let plain = texts(&["a fox\nthe dog", "a fox\nno"]);
    assert_eq!(run(&[&set], &model.settings()).sets, run(&[&plain], &model.settings()).sets);
}

#[test]
fn joined_sets_are_one_in_order() {
    let (a, b, c) = (texts(&["one", "two"]), MemoryTexts::new("none", Vec::<String>::new()), texts(&["three"]));
    let joined = Joined::new(vec![&a, &b, &c]);
    assert_eq!((joined.len(), joined.is_empty()), (3, false));
    let all: Vec<String> = (0..3).map(|i| joined.text(i, View::Row).expect("a text")).collect();
    assert_eq!(all, ["one", "two", "three"]);
    assert_eq!(joined.name(), "texts + none + texts");
    let error = joined.text(3, View::Row).expect_err("no such row").to_string();
    assert!(error.contains("row 3") && error.contains("3 rows"), "{error}");
    let model = Model::copy("bert");
    let whole = texts(&["one", "two", "three"]);
    assert_eq!(run(&[&joined], &model.settings()).sets, run(&[&whole], &model.settings()).sets);
}

#[test]
fn sets_that_cannot_be_embedded_are_named() {
    let model = Model::copy("bert");
    for choice in [EncoderChoice::Lexical, model.settings().encoder] {
        let (full, none) = (texts(&["a"]), MemoryTexts::new("safe.jsonl", Vec::<String>::new()));
        let message = refused(&[&full, &none], &settings(choice.clone()));
        assert!(message.contains("safe.jsonl") && message.contains("no rows"), "{message}");
        assert!(refused(&[], &settings(choice)).contains("no set"));
    }
    struct Broken;
    impl Texts for Broken {
        fn name(&self) -> String {
            "broken".to_owned()
        }
        fn len(&self) -> usize {
            3
        }
        fn text(&self, index: usize, _view: View) -> Result<String, EmbeddingError> {
            match index {
                0 => Ok("a fox".to_owned()),
                row => {
                    Err(EmbeddingError::Set { set: "broken".to_owned(), reason: format!("row {row} is unreadable") })
                }
            }
        }
    }
    for choice in [EncoderChoice::Lexical, model.settings().encoder] {
        assert!(refused(&[&Broken], &settings(choice)).contains("is unreadable"));
    }
}

#[test]
fn views_are_parsed_and_shown_alike() {
    for views in [Views::Row, Views::RowAndResponse, Views::RowResponsePrompt] {
        assert_eq!(views.to_string().parse(), Ok(views));
    }
    assert!("column".parse::<Views>().expect_err("no view").contains("row+response"));
}
