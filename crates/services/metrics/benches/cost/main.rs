//! What an account with a million samples costs: its summaries to read, and its samples to write.
//!
//! Everything goes over HTTP to a service of its own, with a real broker and a database on disk. Each summary is compared,
//! field by field, with one that is counted from the raw samples, and that is timed too.
//! `cargo bench -p metrics --bench cost`, or `… -- reading/500` for what begins so.
#![expect(clippy::unwrap_used, reason = "a measurement that fails is to stop")]

mod naive;
mod reading;
mod service;
mod writing;

#[tokio::main]
async fn main() {
    // Cargo adds a `--bench` of its own.
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    for shape in reading::SHAPES
        .iter()
        .filter(|shape| shape.name.starts_with(&wanted))
    {
        reading::measure(shape).await;
    }
    for shape in writing::SHAPES
        .iter()
        .filter(|shape| shape.name.starts_with(&wanted))
    {
        writing::measure(shape).await;
    }
}
