//! How a page is loaded: what is fetched, who loads it and who waits, one request, and the task that does it all.

pub(crate) mod fetch;
pub(crate) mod in_flight;
pub(crate) mod plan;
pub(crate) mod task;
