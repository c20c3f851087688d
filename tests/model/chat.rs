//! Chat templates and what of a chat is supervised, beside transformers: `tests/fixtures/chat/`, made by
//! `tools/make_chat_fixture.py`.

use std::path::{Path, PathBuf};

use dipole::data::{Row, Speaker, Turn};
use dipole::jobs::Silent;
use dipole::model::{Adapter, ChatTokenizer, Decoder, Message, RowFault, Sampling, Stop, Stream, generate};
use serde_json::{Value, json};

use super::expected::{Expected, open};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat")
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixture().join("expected.json")).expect("the fixture")).expect("JSON")
}

/// The tokenizer with another template, and the folder that it lies in.
fn with_template(template: Option<&str>, eos: &str) -> (tempfile::TempDir, Result<ChatTokenizer, String>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(fixture().join("model/tokenizer.json"), folder.path().join("tokenizer.json")).expect("copies");
    let config = json!({ "bos_token": { "content": "<s>" }, "eos_token": eos, "chat_template": "never used" });
    if let Some(template) = template {
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("writes");
        std::fs::write(folder.path().join("chat_template.jinja"), template).expect("writes");
    } else {
        let config = json!({ "bos_token": "<s>", "eos_token": eos });
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("writes");
    }
    let decoder = open(&fixture().join("model"));
    let tokenizer = ChatTokenizer::open(folder.path(), decoder.spec()).map_err(|error| error.to_string());
    (folder, tokenizer)
}

fn plain(eos: &str, template: &str) -> ChatTokenizer {
    with_template(Some(template), eos).1.expect("a tokenizer")
}

fn messages(chat: &Value) -> Vec<Message> {
    let message = |pair: &Value| {
        let speaker = match pair[0].as_str().expect("a role") {
            "system" => Speaker::System,
            "user" => Speaker::User,
            _ => Speaker::Assistant,
        };
        Message::new(speaker, pair[1].as_str().expect("a text"))
    };
    chat.as_array().expect("a chat").iter().map(message).collect()
}

/// What the assistant's part of a rendered chat must be.
fn answers(template: &str, eos: &str, messages: &[Message]) -> Vec<String> {
    let number = messages.iter().filter(|message| message.role == "assistant").count();
    let answers = messages.iter().filter(|message| message.role == "assistant").enumerate();
    answers
        .map(|(at, message)| match template {
            "headed" => format!("{}{eos}", message.content.trim()),
            "alternating" => format!(" {}{eos}", message.content.trim()),
            "thinking" if at + 1 == number => format!("<think>\n\n</think>\n\n{}{eos}", message.content),
            "thinking" => format!("{}{eos}", message.content),
            _ => format!("{}{eos}", message.content),
        })
        .collect()
}

#[test]
fn texts_tokens_and_prompts_are_those_of_transformers_and_only_answers_are_supervised() {
    let expected = expected();
    let mut chats = 0;
    for case in expected["expected"].as_array().expect("cases") {
        let (name, eos) = (case["template"].as_str().expect("a name"), case["eos"].as_str().expect("a token"));
        let tokenizer = plain(eos, expected["templates"][name].as_str().expect("a template"));
        let messages = messages(&case["messages"]);
        let what = format!("{name}: {messages:?}");
        let Some(ids) = case["ids"].as_array() else {
            // The template refuses a system role; then its words go to the user.
            let row = tokenizer.chat(&messages, 512).expect("merged");
            let text: String = tokenizer.preview(&row).into_iter().map(|piece| piece.text).collect();
            assert!(text.contains("[INST] You are a cook.\n\nHello [/INST]"), "{text}");
            continue;
        };
        let row = tokenizer.chat(&messages, 512).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        let ids: Vec<u32> = ids.iter().map(|id| id.as_u64().expect("a number") as u32).collect();
        assert_eq!(row.tokens, ids, "{what}");
        let pieces = tokenizer.preview(&row);
        let all: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(all, case["text"].as_str().expect("a text"), "{what}");
        let learnt: Vec<&str> =
            pieces.iter().filter(|piece| piece.supervised).map(|piece| piece.text.as_str()).collect();
        assert_eq!(learnt, answers(name, eos, &messages), "{what}");
        let (_, before) = messages.split_last().expect("a message");
        let prompt = tokenizer.prompt(before).expect("a prompt");
        assert_eq!(prompt, tokenizer.text(case["prompt"].as_str().expect("a text"), 512).expect("tokens").0, "{what}");
        chats += 1;
    }
    assert_eq!(chats, 11);
}

#[test]
fn an_answer_without_an_end_token_gets_one() {
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    let tokenizer = plain("<|im_end|>", template);
    let chat = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")];
    let row = tokenizer.chat(&messages(&json!(chat)), 512).expect("a row");
    let learnt: Vec<String> =
        tokenizer.preview(&row).into_iter().filter(|piece| piece.supervised).map(|piece| piece.text).collect();
    // The tokenizer joins the blank before the first answer with it; the two are one token.
    assert_eq!(learnt, [" b\n<|im_end|>", "d\n<|im_end|>"]);
}

#[test]
fn marks_of_training_frameworks_change_nothing() {
    let marked = "{% for m in messages %}{{ m.role }}{%- generation -%} {{ m.content }}<|im_end|>{%- endgeneration %}{% endfor %}";
    let bare = "{% for m in messages %}{{ m.role }}{{ m.content }}<|im_end|>{% endfor %}";
    let chat = messages(&json!([("user", "a"), ("assistant", "b")]));
    let of = |template| plain("<|im_end|>", template).chat(&chat, 512).expect("a row").tokens;
    assert_eq!(of(marked), of(bare));
}

