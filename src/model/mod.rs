//! Frozen networks: what is in a model folder, and how it computes.
//!
//! Constraints: weights come only from safetensors and GGUF (no pickle, nothing is executed); every size is checked
//! against the file before memory is taken; a missing file or tensor is named. Nothing here reads the network.

pub mod adapter;
pub mod chat;
pub mod decoder;
mod device;
mod error;
mod folder;
mod generate;
mod kernels;
mod merge;
mod network;
mod ops;
mod peft;
mod pooling;
pub mod refusal;
mod sentence;
mod spec;
mod tensors;
mod tokens;
mod weights;

pub use adapter::{Adapter, LoraShape};
pub use chat::{ChatTokenizer, ChatTokens, Message, Piece, RowFault};
pub use decoder::{
    Decoder, DecoderFacts, DecoderSpec, Depth, KeyValueCache, Module, Precision, decoder_hash, is_decoder, is_gguf,
};
pub use device::{DeviceChoice, DeviceError};
pub use error::ModelError;
pub use generate::{Generated, Sampling, Stop, Stream, generate};
pub use merge::{Merged, merge};
pub(crate) use peft::header_bytes;
pub use peft::write_tensors;
pub use refusal::refusal;
pub use sentence::{SentenceModel, SentenceScratch};
pub use tensors::{ElementType, TensorFile, TensorInfo, widen};
pub use tokens::Tokens;
