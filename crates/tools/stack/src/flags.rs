//! What the services are told by whoever starts them: where their data, their broker and their sources are.

use std::path::Path;

use crate::PerSource;

/// The flags of a source.
pub fn source_flags(database: &Path, nats_url: &str) -> Vec<String> {
    let database = database.display().to_string();
    ["--database", &database, "--nats-url", nats_url]
        .map(str::to_owned)
        .to_vec()
}

/// The flags of a service that composes pages.
pub fn page_flags(sources: &PerSource<String>, nats_url: &str) -> Vec<String> {
    let asks = sources
        .iter()
        .flat_map(|(source, url)| [format!("--{source}-url"), url.clone()]);
    let receives = ["--nats-url", nats_url].map(str::to_owned);
    asks.chain(receives).collect()
}
