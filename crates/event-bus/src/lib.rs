//! An outbox that becomes a stream, and a stream heard without silent loss.
