//! GGUF files beside the safetensors that they were made of. Tolerances: 1e-4 where numbers are kept; for 8-bit blocks
//! 1e-4 against the widened blocks, and 3 % of the norm where inputs are rounded too (single tokens; bfloat16).

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use dipole::data::Speaker;
use dipole::embedding::EncoderChoice;
use dipole::jobs::Silent;
use dipole::model::{ChatTokenizer, Decoder, Depth, Message, ModelError, Precision, TensorFile, write_tensors};
use dipole::training::{Prepared, TrainRow, TrainSettings, Trainer};
use serde_json::{Value as Json, json};

use super::expected::{Expected, assert_close, flat, folder, norm, open};

/// How llama.cpp calls the tensors of a layer.
const NAMES: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

fn renamed(name: &str) -> String {
    let name = name.strip_prefix("model.").unwrap_or(name);
    match name {
        "embed_tokens.weight" => "token_embd.weight".to_owned(),
        "norm.weight" => "output_norm.weight".to_owned(),
        "lm_head.weight" => "output.weight".to_owned(),
        _ => {
            let mut name = name.replacen("layers.", "blk.", 1);
            // The longer names first: "q_norm" is within none of the others.
            for (theirs, llama) in NAMES {
                name = name.replace(&format!(".{theirs}."), &format!(".{llama}."));
            }
            name
        }
    }
}

/// A file under construction.
struct Made {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, QTensor)>,
}

