//! The trace viewer: parse, bind, run.

use clap::Parser as _;
use traces::Config;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let listener = http_edge::bind(config.listen).await?;
    eprintln!("traces: http://{}/", listener.local_addr()?);
    Ok(traces::run(config, listener, http_edge::stop_on_signal()).await?)
}
