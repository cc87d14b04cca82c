//! What can be learned of a stack by asking it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, StatusCode};
use stack::http::client;
use stack::ports::url;
use stack::sources::SourceClient;
use stack::{PerSource, Source, Window};

use crate::client::Addresses;
use crate::results::Injected;
use crate::strategy::Strategy;

/// Where `scripts/up` starts the page.
const PAGE_PORT: u16 = 8080;

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
    let addresses = Addresses {
        page: url(PAGE_PORT),
        sources: PerSource::from_fn(|source| url(source.info().port)),
    };
    let ready = ready(&client(ANSWERS_WITHIN), &addresses).await;
    ready.ok().map(|()| addresses)
}

impl Answering {
    /// Asks every service whether it is there, and the page whether its readers may choose.
    pub(super) async fn check(addresses: &Addresses) -> Result<Self> {
        let client = client(ANSWERS_WITHIN);
        ready(&client, addresses).await?;
        for strategy in Strategy::ALL {
            let page = &addresses.page;
            let request = client.get(format!("{page}/accounts/1"));
            let answer = request.header("cache-strategy", strategy.name()).send().await;
            let answer = answer.with_context(|| format!("the page at {page} does not answer"))?;
            ensure!(
                answer.status() != StatusCode::BAD_REQUEST,
                "the page at {page} does not let a request choose the strategy {strategy}: start it with --allow-override, as \
                 scripts/up does"
            );
        }
        let sources = SourceClient::new(addresses.sources.clone());
        let mut injected = Vec::new();
        for source in Source::ALL {
            let fragment = sources.fragment(source, 1, Window::default()).await;
            let fragment = fragment.with_context(|| format!("asking {source}"))?;
            injected.extend(fragment.injected_ms.map(|latency_ms| Injected {
                source: source.name().to_owned(),
                latency_ms,
            }));
        }
        Ok(Self { injected })
    }
}

async fn ready(client: &Client, addresses: &Addresses) -> Result<()> {
    for (name, root) in addresses.services() {
        let answer = client.get(format!("{root}/readyz")).send().await.with_context(|| {
            format!("{name} does not answer at {root}: start a stack with scripts/up, or name no addresses, and one is started")
        })?;
        if !answer.status().is_success() {
            bail!("{name} at {root} is not ready: it answers {}", answer.status());
        }
    }
    Ok(())
}
