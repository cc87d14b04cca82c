//! Composes the fragments of one account into a page, and keeps it fresh by events.

fn main() {}