impl Made {
    /// Of a model folder, as llama.cpp's converter does it; matrices in the given format.
    fn of(folder: &Path, kind: GgmlDType) -> Self {
        let config: Json =
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).expect("a config")).expect("JSON");
        let architecture = config["model_type"].as_str().expect("a type").to_owned();
        let number = |name: &str| config[name].as_u64().unwrap_or_else(|| panic!("{name}")) as u32;
        let mut metadata = vec![("general.architecture".to_owned(), Value::String(architecture.clone()))];
        for (name, of) in [
            ("block_count", "num_hidden_layers"),
            ("embedding_length", "hidden_size"),
            ("feed_forward_length", "intermediate_size"),
            ("attention.head_count", "num_attention_heads"),
            ("attention.head_count_kv", "num_key_value_heads"),
            ("attention.key_length", "head_dim"),
            ("attention.value_length", "head_dim"),
            ("rope.dimension_count", "head_dim"),
            ("context_length", "max_position_embeddings"),
        ] {
            metadata.push((format!("{architecture}.{name}"), Value::U32(number(of))));
        }
        let rope = &config["rope_parameters"];
        let float = |value: &Json| Value::F32(value.as_f64().expect("a number") as f32);
        metadata.push((format!("{architecture}.rope.freq_base"), float(&rope["rope_theta"])));
        metadata.push((format!("{architecture}.attention.layer_norm_rms_epsilon"), float(&config["rms_norm_eps"])));
        metadata.push(("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(number("eos_token_id"))));
        let mut this = Self { metadata, tensors: Vec::new() };
        let mut file = TensorFile::open(&folder.join("model.safetensors")).expect("weights");
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        for name in names {
            let shape = file.info(&name).expect("a tensor").shape.clone();
            let mut tensor =
                Tensor::from_vec(file.read(&name).expect("numbers"), shape, &Device::Cpu).expect("a tensor");
            let heads = match name.rsplit_once("self_attn.").map_or("", |(_, part)| part) {
                "q_proj.weight" | "q_proj.bias" => number("num_attention_heads"),
                "k_proj.weight" | "k_proj.bias" => number("num_key_value_heads"),
                _ => 0,
            } as usize;
            if architecture == "llama" && heads > 0 {
                tensor = paired(&tensor, heads);
            }
            let kind = if tensor.rank() == 2 { kind } else { GgmlDType::F32 };
            this.tensors.push((renamed(&name), QTensor::quantize(&tensor, kind).expect("blocks")));
        }
        if rope["rope_type"] == "llama3" {
            let factors = Tensor::from_vec(
                llama3_factors(rope, number("head_dim") as usize),
                (number("head_dim") / 2) as usize,
                &Device::Cpu,
            );
            let factors = QTensor::quantize(&factors.expect("factors"), GgmlDType::F32).expect("numbers");
            this.tensors.push(("rope_freqs.weight".to_owned(), factors));
        }
        this
    }

    fn set(&mut self, name: &str, value: Value) {
        self.metadata.retain(|(known, _)| known != name);
        self.metadata.push((name.to_owned(), value));
    }

    /// Vocabulary, merges and template of the folder's own tokenizer.
    fn with_tokenizer(mut self, folder: &Path) -> Self {
        let json = |name: &str| -> Json {
            serde_json::from_slice(&std::fs::read(folder.join(name)).expect("a file")).expect("JSON")
        };
        let (tokenizer, config) = (json("tokenizer.json"), json("tokenizer_config.json"));
        let vocabulary = tokenizer["model"]["vocab"].as_object().expect("a vocabulary");
        let mut tokens: Vec<(u64, &String)> =
            vocabulary.iter().map(|(text, number)| (number.as_u64().expect("a number"), text)).collect();
        tokens.sort_unstable();
        let special = |text: &str| {
            tokenizer["added_tokens"].as_array().is_some_and(|all| all.iter().any(|one| one["content"] == text))
        };
        let kinds = tokens.iter().map(|(_, text)| Value::I32(if special(text) { 3 } else { 1 })).collect();
        let number = |text: &Json| vocabulary[text.as_str().expect("a token")].as_u64().expect("a number") as u32;
        let merges = tokenizer["model"]["merges"].as_array().expect("merges").iter();
        let merge = |pair: &Json| format!("{} {}", pair[0].as_str().expect("text"), pair[1].as_str().expect("text"));
        let texts = |of: Vec<String>| Value::Array(of.into_iter().map(Value::String).collect());
        self.set("tokenizer.ggml.model", Value::String("gpt2".to_owned()));
        self.set("tokenizer.ggml.pre", Value::String("qwen2".to_owned()));
        self.set("tokenizer.ggml.tokens", texts(tokens.iter().map(|(_, text)| (*text).clone()).collect()));
        self.set("tokenizer.ggml.token_type", Value::Array(kinds));
        self.set("tokenizer.ggml.merges", texts(merges.map(merge).collect()));
        self.set("tokenizer.ggml.bos_token_id", Value::U32(number(&config["bos_token"])));
        self.set("tokenizer.ggml.eos_token_id", Value::U32(number(&config["eos_token"])));
        let template = config["chat_template"].as_str().expect("a template").to_owned();
        self.set("tokenizer.chat_template", Value::String(template));
        self
    }

    fn write(&self, path: &Path) {
        let metadata: Vec<(&str, &Value)> = self.metadata.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let tensors: Vec<(&str, &QTensor)> = self.tensors.iter().map(|(name, value)| (name.as_str(), value)).collect();
        gguf_file::write(&mut File::create(path).expect("a file"), &metadata, &tensors).expect("writes");
    }
}

/// The rows of every head as llama.cpp has them: first halves and second halves by turns.
fn paired(tensor: &Tensor, heads: usize) -> Tensor {
    let dims = tensor.dims().to_vec();
    let rest: usize = dims.iter().skip(1).product();
    let half = dims[0] / heads / 2;
    let turned = tensor.reshape((heads, 2, half, rest)).and_then(|t| t.transpose(1, 2)?.contiguous()?.reshape(dims));
    turned.expect("the same numbers")
}

