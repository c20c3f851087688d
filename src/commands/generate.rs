//! `dipole generate`: an answer from a language model, streamed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::speaking::Speaking;
use super::terminal::Terminal;
use crate::data::Speaker;
use crate::model::{self, Adapter, Message, Stream};

#[derive(Debug, clap::Args)]
pub struct Generate {
    #[command(flatten)]
    pub speaking: Speaking,
    /// An adapter for it, as peft saves it
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// What the user says
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// What the system says before
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
}

pub fn run(arguments: &Generate, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let speaking = &arguments.speaking;
    let (decoder, tokenizer) = speaking.open(terminal)?;
    let adapter = arguments.adapter.as_ref().map(|path| Adapter::read(path, &decoder)).transpose()?;
    let mut messages: Vec<Message> = Vec::new();
    messages.extend(arguments.system.as_ref().map(|text| Message::new(Speaker::System, text.as_str())));
    messages.push(Message::new(Speaker::User, arguments.prompt.as_str()));
    let prompt = tokenizer.prompt(&messages)?;
    let sampling = speaking.sampling();
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
    let pool = rayon::ThreadPoolBuilder::new().num_threads(speaking.threads.min(256)).build()?;
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
