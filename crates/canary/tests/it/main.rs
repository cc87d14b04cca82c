//! The canary before a real stack, and before a page that lies.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod liar;
mod watching;
