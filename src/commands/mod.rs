//! The headless verbs, thin.
