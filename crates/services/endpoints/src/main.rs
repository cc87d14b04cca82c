//! The endpoints service: parse, bind, run, flush.

use clap::Parser as _;
use endpoints::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("endpoints", &config.source.telemetry)?;
    let listener = http_edge::bind(config.listen).await?;
    let result = endpoints::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
