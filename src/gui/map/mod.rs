//! The map: one point a row and a reference, drawn by wgpu inside the window's own pass.
//!
//! Constraint: 16 bytes a point, uploaded only on change; pan, zoom and the cut are uniforms; a frame in which nothing
//! moved draws one triangle.

mod camera;
mod cloud;
mod gpu;
mod look;
mod measure;
mod pipelines;
mod placement;
mod view;

pub use camera::Camera;
pub use cloud::{PointCloud, Stands, bends, units};
pub use gpu::install;
pub use look::{Class, ColourBy, Hidden, MapLook, SelectMode, Shown, Tool};
pub use measure::{Frames, Series, measure};
pub use placement::Placement;
pub use view::{MapInput, MapOutput, MapView};