fn llama3_factors(rope: &Json, head_dim: usize) -> Vec<f32> {
    let of = |name: &str| rope[name].as_f64().expect("a number");
    let (factor, low, high) = (of("factor"), of("low_freq_factor"), of("high_freq_factor"));
    let original = of("original_max_position_embeddings");
    let factor = |pair: usize| {
        let wave = 2.0 * std::f64::consts::PI * of("rope_theta").powf(2.0 * pair as f64 / head_dim as f64);
        let smooth = ((original / wave - low) / (high - low)).clamp(0.0, 1.0);
        (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
    };
    (0..head_dim / 2).map(factor).collect()
}

fn last(decoder: &Decoder, text: &[u32]) -> Vec<f32> {
    flat(&decoder.hidden(&[text], Depth::Last, None, &Silent).expect("states"))
}

#[test]
fn whole_numbers_give_the_states_of_transformers() {
    let home = tempfile::tempdir().expect("a folder");
    for family in ["llama", "qwen3"] {
        let path = home.path().join(format!("{family}.gguf"));
        Made::of(&folder(family), GgmlDType::F32).write(&path);
        let mut expected = Expected::open(family);
        let decoder = open(&path);
        assert_eq!(decoder.spec().end_tokens, [96]);
        for (number, text) in expected.texts().iter().enumerate() {
            assert_close(&last(&decoder, text), &expected.get(&format!("hidden.{number}")), 1e-4, family);
        }
    }
}

/// A random model whose rows are whole blocks of 32.
fn random(path: &Path, family: &str) {
    let mut state = 7u64;
    let mut numbers = |count: usize| -> Vec<f32> {
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.3
        };
        std::iter::repeat_with(next).take(count).collect()
    };
    let (hidden, inner, queries, keys, vocabulary) = (64, 96, 64, 32, 97);
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocabulary, hidden], numbers(vocabulary * hidden)),
        ("model.norm.weight".to_owned(), vec![hidden], vec![1.0; hidden]),
        ("lm_head.weight".to_owned(), vec![vocabulary, hidden], numbers(vocabulary * hidden)),
    ];
    for layer in 0..2 {
        let mut add = |part: &str, shape: Vec<usize>| {
            let count = shape.iter().product();
            let values = if part.contains("norm") { vec![1.0; count] } else { numbers(count) };
            tensors.push((format!("model.layers.{layer}.{part}"), shape, values));
        };
        add("input_layernorm.weight", vec![hidden]);
        add("post_attention_layernorm.weight", vec![hidden]);
        for (part, rows) in [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)] {
            add(&format!("self_attn.{part}.weight"), vec![rows, hidden]);
            if family == "qwen2" {
                add(&format!("self_attn.{part}.bias"), vec![rows]);
            }
        }
        add("self_attn.o_proj.weight", vec![hidden, queries]);
        add("mlp.gate_proj.weight", vec![inner, hidden]);
        add("mlp.up_proj.weight", vec![inner, hidden]);
        add("mlp.down_proj.weight", vec![hidden, inner]);
    }
    let config = json!({
        "model_type": family, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": vocabulary,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "eos_token_id": 96, "tie_word_embeddings": false,
        "rope_parameters": { "rope_theta": 10000.0, "rope_type": "default" },
    });
    std::fs::create_dir_all(path).expect("a folder");
    std::fs::write(path.join("config.json"), config.to_string()).expect("writes");
    write_tensors(&path.join("model.safetensors"), &tensors, &[]).expect("writes");
}

#[test]
fn quantised_blocks_give_the_states_of_their_widened_numbers() {
    let home = tempfile::tempdir().expect("a folder");
    let text: Vec<u32> = (0..40).map(|number| number * 37 % 97).collect();
    for family in ["llama", "qwen2"] {
        let original = home.path().join(family);
        random(&original, family);
        let exact = last(&open(&original), &text);
        let path = home.path().join(format!("{family}.gguf"));
        for kind in [GgmlDType::Q8_0, GgmlDType::Q4_0, GgmlDType::BF16] {
            Made::of(&original, kind).write(&path);
            let read = |precision| Decoder::open(&path, precision, &Device::Cpu, &Silent).expect("a decoder");
            let (blocks, widened) = (read(Precision::Stored), read(Precision::F32));
            assert!(blocks.weight_bytes() * 3 < widened.weight_bytes() * 2, "{kind:?} stays small in memory");
            let (got, want) = (last(&blocks, &text), last(&widened, &text));
            if kind == GgmlDType::BF16 {
                // Some CPUs multiply bfloat16 as it is, and round the other side.
                let off: Vec<f32> = got.iter().zip(&want).map(|(a, b)| a - b).collect();
                assert!(norm(&off) < 0.03 * norm(&want), "{family}: {} of {}", norm(&off), norm(&want));
            } else {
                assert_close(&got, &want, 1e-4, &format!("{family} {kind:?}"));
            }
            let share = if kind == GgmlDType::Q4_0 { 0.25 } else { 0.03 };
            let off: Vec<f32> = want.iter().zip(&exact).map(|(a, b)| a - b).collect();
            assert!(norm(&off) < share * norm(&exact), "{family} {kind:?}: {} of {}", norm(&off), norm(&exact));
            // Token by token, as generation goes.
            let (mut memory, mut logits) = (blocks.cache(), Vec::new());
            for token in &text {
                logits = blocks.step(&[*token], &mut memory, None, &Silent).expect("logits");
            }
            let mut memory = widened.cache();
            let want = widened.step(&text, &mut memory, None, &Silent).expect("logits");
            let off: Vec<f32> = logits.iter().zip(&want).map(|(a, b)| a - b).collect();
            assert!(norm(&off) < 0.03 * norm(&want), "{family} {kind:?}: {} of {}", norm(&off), norm(&want));
        }
    }
}

