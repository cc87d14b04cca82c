//! The naive page service: parse, bind, run, flush.

use clap::Parser as _;
use naive_page::Config;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("naive-page", &config.telemetry)?;
    let listener = TcpListener::bind(config.listen).await?;
    let result = naive_page::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