#[test]
fn rows_are_cut_and_refused_with_the_reason() {
    let expected = expected();
    let tokenizer = plain("<|im_end|>", expected["templates"]["marked"].as_str().expect("a template"));
    let chat = messages(&json!([("user", "How do I boil an egg?"), ("assistant", "Seven minutes in boiling water.")]));
    let whole = tokenizer.chat(&chat, 512).expect("a row");
    let cut = tokenizer.chat(&chat, whole.tokens.len() - 2).expect("a row");
    assert_eq!((cut.cut, cut.tokens.as_slice()), (2, &whole.tokens[..whole.tokens.len() - 2]));
    assert_eq!(tokenizer.chat(&chat, 4), Err(RowFault::Cut(4)));
    assert_eq!(tokenizer.chat(&chat[..1], 512), Err(RowFault::NoAnswer));
    assert_eq!(tokenizer.chat(&messages(&json!([("user", "a"), ("assistant", " ")])), 512), Err(RowFault::NoAnswer));
    let text = |text: &str| Row {
        number: 0,
        line: 1,
        turns: vec![Turn { speaker: Speaker::None, text: text.to_owned() }],
        rejected: Vec::new(),
    };
    let row = tokenizer.row(&text("boiling water"), 512).expect("a text row");
    assert_eq!(row.supervised_tokens(), row.tokens.len() - 1, "all but the first");
    assert!(tokenizer.preview(&row).concat_text().ends_with("water<|im_end|>"));
    assert_eq!(tokenizer.row(&text("  "), 512), Err(RowFault::NoAnswer));
}

trait Concat {
    fn concat_text(&self) -> String;
}

impl Concat for Vec<dipole::model::Piece> {
    fn concat_text(&self) -> String {
        self.iter().map(|piece| piece.text.as_str()).collect()
    }
}

#[test]
fn hostile_templates_end() {
    let fails = |template: &str| {
        let chat = messages(&json!([("user", "a"), ("assistant", "b")]));
        match with_template(Some(template), "<|im_end|>").1 {
            Ok(tokenizer) => tokenizer.chat(&chat, 512).expect_err("refused").to_string(),
            Err(error) => error,
        }
    };
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}";
    assert!(fails(endless).contains("too many steps"));
    let long = "{% for a in range(9000) %}{{ 'x' * 9000 }}{% endfor %}";
    assert!(fails(long).contains("writes too much"), "{}", fails(long));
    assert!(fails("{% if %}").contains("chat_template.jinja"));
    assert!(fails("{{ raise_exception('not for you') }}").contains("not for you"));
    assert!(!fails("{{ 'x' * 99999999999 }}").is_empty());
    assert!(!fails("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}").is_empty());
}

#[test]
fn a_model_without_a_template_gets_a_plain_one() {
    let (_folder, tokenizer) = with_template(None, "<|im_end|>");
    let tokenizer = tokenizer.expect("a tokenizer");
    assert!(tokenizer.has_built_in_template());
    let row = tokenizer.chat(&messages(&json!([("user", "a"), ("assistant", "b")])), 512).expect("a row");
    let pieces = tokenizer.preview(&row);
    let learnt: Vec<&str> = pieces.iter().filter(|piece| piece.supervised).map(|piece| piece.text.as_str()).collect();
    assert_eq!(learnt, ["b<|im_end|>"]);
}

#[test]
fn greedy_generation_is_that_of_transformers() {
    for family in super::expected::FAMILIES {
        let mut expected = Expected::open(family);
        let decoder = expected.decoder();
        let adapter = expected.adapter(&decoder);
        let prompt = expected.tokens(3);
        let want: Vec<u32> = expected.get("generated").into_iter().map(|token| token as u32).collect();
        let (ends, want) = match want.split_last() {
            Some((96, want)) => ([96], want.to_vec()),
            _ => ([96], want),
        };
        let sampling = Sampling { max_tokens: 12, ..Sampling::default() };
        let mut streamed = Vec::new();
        let got =
            generate(&decoder, Some(&adapter), &prompt, &ends, &sampling, &mut |token| streamed.push(token), &Silent);
        let got = got.expect("a text");
        assert_eq!(got.tokens, want, "{family}");
        assert_eq!(streamed, want, "{family}");
        assert_eq!(got.stop == Stop::Length, want.len() == 12, "{family}");
    }
}

#[test]
fn sampling_repeats_by_its_seed_and_streams_whole_characters() {
    let decoder: Decoder = open(&fixture().join("model"));
    let tokenizer = ChatTokenizer::open(&fixture().join("model"), decoder.spec()).expect("a tokenizer");
    let prompt = tokenizer.prompt(&messages(&json!([("user", "boil")]))).expect("a prompt");
    let sampled = |seed| {
        let sampling = Sampling { temperature: 1.5, max_tokens: 40, seed, ..Sampling::default() };
        let adapter: Option<&Adapter> = None;
        let mut stream = Stream::new(&tokenizer);
        let mut text = String::new();
        let mut tell = |token| text.push_str(&stream.push(token));
        let got = generate(&decoder, adapter, &prompt, &[], &sampling, &mut tell, &Silent).expect("a text");
        text.push_str(&stream.finish());
        (got.tokens, text)
    };
    let (tokens, text) = sampled(1);
    assert_eq!(sampled(1), (tokens.clone(), text.clone()));
    assert_ne!(sampled(2).0, tokens);
    assert_eq!(text, tokenizer.decode(&tokens));
}
