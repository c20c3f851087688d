//! Model folders that cannot be used: each gives an error that names the file and what is wrong, and no memory is
//! taken on the word of a header.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::sentence::Model;
use super::{refused, run, texts};

/// The model with one thing changed must be refused with a message that holds every one of `words`.
fn assert_refused(change: impl Fn(&Model), words: &[&str]) {
    let model = Model::copy("bert");
    change(&model);
    let message = refused(&[&texts(&["a fox"])], &model.settings());
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

/// Number format, shape and bytes.
type Tensor = (Dtype, Vec<usize>, Vec<u8>);

/// Rewrites the weights, one tensor after another; `None` leaves one out.
fn rewrite(model: &Model, change: impl Fn(&str, &TensorView<'_>) -> Option<Tensor>) {
    let bytes = model.read("model.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let kept: Vec<(String, Tensor)> =
        tensors.iter().filter_map(|(name, tensor)| Some((name.to_owned(), change(name, &tensor)?))).collect();
    let views = kept
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).expect("a tensor")));
    model.write("model.safetensors", safetensors::serialize(views, None).expect("serialises"));
}

fn as_it_is(tensor: &TensorView<'_>) -> Option<Tensor> {
    Some((tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()))
}

#[test]
fn a_missing_file_is_named_with_the_way_out() {
    let missing = [
        ("config.json", "Hugging Face layout"),
        ("tokenizer.json", "save_pretrained"),
        ("1_Pooling/config.json", "mean pooling"),
        ("model.safetensors", "download the model again"),
    ];
    for (name, way_out) in missing {
        assert_refused(|model| model.remove(name), &[name, "is missing", way_out]);
    }
}

#[test]
fn weights_that_could_run_code_or_lie_in_pieces_are_refused() {
    let pickled = |model: &Model| {
        model.remove("model.safetensors");
        model.write("pytorch_model.bin", b"\x80\x02}q\x00.");
    };
    assert_refused(pickled, &["pytorch_model.bin", "pickle", "safe_serialization=True"]);
    let in_pieces = |model: &Model| {
        model.remove("model.safetensors");
        model.write("model.safetensors.index.json", "{}");
    };
    assert_refused(in_pieces, &["model.safetensors.index.json", "one model.safetensors"]);
}

