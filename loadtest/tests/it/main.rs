//! The load test against servers that do as they are told, and against the real stack.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod anything;
mod baselines;
mod compare;
mod fake;
mod fixture;
mod generator;
mod probe;
mod program;
mod reports;
mod searching;
mod stack;
mod tables;
mod verdicts;
mod warming;
