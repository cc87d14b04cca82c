#![doc = include_str!("../README.md")]

pub mod accept;
mod already_logged;
mod background;
mod cache_control;
mod client;
pub mod conditional;
mod connection;
pub mod document;
mod edge;
mod error_page;
mod extract;
mod health;
mod hosts;
mod limits;
mod options;
mod problem;
mod refuse_writes;
mod request_future;
mod route_metrics;
mod serve;
pub mod text;
mod trace;

pub use background::{Background, ServeError};
pub use client::{client, send};
pub use edge::edge;
pub use error_page::ErrorPage;
pub use extract::{Json, Path, Query, present};
pub use health::Readiness;
pub use hosts::AllowedHosts;
pub use options::EdgeOptions;
pub use problem::{FieldProblem, Problem};
pub use refuse_writes::refuse_writes;
pub use serve::{ServeOptions, bind, serve, stop_on_signal};
