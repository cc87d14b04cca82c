//! Outbox to feed, over a real nats-server that is killed, wiped and started again.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod delivery;
mod history;
mod losses;
mod rig;
mod watermarks;
