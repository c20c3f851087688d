//! Graphics processors for computing: adapters, a device of one's own, its failures.
//!
//! Purpose: a leaf that whoever computes may use; it knows no screen and nothing of what is computed. Constraints: a
//! device belongs to one owner, which alone polls it (wgpu panics when two threads poll); nothing here panics on what
//! a driver does: lost devices, memory and refused commands become [`GpuError`].

mod adapter;
mod bandwidth;
mod device;
mod error;
mod upload;

pub use adapter::{Adapter, AdapterKind, adapters};
pub use bandwidth::bandwidth;
pub use device::{Binding, Device, Stage};
pub use error::GpuError;
pub(crate) use upload::PIECE;
