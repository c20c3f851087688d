//! Adapters on disk: read, written, merged, refused.

use dipole::jobs::Silent;
use dipole::model::{Adapter, Decoder, Depth, LoraShape, Module, TensorFile, merge};
use serde_json::{Value, json};

use super::expected::{Expected, FAMILIES, assert_close, flat, folder, norm, open};

fn tuned_logits(decoder: &Decoder, adapter: Option<&Adapter>, text: &[u32]) -> Vec<f32> {
    let hidden = decoder.hidden(&[text], Depth::Last, adapter, &Silent).expect("hidden states");
    flat(&decoder.logits(&hidden).expect("logits"))
}

#[test]
fn an_adapter_of_peft_gives_its_logits_and_survives_the_round_trip() {
    for family in FAMILIES {
        let mut expected = Expected::open(family);
        let decoder = expected.decoder();
        let adapter = expected.adapter(&decoder);
        let text = expected.tokens(0);
        let want = expected.get("tuned.logits.0");
        let tolerance = 1e-4 * (1.0 + norm(&want) / 10.0);
        assert_close(&tuned_logits(&decoder, Some(&adapter), &text), &want, tolerance, family);
        let out = tempfile::tempdir().expect("a folder");
        adapter.write(out.path(), &decoder, 0.1).expect("writes");
        let names = |path: &std::path::Path| {
            let file = TensorFile::open(&path.join("adapter_model.safetensors")).expect("an adapter");
            file.names().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names(out.path()), names(&folder(family).join("adapter")), "{family}: peft's own names");
        let config: Value =
            serde_json::from_slice(&std::fs::read(out.path().join("adapter_config.json")).expect("config"))
                .expect("JSON");
        assert_eq!((&config["peft_type"], &config["r"]), (&json!("LORA"), &json!(3)));
        let again = Adapter::read(out.path(), &decoder).expect("reads");
        assert_eq!(again.shape(), adapter.shape());
        assert_eq!(tuned_logits(&decoder, Some(&again), &text), tuned_logits(&decoder, Some(&adapter), &text));
    }
}

#[test]
fn a_merged_model_needs_no_adapter() {
    for family in FAMILIES {
        let mut expected = Expected::open(family);
        let text = expected.tokens(0);
        let home = tempfile::tempdir().expect("a folder");
        let out = home.path().join("merged");
        let merged = merge(&folder(family), &folder(family).join("adapter"), &out, &Silent).expect("merges");
        assert!(merged.adapted >= 4 && merged.copied > 0, "{merged:?}");
        let want = expected.get("tuned.logits.0");
        let tolerance = 1e-4 * (1.0 + norm(&want) / 10.0);
        assert_close(&tuned_logits(&open(&out), None, &text), &want, tolerance, family);
        let refused = merge(&folder(family), &folder(family).join("adapter"), &out, &Silent).expect_err("not empty");
        assert!(refused.to_string().contains("not empty"));
        assert_eq!(std::fs::read_dir(home.path()).expect("folder").count(), 1, "nothing but the model is left");
    }
}

#[test]
fn a_fresh_adapter_changes_nothing_and_repeats_by_its_seed() {
    let mut expected = Expected::open("qwen3");
    let decoder = expected.decoder();
    let text = expected.tokens(0);
    let shape = LoraShape { rank: 4, alpha: 8.0, rank_stabilised: false, targets: vec![Module::Value, Module::Query] };
    let fresh = |seed| Adapter::new(decoder.spec(), shape.clone(), seed, decoder.device()).expect("an adapter");
    let adapter = fresh(1);
    assert_eq!(tuned_logits(&decoder, Some(&adapter), &text), tuned_logits(&decoder, None, &text));
    assert_eq!(adapter.parameters(), 2 * (4 * 48 + 80 * 4 + 4 * 48 + 40 * 4));
    let first = |adapter: &Adapter| flat(adapter.variables().next().expect("a matrix").variable);
    assert_eq!(first(&adapter), first(&fresh(1)));
    assert_ne!(first(&adapter), first(&fresh(2)));
    let bound = 1.0 / 48f32.sqrt();
    let values = first(&adapter);
    assert!(values.iter().all(|x| x.abs() <= bound) && values.iter().any(|x| x.abs() > 0.8 * bound));
}

#[test]
fn adapters_that_ask_for_more_are_refused_by_name() {
    let decoder = Expected::open("llama").decoder();
    let refused = |change: &dyn Fn(&mut Value)| {
        let copy = tempfile::tempdir().expect("a folder");
        let source = folder("llama").join("adapter");
        std::fs::copy(source.join("adapter_model.safetensors"), copy.path().join("adapter_model.safetensors"))
            .expect("copies");
        let bytes = std::fs::read(source.join("adapter_config.json")).expect("config");
        let mut config: Value = serde_json::from_slice(&bytes).expect("JSON");
        change(&mut config);
        std::fs::write(copy.path().join("adapter_config.json"), config.to_string()).expect("writes");
        Adapter::read(copy.path(), &decoder).expect_err("refused").to_string()
    };
    assert!(refused(&|config| config["use_dora"] = json!(true)).contains("use_dora"));
    assert!(refused(&|config| config["bias"] = json!("all")).contains("bias"));
    assert!(refused(&|config| config["peft_type"] = json!("LOHA")).contains("LOHA"));
    assert!(refused(&|config| config["r"] = json!(5)).contains("shape"));
    assert!(refused(&|config| config["r"] = json!(0)).contains("\"r\""));
}
