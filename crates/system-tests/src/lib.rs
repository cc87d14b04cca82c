//! The services together, against real parts.
