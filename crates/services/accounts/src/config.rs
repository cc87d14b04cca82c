//! Every setting: a flag, and an environment variable of the same name.

use std::net::SocketAddr;
use std::path::PathBuf;

use source_service::SourceConfig;

/// Owns accounts: the names on the pages.
#[derive(Debug, Clone, clap::Parser)]
#[command(version)]
pub struct Config {
    /// Where to listen. Loopback by default: there is no authentication here.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,

    /// The SQLite file; created if it does not exist.
    #[arg(long, env = "DATABASE", default_value = "accounts.db")]
    pub database: PathBuf,

    /// The settings that every source has.
    #[command(flatten)]
    pub source: SourceConfig,
}
