//! Large writes to a device, through a ring of buffers that are mapped again while the device still copies.
//!
//! Purpose: the host fills one buffer while the device empties another, and no page of host memory is touched for the
//! first time twice. Constraints: the ring is made when first used and lives as long as its device; a wait for a buffer
//! hears a cancel; only the device's owner comes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Device, GpuError};
use crate::jobs::Progress;

/// Bytes of one buffer of the ring.
pub(crate) const PIECE: usize = 16 << 20;
const SLOTS: usize = 3;

/// A buffer of the ring and where it stands.
#[derive(Debug)]
struct Slot {
    buffer: wgpu::Buffer,
    mapped: Arc<AtomicBool>,
    submission: Option<wgpu::SubmissionIndex>,
}

/// The buffers, and the one that is next.
#[derive(Debug, Default)]
pub(super) struct Ring {
    slots: Vec<Slot>,
    next: usize,
}

impl Device {
    /// Copies at most [`PIECE`] bytes, a multiple of 4, to a buffer, after all work submitted so far. It returns once
    /// the bytes were taken, not once they are there.
    ///
    /// # Errors
    /// A fault of the device, or the user cancelled.
    pub(crate) fn upload(
        &self,
        target: &wgpu::Buffer,
        offset: u64,
        bytes: &[u8],
        progress: &dyn Progress,
    ) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut ring = self.ring.lock();
        if ring.slots.len() < SLOTS {
            let descriptor = wgpu::BufferDescriptor {
                label: Some("upload"),
                size: PIECE as u64,
                usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            };
            let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let buffer = self.device.create_buffer(&descriptor);
            if super::adapter::ready(scope.pop()).is_some() {
                return Err(GpuError::OutOfMemory { what: format!("upload, {PIECE} bytes") });
            }
            self.check()?;
            let at = ring.slots.len();
            ring.slots.push(Slot { buffer, mapped: Arc::new(AtomicBool::new(true)), submission: None });
            ring.next = at;
        }
        let at = ring.next % SLOTS;
        ring.next = at + 1;
        let Some(slot) = ring.slots.get_mut(at) else { return Ok(()) };
        if !slot.mapped.load(Ordering::Acquire) {
            self.wait(slot.submission.take(), progress)?;
        }
        let refused = |reason: String| GpuError::Refused { reason };
        if !slot.mapped.swap(false, Ordering::AcqRel) {
            self.check()?;
            return Err(refused("a buffer for uploads was not mapped again".to_owned()));
        }
        let mut view =
            slot.buffer.get_mapped_range_mut(..bytes.len() as u64).map_err(|error| refused(error.to_string()))?;
        view.copy_from_slice(bytes);
        drop(view);
        slot.buffer.unmap();
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(&slot.buffer, 0, target, offset, bytes.len() as u64);
        slot.submission = Some(self.queue.submit([encoder.finish()]));
        let mapped = Arc::clone(&slot.mapped);
        slot.buffer.map_async(wgpu::MapMode::Write, .., move |answer| mapped.store(answer.is_ok(), Ordering::Release));
        self.check()
    }
}
