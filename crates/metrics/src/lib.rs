//! Owns metrics: samples of those URLs, and their summaries.
