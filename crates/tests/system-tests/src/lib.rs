//! The services together, against real parts: what no crate can test alone.
//!
//! [`Stack`] starts the four services as processes, as `scripts/up` does, on free ports and with databases of their
//! own. The tests are in `tests/it`.
//!
//! | fault | by |
//! | --- | --- |
//! | a process dies, or stands still | [`Process::kill`], [`Process::pause`]; the same of the broker |
//! | a request, or its answer, is held | [`Gate`], which speaks HTTP |
//! | a connection is cut, black-holed, slow | [`Link`], which speaks TCP and stands in front of anything |
//! | a clock is wrong, and is set right | [`SteppedClock`], which is libfaketime |

mod clock;
mod gate;
mod link;
mod process;
mod stack;

pub use clock::SteppedClock;
pub use gate::Gate;
pub use link::Link;
pub use process::{Environment, Process, program};
pub use stack::{Broker, Options, Page, Stack};
