//! The cache against sources in memory that a test stops at every step.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fallback;
mod flights;
mod held_open;
mod history;
mod mishaps;
mod naive;
mod revalidation;
mod rig;
mod sea;
mod threads;
mod traces;
