//! `lab seed`: the recorded data into a stack that somebody else started.

use anyhow::Result;
use jiff::Timestamp;
use stack::data::Recording;
use stack::seed::seed;

use crate::config::SeedConfig;

/// Fills a stack if it has no account. A seeding that was interrupted is not taken up.
pub async fn seed_once(config: &SeedConfig) -> Result<()> {
    let recording = Recording::read(&config.data)?;
    let sources = config.sources.client();
    if !sources.is_empty().await? {
        println!("there are accounts already: nothing to seed");
        return Ok(());
    }
    let seeded = seed(&recording, &sources, Timestamp::now()).await?;
    println!("seeded {} accounts of real samples", seeded.accounts.len());
    Ok(())
}
