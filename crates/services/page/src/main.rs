//! The page service: parse, bind, run, flush.

use clap::Parser as _;
use page::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = telemetry::start("page", &config.telemetry)?;
    let listener = http_edge::bind(config.listen).await?;
    let result = page::run(config, listener, http_edge::stop_on_signal()).await;
    telemetry.shutdown().await;
    Ok(result?)
}
