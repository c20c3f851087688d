//! `dipole generate`: an answer from a language model, streamed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use candle_core::Device;
use serde_json::json;

use super::terminal::Terminal;
use crate::data::Speaker;
use crate::model::{self, Adapter, ChatTokenizer, Decoder, Message, Precision, Sampling, Stream};

#[derive(Debug, clap::Args)]
pub struct Generate {
    /// A Hugging Face directory
    #[arg(long, visible_alias = "base", value_name = "DIR")]
    pub model: PathBuf,
    /// An adapter for it, as peft saves it
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// What the user says
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// What the system says before
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// 0 always takes the likeliest token
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f64,
    /// Only the likeliest tokens that together have this probability
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f64,
    /// Only so many of the likeliest tokens; 0 is all
    #[arg(long, default_value_t = 0)]
    pub top_k: usize,
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Number format of the weights in memory: stored, f32, bf16 or f16
    #[arg(long, default_value = "stored")]
    pub precision: Precision,
    /// Worker threads; 0 takes all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

pub fn run(arguments: &Generate, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let decoder = Decoder::open(&arguments.model, arguments.precision, &Device::Cpu, terminal)?;
    let tokenizer = ChatTokenizer::open(&arguments.model, decoder.spec())?;
    let adapter = arguments.adapter.as_ref().map(|path| Adapter::read(path, &decoder)).transpose()?;
    let mut messages: Vec<Message> = Vec::new();
    messages.extend(arguments.system.as_ref().map(|text| Message::new(Speaker::System, text.as_str())));
    messages.push(Message::new(Speaker::User, arguments.prompt.as_str()));
    let prompt = tokenizer.prompt(&messages)?;
    let sampling = Sampling {
        temperature: arguments.temperature,
        top_p: arguments.top_p,
        top_k: arguments.top_k,
        max_tokens: arguments.max_tokens,
        seed: arguments.seed,
    };
    let mut stream = Stream::new(&tokenizer);
    let streams = !terminal.is_json();
    let mut out = std::io::stdout();
    let mut on_token = |token: u32| {
        let text = stream.push(token);
        if streams {
            // A reader that went away shows when the result is written.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.min(256)).build()?;
    // The pool's threads multiply; the answer is written from this one.
    let generated = pool.in_place_scope(|_| {
        model::generate(&decoder, adapter.as_ref(), &prompt, tokenizer.end_tokens(), &sampling, &mut on_token, terminal)
    })?;
    let rest = stream.finish();
    let answer = tokenizer.decode(&generated.tokens);
    let value = json!({ "answer": answer, "tokens": generated.tokens.len(), "prompt_tokens": prompt.len(), "stop": generated.stop });
    terminal.result(&value, &format!("{rest}\n"))?;
    Ok(ExitCode::SUCCESS)
}
