//! How fast an adapter reads its memory.

use std::time::Duration;

use super::{Binding, Device, GpuError};
use crate::jobs::Progress;

const SOURCE: &str = include_str!("../../shaders/bandwidth.wgsl");
/// More than any cache holds; a software adapter reads the processor's memory and takes its time.
const BYTES: u64 = 256 << 20;
const SOFTWARE_BYTES: u64 = 64 << 20;
const GROUPS: u32 = 4096;
/// A measurement shorter than this is mostly the cost of a submission.
const LONG: Duration = Duration::from_millis(60);
const MOST_PASSES: u32 = 256;

/// Bytes a second that plain reads of a buffer reach.
///
/// # Errors
/// The device failed or the user cancelled.
pub fn bandwidth(device: &Device, progress: &dyn Progress) -> Result<f64, GpuError> {
    let wanted = if device.adapter.is_software() { SOFTWARE_BYTES } else { BYTES };
    let bytes = wanted.min(device.binding_limit() / 4096 * 4096);
    let stage = device.stage("bandwidth", SOURCE, "sum", &[Binding::Read, Binding::Write], &[])?;
    let data = device.storage("bandwidth", bytes)?;
    let sums = device.storage("bandwidth sums", 16 * u64::from(GROUPS))?;
    let group = device.bind(&stage, &[&data, &sums]);
    let mut passes = 1;
    loop {
        let mut encoder = device.encoder();
        for _ in 0..passes {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&stage.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(GROUPS, 1, 1);
        }
        let took = device.run(encoder, progress)?;
        // The first pass also touches the memory for the first time.
        if passes > 1 && took >= LONG || passes >= MOST_PASSES {
            return Ok(f64::from(passes) * bytes as f64 / took.as_secs_f64().max(1e-9));
        }
        passes *= 2;
    }
}
