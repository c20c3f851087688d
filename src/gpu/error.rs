//! What can go wrong between the program and a graphics processor.

/// The graphics processor did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    #[error("no graphics adapter was found; install a Vulkan, Metal or Direct3D 12 driver")]
    NoAdapter,
    #[error("there is no graphics adapter {asked}; `dipole gpu` lists them")]
    UnknownAdapter { asked: String },
    #[error("{adapter} gave no device: {reason}")]
    NoDevice { adapter: String, reason: String },
    #[error("the graphics device was lost: {reason}")]
    Lost { reason: String },
    #[error("the graphics device ran out of memory ({what})")]
    OutOfMemory { what: String },
    #[error("the graphics driver refused a command: {reason}")]
    Refused { reason: String },
    #[error("{what} needs {needed} where this adapter allows {allowed}")]
    TooLarge { what: &'static str, needed: u64, allowed: u64 },
    #[error("the graphics device gave no answer within {seconds} s")]
    Stuck { seconds: u64 },
    #[error(transparent)]
    Cancelled(#[from] crate::jobs::Cancelled),
}
