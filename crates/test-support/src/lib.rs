//! Real parts for tests: a nats-server on a free port, an OTLP sink, eventually.
