//! The force map: one point a row at (pull, push), drawn by wgpu inside the window's own pass.
//!
//! Constraint: 16 bytes a point, uploaded only on change; pan, zoom and the cut are uniforms.

mod camera;
mod cloud;
mod gpu;

pub use camera::Camera;
pub use cloud::PointCloud;
pub use gpu::{MapPaint, ViewUniform, install};
