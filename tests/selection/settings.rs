//! The written form of each setting.

use dipole::selection::{Keep, RankBy, SelectionSettings, WeightMode};

#[test]
fn a_number_without_a_point_is_a_count() {
    for (text, keep) in [
        ("0.8", Keep::Share(0.8)),
        ("80%", Keep::Share(0.8)),
        (" 80 % ", Keep::Share(0.8)),
        ("4000", Keep::Count(4000)),
        ("1", Keep::Count(1)),
        ("1.0", Keep::Share(1.0)),
        ("100%", Keep::Share(1.0)),
        ("5e-1", Keep::Share(0.5)),
        (".5", Keep::Share(0.5)),
    ] {
        assert_eq!(text.parse::<Keep>(), Ok(keep), "{text}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_examples() {
    for text in [
        "",
        "0",
        "0.0",
        "-0.5",
        "1.2",
        "120%",
        "0%",
        "-3",
        "NaN",
        "nan%",
        "inf%",
        "eight",
        "1e3",
        "99999999999999999999999",
    ] {
        let error = text.parse::<Keep>().expect_err(text).to_string();
        assert!(error.starts_with("keep must be a share such as 0.8 or 80%"), "{error}");
        assert!(error.ends_with(&format!("not `{}`", text.trim())), "{error}");
    }
}

#[test]
fn display_reads_back() {
    for keep in [
        Keep::Share(0.8),
        Keep::Share(1.0),
        Keep::Share(1e-9),
        Keep::Share(1.0 / 3.0),
        Keep::Count(1),
        Keep::Count(4000),
    ] {
        assert_eq!(keep.to_string().parse(), Ok(keep));
    }
    for mode in
        [WeightMode::Uniform, WeightMode::Paper, WeightMode::Proportional, WeightMode::Tempered { temperature: 2.5 }]
    {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    for rank in [RankBy::Score, RankBy::Weight] {
        assert_eq!(rank.to_string().parse(), Ok(rank));
    }
    assert_eq!("tempered:2".parse(), Ok(WeightMode::Tempered { temperature: 2.0 }));
}

#[test]
fn modes_and_rankings_that_do_not_exist_are_refused() {
    for text in ["tempered", "tempered:", "tempered:0", "tempered:-1", "tempered:nan", "tempered:inf", "Paper", ""] {
        assert!(text.parse::<WeightMode>().is_err(), "{text}");
    }
    assert_eq!("loss".parse::<RankBy>().expect_err("loss").to_string(), "rank must be score or weight, not `loss`");
}

#[test]
fn shares_round_half_up_and_keep_at_least_one_row() {
    for (keep, rows, expected) in [
        (Keep::Share(0.8), 5000, 4000),
        (Keep::Share(0.5), 5, 3),
        (Keep::Share(0.25), 6, 2),
        (Keep::Share(0.3), 10, 3),
        (Keep::Share(0.001), 10, 1),
        (Keep::Share(1.0), 7, 7),
        (Keep::Count(3), 10, 3),
        (Keep::Count(30), 10, 10),
    ] {
        assert_eq!(keep.of(rows), Ok(expected), "{keep} of {rows}");
    }
    assert!(Keep::Share(f64::NAN).of(3).is_err());
    assert!(Keep::Count(0).of(3).is_err());
}

#[test]
fn settings_survive_json_and_refuse_unknown_keys() {
    let settings = SelectionSettings {
        keep: Keep::Count(7),
        rank_by: RankBy::Weight,
        weights: WeightMode::Tempered { temperature: 2.0 },
    };
    let text = serde_json::to_string(&settings).expect("serialises");
    assert_eq!(serde_json::from_str::<SelectionSettings>(&text).expect("reads"), settings);
    assert!(serde_json::from_str::<SelectionSettings>(r#"{"kept": 3}"#).is_err());
}
