//! Transport: the CPU engine against a plain float64 oracle, its invariants, and its errors.

#[path = "transport/clouds.rs"]
mod clouds;
#[path = "transport/edges.rs"]
mod edges;
#[path = "transport/fixed.rs"]
mod fixed;
#[path = "transport/gpu.rs"]
mod gpu;
#[path = "transport/gpu_failures.rs"]
mod gpu_failures;
#[path = "transport/invariants.rs"]
mod invariants;
#[path = "transport/oracle.rs"]
mod oracle;
#[path = "transport/parity.rs"]
mod parity;
