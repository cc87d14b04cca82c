//! Real parts for tests: a nats-server on a free port, an OTLP sink, and waiting for what must come true.

mod eventually;
mod nats;

pub use eventually::eventually;
pub use nats::NatsServer;
