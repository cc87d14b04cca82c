//! The edge of an HTTP service: problem+json, request spans, limits, health, serving until stopped.
