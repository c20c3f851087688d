//! A device, its buffers and stages, and the waiting for its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::GpuError;
use super::adapter::{Adapter, pick, ready};
use super::upload::Ring;
use crate::jobs::{Cancelled, Progress};

/// A wait is cut into these, so that a cancel is heard.
const PATIENCE: Duration = Duration::from_millis(20);
/// No dispatch here is meant to take more than a small part of this.
const STUCK_SECONDS: u64 = 120;

/// How a stage sees a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    Uniform,
    /// A uniform whose place in its buffer is given at every dispatch; this many bytes of it are seen.
    Moving(u64),
    Read,
    Write,
}

/// A compute pipeline with the layout of its one bind group.
#[derive(Debug)]
pub struct Stage {
    pub pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    bindings: Vec<Binding>,
    label: &'static str,
}

/// What a driver told outside of any call.
#[derive(Debug, Default)]
struct Faults(Mutex<Option<GpuError>>);

impl Faults {
    /// The first fault stays: later ones follow from it.
    fn tell(&self, fault: GpuError) {
        self.0.lock().get_or_insert(fault);
    }
}

fn described<'a>(label: &'static str, source: &'a str) -> wgpu::ShaderModuleDescriptor<'a> {
    wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) }
}

/// A device of its owner's own. Only one thread at a time may use it.
#[derive(Debug)]
pub struct Device {
    pub adapter: Adapter,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) ring: Mutex<Ring>,
    faults: Arc<Faults>,
    /// For tests: there is no memory for buffers of this name.
    refused: Mutex<Option<&'static str>>,
}

