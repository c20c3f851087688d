//! The points on the GPU: buffers, upload and drawing.
//!
//! Constraint: points are uploaded when they changed and drawn when they or the view changed, into textures of the
//! map's own; any other frame of the window costs one triangle.

use std::sync::Arc;

use egui_wgpu::{CallbackResources, CallbackTrait, RenderState, ScreenDescriptor};
use wgpu::util::DeviceExt as _;

use super::cloud::{Point, PointCloud};
use super::pipelines::{DENSITY, LAYER, Pipelines};

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
    pub flags: u32,
    pub cut: f32,
    pub hidden: u32,
    pub mode: u32,
    pub texel: f32,
    pub density: f32,
    pub gain: f32,
    pub by_hand: [f32; 4],
    pub accent: [f32; 4],
    pub custom: [f32; 4],
    pub safe: [f32; 4],
    pub harmful: [f32; 4],
    pub kept: [f32; 4],
    pub out: [f32; 4],
    pub score: [[f32; 4]; 5],
}

/// Bit 1 of `flags`.
const LINEAR: u32 = 2;

/// One draw of the map.
pub struct MapPaint {
    pub cloud: Arc<PointCloud>,
    pub view: ViewUniform,
    /// The viewport in pixels.
    pub size: [u32; 2],
    /// Points drawn, custom rows first.
    pub points: u32,
}

/// What stays on the GPU between frames.
struct MapResources {
    pipelines: Pipelines,
    linear: bool,
    uploaded: Option<Uploaded>,
    textures: Option<Textures>,
    /// What the textures show.
    shown: Option<(ViewUniform, u32)>,
}

struct Uploaded {
    /// The cloud that is there. Held weakly so that the window can drop a run.
    cloud: std::sync::Weak<PointCloud>,
    generation: u64,
    points: wgpu::Buffer,
    count: u32,
    group: wgpu::BindGroup,
}

struct Textures {
    size: [u32; 2],
    layer: wgpu::TextureView,
    density: wgpu::TextureView,
    group: wgpu::BindGroup,
}

/// Past this many changed points the whole buffer is written at once.
const MANY: usize = 1024;
/// Pixels of the layer to a texel of the density.
pub const TEXEL: u32 = 2;

/// Makes the pipelines; false when the adapter cannot read storage buffers in a vertex stage.
pub fn install(state: &RenderState) -> bool {
    let limits = state.device.limits();
    let capable = state.adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::VERTEX_STORAGE);
    if !capable || limits.max_storage_buffers_per_shader_stage == 0 {
        return false;
    }
    let resources = MapResources {
        pipelines: Pipelines::new(&state.device, state.target_format),
        linear: state.target_format.is_srgb(),
        uploaded: None,
        textures: None,
        shown: None,
    };
    state.renderer.write().callback_resources.insert(resources);
    true
}

impl MapResources {
    /// Brings changed points to the GPU; true when there were any.
    fn upload(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, cloud: &Arc<PointCloud>) -> bool {
        let mut drawn = cloud.drawn.lock();
        let same = self.uploaded.as_ref().is_some_and(|there| std::ptr::eq(there.cloud.as_ptr(), Arc::as_ptr(cloud)));
        if !same {
            self.uploaded = create(device, &self.pipelines, &drawn.points, cloud, drawn.generation);
            drawn.dirty.clear();
            return true;
        }
        let Some(there) = &mut self.uploaded else { return false };
        let size = size_of::<Point>();
        if there.generation != drawn.generation || drawn.dirty.len() > MANY {
            let bytes: &[u8] = bytemuck::cast_slice(&drawn.points);
            queue.write_buffer(&there.points, 0, bytes.get(..there.count as usize * size).unwrap_or(bytes));
            there.generation = drawn.generation;
        } else if drawn.dirty.is_empty() {
            return false;
        } else {
            for row in drawn.dirty.iter().filter(|row| **row < there.count) {
                if let Some(point) = drawn.points.get(*row as usize) {
                    queue.write_buffer(&there.points, u64::from(*row) * size as u64, bytemuck::bytes_of(point));
                }
            }
        }
        drawn.dirty.clear();
        true
    }

    /// Textures of the viewport's size; true when they are new.
    fn fit(&mut self, device: &wgpu::Device, wanted: [u32; 2]) -> bool {
        let most = device.limits().max_texture_dimension_2d;
        let size = wanted.map(|side| side.clamp(1, most));
        if self.textures.as_ref().is_some_and(|textures| textures.size == size) {
            return false;
        }
        let texture = |label, format, divided: u32| {
            let texture = device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d {
                    width: size[0].div_ceil(divided),
                    height: size[1].div_ceil(divided),
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
                view_formats: &[],
            });
            texture.create_view(&wgpu::TextureViewDescriptor::default())
        };
        let layer = texture("map layer", LAYER, 1);
        let density = texture("map density", DENSITY, TEXEL);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("map layer"),
            layout: &self.pipelines.of_layer,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.pipelines.uniform.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&layer) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(&density) },
                wgpu::BindGroupEntry { binding: 3, resource: wgpu::BindingResource::Sampler(&self.pipelines.sampler) },
            ],
        });
        self.textures = Some(Textures { size, layer, density, group });
        true
    }

    /// Draws the points and their density into the textures.
    fn draw(&self, encoder: &mut wgpu::CommandEncoder, paint: &MapPaint) {
        let Some(textures) = &self.textures else { return };
        let custom = (paint.cloud.len() as u32).min(paint.points);
        for (target, pipeline, wanted) in [
            (&textures.density, &self.pipelines.density, paint.view.density > 0.0),
            (&textures.layer, &self.pipelines.points, true),
        ] {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("map"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: target,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            let Some(there) = self.uploaded.as_ref().filter(|_| wanted) else { continue };
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &there.group, &[]);
            if std::ptr::eq(pipeline, &self.pipelines.density) {
                pass.draw(0..4, 0..custom.min(there.count));
            } else {
                // Where the density shows everything, only the references are drawn one by one.
                let first = if paint.view.density >= 1.0 { custom } else { 0 };
                pass.draw(0..4, first.min(there.count)..paint.points.min(there.count));
            }
        }
    }
}

fn create(
    device: &wgpu::Device,
    pipelines: &Pipelines,
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
        label: Some("map points"),
        contents: bytemuck::cast_slice(shown),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("map points"),
        layout: &pipelines.of_points,
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: pipelines.uniform.as_entire_binding() },
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
        encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(map) = resources.get_mut::<MapResources>() {
            let linear = if map.linear { LINEAR } else { 0 };
            let view = ViewUniform { flags: self.view.flags | linear, ..self.view };
            let changed = map.upload(device, queue, &self.cloud) | map.fit(device, self.size);
            if changed || map.shown != Some((view, self.points)) {
                queue.write_buffer(&map.pipelines.uniform, 0, bytemuck::bytes_of(&view));
                map.draw(encoder, self);
                map.shown = Some((view, self.points));
            }
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
        let Some(textures) = &map.textures else { return };
        pass.set_pipeline(&map.pipelines.layer);
        pass.set_bind_group(0, &textures.group, &[]);
        pass.draw(0..3, 0..1);
    }
}
