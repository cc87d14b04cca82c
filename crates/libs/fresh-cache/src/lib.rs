#![doc = include_str!("../README.md")]

mod apart;
mod audit;
mod cache;
mod clock;
mod counter;
mod feed;
mod fragment;
mod freshness;
#[cfg(all(test, feature = "loom"))]
mod interleavings;
mod load;
mod loader;
mod options;
mod page;
mod refresh;
mod stats;
mod strategy;

pub use audit::{Audit, Lie, Suspicion};
pub use cache::FreshCache;
pub use clock::{Clock, Date, ManualClock, Moment, SystemClock};
pub use counter::Counter;
pub use feed::state::{Ledger, LedgerOptions, Position, Slot, SourceId};
pub use feed::writer::Hearing;
pub use fragment::{Carried, Claim, Fetched, Part, PartState, Token, Version};
pub use loader::Composer;
pub use options::{CacheOptions, Demand};
pub use page::{Answer, Brought, Entry, Fetch, Forward, Outcome};
pub use refresh::{Announcement, Refresh, RefreshOptions};
pub use stats::Stats;
pub use strategy::Strategy;
