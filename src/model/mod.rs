//! Frozen networks: what is in a model folder, and how it computes.
//!
//! Constraints: weights come only from safetensors (no pickle, nothing is executed); every size is checked
//! against the file before memory is taken; a missing file or tensor is named. Nothing here reads the network.

mod error;
mod folder;
mod kernels;
mod network;
mod pooling;
mod sentence;
mod spec;
mod tensors;
mod tokens;
mod weights;

pub use error::ModelError;
pub use sentence::{SentenceModel, SentenceScratch};
pub use tensors::{ElementType, TensorFile, TensorInfo, widen};
pub use tokens::Tokens;
