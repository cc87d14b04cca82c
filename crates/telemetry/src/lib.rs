//! Starts tracing, logs and OTLP export; carries trace context; flushes at exit.
