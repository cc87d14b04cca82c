//! The metrics service: parse, bind, run, flush.

use clap::Parser as _;
use metrics::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("metrics", &config.source.telemetry)?;
    let listener = http_edge::bind(config.listen).await?;
    let result = metrics::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
