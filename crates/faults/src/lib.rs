#![doc = include_str!("../README.md")]

pub mod check;
pub mod history;
pub mod known;
pub mod moment;
pub mod random;
pub mod schedule;
