//! The canary: parse, bind, run, flush.

use canary::Config;
use clap::Parser as _;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("canary", &config.telemetry)?;
    let listener = TcpListener::bind(config.listen).await?;
    let result = canary::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
