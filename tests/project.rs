//! The main job's files: journal, store, decision lists, exports.

#[path = "project/decision_file.rs"]
mod decision_file;
#[path = "project/explanations.rs"]
mod explanations;
#[path = "project/export.rs"]
mod export;
#[path = "project/insight.rs"]
mod insight;
#[path = "project/journal.rs"]
mod journal;
#[path = "project/store.rs"]
mod store;
#[path = "project/studies.rs"]
mod studies;
#[path = "project/tuning.rs"]
mod tuning;