fn chat_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model")
}

#[test]
fn a_file_alone_brings_tokenizer_and_template() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("chat.gguf");
    Made::of(&chat_model(), GgmlDType::F32).with_tokenizer(&chat_model()).write(&path);
    let decoder = open(&path);
    let own = ChatTokenizer::open(&path, decoder.spec()).expect("the file's tokenizer");
    let folder = ChatTokenizer::open(&chat_model(), decoder.spec()).expect("the folder's tokenizer");
    let messages = [Message::new(Speaker::System, "Be brief."), Message::new(Speaker::User, "How to cook eggs?")];
    let prompt = own.prompt(&messages).expect("a prompt");
    assert_eq!(prompt, folder.prompt(&messages).expect("a prompt"));
    assert_eq!(own.end_tokens(), folder.end_tokens());
    assert_eq!(own.decode(&prompt), folder.decode(&prompt));
    assert!(!own.has_built_in_template());
    // What lies beside the file wins, unless it is of another model.
    std::fs::copy(chat_model().join("tokenizer.json"), home.path().join("tokenizer.json")).expect("copies");
    let beside = ChatTokenizer::open(&path, decoder.spec()).expect("the tokenizer beside it");
    assert_eq!(beside.prompt(&messages).expect("a prompt"), prompt);
    let text = std::fs::read_to_string(chat_model().join("tokenizer.json")).expect("text");
    std::fs::write(home.path().join("tokenizer.json"), text.replace("\"Ġ", "\"X")).expect("writes");
    let other = ChatTokenizer::open(&path, decoder.spec()).expect_err("another model's").to_string();
    assert!(other.contains("tokenizer.json") && other.contains("different models"), "{other}");
    let choice: EncoderChoice = format!("{}#mean", path.display()).parse().expect("an encoder");
    assert!(matches!(choice, EncoderChoice::Language(_)));
}

#[test]
fn a_token_of_the_users_own_is_never_cut_and_stays_in_the_text() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("chat.gguf");
    let mut made = Made::of(&chat_model(), GgmlDType::F32).with_tokenizer(&chat_model());
    let arrays =
        |made: &Made, name: &str| match &made.metadata.iter().find(|(known, _)| known == name).expect("there").1 {
            Value::Array(values) => values.clone(),
            other => panic!("{other:?}"),
        };
    // The last common token gets a text that its letters would never be merged to.
    let (mut tokens, mut kinds) = (arrays(&made, "tokenizer.ggml.tokens"), arrays(&made, "tokenizer.ggml.token_type"));
    let place = kinds.iter().rposition(|kind| matches!(kind, Value::I32(1))).expect("a common token");
    let Value::String(merged) = tokens[place].clone() else { panic!("a text") };
    let mut merges = arrays(&made, "tokenizer.ggml.merges");
    merges.retain(|merge| !matches!(merge, Value::String(pair) if pair.replace(' ', "") == merged));
    (tokens[place], kinds[place]) = (Value::String("<think>".to_owned()), Value::I32(4));
    made.set("tokenizer.ggml.tokens", Value::Array(tokens));
    made.set("tokenizer.ggml.token_type", Value::Array(kinds));
    made.set("tokenizer.ggml.merges", Value::Array(merges));
    made.write(&path);
    let decoder = open(&path);
    let tokenizer = ChatTokenizer::open(&path, decoder.spec()).expect("the file's tokenizer");
    let prompt = tokenizer.prompt(&[Message::new(Speaker::User, "How <think>to cook")]).expect("a prompt");
    assert!(prompt.contains(&(place as u32)), "{prompt:?}");
    let text = tokenizer.decode(&prompt);
    assert!(text.contains("How <think>to cook"), "{text}");
}

