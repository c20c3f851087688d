//! `dipole chat`: a conversation with a language model, line by line, streamed.
//!
//! Constraints: a line, an answer and what the model is shown of the conversation are bounded; when the conversation
//! grows longer, its oldest turns are left out. Ctrl-C ends the answer that is being spoken, and between answers the
//! program.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use serde_json::json;

use super::interrupt::EXIT_CODE;
use super::speaking::Speaking;
use super::terminal::Terminal;
use crate::data::Speaker;
use crate::jobs::Progress;
use crate::model::{self, Adapter, ChatTokenizer, Decoder, Message, ModelError, Sampling, Stop, Stream};

/// Longest line that is read.
const MAX_LINE: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub struct Chat {
    #[command(flatten)]
    pub speaking: Speaking,
    /// An adapter for it, as peft saves it
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// What the system says before
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Tokens of the conversation that the model is shown, its answer included [default: 4096, or as many as it knows]
    #[arg(long)]
    pub context: Option<usize>,
}

pub fn run(arguments: &Chat, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let speaking = &arguments.speaking;
    let (decoder, tokenizer) = speaking.open(terminal)?;
    let adapter = arguments.adapter.as_ref().map(|path| Adapter::read(path, &decoder)).transpose()?;
    let most = decoder.spec().positions;
    let context = arguments.context.unwrap_or(4096).min(most);
    if context <= speaking.max_tokens {
        bail!(
            "--context {context} leaves no room for a question beside an answer of --max-tokens {}",
            speaking.max_tokens
        );
    }
    let mut talk = Talk {
        decoder: &decoder,
        tokenizer: &tokenizer,
        adapter: adapter.as_ref(),
        sampling: speaking.sampling(),
        room: context - speaking.max_tokens,
        system: arguments.system.clone(),
        turns: Vec::new(),
        refused: false,
    };
    let attended = std::io::stdin().is_terminal() && !terminal.is_json();
    if attended {
        terminal.say("Say something. /new begins again, /exit or Ctrl-D ends, Ctrl-C ends an answer.");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(speaking.threads.min(256)).build()?;
    let mut input = std::io::stdin().lock();
    let mut cut = false;
    loop {
        terminal.interrupt().rest();
        // It came when the answer was whole already: there was nothing left to stop but the program.
        if terminal.interrupt().is_asked() && !cut {
            return Ok(ExitCode::from(EXIT_CODE));
        }
        cut = false;
        if attended {
            eprint!("> ");
        }
        let Some(line) = line(&mut input)? else { break };
        terminal.interrupt().work();
        match line.trim() {
            "" => {}
            "/exit" | "/quit" => break,
            "/new" => talk.turns.clear(),
            said => cut = pool.in_place_scope(|_| talk.answer(said, terminal))?,
        }
    }
    // Who sits before it has read why; a script looks at the code.
    Ok(if talk.refused && !attended { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The next line, `None` at the end.
fn line(input: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 > MAX_LINE {
        bail!("a line has more than {MAX_LINE} bytes; say less at once");
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => bail!("a line is not UTF-8"),
    }
}

struct Talk<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a ChatTokenizer,
    adapter: Option<&'a Adapter>,
    sampling: Sampling,
    /// Tokens of a prompt.
    room: usize,
    system: Option<String>,
    /// The user and the assistant in turn.
    turns: Vec<Message>,
    /// A question could not be asked.
    refused: bool,
}

impl Talk<'_> {
    /// Whether the user cut the answer short.
    fn answer(&mut self, said: &str, terminal: &Terminal) -> anyhow::Result<bool> {
        self.turns.push(Message::new(Speaker::User, said));
        let (prompt, forgotten) = match self.prompt() {
            Ok(found) => found,
            Err(error) => {
                // The conversation goes on without it.
                self.turns.pop();
                self.refused = true;
                if terminal.is_json() {
                    writeln!(std::io::stdout(), "{}", json!({ "prompt": said, "error": format!("{error:#}") }))?;
                }
                eprintln!("dipole: {error:#}");
                return Ok(false);
            }
        };
        if forgotten > 0 {
            terminal.say(&format!("(the conversation is long; its first {forgotten} turns are left out)"));
        }
        let mut stream = Stream::new(self.tokenizer);
        let mut tokens = Vec::new();
        let streams = !terminal.is_json();
        let mut out = std::io::stdout();
        let gone = AtomicBool::new(false);
        let mut on_token = |token: u32| {
            tokens.push(token);
            let text = stream.push(token);
            if streams && out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                gone.store(true, Ordering::Relaxed);
            }
        };
        let generated = model::generate(
            self.decoder,
            self.adapter,
            &prompt,
            self.tokenizer.end_tokens(),
            &self.sampling,
            &mut on_token,
            &Quiet(terminal, &gone),
        );
        let stop = match generated {
            Ok(generated) => Some(generated.stop),
            Err(ModelError::Cancelled(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if gone.into_inner() {
            return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
        }
        let rest = stream.finish();
        let answer = self.tokenizer.decode(&tokens);
        let told = match stop {
            Some(Stop::EndToken) => json!("end_token"),
            Some(Stop::Length) => json!("length"),
            None => json!("stopped"),
        };
        let mut out = std::io::stdout();
        if streams {
            writeln!(out, "{rest}")?;
        } else {
            let turn = json!({
                "prompt": said, "answer": answer, "tokens": tokens.len(), "prompt_tokens": prompt.len(),
                "forgotten_turns": forgotten, "stop": told,
            });
            writeln!(out, "{turn}")?;
        }
        out.flush()?;
        self.turns.push(Message::new(Speaker::Assistant, answer));
        Ok(stop.is_none())
    }

    /// The newest turns that fit, and how many older ones are left out.
    fn prompt(&self) -> anyhow::Result<(Vec<u32>, usize)> {
        let mut forgotten = 0;
        loop {
            let mut messages: Vec<Message> = Vec::new();
            messages.extend(self.system.as_ref().map(|text| Message::new(Speaker::System, text.as_str())));
            messages.extend(self.turns.iter().skip(forgotten).cloned());
            let prompt = self.tokenizer.prompt(&messages)?;
            if prompt.len() <= self.room {
                return Ok((prompt, forgotten));
            }
            // A question and its answer go together, so that the user still speaks first.
            forgotten += 2;
            if forgotten >= self.turns.len() {
                let (tokens, room) = (prompt.len(), self.room);
                bail!(
                    "the question alone takes {tokens} tokens, there is room for {room}; say less, or raise --context"
                );
            }
        }
    }
}

/// Answers are their own progress; nobody needs one whose reader is gone.
struct Quiet<'a>(&'a Terminal, &'a AtomicBool);

impl Progress for Quiet<'_> {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        self.0.interrupt().is_asked() || self.1.load(Ordering::Relaxed)
    }
}
