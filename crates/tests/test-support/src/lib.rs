//! Real parts for tests: a nats-server on a free port, certificates for it, an OTLP sink, a disk that gets full, processes that
//! stand still, and waiting for what must come true.

mod certificates;
mod disk;
mod eventually;
mod nats;
mod otlp_sink;
mod paused;

pub use certificates::Certificates;
pub use disk::Disk;
pub use eventually::eventually;
pub use nats::NatsServer;
pub use otlp_sink::{CollectedSpan, OtlpSink};
pub use paused::{pause_process, resume_process, terminate_process};
