//! The page service as its readers meet it: over HTTP, between sources that do as they are told and a real
//! broker.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod app;
mod consumer;
mod degraded;
mod errors;
mod fake_source;
mod herd;
mod hostile;
mod listing;
mod lives;
mod negotiation;
mod preferences;
mod prepopulating;
mod reading;
mod strategies;
mod stream;
mod tokens;
mod traced;
mod warming;
mod watching;
