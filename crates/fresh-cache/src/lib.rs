#![doc = include_str!("../README.md")]

mod answer;
mod cache;
mod clock;
mod composer;
mod hearing;
mod ledger;
mod leg;
mod part;
mod pilot;
mod proof;
mod slots;
mod stats;

pub use answer::{Answer, Brought, Entry, Fetch, Forward, Outcome};
pub use cache::{CacheOptions, Demand, FreshCache};
pub use clock::{Clock, ManualClock, Moment, SystemClock};
pub use composer::Composer;
pub use hearing::Hearing;
pub use ledger::{Ledger, LedgerOptions, Position, Slot, SourceId};
pub use part::{Fetched, Part, PartState, Started, Version};
pub use stats::{Counter, Stats};
