#![doc = include_str!("../README.md")]

mod config;
mod logs;
mod process;
mod propagation;
mod start;

pub use config::{LogFormat, TelemetryConfig};
pub use propagation::{
    context_from, context_from_traceparent, current_trace_id, inject_current, traceparent,
};
pub use start::{StartError, Telemetry, prometheus_text, start};
