//! The points on the GPU: pipeline, buffers, upload and drawing.

use std::sync::Arc;

use egui_wgpu::{CallbackResources, CallbackTrait, RenderState, ScreenDescriptor};
use wgpu::util::DeviceExt as _;

use super::cloud::{Point, PointCloud};

/// The uniform of `shaders/points.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct ViewUniform {
    pub scale: [f32; 2],
    pub offset: [f32; 2],
    pub half_size: [f32; 2],
    pub radius: f32,
    pub alpha: f32,
    pub dropped: u32,
    pub linear: u32,
    pub cut: f32,
    pub padding: u32,
    pub by_hand: [f32; 4],
    pub score: [[f32; 4]; 5],
}

/// One draw of the map.
pub struct MapPaint {
    pub cloud: Arc<PointCloud>,
    pub view: ViewUniform,
}

/// What stays on the GPU between frames.
struct MapResources {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    uniform: wgpu::Buffer,
    linear: bool,
    uploaded: Option<Uploaded>,
}

struct Uploaded {
    /// The cloud that is there. Held weakly so that the window can drop a run.
    cloud: std::sync::Weak<PointCloud>,
    generation: u64,
    points: wgpu::Buffer,
    count: u32,
    group: wgpu::BindGroup,
}

/// Past this many changed points the whole buffer is written at once.
const MANY: usize = 1024;

/// Makes the pipeline; false when the adapter cannot read storage buffers in a vertex stage.
pub fn install(state: &RenderState) -> bool {
    let limits = state.device.limits();
    let capable = state.adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::VERTEX_STORAGE);
    if !capable || limits.max_storage_buffers_per_shader_stage == 0 {
        return false;
    }
    let resources = MapResources::new(&state.device, state.target_format);
    state.renderer.write().callback_resources.insert(resources);
    true
}

impl MapResources {
    fn new(device: &wgpu::Device, format: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("points"),
            source: wgpu::ShaderSource::Wgsl(include_str!("../../../shaders/points.wgsl").into()),
        });
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("points"),
            entries: &[
                entry(0, wgpu::BufferBindingType::Uniform),
                wgpu::BindGroupLayoutEntry {
                    visibility: wgpu::ShaderStages::VERTEX,
                    ..entry(1, wgpu::BufferBindingType::Storage { read_only: true })
                },
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("points"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("points"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                buffers: &[],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                targets: &[Some(wgpu::ColorTargetState {
                    format,
                    blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                    write_mask: wgpu::ColorWrites::ALL,
                })],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            }),
            multiview_mask: None,
            cache: None,
        });
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("map view"),
            size: size_of::<ViewUniform>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { pipeline, layout, uniform, linear: format.is_srgb(), uploaded: None }
    }

    fn upload(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, cloud: &Arc<PointCloud>) {
        let mut drawn = cloud.drawn.lock();
        let same = self.uploaded.as_ref().is_some_and(|there| std::ptr::eq(there.cloud.as_ptr(), Arc::as_ptr(cloud)));
        if !same {
            self.uploaded = create(device, &self.layout, &self.uniform, &drawn.points, cloud, drawn.generation);
            drawn.dirty.clear();
            return;
        }
        let Some(there) = &mut self.uploaded else { return };
        let size = size_of::<Point>();
        if there.generation != drawn.generation || drawn.dirty.len() > MANY {
            let bytes: &[u8] = bytemuck::cast_slice(&drawn.points);
            queue.write_buffer(&there.points, 0, bytes.get(..there.count as usize * size).unwrap_or(bytes));
            there.generation = drawn.generation;
        } else {
            for row in drawn.dirty.iter().filter(|row| **row < there.count) {
                if let Some(point) = drawn.points.get(*row as usize) {
                    queue.write_buffer(&there.points, u64::from(*row) * size as u64, bytemuck::bytes_of(point));
                }
            }
        }
        drawn.dirty.clear();
    }
}

fn create(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    uniform: &wgpu::Buffer,
    points: &[Point],
    cloud: &Arc<PointCloud>,
    generation: u64,
) -> Option<Uploaded> {
    let limit = device.limits().max_storage_buffer_binding_size / size_of::<Point>() as u64;
    let shown = points.get(..points.len().min(usize::try_from(limit).unwrap_or(usize::MAX)))?;
    if shown.is_empty() {
        return None;
    }
    let buffer = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: Some("points"),
        contents: bytemuck::cast_slice(shown),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("points"),
        layout,
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: buffer.as_entire_binding() },
        ],
    });
    let count = u32::try_from(shown.len()).ok()?;
    Some(Uploaded { cloud: Arc::downgrade(cloud), generation, points: buffer, count, group })
}

impl CallbackTrait for MapPaint {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(map) = resources.get_mut::<MapResources>() {
            map.upload(device, queue, &self.cloud);
            let view = ViewUniform { linear: u32::from(map.linear), ..self.view };
            queue.write_buffer(&map.uniform, 0, bytemuck::bytes_of(&view));
        }
        Vec::new()
    }

    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(map) = resources.get::<MapResources>() else { return };
        let Some(there) = &map.uploaded else { return };
        pass.set_pipeline(&map.pipeline);
        pass.set_bind_group(0, &there.group, &[]);
        pass.draw(0..6, 0..there.count);
    }
}
