//! The edge as a client and a collector see it: real HTTP, real spans.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod app;
mod background;
mod client;
mod limits;
mod measured;
mod observed;
mod problems;
mod requests;
mod sampled;
mod serving;
mod wire;
