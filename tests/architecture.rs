//! The rules of the house that a compiler does not see.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                fs::read_dir(&path).expect("folder of the repository").map(|entry| entry.expect("entry").path()),
            );
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn layers_below_the_screen_do_not_name_it() {
    let layers = ["jobs", "gpu", "data", "model", "embedding", "transport", "selection", "training", "project"];
    let mut checked = 0;
    for path in layers.iter().flat_map(|layer| sources(&format!("src/{layer}"), "rs")) {
        let text = read(&path);
        for name in ["egui", "eframe", "rfd"] {
            let names_it = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
            assert!(!names_it, "{} names {name}", path.display());
        }
        checked += 1;
    }
    assert!(checked > 40, "only {checked} source files found");
}

#[test]
fn layers_look_down_only() {
    let order = ["jobs", "gpu", "data", "model", "embedding", "transport", "selection", "training", "project"];
    for (level, layer) in order.iter().enumerate() {
        for path in sources(&format!("src/{layer}"), "rs") {
            let text = read(&path);
            for above in order.iter().skip(level + 1).chain(["commands", "gui"].iter()) {
                assert!(!text.contains(&format!("crate::{above}::")), "{} looks up to {above}", path.display());
            }
        }
    }
}

#[test]
fn only_commands_and_window_print() {
    for path in sources("src", "rs") {
        let shown = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("inside").display().to_string();
        if ["src/main.rs", "src/commands", "src/gui"].iter().any(|prefix| shown.starts_with(prefix)) {
            continue;
        }
        let text = read(&path);
        for call in ["println!(", "eprintln!(", "print!(", "dbg!("] {
            assert!(!text.contains(call), "{shown} prints with {call}");
        }
    }
}

#[test]
fn one_egui_one_wgpu_one_candle() {
    let lock = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"));
    for name in ["egui", "eframe", "wgpu", "candle-core", "tokenizers"] {
        let versions = lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
        assert_eq!(versions, 1, "{name} is in Cargo.lock {versions} times");
    }
}

#[test]
fn every_source_file_says_what_it_is_for_and_stays_short() {
    for path in sources("src", "rs") {
        let text = read(&path);
        assert!(text.starts_with("//!"), "{} has no header", path.display());
        let lines = text.lines().count();
        assert!(lines <= 520, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_shader_has_a_header_and_is_valid() {
    let shaders = sources("shaders", "wgsl");
    assert!(!shaders.is_empty());
    for path in shaders {
        let text = read(&path);
        assert!(text.starts_with("//"), "{} has no header", path.display());
        // A stage may name what is put before it.
        let names = text.lines().find_map(|line| line.strip_prefix("// Include: ")).unwrap_or_default();
        let before: String = names.split_whitespace().map(|name| read(&path.with_file_name(name))).collect();
        // Sums over a workgroup have a path with subgroups and one without.
        let [tree, subgroup] =
            ["transport_tree.wgsl", "transport_subgroup.wgsl"].map(|name| read(&path.with_file_name(name)));
        for before in [before.clone(), before.replace(&tree, &subgroup)] {
            let text = before + &text;
            let module = naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|error| panic!("{}: {}", path.display(), error.emit_to_string(&text)));
            let capabilities = naga::valid::Capabilities::SUBGROUP;
            let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
            validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
            validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
            validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        }
    }
}
