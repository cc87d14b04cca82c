//! The cache against sources in memory that a test stops at every step.

mod fallback;
mod flights;
mod held_open;
mod history;
mod naive;
mod revalidation;
mod rig;
mod threads;
