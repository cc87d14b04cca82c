#![doc = include_str!("../README.md")]

// In reading order: each module uses those above it. Two exceptions: `load` and `shared` use each other, and `shared` uses the
// queue of `refresh`. To follow a hit, begin in `cache` and go up to `feed`. A miss goes on into `miss` and `load`.
mod clock;
mod counter;
pub mod feed;
mod version;
mod fragment;
mod freshness;
mod strategy;
mod loader;
mod dependency;
mod consistency;
mod read_options;
mod page;
mod answer;
mod task_context;
mod options;
mod stats;
mod load;
mod shared;
mod cache;
mod miss;
mod refresh;
mod remembered;
mod audit;
mod fetch_fn;
#[cfg(all(test, feature = "loom"))]
mod interleavings;

pub use answer::{Answer, Brought, Fetch, Forward, Outcome};
pub use audit::{Audit, ConfirmedMismatch, Mismatch};
pub use cache::FreshCache;
pub use clock::{Clock, Date, ManualClock, Moment, SystemClock};
pub use consistency::{Consistency, Token};
pub use counter::Counter;
pub use feed::ids::{Claim, Position, SourceId};
pub use feed::reader::FeedReader;
pub use feed::state::{FeedOptions, FeedState};
pub use feed::writer::FeedWriter;
pub use fetch_fn::{FetchFn, fetch_fn};
pub use fragment::{EventFragment, Fetched, Fragment, FragmentState};
pub use loader::Loader;
pub use options::{CacheOptions, RefreshOptions, RefreshScope};
pub use page::CachedPage;
pub use read_options::ReadOptions;
pub use refresh::queue::Announcement;
pub use stats::Stats;
pub use strategy::Strategy;
pub use task_context::TaskScope;
pub use version::Version;
