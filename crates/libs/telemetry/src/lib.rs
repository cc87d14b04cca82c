#![doc = include_str!("../README.md")]

mod config;
mod gate;
mod logs;
mod outage;
mod process;
mod propagation;
mod sampling;
mod start;
mod task;
mod traceparent;
mod tracestate;
mod unsampled;

pub use config::{LogFormat, TelemetryConfig};
pub use gate::SpanGate;
pub use propagation::{
    context_from, context_from_traceparent, current_trace_id, inject_current, is_sampled, named_trace_id,
};
pub use sampling::{Decision, Sampler, SamplerArgumentError, TracesSampler, sampler};
pub use start::{StartError, Telemetry, prometheus_text, start};
pub use task::TaskContext;
pub use unsampled::Unsampled;
