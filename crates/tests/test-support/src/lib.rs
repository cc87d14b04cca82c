//! What tests need to run: certificates for a nats-server, an OTLP sink, a full disk; and, from [`stack`], a nats-server on a free
//! port, waiting for what must come true, and the types of events.

mod certificates;
mod disk;
mod otlp_sink;

pub use certificates::Certificates;
pub use disk::Disk;
pub use otlp_sink::{CollectedSpan, OtlpSink};
pub use stack::{NatsServer, event_type, eventually};
