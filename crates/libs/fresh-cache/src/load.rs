//! How a page is loaded: who loads it, who waits, and what is asked of a source.

pub(crate) mod fetch;
pub(crate) mod in_flight;
pub(crate) mod task;
