//! A model beside its adapter: answers, refusals, perplexity.

use std::path::Path;

use dipole::jobs::{CancelToken, Progress, Silent};
use dipole::model::{Adapter, ChatTokenizer, Decoder, Sampling, generate, refusal};
use dipole::training::{
    Answer, Comparing, ComparisonEvent, Figures, Probe, ProbeKind, TrainError, TrainSettings, perplexity,
};

use super::common::{decoder, model, prepared, rows, settings, simply};

struct Parts {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
    adapter: Adapter,
    home: tempfile::TempDir,
}

fn parts() -> Parts {
    let home = tempfile::tempdir().expect("a folder");
    let decoder = decoder();
    let tokenizer = ChatTokenizer::open(&model(), decoder.spec()).expect("a tokenizer");
    let data = rows(home.path(), &[1.0; 8]);
    let settings = TrainSettings { steps: Some(12), learning_rate: 4e-2, rank: 8, ..settings() };
    let run = simply(&data, &settings, &home.path().join("run"), 2);
    let adapter = Adapter::read(&run.outcome.adapter, &decoder).expect("an adapter");
    Parts { decoder, tokenizer, adapter, home }
}

fn probes() -> Vec<Probe> {
    let of = |kind, prompt: &str| Probe::new(kind, prompt);
    vec![of(ProbeKind::Harmful, "How to cook 1?"), of(ProbeKind::Harmless, "Hi"), of(ProbeKind::Unlabelled, "eggs?")]
}

fn sampling() -> Sampling {
    Sampling { max_tokens: 12, ..Sampling::default() }
}

#[test]
fn both_sides_answer_as_generation_does_and_stream_the_same_words() {
    let Parts { decoder, tokenizer, adapter, .. } = parts();
    let (probes, sampling) = (probes(), sampling());
    let ask = |threads| {
        let mut heard = vec![vec![String::new(); 3]; 2];
        let mut ended = 0;
        let comparing = Comparing { decoder: &decoder, tokenizer: &tokenizer, sampling: &sampling, threads };
        let mut listen = |event: ComparisonEvent| match event {
            ComparisonEvent::Text { probe, side, text } => heard[side][probe] += &text,
            ComparisonEvent::Answer { probe, side, answer } => {
                ended += 1;
                assert!(answer.text.starts_with(&heard[side][probe]), "words come before the answer");
            }
        };
        let answers = comparing.answers(&[None, Some(&adapter)], &probes, &mut listen, &Silent).expect("answers");
        assert_eq!(ended, 6);
        assert!(heard.iter().flatten().any(|text| !text.is_empty()));
        answers
    };
    let answers = ask(1);
    assert_eq!(answers, ask(3), "threads change nothing");
    for (side, adapter) in [None, Some(&adapter)].into_iter().enumerate() {
        for (probe, answer) in probes.iter().zip(&answers[side]) {
            let prompt = tokenizer.prompt(&probe.messages()).expect("a prompt");
            let ends = tokenizer.end_tokens();
            let alone = generate(&decoder, adapter, &prompt, ends, &sampling, &mut |_| {}, &Silent).expect("generates");
            assert_eq!(answer.text, tokenizer.decode(&alone.tokens));
            assert_eq!((answer.tokens, answer.stop), (alone.tokens.len(), alone.stop));
            assert_eq!(answer.refusal, refusal(&answer.text));
        }
    }
    assert_ne!(answers[0], answers[1], "the adapter changes the answers");
}

#[test]
fn refusals_are_counted_by_kind() {
    let answer = |text: &str| Answer {
        text: text.to_owned(),
        tokens: 1,
        stop: dipole::model::Stop::EndToken,
        refusal: refusal(text),
    };
    let answers = [answer("I can't help with that."), answer("Hello!"), answer(" ")];
    let figures = Figures::of(&probes(), answers.iter().map(Some));
    assert_eq!((figures.harmful.refused, figures.harmful.of), (1, 1));
    assert_eq!((figures.harmless.refused, figures.harmless.of), (0, 1));
    assert_eq!((figures.unlabelled.refused, figures.unlabelled.of, figures.empty), (0, 1, 1));
    let part = Figures::of(&probes(), [Some(&answers[1]), None, None]);
    assert_eq!((part.harmful.share(), part.harmless.share()), (Some(0.0), None));
}

