//! The fast index against a slow reader of our own: `serde_json::Value` a line, fields by name.

use dipole::data::Speaker;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{file, read};

/// What a row is by the slow reader; `None` where it belongs into quarantine.
fn slow(line: &str) -> Option<Vec<(Speaker, String)>> {
    let value: Value = serde_json::from_str(line).ok()?;
    let object = value.as_object()?;
    let mut turns = Vec::new();
    for message in object.get("messages")?.as_array()? {
        let speaker = match message.get("role")?.as_str()? {
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            "system" => Speaker::System,
            _ => return None,
        };
        let text = match message.get("content")? {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        turns.push((speaker, text));
    }
    turns.iter().any(|(_, text)| !text.trim().is_empty()).then_some(turns)
}

fn text(random: &mut impl rand::Rng) -> String {
    let alphabet: Vec<char> = "ab Z9.,\n\t\"\\/\0\u{1f}éß日本한😀\u{2028}".chars().collect();
    (0..random.random_range(0..60)).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
}

fn record(random: &mut impl rand::Rng) -> String {
    let messages: Vec<Value> = (0..random.random_range(0..5))
        .map(|_| {
            let role = match random.random_range(0..40) {
                0 => "stranger",
                other => ["user", "assistant", "system"][other % 3],
            };
            let content = match random.random_range(0..30) {
                0 => Value::Null,
                1 => json!(7),
                _ => Value::String(text(random)),
            };
            json!({ "role": role, "content": content, "extra": [text(random), { "deep": true }] })
        })
        .collect();
    let mut value = json!({ "id": random.random_range(0..99), "messages": messages, "note": text(random) });
    if random.random_range(0..15) == 0
        && let Some(object) = value.as_object_mut()
    {
        object.remove("messages");
    }
    let mut line = value.to_string();
    if random.random_range(0..3) == 0 {
        // The same text in escapes.
        line = line.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect();
    }
    if random.random_range(0..10) == 0 {
        let mut characters: Vec<char> = line.chars().collect();
        let at = random.random_range(0..characters.len());
        match random.random_range(0..3) {
            0 => drop(characters.remove(at)),
            1 => characters.insert(at, ['"', '}', '{', ',', '\\', '7'][random.random_range(0..6)]),
            _ => characters.truncate(at.max(1)),
        }
        line = characters.into_iter().collect();
    }
    line
}

fn escaped(character: char) -> String {
    character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
}

/// True where the slow reader cannot tell: doubled keys that `Value` hides.
fn ambiguous(line: &str) -> bool {
    ["\"messages\":", "\"id\":", "\"note\":"].iter().any(|key| line.matches(key).count() > 1)
}

#[test]
fn the_fast_index_agrees_with_the_slow_reader() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(42);
    for _ in 0..20 {
        let lines: Vec<String> =
            (0..400).map(|_| record(&mut random)).filter(|line| !ambiguous(line) && !line.trim().is_empty()).collect();
        let (dataset, _) = read(&file("rows.jsonl", lines.join("\n")));
        let dataset = dataset.expect("opens");
        assert_eq!(dataset.stats().records, lines.len() as u64);
        let mut index = 0;
        for (number, line) in lines.iter().enumerate() {
            let fast = if dataset.number(index) == Some(number as u64) {
                index += 1;
                let row = dataset.row(index - 1).expect("a row");
                assert_eq!(dataset.record_json(index - 1).expect("a record"), line.as_bytes());
                Some(row.turns.into_iter().map(|turn| (turn.speaker, turn.text)).collect())
            } else {
                None
            };
            assert_eq!(fast, slow(line), "{line}");
        }
        assert_eq!(index, dataset.len());
    }
}
