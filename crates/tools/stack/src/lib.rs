#![doc = include_str!("../README.md")]

pub mod console;
pub mod data;
mod eventually;
mod gate;
mod link;
mod moment;
mod nats;
pub mod ports;
mod process;
mod random;
mod samples;
pub mod seed;
mod signals;
pub mod sources;
mod stack;
pub mod supervisor;

pub use eventually::eventually;
pub use gate::Gate;
pub use link::Link;
pub use moment::Moment;
pub use nats::NatsServer;
pub use process::{Environment, Process, find_program, program};
pub use random::{Random, one_of, random};
pub use samples::Samples;
pub use stack::{Broker, Options, Page, Stack};
