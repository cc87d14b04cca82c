//! The endpoints service as its users meet it: over HTTP, and over a real broker.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod app;
mod bad_input;
mod deletions;
mod events;
mod lives;
mod reading;
mod source;
mod writing;
