//! A flight.
