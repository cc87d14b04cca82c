//! Owns accounts: the names on the pages.
