//! The whole stack: real processes, a real broker, real databases.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod addresses;
mod auditing;
mod clocks;
mod cold_start;
mod contracts;
mod conventions;
mod dashboards;
mod deployed;
mod faults;
mod freshness;
mod heads;
mod herd;
mod history;
mod hosts;
mod links;
mod lost_stream;
mod outages;
mod pauses;
mod race;
mod restores;
mod serving;
mod storage;
mod storm;
mod supervision;
mod tokens;
mod traces;
