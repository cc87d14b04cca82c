#![doc = include_str!("../README.md")]

mod encoding;
mod receive;
mod render;
mod routes;
mod span;
mod store;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_edge::{AllowedHosts, ServeOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// Keeps the last traces in memory and shows them in a browser: for a developer's machine.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "traces", version)]
pub struct Config {
    /// Where to listen, for exporters and for browsers.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:4318")]
    pub listen: SocketAddr,

    /// Under which names it answers.
    #[command(flatten)]
    pub allowed_hosts: AllowedHosts,

    /// How many traces are kept; the one whose first span came first goes first.
    #[arg(long, env = "KEEP", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
}

/// What is kept; the lock is held for a copy at most, never while something is rendered or awaited.
type Kept = Arc<Mutex<Store>>;

/// Runs the viewer until `stop`.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let kept: Kept = Arc::new(Mutex::new(Store::new(config.keep)));
    let options = ServeOptions {
        allowed_hosts: config.allowed_hosts,
        error_page: Some(routes::error_page()),
    };
    http_edge::serve(listener, routes::router(kept), options, stop).await
}
