//! What `Cache-Control` says of an answer whose handler says nothing.

use axum::http::{HeaderName, header};

/// What `Cache-Control` says of every answer that shows a state: it may be kept, and is asked about before each use.
///
/// Private: who may see it is not ours to know. Without this header caches guess how long an answer holds (RFC 9111, section 4.2.2).
pub const REVALIDATED: (HeaderName, &str) = (header::CACHE_CONTROL, "private, no-cache");
