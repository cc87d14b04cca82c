#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod error;
mod event_type;
mod follow;
mod source;

pub use answer::AnswerHeaders;
pub use config::SourceConfig;
pub use error::{RunError, WriteRefused, database_problem, invalid_fields};
pub use follow::{EntityEventTypes, Follower};
pub use source::Source;
