//! The cache against sources in memory that a test stops at every step.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_input;
mod audit;
mod bursts;
mod counting;
mod fallback;
mod feed;
mod flights;
mod held_open;
mod history;
mod mishaps;
mod naive;
mod order;
mod refresh;
mod remembered;
mod rest;
mod revalidation;
mod rig;
mod sea;
mod strategies;
mod threads;
mod tokens;
mod traces;
mod truth;
mod world;
