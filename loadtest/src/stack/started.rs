//! A stack of our own: a broker, three sources, one page. It ends, and its data vanishes, when this is dropped.

use anyhow::{Context as _, Result, anyhow};
use reqwest::Url;
use stack::NatsServer;
use stack::Process;
use tempfile::TempDir;

use super::StackOptions;
use crate::client::Addresses;
use crate::source::Source;

#[derive(Debug)]
pub(super) struct Started {
    page: Process,
    sources: [Process; 3],
    broker: NatsServer,
    folder: TempDir,
}

impl Started {
    /// Nothing lies between the parts, and all ports are free ones.
    pub(super) async fn start(options: &StackOptions) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the databases")?;
        // It waits for its port without letting others run.
        let broker = tokio::task::spawn_blocking(NatsServer::try_start).await?;
        let broker = broker.context(
            "nats-server does not start: scripts/fetch-nats-server gets one; have it on PATH, or name it in NATS_SERVER",
        )?;
        let source = |source| {
            start(
                source_name(source),
                source_flags(source, &folder, &broker, options),
            )
        };
        let sources = tokio::try_join!(
            source(Source::Accounts),
            source(Source::Endpoints),
            source(Source::Metrics)
        )?;
        let sources: [Process; 3] = sources.into();
        let page = start("page", page_flags(&sources, &broker, options)).await?;
        Ok(Self {
            page,
            sources,
            broker,
            folder,
        })
    }

    pub(super) fn addresses(&self) -> Result<Addresses> {
        let source = |source: Source| Url::parse(&self.sources[source.index()].url("/"));
        Ok(Addresses {
            page: Url::parse(&self.page.url("/"))?,
            accounts: source(Source::Accounts)?,
            endpoints: source(Source::Endpoints)?,
            metrics: source(Source::Metrics)?,
        })
    }

    pub(super) fn broker_process(&self) -> u32 {
        self.broker.id()
    }

    pub(super) fn dead(&mut self) -> Vec<String> {
        let names = Source::ALL.map(source_name);
        let services = names.into_iter().zip(&mut self.sources);
        let services = services.chain([("page", &mut self.page)]);
        let dead = services.filter_map(|(name, process)| {
            let words = (!process.is_alive()).then(|| process.log().last().map(ToString::to_string))?;
            Some(format!(
                "{name}: {}",
                words.unwrap_or_else(|| "no last words".to_owned())
            ))
        });
        dead.collect()
    }

    /// What is not as `scripts/up` has it.
    pub(super) fn notes(&self, options: &StackOptions) -> Vec<String> {
        vec![
            format!(
                "The stack is that of scripts/up, but for: one page replica, with {} MiB for each strategy's pages; no audits, which \
                 would be asked of one strategy alone; and databases in {}.",
                options.cache_mib,
                self.folder
                    .path()
                    .parent()
                    .unwrap_or(self.folder.path())
                    .display()
            ),
            "Stack and load generator share the machine.".to_owned(),
        ]
    }
}

async fn start(name: &'static str, flags: Vec<String>) -> Result<Process> {
    let started = Process::try_start(name, flags).await;
    started.map_err(|error| anyhow!(error).context(format!("starting {name}")))
}

fn source_flags(
    source: Source,
    folder: &TempDir,
    broker: &NatsServer,
    options: &StackOptions,
) -> Vec<String> {
    let database = folder.path().join(format!("{source}.db")).display().to_string();
    let wanted = options
        .inject
        .iter()
        .find(|injected| injected.source == source.name());
    // Said in any case: a variable in our environment must not slow anything down unseen.
    let latency = wanted.map_or(0, |injected| injected.latency_ms).to_string();
    flags([
        ("--database", &database),
        ("--nats-url", &broker.url()),
        ("--inject-latency", &latency),
    ])
}

fn page_flags(sources: &[Process; 3], broker: &NatsServer, options: &StackOptions) -> Vec<String> {
    let url = |source: Source| sources[source.index()].url("");
    let mut all = flags([
        ("--accounts-url", &url(Source::Accounts)),
        ("--endpoints-url", &url(Source::Endpoints)),
        ("--metrics-url", &url(Source::Metrics)),
        ("--nats-url", &broker.url()),
        ("--strategy", "invalidate"),
        ("--ttl-seconds", &options.ttl_seconds.to_string()),
        ("--cache-bytes", &(options.cache_mib * 1024 * 1024).to_string()),
        ("--audit-interval-ms", "0"),
    ]);
    all.push("--allow-override".to_owned());
    all
}

fn flags<const N: usize>(settings: [(&str, &str); N]) -> Vec<String> {
    settings
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()])
        .collect()
}

const fn source_name(source: Source) -> &'static str {
    source.name()
}
