#![doc = include_str!("../README.md")]

mod acknowledged;
pub mod console;
pub mod data;
mod database;
mod eventually;
mod flags;
mod gate;
pub mod http;
mod link;
mod moment;
mod nats;
mod page;
mod page_head;
pub mod ports;
mod preferences;
mod process;
mod random;
mod samples;
pub mod seed;
mod signals;
mod source;
pub mod sources;
mod stack;
mod stop_signals;
pub mod supervisor;
mod version;

pub use acknowledged::{AcknowledgedWrite, AcknowledgedWrites, PROMISE};
pub use database::{database_files, database_in};
pub use eventually::eventually;
pub use flags::{page_flags, source_flags};
pub use gate::Gate;
pub use link::Link;
pub use moment::Moment;
pub use nats::NatsServer;
pub use page::{PageAnswer, PageClient, PageRequest, ReadError};
pub use page_head::{Asked, Mark, Outcome, PageHead};
pub use preferences::{AGES_SECONDS, Preferences, WAITS_MS};
pub use process::{Environment, Process, find_program, program};
pub use random::{Random, one_of, random};
pub use samples::{Sample, Samples};
pub use source::{
    PerSource, SOURCES, STREAM, SUBJECT_PREFIX, Source, SourceInfo, Window, event_of_type, event_type,
};
pub use stack::{Broker, Options, Page, Stack};
pub use stop_signals::StopSignals;
pub use version::{Incarnation, Version, versions_in_token};
