//! The load test: parse, run, say what was found.

fn main() {}
