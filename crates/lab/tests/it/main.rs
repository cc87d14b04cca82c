//! The lab against real processes, real ports and the real stack.

mod capture;
mod supervisor;
