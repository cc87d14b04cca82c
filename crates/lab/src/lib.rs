//! The whole stack on one machine: start it, seed it, watch it change, measure it.
