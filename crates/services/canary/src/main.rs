//! The canary: parse, bind, run, flush.

use canary::Config;
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("canary", &config.telemetry)?;
    let listener = http_edge::bind(config.listen).await?;
    let result = canary::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
