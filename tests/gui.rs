//! The window without a display: real jobs, real keys, real files; and a backend of our own where a test needs to
//! hold the disk still or to bring a million rows.

mod gui {
    pub mod fake;
    pub mod stage;

    mod decisions;
    mod flow;
    mod insight;
    mod map;
    mod million;
    mod pictures;
    mod states;
    mod survival;
}
