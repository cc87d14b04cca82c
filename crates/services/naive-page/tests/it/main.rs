//! The naive page service: what it does well, and what it gets wrong.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod serving;
mod world;
mod wrong;
