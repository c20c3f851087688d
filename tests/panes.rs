//! The work panes over the real library: drop, mend, run, export, by the names that a screen reader would say.
//!
//! Constraint: nothing is timed; a step that never comes fails with what the window shows.

mod panes {
    pub mod window;

    mod checks;
    mod compare;
    mod insight;
    mod steps;
    mod tune;
}
