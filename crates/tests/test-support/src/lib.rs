//! What tests run against: certificates for a nats-server, an OTLP sink, a disk that gets full; and of [`stack`] what the tests of
//! the libraries and services need too, a nats-server on a free port, waiting for what must come true, and the types of events.

mod certificates;
mod disk;
mod otlp_sink;

pub use certificates::Certificates;
pub use disk::Disk;
pub use otlp_sink::{CollectedSpan, OtlpSink};
pub use stack::{NatsServer, event_type, eventually};
