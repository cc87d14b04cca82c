//! Owns endpoints: the URLs an account monitors.
