//! The lab against real processes, real ports and the real stack.

mod capture;
mod fake_sources;
mod fetch_nats_server;
mod replay;
mod seed;
mod supervisor;
// It finds the lab's children in /proc.
#[cfg(target_os = "linux")]
mod up;
#[cfg(target_os = "linux")]
mod web;
