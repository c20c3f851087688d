//! The main job's files: journal, store, decision lists, exports.

#[path = "project/decision_file.rs"]
mod decision_file;
#[path = "project/export.rs"]
mod export;
#[path = "project/journal.rs"]
mod journal;
#[path = "project/store.rs"]
mod store;
#[path = "project/tuning.rs"]
mod tuning;
