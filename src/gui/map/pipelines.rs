//! The three pipelines of the map: points, density, and the layer that brings both into the window.

use std::mem::size_of;

use super::gpu::ViewUniform;

/// Points are drawn into this, premultiplied and in gamma space.
pub const LAYER: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
/// Sums of colour and count.
pub const DENSITY: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;

pub struct Pipelines {
    pub points: wgpu::RenderPipeline,
    pub density: wgpu::RenderPipeline,
    pub layer: wgpu::RenderPipeline,
    pub of_points: wgpu::BindGroupLayout,
    pub of_layer: wgpu::BindGroupLayout,
    pub uniform: wgpu::Buffer,
    pub sampler: wgpu::Sampler,
}

const ADDED: wgpu::BlendState = wgpu::BlendState {
    color: wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::One,
        dst_factor: wgpu::BlendFactor::One,
        operation: wgpu::BlendOperation::Add,
    },
    alpha: wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::One,
        dst_factor: wgpu::BlendFactor::One,
        operation: wgpu::BlendOperation::Add,
    },
};

impl Pipelines {
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let buffer = |binding, visibility, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let texture = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: true },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
            count: None,
        };
        let both = wgpu::ShaderStages::VERTEX_FRAGMENT;
        let of_points = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("map points"),
            entries: &[
                buffer(0, both, wgpu::BufferBindingType::Uniform),
                buffer(1, wgpu::ShaderStages::VERTEX, wgpu::BufferBindingType::Storage { read_only: true }),
            ],
        });
        let of_layer = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("map layer"),
            entries: &[
                buffer(0, both, wgpu::BufferBindingType::Uniform),
                texture(1),
                texture(2),
                wgpu::BindGroupLayoutEntry {
                    binding: 3,
                    visibility: wgpu::ShaderStages::FRAGMENT,
                    ty: wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
                    count: None,
                },
            ],
        });
        let strip = wgpu::PrimitiveTopology::TriangleStrip;
        let over = wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING;
        let points = include_str!("../../../shaders/points.wgsl");
        let density = include_str!("../../../shaders/density.wgsl");
        let layer = include_str!("../../../shaders/layer.wgsl");
        let list = wgpu::PrimitiveTopology::TriangleList;
        Self {
            points: pipeline(device, "map points", points, &of_points, (LAYER, over), strip),
            density: pipeline(device, "map density", density, &of_points, (DENSITY, ADDED), strip),
            layer: pipeline(device, "map layer", layer, &of_layer, (target, over), list),
            uniform: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("map view"),
                size: size_of::<ViewUniform>() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
            sampler: device.create_sampler(&wgpu::SamplerDescriptor {
                label: Some("map"),
                mag_filter: wgpu::FilterMode::Linear,
                min_filter: wgpu::FilterMode::Linear,
                ..Default::default()
            }),
            of_points,
            of_layer,
        }
    }
}

fn pipeline(
    device: &wgpu::Device,
    label: &str,
    source: &str,
    bindings: &wgpu::BindGroupLayout,
    (format, blend): (wgpu::TextureFormat, wgpu::BlendState),
    topology: wgpu::PrimitiveTopology,
) -> wgpu::RenderPipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(label),
        bind_group_layouts: &[Some(bindings)],
        immediate_size: 0,
    });
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(label),
        layout: Some(&layout),
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("vertex"),
            buffers: &[],
            compilation_options: wgpu::PipelineCompilationOptions::default(),
        },
        primitive: wgpu::PrimitiveState { topology, ..Default::default() },
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("fragment"),
            targets: &[Some(wgpu::ColorTargetState { format, blend: Some(blend), write_mask: wgpu::ColorWrites::ALL })],
            compilation_options: wgpu::PipelineCompilationOptions::default(),
        }),
        multiview_mask: None,
        cache: None,
    })
}
