//! Waiting without sleeping for a guessed time.

use std::time::{Duration, Instant};

/// Asks again every few milliseconds until the answer is there, and panics with the last refusal if it does not come.
///
/// # Panics
/// When `deadline` has passed.
pub async fn eventually<T, E: std::fmt::Display>(
    deadline: Duration,
    ask: impl AsyncFn() -> Result<T, E>,
) -> T {
    let until = Instant::now() + deadline;
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(refusal) => assert!(
                Instant::now() < until,
                "still not so after {deadline:?}: {refusal}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
