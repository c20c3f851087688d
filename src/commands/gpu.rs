//! `dipole gpu`: the graphics adapters of this machine, and whether they compute what they should.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use super::arguments::Gpu as Arguments;
use super::terminal::Terminal;
use crate::gpu::{Adapter, adapters};
use crate::transport::check_adapter;

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let mut list = Vec::new();
    let mut failed = false;
    for adapter in adapters() {
        describe(&mut text, &adapter)?;
        let mut entry = serde_json::to_value(&adapter)?;
        if !arguments.no_test {
            let check = check_adapter(&adapter.name);
            let value = match &check {
                Ok(check) => {
                    let verdict = if check.passed { "passed" } else { "FAILED" };
                    write!(text, "  self-test   {verdict}, error {:.1e}, {:.1} s", check.error, check.seconds)?;
                    writeln!(text, "{}", check.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}")))?;
                    writeln!(text, "  reads       {:.1} GB/s", check.bytes_per_second / 1e9)?;
                    failed |= !check.passed;
                    serde_json::to_value(check)?
                }
                Err(error) => {
                    writeln!(text, "  self-test   FAILED: {error}")?;
                    failed = true;
                    json!({ "passed": false, "reason": error.to_string() })
                }
            };
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("self_test".to_owned(), value);
            }
        }
        list.push(entry);
    }
    if list.is_empty() {
        text.push_str("No graphics adapter was found; the CPU engine does all work.\n");
    }
    terminal.result(&json!({ "adapters": list }), &text)?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn describe(text: &mut String, adapter: &Adapter) -> std::fmt::Result {
    let kind = serde_json::to_value(adapter.kind).ok();
    let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown");
    writeln!(text, "{}", adapter.name)?;
    writeln!(text, "  kind        {kind}, {} ({})", adapter.backend, adapter.driver)?;
    writeln!(
        text,
        "  limits      buffers {}, bindings {}, {} KiB and {} threads a workgroup",
        size(adapter.buffer_bytes),
        size(adapter.binding_bytes),
        adapter.workgroup_bytes >> 10,
        adapter.workgroup_invocations,
    )?;
    let [least, most] = adapter.subgroup_sizes;
    let features = if adapter.features.is_empty() { "none".to_owned() } else { adapter.features.join(", ") };
    writeln!(text, "  features    {features}; subgroups of {least} to {most}")
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
    } else {
        format!("{} MiB", bytes >> 20)
    }
}
