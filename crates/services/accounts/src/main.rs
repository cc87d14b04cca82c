//! The accounts service: parse, bind, run, flush.

use accounts::Config;
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("accounts", &config.source.telemetry)?;
    let listener = http_edge::bind(config.listen).await?;
    let result = accounts::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
