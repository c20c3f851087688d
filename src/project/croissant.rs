//! `croissant.json`: machine-readable metadata of the export (MLCommons Croissant 1.0, JSON-LD).
//!
//! Constraint: a function of the data and the settings alone, so that equal runs give equal bytes.

use serde_json::{Map, Value, json};

use super::Export;
use super::manifest::{FileEntry, FileRole};
use crate::data::{Container, FieldRole};

/// The file's name in an export folder.
pub(super) const CROISSANT: &str = "croissant.json";

/// The columns of `weights.csv` with their types and meanings.
const WEIGHT_FIELDS: [(&str, &str, &str); 9] = [
    ("row", "sc:Integer", "0-based record number in the source file"),
    ("id", "sc:Text", "stable identity of the row"),
    ("score", "sc:Float", "suspicion; higher is more suspicious"),
    ("pull", "sc:Float", "distance from the safe reference, centred"),
    ("push", "sc:Float", "distance from the harmful reference, centred; lower is nearer"),
    ("weight", "sc:Float", "learned weight times the number of rows; 1 is average"),
    ("loss_weight", "sc:Float", "exported loss weight; 0 where dropped"),
    ("rank", "sc:Integer", "1 is the most suspicious row"),
    ("decision", "sc:Text", "kept, dropped, kept-by-hand or dropped-by-hand"),
];

/// The same of `explanations.csv`, but for the columns of the groups, whose names hang on the references.
const EXPLANATION_FIELDS: [(&str, &str, &str); 14] = [
    ("row", "sc:Integer", "0-based record number in the source file"),
    ("id", "sc:Text", "stable identity of the row"),
    ("force", "sc:Text", "pull or push: which of the two is farther from the middle of the rows"),
    ("farther_than", "sc:Float", "share of the rows with a smaller pull"),
    ("nearer_than", "sc:Float", "share of the rows with a larger push"),
    ("safe_file", "sc:Text", "file of the nearest safe reference"),
    ("safe_row", "sc:Integer", "0-based record number in it"),
    ("safe_cosine", "sc:Float", "cosine of the row and that reference"),
    ("safe_shared", "sc:Text", "words that both hold, the rarest in the reference first"),
    ("harmful_file", "sc:Text", "file of the nearest harmful reference"),
    ("harmful_row", "sc:Integer", "0-based record number in it"),
    ("harmful_cosine", "sc:Float", "cosine of the row and that reference"),
    ("harmful_shared", "sc:Text", "words that both hold, the rarest in the reference first"),
    ("sentence", "sc:Text", "the reason in one sentence"),
];

/// The metadata as JSON text.
pub(super) fn render(what: &Export<'_>, files: &[FileEntry]) -> Result<Vec<u8>, serde_json::Error> {
    let source = super::manifest::file_name(what.sets.custom.path());
    let mut document = json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": format!("{}-purified", slug(&source)),
        "description": format!(
            "Fine-tuning rows of {source}, weighted and selected by Safety Optimal Transport with Dipole {}. Weights are no proof of safety.",
            env!("CARGO_PKG_VERSION")
        ),
        "version": "1.0.0",
        "citeAs": "Safeguarding LLM Fine-tuning via Push-Pull Distributional Alignment, arXiv 2601.07200",
        "distribution": files.iter().map(file_object).collect::<Vec<_>>(),
        "recordSet": record_sets(what, files),
    });
    if let (Some(object), [first, ..]) = (document.as_object_mut(), what.context.licences.as_slice()) {
        let licence = if what.context.licences.len() == 1 { json!(first) } else { json!(what.context.licences) };
        object.insert("license".to_owned(), licence);
    }
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn encoding(container: Option<Container>) -> &'static str {
    match container {
        Some(Container::Jsonl) => "application/jsonlines",
        Some(Container::Json) | None => "application/json",
        Some(Container::Csv) => "text/csv",
        Some(Container::Tsv) => "text/tsv",
        Some(Container::Parquet) => "application/x-parquet",
    }
}

fn file_object(file: &FileEntry) -> Value {
    json!({
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": format!("{} B", file.bytes),
        "encodingFormat": encoding(file.container),
        "sha256": file.sha256,
    })
}

