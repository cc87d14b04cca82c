//! What one replica knows of its sources: the state that all readers share, and its one writer.

pub(crate) mod state;
pub(crate) mod writer;
