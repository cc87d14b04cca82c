#![doc = include_str!("../README.md")]

mod account;
mod config;
mod leftovers;
mod report;
mod watch;

pub use config::Config;

use std::time::Duration;

use axum::Router;
use futures::future::join_all;
use http_edge::{EdgeOptions, Readiness, ServeOptions};
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::account::{Account, Accounts};
use crate::leftovers::Leftovers;
use crate::report::Report;
use crate::watch::Watch;

/// How long the last requests, which delete what was made, may take.
const DELETED_WITHIN: Duration = Duration::from_secs(2);

/// Why the canary ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The listener failed.
    #[error("cannot serve")]
    Serve(#[from] std::io::Error),
}

/// Measures until `stop`, then deletes what it made; deletes what earlier canaries left behind. Serves nothing but what it has counted.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    let router = http_edge::edge(Router::new(), Readiness::always(), EdgeOptions::default());
    let options = ServeOptions {
        allowed_hosts: config.allowed_hosts.clone(),
        ..ServeOptions::default()
    };
    let mut canary = Canary::new(&config);
    let leftovers = canary.leftovers(&config);
    let measured = async {
        canary.measure(config.every(), &stop).await;
        canary.leave().await;
    };
    let (served, (), _) = tokio::join!(
        http_edge::serve(listener, router, options, stop.clone()),
        measured,
        stop.run_until_cancelled(leftovers.delete())
    );
    Ok(served?)
}

struct Canary {
    accounts: Accounts,
    /// None until accounts was there to make one.
    account: Option<Account>,
    watches: Vec<Watch>,
    /// So that an outage is logged when it begins and when it ends, not at every attempt.
    failing: bool,
}

impl Canary {
    fn new(config: &Config) -> Self {
        let client = http_edge::client();
        let report = Report::new(&config.page_urls);
        let watches = report.pages().zip(&config.page_urls);
        let watches = watches.map(|(page, url)| Watch {
            client: client.clone(),
            url: url.clone(),
            give_up_after: config.give_up_after(),
            clock_skew: config.clock_skew(),
            page,
        });
        Self {
            accounts: Accounts::new(client.clone(), config.accounts_url.clone()),
            account: None,
            watches: watches.collect(),
            failing: false,
        }
    }

    fn leftovers(&self, config: &Config) -> Leftovers {
        Leftovers {
            accounts: Accounts::new(http_edge::client(), config.accounts_url.clone()),
            own: self.accounts.run().to_owned(),
            renamed_within: config.every() + config.give_up_after(),
        }
    }

    /// One change after another, until `stop`, which cuts no write short: what it made would have to be looked for.
    async fn measure(&mut self, every: Duration, stop: &CancellationToken) {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let changed = self.accounts.change(&mut self.account).await;
            match &changed {
                Err(error) if !self.failing => tracing::warn!(%error, "accounts refuses changes"),
                Ok(_) if self.failing => tracing::info!("accounts accepts changes again"),
                _ => {}
            }
            self.failing = changed.is_err();
            if let Ok(change) = changed {
                let watched = join_all(self.watches.iter().map(|watch| watch.until_shown(&change)));
                stop.run_until_cancelled(watched).await;
            }
        }
    }

    async fn leave(&mut self) {
        let deleted = timeout(DELETED_WITHIN, self.accounts.delete_all(self.account.take())).await;
        let named = self.accounts.run();
        match deleted {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, named, "an account may stay behind"),
            Err(_) => tracing::warn!(
                named,
                "an account may stay behind: no answer, now or to a creation"
            ),
        }
    }
}
