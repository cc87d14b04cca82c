//! The lab against real processes, real ports and the real stack.

// It starts the lab as `up` does.
#[cfg(target_os = "linux")]
mod browser;
mod capture;
#[cfg(target_os = "linux")]
mod charts;
#[cfg(target_os = "linux")]
mod class;
mod fake_sources;
mod fetch_nats_server;
#[cfg(target_os = "linux")]
mod naive;
mod replay;
mod screens;
mod seed;
#[cfg(target_os = "linux")]
mod strategies;
mod supervisor;
// It finds the lab's children in /proc.
#[cfg(target_os = "linux")]
mod up;
#[cfg(target_os = "linux")]
mod web;
