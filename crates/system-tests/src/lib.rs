//! The services together, against real parts: what no crate can test alone.
//!
//! [`Stack`] starts the four services as processes, as `scripts/up` does, on free ports and with databases of their
//! own. The tests are in `tests/it`.

mod gate;
mod process;
mod stack;

pub use gate::Gate;
pub use process::Process;
pub use stack::{Options, Page, Stack};
