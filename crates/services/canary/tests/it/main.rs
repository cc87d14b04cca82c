//! The canary before a real stack, before a page with false dates, and before accounts that do not answer.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod false_page;
mod late;
mod leaving;
mod watching;
