//! The adapters of this machine and what they can do.

use std::task::{Context, Poll, Waker};

use super::GpuError;

/// What stands behind an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterKind {
    Discrete,
    Integrated,
    Virtual,
    /// The processor plays a graphics adapter.
    Software,
    Unknown,
}

/// One adapter as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Adapter {
    pub name: String,
    /// `vulkan`, `metal`, `dx12`.
    pub backend: String,
    pub kind: AdapterKind,
    pub driver: String,
    /// Bytes one buffer may have, and one binding of it.
    pub buffer_bytes: u64,
    pub binding_bytes: u64,
    /// Bytes of memory a workgroup shares, and its most invocations.
    pub workgroup_bytes: u32,
    pub workgroup_invocations: u32,
    /// Where a moving uniform may begin.
    pub uniform_alignment: u32,
    pub subgroup_sizes: [u32; 2],
    /// Of what matters to computing: `shader-f16`, `subgroups`, `timestamps`.
    pub features: Vec<String>,
    #[serde(skip)]
    pub(super) limits: wgpu::Limits,
}

impl Adapter {
    fn of(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let limits = adapter.limits();
        let found = adapter.features();
        let features = [
            ("shader-f16", wgpu::Features::SHADER_F16),
            ("subgroups", wgpu::Features::SUBGROUP),
            ("timestamps", wgpu::Features::TIMESTAMP_QUERY),
        ];
        Self {
            name: info.name,
            backend: info.backend.to_str().to_owned(),
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
                wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
                wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
                wgpu::DeviceType::Cpu => AdapterKind::Software,
                wgpu::DeviceType::Other => AdapterKind::Unknown,
            },
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            uniform_alignment: limits.min_uniform_buffer_offset_alignment,
            subgroup_sizes: [info.subgroup_min_size, info.subgroup_max_size],
            features: features
                .iter()
                .filter(|(_, feature)| found.contains(*feature))
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            limits,
        }
    }

    /// What WebGPU guarantees of compute stages; OpenGL-like adapters may have less.
    fn can_compute(&self) -> bool {
        let least = wgpu::Limits::default();
        self.limits.max_compute_invocations_per_workgroup >= least.max_compute_invocations_per_workgroup
            && self.limits.max_compute_workgroup_storage_size >= least.max_compute_workgroup_storage_size
            && self.limits.max_storage_buffers_per_shader_stage >= least.max_storage_buffers_per_shader_stage
    }

    /// It has subgroups, and none of fewer than 4 threads.
    pub fn has_wide_subgroups(&self) -> bool {
        self.subgroup_sizes[0] >= 4 && self.features.iter().any(|feature| feature == "subgroups")
    }

    /// Nothing but the processor computes here.
    pub fn is_software(&self) -> bool {
        self.kind == AdapterKind::Software
    }

    /// What computes faster comes first.
    fn rank(&self) -> u8 {
        match self.kind {
            AdapterKind::Discrete => 0,
            AdapterKind::Virtual => 1,
            AdapterKind::Integrated => 2,
            AdapterKind::Unknown => 3,
            AdapterKind::Software => 4,
        }
    }
}

/// Waits for an answer of wgpu, which is there at once outside of a browser.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
        std::thread::yield_now();
    }
}

pub(super) fn found() -> Vec<(wgpu::Adapter, Adapter)> {
    let descriptor = wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let instance = wgpu::Instance::new(descriptor);
    let found = ready(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let mut adapters: Vec<_> = found
        .into_iter()
        .map(|adapter| {
            let facts = Adapter::of(&adapter);
            (adapter, facts)
        })
        .filter(|(_, facts)| facts.can_compute())
        .collect();
    adapters.sort_by_key(|(_, facts)| facts.rank());
    adapters
}

/// Every adapter that can compute, the likely fastest first.
pub fn adapters() -> Vec<Adapter> {
    found().into_iter().map(|(_, facts)| facts).collect()
}

/// The adapter of this name, or the first.
pub(super) fn pick(name: Option<&str>) -> Result<(wgpu::Adapter, Adapter), GpuError> {
    let mut adapters = found();
    let at = match name {
        None => (!adapters.is_empty()).then_some(0).ok_or(GpuError::NoAdapter)?,
        Some(name) => adapters
            .iter()
            .position(|(_, facts)| facts.name == name)
            .ok_or_else(|| GpuError::UnknownAdapter { asked: name.to_owned() })?,
    };
    Ok(adapters.swap_remove(at))
}
