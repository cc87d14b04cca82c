//! The bounds that a service sets for its requests.

use std::time::Duration;

use telemetry::Sampler;

/// The bounds of a service. The defaults suit small JSON requests that take milliseconds.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// The largest request body, in bytes; beyond it 413.
    pub body_limit: usize,
    /// The longest a request may wait; beyond it 503, and the handler is dropped where it waits.
    pub deadline: Duration,
    /// How many requests may be under way; those beyond it are refused at once with 503, not queued.
    pub concurrency: usize,
    /// What decides which requests are traced; if none, what `telemetry::start` was told.
    pub sampler: Option<Sampler>,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            body_limit: 1024 * 1024,
            deadline: Duration::from_secs(10),
            concurrency: 1024,
            sampler: None,
        }
    }
}