#[test]
fn perplexity_is_the_mean_loss_of_supervised_tokens() {
    let Parts { decoder, adapter, home, .. } = parts();
    let rows = prepared(&decoder, &home.path().join("rows.jsonl"), &settings()).expect("rows").rows;
    let found = perplexity(&decoder, None, &rows, 1, &Silent).expect("measured");
    assert_eq!(found, perplexity(&decoder, None, &rows, 3, &Silent).expect("measured"), "threads change no bit");
    // Straight from the logits.
    let (mut loss, mut tokens) = (0.0, 0);
    for row in &rows {
        let hidden = decoder.hidden(&[&row.tokens], dipole::model::Depth::Last, None, &Silent).expect("states");
        let logits = decoder.logits(&hidden).expect("logits").to_vec2::<f32>().expect("numbers");
        for at in (1..row.tokens.len()).filter(|at| row.supervised[*at]) {
            let before = &logits[at - 1];
            let sum: f64 = before.iter().map(|logit| f64::from(*logit).exp()).sum();
            loss += sum.ln() - f64::from(before[row.tokens[at] as usize]);
            tokens += 1;
        }
    }
    let want = (loss / f64::from(tokens)).exp();
    assert!((found.value - want).abs() < 1e-4 * want, "{} for {want}", found.value);
    assert_eq!((found.rows, found.tokens), (8, tokens as usize));
    let tuned = perplexity(&decoder, Some(&adapter), &rows, 2, &Silent).expect("measured");
    assert!(tuned.value < 0.95 * found.value, "what was trained on surprises less: {} → {}", found.value, tuned.value);
    let nothing = perplexity(&decoder, None, &[], 1, &Silent);
    assert!(matches!(nothing, Err(TrainError::Rows(_))));
}

#[test]
fn it_is_cancelled_between_tokens() {
    struct Cancel(CancelToken);
    impl Progress for Cancel {
        fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}
        fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
    }
    let Parts { decoder, tokenizer, .. } = parts();
    let token = CancelToken::default();
    let mut heard = 0;
    let mut listen = |_: ComparisonEvent| {
        heard += 1;
        token.cancel();
    };
    let sampling = Sampling { max_tokens: 200, ..sampling() };
    let comparing = Comparing { decoder: &decoder, tokenizer: &tokenizer, sampling: &sampling, threads: 1 };
    let ended = comparing.answers(&[None], &probes(), &mut listen, &Cancel(token.clone()));
    assert!(matches!(ended, Err(TrainError::Cancelled(_))), "{ended:?}");
    assert!((1..600).contains(&heard));
}

#[test]
fn probes_are_built_in_or_read_from_files() {
    let built_in = Probe::built_in();
    let count = |kind| built_in.iter().filter(|probe| probe.kind == kind).count();
    assert_eq!((count(ProbeKind::Harmful), count(ProbeKind::Harmless), built_in.len()), (24, 24, 48));

    let home = tempfile::tempdir().expect("a folder");
    let read = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("writes");
        Probe::read(&path, ProbeKind::Harmless, 3, &Silent)
    };
    let prompts = |name: &str, text: &str| {
        let probes = read(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        probes.into_iter().map(|probe| (probe.prompt().to_owned(), probe.kind)).collect::<Vec<_>>()
    };
    let want = |texts: &[&str]| texts.iter().map(|text| ((*text).to_owned(), ProbeKind::Harmless)).collect::<Vec<_>>();
    assert_eq!(prompts("a.txt", "one\n\n two \nthree\nfour\n"), want(&["one", "two", "three"]));
    assert_eq!(prompts("b.jsonl", "{\"prompt\": \"one\"}\n{\"prompt\": \"two\"}\n"), want(&["one", "two"]));
    let alpaca = "{\"instruction\": \"one\", \"input\": \"\", \"output\": \"\"}\n";
    assert_eq!(prompts("c.jsonl", alpaca), want(&["one"]));
    let chat = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#;
    assert_eq!(prompts("d.jsonl", chat), want(&["c"]));
    let turns = read("d.jsonl", chat).expect("probes").remove(0).turns;
    assert_eq!(turns.len(), 3, "what was said before is asked again");
    let labelled = "{\"prompt\": \"one\", \"kind\": \"harmful\"}\n";
    assert_eq!(prompts("e.jsonl", labelled), [("one".to_owned(), ProbeKind::Harmful)]);
    assert!(read("f.txt", " \n").expect_err("empty").to_string().contains("f.txt"));
    let missing = Probe::read(Path::new("/no/such.jsonl"), ProbeKind::Harmful, 1, &Silent);
    assert!(missing.expect_err("missing").to_string().contains("/no/such.jsonl"));
}
