#![doc = include_str!("../README.md")]

pub mod baseline;
pub mod client;
pub mod config;
mod derived;
mod describe;
mod figures;
pub mod furnish;
pub mod generator;
pub mod histogram;
pub mod known;
pub mod plan;
pub mod probe;
pub mod random;
pub mod results;
pub mod scrape;
pub mod source;
pub mod stack;
pub mod strategy;
pub mod table;
pub mod verdict;
pub mod workload;
