//! Outbox to feed, over a real nats-server that is killed, wiped and started again.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod announced_again;
mod claims;
mod dead_links;
mod delivery;
mod history;
mod link;
mod losses;
mod readiness;
mod retention;
mod small_stream;
mod stack;
mod steadiness;
mod subscription;
mod tls;
mod trouble;
mod watermarks;
