//! Memory that a step has let go is kept for the next step.
//!
//! mimalloc gives freed memory back to the system within milliseconds, and the system clears every page before it is
//! used again: a tenth of a training step and more. Constraint: where another allocator serves the program, this
//! changes nothing.

use std::ffi::{c_int, c_long};

/// `mi_option_purge_delay` of mimalloc.h, in milliseconds.
const PURGE_DELAY: c_int = 15;
const USUAL: c_long = 10;
const KEPT: c_long = 10_000;

/// While it lives, freed memory is kept for ten seconds.
pub(super) struct Freed(());

impl Freed {
    pub(super) fn kept() -> Self {
        set(KEPT);
        Self(())
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        set(USUAL);
    }
}

fn set(milliseconds: c_long) {
    // SAFETY: stores a number that the allocator reads when it frees; any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) }
}
