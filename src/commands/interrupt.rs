//! Ctrl-C: the first asks the work to stop cleanly, a second ends the program at once.
//!
//! Constraint: in the handler only flags are set; what is said of them is said by whoever asks for them next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

/// What a shell reports of a program that Ctrl-C ended: 128 + the number of the signal.
pub const EXIT_CODE: u8 = 130;

/// Whether the user asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// The next Ctrl-C ends the program.
    last: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    pub fn listen(&self) {
        // In the order in which they are heard: the flag that ends the program is looked at before it is set.
        let heard = flag::register_conditional_shutdown(SIGINT, i32::from(EXIT_CODE), self.last.clone())
            .and_then(|_| flag::register(SIGINT, self.last.clone()))
            .and_then(|_| flag::register(SIGINT, self.asked.clone()));
        if let Err(error) = heard {
            tracing::warn!("Ctrl-C ends the program at once: {error}");
        }
    }

    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The program waits for a line: Ctrl-C ends it at once.
    pub fn rest(&self) {
        self.last.store(true, Ordering::SeqCst);
    }

    /// The program works again: Ctrl-C asks it to stop. What was asked for before is forgotten.
    pub fn work(&self) {
        self.asked.store(false, Ordering::SeqCst);
        self.last.store(false, Ordering::SeqCst);
    }
}
