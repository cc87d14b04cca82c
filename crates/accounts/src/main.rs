//! Owns accounts: the names on the pages.

fn main() {}
