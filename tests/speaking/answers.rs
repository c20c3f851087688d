//! `dipole chat` from a pipe, and `dipole compare`.

use std::fs;

use serde_json::{Value, json};

use super::common::{dipole, json_of, model, ok, rows, text, told};

#[test]
fn the_built_in_model_is_tuned_without_a_folder() {
    let home = tempfile::tempdir().expect("a folder");
    let data = rows(home.path(), 4).display().to_string();
    let out = home.path().join("run").display().to_string();
    let tune = ["tune", "--base", "starter", "--data", &data, "--out", &out, "--steps", "2", "--batch", "2", "--json"];
    let told = json_of(&dipole(home.path(), &tune));
    assert_eq!((&told["outcome"]["steps"], &told["outcome"]["finish"]), (&json!(2), &json!("complete")), "{told}");
    assert!(home.path().join("models/starter/model.safetensors").is_file());
    let adapter = format!("{out}/adapter");
    let say =
        ["generate", "--model", "starter", "--adapter", &adapter, "--prompt", "How to cook?", "--max-tokens", "4"];
    assert!(!ok(&dipole(home.path(), &say)).trim().is_empty());
}

#[test]
fn the_built_in_model_embeds_without_a_folder() {
    let home = tempfile::tempdir().expect("a folder");
    let data = rows(home.path(), 3).display().to_string();
    let vectors = |name: &str, encoder: &str| {
        let out = home.path().join(name).display().to_string();
        let told = json_of(&dipole(home.path(), &["embed", &data, "--encoder", encoder, "--out", &out, "--json"]));
        assert_eq!(told["rows"], 3, "{told}");
        fs::read(&out).expect("vectors")
    };
    let last = vectors("last.npy", "starter");
    let folder = home.path().join("models/starter").display().to_string();
    assert_eq!(vectors("folder.npy", &folder), last);
    assert_ne!(vectors("mean.npy", "starter#mean"), last);
}

#[test]
fn presets_begin_a_run_and_exclude_a_settings_file() {
    let home = tempfile::tempdir().expect("a folder");
    let data = rows(home.path(), 4).display().to_string();
    let out = home.path().join("run").display().to_string();
    let tune = ["tune", "--base", "starter", "--data", &data, "--out", &out, "--steps", "1", "--json", "--preset"];
    let told = json_of(&dipole(home.path(), &[&tune[..], &["quick-trial", "--rank", "4"]].concat()));
    let settings = &told["settings"];
    assert_eq!((&settings["rank"], &settings["max_tokens"], &settings["steps"]), (&json!(4), &json!(256), &json!(1)));
    let both = dipole(home.path(), &[&tune[..], &["paper", "--settings", "x.json"]].concat());
    assert_eq!(both.status.code(), Some(2));
    assert!(text(&both.stderr).contains("--settings"), "{}", text(&both.stderr));
}

#[test]
fn a_chat_from_a_pipe_answers_line_by_line_and_remembers() {
    let home = tempfile::tempdir().expect("folder");
    let model = model();
    let arguments = ["chat", "--model", &model, "--max-tokens", "12", "--json"];
    let turns = |input: &str| -> Vec<Value> {
        let shown = ok(&told(home.path(), &arguments, input.as_bytes()));
        shown.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    };
    let talk = turns("Hello\n\nHow are you?\n/new\nHello\n/exit\nnever said\n");
    assert_eq!(talk.len(), 3);
    let tokens = |turn: usize| talk[turn]["prompt_tokens"].as_u64().expect("a number");
    assert!(tokens(1) > tokens(0), "the second question comes with the first");
    assert_eq!(talk[2], talk[0], "/new forgets");
    // Alone it is what `generate` says.
    let alone = ["generate", "--model", &model, "--max-tokens", "12", "--prompt", "Hello", "--json"];
    assert_eq!(talk[0]["answer"], json_of(&dipole(home.path(), &alone))["answer"]);
    let shown = ok(&told(home.path(), &["chat", "--model", &model, "--max-tokens", "12"], b"Hello\n"));
    assert_eq!(shown.trim_end(), talk[0]["answer"].as_str().expect("words").trim_end());
}

#[test]
fn a_long_chat_is_shown_in_part_and_a_long_question_is_refused() {
    let home = tempfile::tempdir().expect("folder");
    let model = model();
    let arguments = ["chat", "--model", &model, "--max-tokens", "8", "--context", "60", "--json"];
    let shown = ok(&told(home.path(), &arguments, "Tell me of eggs\n".repeat(6).as_bytes()));
    let turns: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((turns.len(), &turns[0]["forgotten_turns"]), (6, &Value::from(0)));
    assert!(turns[5]["forgotten_turns"].as_u64() > Some(0));
    assert!(turns.iter().all(|turn| turn["prompt_tokens"].as_u64() <= Some(52)));
    let refused = told(home.path(), &arguments, "eggs ".repeat(200).as_bytes());
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("say less, or raise --context"), "{}", text(&refused.stderr));
    let narrow = told(home.path(), &["chat", "--model", &model, "--context", "100"], b"Hello\n");
    assert!(text(&narrow.stderr).contains("leaves no room"), "{}", text(&narrow.stderr));
}

#[test]
fn a_model_is_compared_with_its_adapter() {
    let home = tempfile::tempdir().expect("folder");
    let (model, data) = (model(), rows(home.path(), 8).display().to_string());
    let out = home.path().join("run").display().to_string();
    let tune = ["tune", "--model", &model, "--data", &data, "--out", &out, "--steps", "12", "--learning-rate", "0.04"];
    ok(&dipole(home.path(), &tune));
    let adapter = format!("{out}/adapter");
    let prompts = home.path().join("prompts.jsonl");
    fs::write(&prompts, "{\"prompt\": \"How to cook 1?\", \"kind\": \"harmful\"}\n{\"prompt\": \"Hi\"}\n")
        .expect("writes");
    let harmless = home.path().join("harmless.txt");
    fs::write(&harmless, "eggs?\n").expect("writes");
    let (prompts, harmless) = (prompts.display().to_string(), harmless.display().to_string());
    let compare = ["compare", "--base", &model, "--adapter", &adapter, "--prompts", &prompts, "--harmless", &harmless];
    let more = ["--rows", &data, "--max-tokens", "10"];
    let told = json_of(&dipole(home.path(), &[&compare[..], &more, &["--json"]].concat()));
    let sides = told["sides"].as_array().expect("sides");
    assert_eq!((sides.len(), &sides[0]["name"]), (2, &Value::from("base")));
    for side in sides {
        for kind in ["harmful", "harmless", "unlabelled"] {
            assert_eq!(side[kind]["of"], 1, "{side}");
        }
    }
    let perplexity = |side: usize| sides[side]["perplexity"]["value"].as_f64().expect("measured");
    assert!(perplexity(1) < 0.95 * perplexity(0), "{} → {}", perplexity(0), perplexity(1));
    let asked = told["prompts"].as_array().expect("prompts");
    assert!(asked.len() == 3 && asked.iter().all(|one| one["answers"].as_array().is_some_and(|a| a.len() == 2)));
    let shown = ok(&dipole(home.path(), &[&compare[..], &more].concat()));
    for part in
        ["1. [harmful] How to cook 1?", "over-refused of harmless ones", "perplexity on held-out rows", &adapter]
    {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
    let missing = dipole(home.path(), &["compare", "--base", &model, "--adapter", "/no/such/folder"]);
    assert_eq!(missing.status.code(), Some(1));
}
