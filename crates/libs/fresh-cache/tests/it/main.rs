//! The cache against sources in memory that a test stops at every step.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_input;
mod audit;
mod budget;
mod backoff;
mod bursts;
mod captured;
mod counting;
#[path = "../../examples/shared/dated.rs"]
mod dated;
mod entities;
mod fallback;
mod feed;
mod held_open;
mod held_sources;
mod history;
mod loads;
mod mishaps;
mod naive;
mod order;
#[path = "../../examples/shared/pages.rs"]
mod pages;
mod random_sources;
mod refresh;
mod remembered;
mod replica;
mod revalidation;
mod simple;
mod strategies;
mod threads;
mod tokens;
mod traces;
mod truth;