#[test]
fn unknown_networks_and_variants_are_refused_by_name() {
    let config = |from: &'static str, to: &'static str| move |model: &Model| model.replace("config.json", from, to);
    assert_refused(config("\"model_type\": \"bert\"", "\"model_type\": \"t5\""), &["config.json", "\"t5\"", "mpnet"]);
    assert_refused(config("\"model_type\": \"bert\",", ""), &["config.json", "model_type"]);
    assert_refused(config("\"gelu\"", "\"swish\""), &["config.json", "\"swish\"", "gelu"]);
    assert_refused(
        config("{\n", "{\"position_embedding_type\": \"relative_key\",\n"),
        &["config.json", "relative_key"],
    );
    assert_refused(config("\"is_decoder\": false", "\"is_decoder\": true"), &["config.json", "is_decoder"]);
    let pooling = |content: &'static str| move |model: &Model| model.write("1_Pooling/config.json", content);
    assert_refused(pooling(r#"{"pooling_mode": "lasttoken"}"#), &["1_Pooling/config.json", "lasttoken"]);
    assert_refused(pooling(r#"{"pooling_mode_mean_sqrt_len_tokens": true}"#), &["mean_sqrt_len_tokens"]);
    assert_refused(
        pooling(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#),
        &["1_Pooling/config.json", "cls + mean"],
    );
    assert_refused(pooling("{}"), &["1_Pooling/config.json", "no pooling mode"]);
    assert_refused(
        pooling(r#"{"word_embedding_dimension": 64, "pooling_mode_mean_tokens": true}"#),
        &["1_Pooling/config.json", "64", "32"],
    );
    let modules = |model: &Model| {
        model.replace("modules.json", "models.Normalize", "models.Dense");
    };
    assert_refused(modules, &["modules.json", "\"Dense\""]);
    let outside = |model: &Model| model.replace("modules.json", "\"1_Pooling\"", "\"../1_Pooling\"");
    assert_refused(outside, &["modules.json", "../1_Pooling"]);
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    let sizes = [
        ("hidden_size", "32"),
        ("num_hidden_layers", "2"),
        ("intermediate_size", "48"),
        ("max_position_embeddings", "40"),
    ];
    for (key, value) in sizes {
        for absurd in ["0", "-1", "1.5", "\"many\"", "null", "9007199254740993", "1e300"] {
            let from = format!("\"{key}\": {value}");
            let to = format!("\"{key}\": {absurd}");
            assert_refused(|model| model.replace("config.json", &from, &to), &["config.json", key]);
        }
        let from = format!("\"{key}\": {value}");
        assert_refused(|model| model.replace("config.json", &from, "\"other\": 1"), &["config.json", key]);
    }
    // Possible sizes that the weights do not have: four billion numbers, of which the file holds none.
    let heads = "\"num_attention_heads\": 4";
    assert_refused(
        |model| model.replace("config.json", heads, "\"num_attention_heads\": 5"),
        &["config.json", "5 heads"],
    );
    let large = |model: &Model| {
        model.replace("config.json", "\"hidden_size\": 32", "\"hidden_size\": 32768");
        model.write("1_Pooling/config.json", r#"{"pooling_mode": "mean"}"#);
    };
    assert_refused(large, &["model.safetensors", "word_embeddings", "32768"]);
    let deep = |model: &Model| model.replace("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 500");
    assert_refused(deep, &["model.safetensors", "encoder.layer.2.", "no tensor"]);
    let wide =
        |model: &Model| model.replace("config.json", "\"intermediate_size\": 48", "\"intermediate_size\": 200000");
    assert_refused(wide, &["model.safetensors", "intermediate.dense", "200000"]);
}

#[test]
fn tensors_that_do_not_fit_are_named_with_both_shapes() {
    let query = "encoder.layer.1.attention.self.query.weight";
    let without = |model: &Model| rewrite(model, |name, tensor| if name == query { None } else { as_it_is(tensor) });
    assert_refused(without, &["model.safetensors", query]);
    let flat = |model: &Model| {
        rewrite(model, |name, tensor| {
            let (dtype, shape, data) = as_it_is(tensor)?;
            Some((dtype, if name == query { vec![1024] } else { shape }, data))
        });
    };
    assert_refused(flat, &["model.safetensors", query, "[1024]", "[32, 32]"]);
    let integers = |model: &Model| {
        rewrite(model, |name, tensor| {
            let (dtype, shape, data) = as_it_is(tensor)?;
            Some((if name == query { Dtype::I16 } else { dtype }, shape, data))
        });
    };
    assert_refused(integers, &["model.safetensors", query, "I16"]);
    let not_finite = |model: &Model| {
        rewrite(model, |name, tensor| {
            let (dtype, shape, mut data) = as_it_is(tensor)?;
            if name == query {
                data[6..8].copy_from_slice(&half::f16::NAN.to_le_bytes());
            }
            Some((dtype, shape, data))
        });
    };
    assert_refused(not_finite, &["model.safetensors", query, "element 3"]);
}

#[test]
fn damaged_weights_files_are_refused() {
    let header = |model: &Model| {
        let mut bytes = model.read("model.safetensors");
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        model.write("model.safetensors", bytes);
    };
    assert_refused(header, &["model.safetensors", "header"]);
    let longer_than_the_file = |model: &Model| {
        let mut bytes = model.read("model.safetensors");
        let size = bytes.len() as u64;
        bytes[..8].copy_from_slice(&size.to_le_bytes());
        model.write("model.safetensors", bytes);
    };
    assert_refused(longer_than_the_file, &["model.safetensors", "header"]);
    let cut = |model: &Model| {
        let bytes = model.read("model.safetensors");
        model.write("model.safetensors", &bytes[..bytes.len() - 100]);
    };
    assert_refused(cut, &["model.safetensors", "cut short"]);
    assert_refused(|model| model.write("model.safetensors", ""), &["model.safetensors", "0 bytes"]);
    assert_refused(|model| model.write("model.safetensors", "version https://git-lfs"), &["model.safetensors"]);
    let lying = |model: &Model| {
        let header = br#"{"embeddings.word_embeddings.weight":{"dtype":"F32","shape":[110,32],"data_offsets":[0,9]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 9]);
        model.write("model.safetensors", bytes);
    };
    assert_refused(lying, &["model.safetensors", "word_embeddings"]);
    // Every prefix of a small file, and every byte of its header changed: an error or an answer, never a panic.
    let whole = Model::copy("bert").read("model.safetensors");
    let model = Model::copy("bert");
    for end in (0..whole.len()).step_by(997) {
        model.write("model.safetensors", &whole[..end]);
        refused(&[&texts(&["a fox"])], &model.settings());
    }
    for at in (0..4000).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x15;
        model.write("model.safetensors", bytes);
        let _ = dipole::embedding::embed(&[&texts(&["a fox"])], &model.settings(), &dipole::jobs::Silent);
    }
}

#[test]
fn damaged_json_files_are_refused() {
    for name in ["config.json", "tokenizer.json", "1_Pooling/config.json", "modules.json", "sentence_bert_config.json"]
    {
        for content in ["", "{", "[]", "null", "\u{feff}", "[[[[[[[[", "\"text\""] {
            assert_refused(|model| model.write(name, content), &[name]);
        }
        assert_refused(|model| model.write(name, "[".repeat(100_000)), &[name]);
    }
    let length = |to: &'static str| move |model: &Model| model.replace("sentence_bert_config.json", "24", to);
    for absurd in ["0", "-3", "\"long\""] {
        assert_refused(length(absurd), &["sentence_bert_config.json", "max_seq_length"]);
    }
    let prompt = |model: &Model| {
        model.write("config_sentence_transformers.json", r#"{"prompts": {}, "default_prompt_name": "query"}"#);
    };
    assert_refused(prompt, &["config_sentence_transformers.json", "\"query\""]);
    // More than the position table has room for is cut to it.
    let model = Model::copy("bert");
    model.replace("sentence_bert_config.json", "24", "1e30");
    assert_eq!(run(&[&texts(&["a fox"])], &model.settings()).fingerprint.details["max_tokens"], 40);
}

#[test]
fn tokenizer_of_another_model_is_refused() {
    let words = |model: &Model| {
        // A token beyond the vocabulary of the network, for a character that the text has.
        let text = String::from_utf8(model.read("tokenizer.json")).expect("text");
        let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        json["model"]["vocab"]["fox"] = 5000.into();
        model.write("tokenizer.json", json.to_string());
    };
    assert_refused(words, &["tokenizer.json", "token 5000", "different models"]);
    // No room for a word between the special tokens.
    let narrow = |model: &Model| model.replace("sentence_bert_config.json", "24", "1");
    assert_refused(narrow, &["tokenizer.json"]);
}

#[test]
fn folders_that_are_none_are_named() {
    let settings =
        |path: &std::path::Path| super::settings(dipole::embedding::EncoderChoice::Sentence(path.to_owned()));
    let folder = tempfile::tempdir().expect("a folder");
    let message = refused(&[&texts(&["a fox"])], &settings(folder.path()));
    assert!(message.contains("config.json is missing"), "{message}");
    let absent = folder.path().join("absent");
    assert!(refused(&[&texts(&["a fox"])], &settings(&absent)).contains("absent"));
    std::fs::create_dir(folder.path().join("config.json")).expect("a folder");
    assert!(refused(&[&texts(&["a fox"])], &settings(folder.path())).contains("config.json"));
}