#[test]
fn what_is_not_known_or_not_there_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("model.gguf");
    let told = |change: &dyn Fn(&mut Made)| {
        let mut made = Made::of(&folder("llama"), GgmlDType::F32);
        change(&mut made);
        made.write(&path);
        let opened = Decoder::open(&path, Precision::Stored, &Device::Cpu, &Silent);
        let error = opened.map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains("model.gguf"), "{error}");
        error
    };
    let text = |text: &str| Value::String(text.to_owned());
    assert!(told(&|made| made.set("general.architecture", text("mamba"))).contains("\"mamba\" is not known"));
    let missing = told(&|made| made.tensors.retain(|(name, _)| name != "blk.1.ffn_up.weight"));
    assert!(missing.contains("\"blk.1.ffn_up.weight\""), "{missing}");
    assert!(told(&|made| made.set("llama.feed_forward_length", Value::U32(73))).contains("blk.0.ffn_"));
    assert!(told(&|made| made.set("llama.block_count", Value::U32(0))).contains("block_count"));
    assert!(told(&|made| made.set("llama.block_count", Value::U32(1 << 30))).contains("block_count"));
    assert!(told(&|made| made.set("llama.rope.scaling.type", text("yarn"))).contains("\"yarn\" is not known"));
    assert!(told(&|made| made.set("llama.expert_count", Value::U32(8))).contains("mixture of experts"));
    assert!(told(&|made| made.set("split.count", Value::U16(3))).contains("one of several parts"));
    assert!(told(&|made| made.set("general.alignment", Value::U32(0))).contains("alignment is 0"));
    // A tokenizer of a kind that nothing is made of.
    Made::of(&folder("llama"), GgmlDType::F32).write(&path);
    let decoder = open(&path);
    let error = ChatTokenizer::open(&path, decoder.spec()).expect_err("no tokenizer").to_string();
    assert!(error.contains("put the tokenizer.json of the same model beside"), "{error}");
    let row = TrainRow { index: 0, tokens: vec![1, 2, 3], supervised: vec![true; 3], weight: 1.0 };
    let prepared = Prepared { rows: vec![row], ..Prepared::default() };
    let settings = TrainSettings::default();
    let refused = Trainer::new(&decoder, &settings, prepared, home.path(), 1);
    let refused = refused.map(|_| ()).expect_err("no training").to_string();
    assert!(refused.contains("cannot be fine-tuned"), "{refused}");
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_panic() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("model.gguf");
    Made::of(&chat_model(), GgmlDType::F32).with_tokenizer(&chat_model()).write(&path);
    let bytes = std::fs::read(&path).expect("bytes");
    let opened = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("writes");
        let decoder = Decoder::open(&path, Precision::Stored, &Device::Cpu, &Silent)?;
        ChatTokenizer::open(&path, decoder.spec()).map(|_| ())
    };
    opened(&bytes).expect("whole, it is read");
    for cut in (0..bytes.len()).step_by(bytes.len() / 60) {
        let error = opened(&bytes[..cut]).expect_err("cut short");
        assert!(matches!(error, ModelError::Malformed { .. }), "cut to {cut}: {error}");
    }
    // Every byte of the part that names sizes, one after another: any answer but a panic will do.
    let mut failed = 0;
    for at in (0..2000).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xFF;
        failed += usize::from(opened(&bytes).is_err());
    }
    assert!(failed > 20, "{failed}");
}
