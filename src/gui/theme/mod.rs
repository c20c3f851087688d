//! Colours, type and spacing of the window.
//!
//! Constraint: every colour comes from `assets/theme/tokens.json`; panes name tokens, never literals.

pub mod fonts;
pub mod icons;
mod palette;
mod style;

pub use palette::{Palette, palette, tokens};
pub use style::{apply, heading_font, mono_font, semibold, small_font, title_font};
