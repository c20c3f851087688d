//! Inputs at the edge: a clear error or a correct answer.
