//! A stack of our own: a broker, the sources, one page. It ends, and its data vanishes, when this is dropped.

use anyhow::{Context as _, Result, anyhow};
use stack::{NatsServer, PerSource, Process, Source, database_in};
use tempfile::TempDir;

use super::StackOptions;
use crate::client::{Addresses, PAGE};

#[derive(Debug)]
pub(super) struct Started {
    page: Process,
    sources: PerSource<Process>,
    broker: NatsServer,
    folder: TempDir,
}

impl Started {
    /// No link is between the processes, and all ports are free ones.
    pub(super) async fn start(options: &StackOptions) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the databases")?;
        // It waits for its port without letting others run.
        let broker = tokio::task::spawn_blocking(NatsServer::try_start).await?;
        let broker = broker.context(
            "nats-server does not start: scripts/fetch-nats-server gets one; have it on PATH, or name it in NATS_SERVER",
        )?;
        let sources = PerSource::join(|source| {
            let flags = source_flags(source, &folder, &broker, options);
            start(source.name(), flags)
        });
        let sources = sources.await.all()?;
        let page = start(PAGE, page_flags(&sources, &broker, options)).await?;
        Ok(Self {
            page,
            sources,
            broker,
            folder,
        })
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            page: self.page.url(""),
            sources: PerSource::from_fn(|source| self.sources[source].url("")),
        }
    }

    pub(super) fn broker_process(&self) -> u32 {
        self.broker.id()
    }

    pub(super) fn dead(&mut self) -> Vec<String> {
        let sources = Source::ALL
            .map(Source::name)
            .into_iter()
            .zip(self.sources.values_mut());
        let dead = sources
            .chain([(PAGE, &mut self.page)])
            .filter_map(|(name, process)| {
                let words = process.last_words()?;
                Some(format!("{name}; its last words: {words}"))
            });
        dead.collect()
    }

    /// What is not as `scripts/up` has it.
    pub(super) fn notes(&self, options: &StackOptions) -> Vec<String> {
        let folder = self.folder.path();
        vec![
            format!(
                "The stack is that of scripts/up, except: one page replica, with {} MiB for each strategy's pages; no audits, which would \
                 cost one strategy only; and databases in {}.",
                options.cache_mib,
                folder.parent().unwrap_or(folder).display()
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
    let database = database_in(folder.path(), source);
    let mut injected = options.inject.iter();
    let injected = injected.find(|injected| injected.source == source.name());
    // Said in any case: a variable in our environment must not slow anything down unseen.
    let latency_ms = injected.map_or(0, |injected| injected.latency_ms);
    let mut flags = stack::source_flags(&database, &broker.url());
    flags.push(format!("--inject-latency={latency_ms}"));
    flags
}

fn page_flags(sources: &PerSource<Process>, broker: &NatsServer, options: &StackOptions) -> Vec<String> {
    let urls = PerSource::from_fn(|source| sources[source].url(""));
    let usual = stack::page_flags(&urls, &broker.url());
    let settings = [
        format!("--ttl-seconds={}", options.ttl_seconds),
        format!("--cache-bytes={}", options.cache_mib * 1024 * 1024),
    ];
    let fixed = [
        "--strategy=invalidate",
        "--audit-interval-ms=0",
        "--allow-override",
    ];
    let fixed = fixed.map(str::to_owned);
    usual.into_iter().chain(settings).chain(fixed).collect()
}
