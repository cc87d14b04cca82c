#![doc = include_str!("../README.md")]

mod answer;
mod apart;
mod audit;
mod cache;
mod clock;
mod composer;
mod counter;
mod hearing;
#[cfg(all(test, feature = "loom"))]
mod interleavings;
mod ledger;
mod leg;
mod options;
mod part;
mod pilot;
mod proof;
mod refresh;
mod slots;
mod stats;
mod strategy;

pub use answer::{Answer, Brought, Entry, Fetch, Forward, Outcome};
pub use audit::{Audit, Lie, Suspicion};
pub use cache::FreshCache;
pub use clock::{Clock, Date, ManualClock, Moment, SystemClock};
pub use composer::Composer;
pub use counter::Counter;
pub use hearing::Hearing;
pub use ledger::{Ledger, LedgerOptions, Position, Slot, SourceId};
pub use options::{CacheOptions, Demand};
pub use part::{Carried, Claim, Fetched, Part, PartState, Token, Version};
pub use refresh::{Announcement, Refresh, RefreshOptions};
pub use stats::Stats;
pub use strategy::Strategy;