fn field(set: &str, file: &FileEntry, name: &str, kind: &str, description: &str) -> Value {
    // A JSON list is addressed by path, everything else by column.
    let extract = match file.container {
        Some(Container::Json) => json!({ "jsonPath": format!("$[*]['{}']", name.replace('\'', "\\'")) }),
        _ => json!({ "column": name }),
    };
    json!({
        "@type": "cr:Field",
        "@id": format!("{set}/{name}"),
        "name": name,
        "description": description,
        "dataType": kind,
        "source": { "fileObject": { "@id": file.name }, "extract": extract },
    })
}

fn record_sets(what: &Export<'_>, files: &[FileEntry]) -> Vec<Value> {
    let mut sets = Vec::new();
    let of_role = |role| files.iter().find(move |file| file.role == role);
    if let Some(file) = of_role(FileRole::Purified) {
        let mapping = what.sets.custom.mapping();
        // Lists of turns have no Croissant type; their rows are described by the schema's name in the manifest.
        let is_list = |role| matches!(role, FieldRole::Conversation | FieldRole::History);
        let mut fields: Vec<Value> = mapping
            .fields
            .iter()
            .filter(|(name, role)| !is_list(**role) && name.as_str() != "weight" && in_every_row(**role))
            .map(|(name, role)| field("rows", file, name, "sc:Text", meaning(*role)))
            .collect();
        fields.push(field("rows", file, "weight", "sc:Float", "loss weight; mean 1 over the kept rows"));
        sets.push(record_set("rows", "The kept rows.", fields));
    }
    if let Some(file) = of_role(FileRole::Weights) {
        let fields = WEIGHT_FIELDS.iter().map(|(name, kind, text)| field("weights", file, name, kind, text)).collect();
        sets.push(record_set("weights", "What the machine and the reviewer said about every readable row.", fields));
    }
    if let Some(file) = of_role(FileRole::Explanations) {
        let fields =
            EXPLANATION_FIELDS.iter().map(|(name, kind, text)| field("explanations", file, name, kind, text)).collect();
        sets.push(record_set("explanations", "Why each readable row stands where it stands.", fields));
    }
    sets
}

/// Roles without which a row is not read, so that the column is there.
fn in_every_row(role: FieldRole) -> bool {
    matches!(role, FieldRole::Prompt | FieldRole::Response | FieldRole::Text)
}

fn record_set(name: &str, description: &str, fields: Vec<Value>) -> Value {
    json!({ "@type": "cr:RecordSet", "@id": name, "name": name, "description": description, "field": fields })
}

fn meaning(role: FieldRole) -> &'static str {
    match role {
        FieldRole::Response => "the model's words",
        FieldRole::Text => "the text",
        _ => "the user's words",
    }
}

/// Letters, digits and hyphens of a file's stem.
pub(super) fn slug(file: &str) -> String {
    let stem = file.split('.').next().unwrap_or(file);
    let text: String = stem.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { "dataset".to_owned() } else { text.to_lowercase() }
}

/// The context that the Croissant 1.0 specification prescribes.
fn context() -> Value {
    let mut context = Map::new();
    for (name, value) in [("@language", "en"), ("@vocab", "https://schema.org/"), ("sc", "https://schema.org/")] {
        context.insert(name.to_owned(), json!(value));
    }
    context.insert("cr".to_owned(), json!("http://mlcommons.org/croissant/"));
    context.insert("rai".to_owned(), json!("http://mlcommons.org/croissant/RAI/"));
    context.insert("dct".to_owned(), json!("http://purl.org/dc/terms/"));
    context.insert("conformsTo".to_owned(), json!("dct:conformsTo"));
    for name in ["data", "examples"] {
        context.insert(name.to_owned(), json!({ "@id": format!("cr:{name}"), "@type": "@json" }));
    }
    context.insert("dataType".to_owned(), json!({ "@id": "cr:dataType", "@type": "@vocab" }));
    for name in [
        "citeAs",
        "column",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "separator",
        "source",
        "subField",
        "transform",
    ] {
        context.insert(name.to_owned(), json!(format!("cr:{name}")));
    }
    Value::Object(context)
}
