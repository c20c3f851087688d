//! What a frame of the map costs, without a window: for `dipole bench map`.
//!
//! Constraint: draws the real widget through the real renderer into a texture; only the surface is missing.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use egui::{Event, Modifiers, PointerButton, Pos2, Rect, Vec2, pos2, vec2};
use egui_wgpu::{RenderState, RendererOptions, ScreenDescriptor, WgpuConfiguration, WgpuSetup};

use super::{Hidden, MapInput, MapView, Placement, PointCloud, Shown, Tool};
use crate::gui::theme;

/// What happens in the frames of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Series {
    /// The pointer moves over the map.
    Hover,
    /// The map is dragged.
    Pan,
    /// The map is zoomed at the pointer.
    Zoom,
    /// Every point has moved, as while rows are being arranged.
    Move,
}

impl Series {
    pub const ALL: [Self; 4] = [Self::Hover, Self::Pan, Self::Zoom, Self::Move];
}

/// Milliseconds of each frame.
#[derive(Debug, Clone)]
pub struct Frames {
    pub series: Series,
    /// Logic, layout, tessellation, recording and submission.
    pub cpu: Vec<f64>,
    /// From the submission until the device is idle.
    pub gpu: Vec<f64>,
}

/// Measures `frames` frames of each series over `points` points on a map of `size` pixels. The adapter's name comes
/// first.
///
/// # Errors
/// No graphics adapter, or one that cannot draw the map.
pub fn measure(points: usize, frames: usize, size: [u32; 2]) -> Result<(String, Vec<Frames>), String> {
    let setup = WgpuSetup::without_display_handle();
    let state = ready(async {
        let instance = setup.new_instance().await;
        let config = WgpuConfiguration { wgpu_setup: setup.clone(), ..WgpuConfiguration::default() };
        RenderState::create(&config, &instance, None, RendererOptions::default()).await
    })
    .map_err(|error| format!("no graphics adapter: {error}"))?;
    if !super::install(&state) {
        return Err("this adapter cannot draw the map".to_owned());
    }
    let adapter = state.adapter.get_info().name;
    let mut stage = Stage::new(state, points, size);
    // Pipelines, fonts and the first upload are not what a frame costs.
    for _ in 0..5 {
        stage.frame(Vec::new())?;
    }
    let mut all = Vec::new();
    for series in Series::ALL {
        let mut found = Frames { series, cpu: Vec::new(), gpu: Vec::new() };
        for number in 0..frames {
            let events = stage.events(series, number, frames);
            if series == Series::Move {
                stage.move_points(number);
            }
            let (cpu, gpu) = stage.frame(events)?;
            found.cpu.push(cpu);
            found.gpu.push(gpu);
        }
        stage.frame(vec![button(stage.middle(), false)])?;
        all.push(found);
    }
    Ok((adapter, all))
}

/// Runs a future that needs no executor of its own.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

fn button(pos: Pos2, pressed: bool) -> Event {
    Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE }
}

struct Stage {
    ctx: egui::Context,
    state: RenderState,
    view: MapView,
    cloud: Arc<PointCloud>,
    moved: [Arc<Placement>; 2],
    target: wgpu::TextureView,
    size: [u32; 2],
    time: f64,
}

impl Stage {
    fn new(state: RenderState, points: usize, size: [u32; 2]) -> Self {
        let ctx = egui::Context::default();
        theme::apply(&ctx);
        let target = state.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("window"),
            size: wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: state.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        let moved = [1.0, 1.01].map(|scale| Arc::new(Placement::new(scattered(points, scale))));
        Self {
            ctx,
            view: MapView::default(),
            cloud: Arc::new(PointCloud::of_places(scattered(points, 1.0))),
            moved,
            target: target.create_view(&wgpu::TextureViewDescriptor::default()),
            state,
            size,
            time: 0.0,
        }
    }

    fn middle(&self) -> Pos2 {
        pos2(self.size[0] as f32 / 2.0, self.size[1] as f32 / 2.0)
    }

    fn events(&self, series: Series, number: usize, frames: usize) -> Vec<Event> {
        let turn = number as f32 / frames.max(1) as f32 * std::f32::consts::TAU;
        let at = self.middle() + vec2(turn.cos(), turn.sin()) * 0.3 * self.size[1] as f32;
        let moved = Event::PointerMoved(at);
        match series {
            Series::Hover | Series::Move => vec![moved],
            Series::Pan if number == 0 => vec![moved, button(at, true)],
            Series::Pan => vec![moved],
            Series::Zoom => {
                vec![moved, Event::Zoom(if number < frames / 2 { 1.08 } else { 1.0 / 1.08 })]
            }
        }
    }

    fn move_points(&self, number: usize) {
        if let Some(placed) = self.moved.get(number % 2) {
            self.cloud.set_meaning(placed.clone());
        }
    }

    /// One frame; milliseconds of the CPU and of the GPU after it.
    fn frame(&mut self, events: Vec<Event>) -> Result<(f64, f64), String> {
        let (state, cloud, view) = (&self.state, &self.cloud, &mut self.view);
        self.time += 1.0 / 60.0;
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, Vec2::from(self.size.map(|side| side as f32)))),
            time: Some(self.time),
            events,
            ..egui::RawInput::default()
        };
        let look = MapInput {
            shown: Shown::Meaning,
            colour_by: Default::default(),
            size_by_weight: false,
            hidden: Hidden::default(),
            tool: Tool::Hand,
            dropped: cloud.len() as u32 / 5,
            cut: 0.8,
        };
        let began = Instant::now();
        let mut output = self.ctx.run_ui(input, |ui| {
            let colours = theme::palette(ui.style());
            view.ui(ui, cloud, &look, colours, |_, _, _| ());
        });
        let jobs = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        let screen = ScreenDescriptor { size_in_pixels: self.size, pixels_per_point: output.pixels_per_point };
        let mut encoder = state.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut renderer = state.renderer.write();
        for (id, deltas) in &output.textures_delta.set {
            for delta in deltas {
                renderer.update_texture(&state.device, &state.queue, *id, delta);
            }
        }
        // All of them are applied; egui asks to be told.
        output.textures_delta.clear();
        let before = renderer.update_buffers(&state.device, &state.queue, &mut encoder, &jobs, &screen);
        {
            let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("window"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &self.target,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            renderer.render(&mut pass.forget_lifetime(), &jobs, &screen);
        }
        state.queue.submit(before.into_iter().chain([encoder.finish()]));
        let cpu = began.elapsed().as_secs_f64() * 1e3;
        let began = Instant::now();
        state.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|error| error.to_string())?;
        Ok((cpu, began.elapsed().as_secs_f64() * 1e3))
    }
}

/// Forty clouds of different sizes, the same on every machine.
fn scattered(points: usize, scale: f32) -> Vec<[f32; 2]> {
    let mixed = |counter: u64| {
        let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ (z >> 29)) >> 40) as f32 / (1 << 24) as f32
    };
    (0..points as u64)
        .map(|point| {
            let cluster = mixed(point) * 40.0;
            let (x, y) = (cluster * 1.7).sin_cos();
            let (radius, turn) = (mixed(point + (1 << 40)).sqrt(), mixed(point + (1 << 41)) * std::f32::consts::TAU);
            let spread = 0.6 + (cluster as u32 % 5) as f32 * 0.3;
            let reach = 3.0 + cluster.floor() * 0.15;
            [(x * reach + spread * radius * turn.cos()) * scale, (y * reach + spread * radius * turn.sin()) * scale]
        })
        .collect()
}
