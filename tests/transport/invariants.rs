//! What must hold whatever the numbers are.
