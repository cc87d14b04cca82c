//! How a page is loaded, in reading order: who loads and who waits (`in_flight`), the task (`task`), what it does about each
//! fragment (`plan`), one request (`fetch`), and answers before its end (`early`).

pub(crate) mod early;
pub(crate) mod fetch;
pub(crate) mod in_flight;
pub(crate) mod plan;
pub(crate) mod task;
