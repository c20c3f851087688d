//! Configurations in their old and new forms, and folders that cannot be used.

use std::path::Path;

use dipole::jobs::Silent;
use dipole::model::{Decoder, Depth, Precision};
use serde_json::{Value, json};

use super::expected::{Expected, assert_close, flat, folder, open};

/// A copy of a fixture's folder with a changed configuration.
pub fn changed(family: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(folder(family)).expect("the fixture") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, copy.path().join(path.file_name().expect("a name"))).expect("copies");
        }
    }
    let path = copy.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).expect("config")).expect("JSON");
    change(&mut config);
    std::fs::write(&path, config.to_string()).expect("writes");
    copy
}

fn fails(path: &Path) -> String {
    match Decoder::open(path, Precision::Stored, &candle_core::Device::Cpu, &Silent) {
        Ok(_) => panic!("it must not open"),
        Err(error) => error.to_string(),
    }
}

fn same_hidden(family: &'static str, path: &Path) {
    let mut expected = Expected::open(family);
    let text = expected.tokens(0);
    let got = open(path).hidden(&[&text], Depth::Last, None, &Silent).expect("hidden states");
    assert_close(&flat(&got), &expected.get("hidden.0"), 1e-4, family);
}

#[test]
fn the_old_form_means_the_same() {
    let old = changed("llama", |config| {
        let mut scaling = config["rope_parameters"].take();
        config["rope_theta"] = scaling["rope_theta"].take();
        config["rope_scaling"] = scaling;
        config.as_object_mut().expect("object").remove("rope_parameters");
    });
    same_hidden("llama", old.path());
    let old = changed("gemma3", |config| {
        let object = config.as_object_mut().expect("object");
        object.remove("rope_parameters");
        object.remove("layer_types");
        object.insert("rope_theta".to_owned(), json!(1e6));
        object.insert("rope_local_base_freq".to_owned(), json!(1e4));
        object.insert("rope_scaling".to_owned(), json!({ "rope_type": "linear", "factor": 8.0 }));
        object.insert("sliding_window_pattern".to_owned(), json!(2));
    });
    same_hidden("gemma3", old.path());
    let old = changed("qwen2", |config| {
        config.as_object_mut().expect("object").remove("layer_types");
    });
    same_hidden("qwen2", old.path());
}

#[test]
fn text_settings_may_lie_below_text_config() {
    let nested = changed("gemma3", |config| {
        *config = json!({ "model_type": "gemma3", "text_config": config.clone() });
    });
    same_hidden("gemma3", nested.path());
}

#[test]
fn what_is_not_known_is_named() {
    let name = |change: fn(&mut Value)| fails(changed("llama", change).path());
    assert!(name(|config| config["model_type"] = json!("mamba")).contains("mamba"));
    assert!(name(|config| config["rope_parameters"]["rope_type"] = json!("yarn")).contains("yarn"));
    assert!(name(|config| config["hidden_act"] = json!("relu2")).contains("relu2"));
    assert!(name(|config| config["num_key_value_heads"] = json!(3)).contains("no multiple"));
    assert!(name(|config| config["hidden_size"] = json!(-4)).contains("hidden_size"));
    assert!(name(|config| config["hidden_size"] = json!(40)).contains("shape"));
    assert!(name(|config| config["num_hidden_layers"] = json!(3)).contains("layers.2."));
    assert!(name(|config| config["layer_types"] = json!(["conv", "full_attention"])).contains("layer_types"));
    assert!(name(|config| config["tie_word_embeddings"] = json!(false)).contains("lm_head"));
}

#[test]
fn broken_folders_are_named() {
    let copy = changed("mistral", |_| {});
    std::fs::remove_file(copy.path().join("model-00003-of-00007.safetensors")).expect("removes");
    assert!(fails(copy.path()).contains("model-00003-of-00007"));
    let index = copy.path().join("model.safetensors.index.json");
    std::fs::write(&index, json!({ "weight_map": { "a": "../../etc/passwd" } }).to_string()).expect("writes");
    assert!(fails(copy.path()).contains("leads out"));
    std::fs::remove_file(&index).expect("removes");
    assert!(fails(copy.path()).contains("missing"));
    std::fs::write(copy.path().join("pytorch_model.bin"), b"\x80\x02").expect("writes");
    assert!(fails(copy.path()).contains("pickle"));
    let empty = tempfile::tempdir().expect("a folder");
    assert!(fails(empty.path()).contains("config.json"));
    let cut = changed("llama", |_| {});
    let path = cut.path().join("model.safetensors");
    let bytes = std::fs::read(&path).expect("weights");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("writes");
    assert!(fails(cut.path()).contains("cut short"));
}