impl Device {
    /// Opens the adapter of this name, or the likely fastest, with all its limits.
    ///
    /// # Errors
    /// There is no such adapter or it gives no device.
    pub fn open(name: Option<&str>) -> Result<Self, GpuError> {
        let (adapter, facts) = pick(name)?;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("compute"),
            required_features: if facts.has_wide_subgroups() {
                wgpu::Features::SUBGROUP
            } else {
                wgpu::Features::empty()
            },
            required_limits: facts.limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = ready(adapter.request_device(&descriptor))
            .map_err(|error| GpuError::NoDevice { adapter: facts.name.clone(), reason: error.to_string() })?;
        let faults = Arc::new(Faults::default());
        let heard = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            heard.tell(match error {
                wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { what: "a command".to_owned() },
                other => GpuError::Refused { reason: other.to_string() },
            });
        }));
        let heard = Arc::clone(&faults);
        device.set_device_lost_callback(move |_, reason| {
            heard.tell(GpuError::Lost { reason: if reason.is_empty() { "it went away".to_owned() } else { reason } });
        });
        Ok(Self { adapter: facts, device, queue, ring: Mutex::default(), faults, refused: Mutex::default() })
    }

    /// `Err` once the device was lost, ran out of memory or refused a command.
    pub fn check(&self) -> Result<(), GpuError> {
        self.faults.0.lock().clone().map_or(Ok(()), Err)
    }

    /// True once a fault was told: the device should be opened anew.
    pub fn is_broken(&self) -> bool {
        self.faults.0.lock().is_some()
    }

    /// Bytes that one storage binding may have here.
    pub fn binding_limit(&self) -> u64 {
        self.adapter.binding_bytes.min(self.adapter.buffer_bytes).min((1 << 31) - 4)
    }

    /// A zeroed buffer.
    ///
    /// # Errors
    /// It is larger than the adapter allows, or than what is left.
    pub fn buffer(&self, what: &'static str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, GpuError> {
        let bytes = bytes.max(16).next_multiple_of(16);
        if bytes > self.adapter.buffer_bytes {
            return Err(GpuError::TooLarge { what, needed: bytes, allowed: self.adapter.buffer_bytes });
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        if ready(scope.pop()).is_some() || *self.refused.lock() == Some(what) {
            return Err(GpuError::OutOfMemory { what: format!("{what}, {bytes} bytes") });
        }
        self.check()?;
        Ok(buffer)
    }

    /// A buffer for one binding of a stage.
    ///
    /// # Errors
    /// As [`Device::buffer`], and past the limit of a binding.
    pub fn storage(&self, what: &'static str, bytes: u64) -> Result<wgpu::Buffer, GpuError> {
        if bytes > self.binding_limit() {
            return Err(GpuError::TooLarge { what, needed: bytes, allowed: self.binding_limit() });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.buffer(what, bytes, usage)
    }

    /// Compiles a stage of WGSL.
    ///
    /// # Errors
    /// The driver does not take it.
    pub fn stage(
        &self,
        label: &'static str,
        source: &str,
        entry: &str,
        bindings: &[Binding],
        constants: &[(&str, f64)],
    ) -> Result<Stage, GpuError> {
        let module = self.device.create_shader_module(described(label, source));
        self.compile(label, &module, entry, bindings, constants)
    }

    /// As [`Device::stage`], without checks of indices and of loops at run time.
    ///
    /// # Errors
    /// The driver does not take it.
    ///
    /// # Safety
    /// With every buffer that will be bound and every grid that will be dispatched, the stage must index inside of its
    /// buffers and end its loops.
    pub unsafe fn unchecked_stage(
        &self,
        label: &'static str,
        source: &str,
        entry: &str,
        bindings: &[Binding],
        constants: &[(&str, f64)],
    ) -> Result<Stage, GpuError> {
        // SAFETY: what the caller promises is what wgpu asks for.
        let module = unsafe {
            let checks = wgpu::ShaderRuntimeChecks::unchecked();
            self.device.create_shader_module_trusted(described(label, source), checks)
        };
        self.compile(label, &module, entry, bindings, constants)
    }

    fn compile(
        &self,
        label: &'static str,
        module: &wgpu::ShaderModule,
        entry: &str,
        bindings: &[Binding],
        constants: &[(&str, f64)],
    ) -> Result<Stage, GpuError> {
        let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..)
            .zip(bindings)
            .map(|(binding, kind)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match kind {
                        Binding::Uniform | Binding::Moving(_) => wgpu::BufferBindingType::Uniform,
                        Binding::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Binding::Write => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: matches!(kind, Binding::Moving(_)),
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                // Every stage writes workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        self.check()?;
        Ok(Stage { pipeline, layout, bindings: bindings.to_vec(), label })
    }

    /// Binds buffers to a stage, in the order of its bindings.
    pub fn bind(&self, stage: &Stage, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers.iter().zip(&stage.bindings))
            .map(|(binding, (buffer, kind))| wgpu::BindGroupEntry {
                binding,
                resource: match kind {
                    Binding::Moving(bytes) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer,
                        offset: 0,
                        size: std::num::NonZeroU64::new(*bytes),
                    }),
                    _ => buffer.as_entire_binding(),
                },
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(stage.label),
            layout: &stage.layout,
            entries: &entries,
        })
    }

    pub fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Writes before the next submission.
    pub fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.queue.write_buffer(buffer, offset, bytes);
        }
    }

    /// Submits and waits; the answer is the time it took.
    ///
    /// # Errors
    /// A fault of the device, or the user cancelled: then the work goes on unheard and is short.
    pub fn run(&self, encoder: wgpu::CommandEncoder, progress: &dyn Progress) -> Result<Duration, GpuError> {
        let began = Instant::now();
        let submission = self.queue.submit([encoder.finish()]);
        self.wait(Some(submission), progress)?;
        Ok(began.elapsed())
    }

    pub(super) fn wait(
        &self,
        submission: Option<wgpu::SubmissionIndex>,
        progress: &dyn Progress,
    ) -> Result<(), GpuError> {
        let began = Instant::now();
        loop {
            let wait = wgpu::PollType::Wait { submission_index: submission.clone(), timeout: Some(PATIENCE) };
            let polled = self.device.poll(wait);
            self.check()?;
            match polled {
                Ok(_) => return Ok(()),
                Err(wgpu::PollError::Timeout) => {}
                Err(error) => return Err(GpuError::Lost { reason: error.to_string() }),
            }
            if progress.is_cancelled() {
                return Err(Cancelled.into());
            }
            if began.elapsed().as_secs() >= STUCK_SECONDS {
                self.faults.tell(GpuError::Stuck { seconds: STUCK_SECONDS });
            }
        }
    }

    /// The first bytes of some buffers, as they are after all work submitted so far.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn read(&self, parts: &[(&wgpu::Buffer, u64)], progress: &dyn Progress) -> Result<Vec<Vec<u8>>, GpuError> {
        let total: u64 = parts.iter().map(|(_, bytes)| bytes.next_multiple_of(16)).sum();
        let staging = self.buffer("readback", total, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
        let mut encoder = self.encoder();
        let mut offset = 0;
        for (buffer, bytes) in parts {
            let bytes = bytes.next_multiple_of(4);
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, offset, bytes);
            offset += bytes.next_multiple_of(16);
        }
        let submission = self.queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |mapped| {
            // The receiver is gone only when nobody wants the answer.
            let _ = sender.send(mapped);
        });
        self.wait(Some(submission), progress)?;
        match receiver.try_recv() {
            Ok(Ok(())) => {}
            other => {
                self.check()?;
                return Err(GpuError::Lost { reason: format!("a buffer could not be read ({other:?})") });
            }
        }
        let view = staging.get_mapped_range(..).map_err(|error| GpuError::Refused { reason: error.to_string() })?;
        let mut out = Vec::with_capacity(parts.len());
        let mut offset = 0;
        for (_, bytes) in parts {
            out.push(view.get(offset..offset + *bytes as usize).unwrap_or_default().to_vec());
            offset += bytes.next_multiple_of(16) as usize;
        }
        drop(view);
        staging.unmap();
        Ok(out)
    }

    /// For tests: the device is lost as if its driver had gone.
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// For tests: the driver tells this fault.
    pub fn fail(&self, fault: GpuError) {
        self.faults.tell(fault);
    }

    /// For tests: from now on there is no memory for buffers of this name.
    pub fn refuse(&self, what: &'static str) {
        *self.refused.lock() = Some(what);
    }

    /// For tests: a command that no driver takes.
    pub fn misuse(&self) {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
        let descriptor = wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false };
        drop(self.device.create_buffer(&descriptor));
    }
}
