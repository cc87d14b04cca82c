//! Owns endpoints: the URLs an account monitors.

fn main() {}
