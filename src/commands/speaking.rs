//! What every verb that lets a language model answer asks for: which model, and how it speaks.

use std::path::PathBuf;

use super::terminal::Terminal;
use crate::model::{ChatTokenizer, Decoder, DeviceChoice, Precision, Sampling};
use crate::project::{Folders, model_folder};

#[derive(Debug, clap::Args)]
pub struct Speaking {
    /// A language model: a Hugging Face directory, a .gguf file, or the built-in `starter`
    #[arg(long, visible_alias = "base", value_name = "DIR|FILE")]
    pub model: PathBuf,
    /// 0 always takes the likeliest token
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f64,
    /// Only the likeliest tokens that together have this probability
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f64,
    /// Only so many of the likeliest tokens; 0 is all
    #[arg(long, default_value_t = 0)]
    pub top_k: usize,
    /// Longest answer
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Number format of the weights in memory: stored, f32, bf16 or f16
    #[arg(long, default_value = "stored")]
    pub precision: Precision,
    /// Where it computes: cpu, cuda, cuda:NUMBER or metal (the last three in builds made for them)
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Worker threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

impl Speaking {
    pub fn open(&self, terminal: &Terminal) -> anyhow::Result<(Decoder, ChatTokenizer)> {
        let model = model_folder(&self.model, &Folders::of_user().starter)?;
        let decoder = Decoder::open(&model, self.precision, &self.device.open()?, terminal)?;
        let tokenizer = ChatTokenizer::open(&model, decoder.spec())?;
        if tokenizer.has_built_in_template() {
            terminal.say("warning: the model has no chat template; a plain one stands in");
        }
        Ok((decoder, tokenizer))
    }

    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_tokens: self.max_tokens,
            seed: self.seed,
        }
    }
}
