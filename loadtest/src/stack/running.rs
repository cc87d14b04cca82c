//! What can be learned of a stack by asking it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Response, StatusCode, Url};

use crate::client::Addresses;
use crate::results::Injected;
use crate::source::Source;
use crate::strategy::Strategy;

/// Who does not answer by then is not up.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A stack that answers, and lets its readers choose.
#[derive(Debug)]
pub(super) struct Answering {
    /// What its sources say that they are slowed by.
    pub(super) injected: Vec<Injected>,
}

/// Where `scripts/up` starts a stack, if all of it answers there.
pub(super) async fn at_the_usual_addresses() -> Option<Addresses> {
    let usual = |port: u16| Url::parse(&format!("http://127.0.0.1:{port}/")).ok();
    let addresses = Addresses {
        page: usual(8080)?,
        accounts: usual(8081)?,
        endpoints: usual(8082)?,
        metrics: usual(8083)?,
    };
    let ready = ready(&client(), &addresses).await;
    ready.ok().map(|()| addresses)
}

impl Answering {
    /// Asks every service whether it is there, and the page whether its readers may choose.
    pub(super) async fn check(addresses: &Addresses) -> Result<Self> {
        let client = client();
        ready(&client, addresses).await?;
        for strategy in Strategy::ALL {
            let page = addresses.page.join("accounts/1")?;
            let answer = client
                .get(page)
                .header("cache-strategy", strategy.name())
                .send()
                .await
                .with_context(|| format!("the page at {} does not answer", addresses.page))?;
            ensure!(
                answer.status() != StatusCode::BAD_REQUEST,
                "the page at {} does not let a request choose the strategy {strategy}: start it with --allow-override, as \
                 scripts/up does",
                addresses.page
            );
        }
        let mut injected = Vec::new();
        for (source, root, path) in [
            (Source::Accounts, &addresses.accounts, "accounts/1"),
            (Source::Endpoints, &addresses.endpoints, "accounts/1/endpoints"),
            (Source::Metrics, &addresses.metrics, "accounts/1/metrics"),
        ] {
            let answer = client.get(root.join(path)?).send().await?;
            injected.extend(latency_ms(&answer).map(|latency_ms| Injected {
                source: source.name().to_owned(),
                latency_ms,
            }));
        }
        Ok(Self { injected })
    }
}

async fn ready(client: &Client, addresses: &Addresses) -> Result<()> {
    for (name, root) in [
        ("page", &addresses.page),
        ("accounts", &addresses.accounts),
        ("endpoints", &addresses.endpoints),
        ("metrics", &addresses.metrics),
    ] {
        let answer = client.get(root.join("readyz")?).send().await.with_context(|| {
            format!("{name} does not answer at {root}: start a stack with scripts/up, or name no addresses, and one is started")
        })?;
        if !answer.status().is_success() {
            bail!("{name} at {root} is not ready: it answers {}", answer.status());
        }
    }
    Ok(())
}

/// What a source says of itself: `Server-Timing: injected;dur=100`.
fn latency_ms(answer: &Response) -> Option<u64> {
    let timing = answer.headers().get("server-timing")?.to_str().ok()?;
    let mut entries = timing.split(',').map(str::trim);
    entries.find_map(|entry| entry.strip_prefix("injected;dur=")?.parse().ok())
}

/// Without TLS there is nothing that can fail, so the default client is as good as one that was asked for.
fn client() -> Client {
    let builder = Client::builder().no_proxy().timeout(ANSWERS_WITHIN);
    builder.build().unwrap_or_default()
}
