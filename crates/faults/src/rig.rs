//! The stack on trial: real processes, a real broker, and a link on every way between them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use system_tests::{Link, Process};
use tempfile::TempDir;
use test_support::NatsServer;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::client::{client, version_in_tag};
use crate::config::PageFlags;
use crate::history::{Arm, Incarnation, Replica, Source};
use crate::recorder::{Lives, Recorder};
use crate::schedule::Place;

/// How many page replicas are on trial.
pub const REPLICAS: usize = 2;
/// The control: it has the first replica's links, and its faults.
pub const NAIVE: Replica = Replica {
    arm: Arm::Naive,
    index: 0,
};

/// Between two looks at the name of a source's history.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Everything that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Rig {
    pub(crate) broker: Mutex<NatsServer>,
    pub(crate) sources: [Mutex<Process>; 3],
    pub(crate) pages: [Mutex<Process>; REPLICAS],
    pub(crate) naive: Mutex<Process>,
    pub(crate) links: HashMap<Place, Link>,
    /// By [`Source::index`]; without a link in between.
    pub source_urls: [String; 3],
    /// Every replica and where it is.
    pub replicas: Vec<(Replica, String)>,
    /// By the index of a page replica: whether its strategy answers from the cache once all is well.
    pub hits: [bool; REPLICAS],
    /// Which process answers whom.
    pub lives: Arc<Lives>,
    folder: TempDir,
}

impl Rig {
    /// Starts everything. Each page replica gets the flags that stand at its place.
    ///
    /// # Panics
    /// When a part does not start: with what it said.
    pub async fn start(page_flags: &[PageFlags; REPLICAS]) -> Self {
        let broker = NatsServer::start();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut links = HashMap::new();
        for source in Source::ALL {
            links.insert(Place::SourceToBroker(source), Link::start(&broker.url()).await);
        }
        let start_source = |source| start_source(source, &links, &folder);
        let (accounts, endpoints, metrics) = tokio::join!(
            start_source(Source::Accounts),
            start_source(Source::Endpoints),
            start_source(Source::Metrics)
        );
        let sources = [accounts, endpoints, metrics];
        let source_urls = [0, 1, 2].map(|index: usize| sources[index].url(""));
        for replica in 0..REPLICAS {
            links.insert(Place::ReplicaToBroker(replica), Link::start(&broker.url()).await);
            for source in Source::ALL {
                let link = Link::start(&source_urls[source.index()]).await;
                links.insert(Place::ReplicaToSource(replica, source), link);
            }
        }
        let page = |replica: usize| {
            let flags = [page_settings(&links, replica), page_flags[replica].flags.clone()].concat();
            Process::start("page", flags)
        };
        let naive = Process::start("naive-page", page_settings(&links, 0));
        let (first, second, naive) = tokio::join!(page(0), page(1), naive);
        let replicas = vec![
            (page_replica(0), first.url("")),
            (page_replica(1), second.url("")),
            (NAIVE, naive.url("")),
        ];
        Self {
            broker: Mutex::new(broker),
            sources: sources.map(Mutex::new),
            pages: [Mutex::new(first), Mutex::new(second)],
            naive: Mutex::new(naive),
            links,
            source_urls,
            replicas,
            hits: page_flags.each_ref().map(|page| page.hits),
            lives: Arc::default(),
            folder,
        }
    }

    /// Waits for a source's own word how its history is called now, and writes it down.
    ///
    /// # Panics
    /// When it does not answer within twenty seconds.
    pub async fn note_birth(&self, source: Source, recorder: &Recorder) -> Incarnation {
        let (client, url) = (client(), self.version_url(source));
        let within = Duration::from_secs(20);
        let incarnation = test_support::eventually(within, async || named(&client, &url).await).await;
        recorder.heard(source, incarnation);
        incarnation
    }

    /// Writes down whenever a source gives its history another name, which it does by itself when it finds that its database
    /// was set back or replaced.
    pub fn watch_births(&self, tasks: &mut JoinSet<()>, recorder: &Arc<Recorder>) {
        for source in Source::ALL {
            let (client, url, recorder) = (client(), self.version_url(source), Arc::clone(recorder));
            tasks.spawn(async move {
                loop {
                    if let Ok(incarnation) = named(&client, &url).await {
                        recorder.heard(source, incarnation);
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            });
        }
    }

    fn version_url(&self, source: Source) -> String {
        let path = match source {
            Source::Accounts => "/accounts/1",
            Source::Endpoints => "/accounts/1/endpoints",
            Source::Metrics => "/accounts/1/metrics",
        };
        format!("{}{path}", self.source_urls[source.index()])
    }

    /// Deletes a source's database, which must not run.
    ///
    /// # Panics
    /// When it cannot be deleted.
    pub fn delete_database(&self, source: Source) {
        let database = database(&self.folder, source);
        for suffix in ["", "-wal", "-shm"] {
            let file = PathBuf::from(format!("{}{suffix}", database.display()));
            if file.exists() {
                std::fs::remove_file(&file).expect("the database can be deleted");
            }
        }
    }

    /// The processes that have ended without being told to.
    pub async fn dead(&self) -> Vec<String> {
        let mut dead = Vec::new();
        let pages = self.pages.iter().zip(["page-0", "page-1"]);
        let sources = self.sources.iter().zip(Source::ALL.map(Source::name));
        for (process, name) in pages.chain(sources).chain([(&self.naive, "naive-page")]) {
            let mut process = process.lock().await;
            if !process.is_alive() {
                let log = process.log();
                let last = log.iter().rev().take(5).rev().map(ToString::to_string);
                dead.push(format!(
                    "{name}; its last words: {}",
                    last.collect::<Vec<_>>().join(" ")
                ));
            }
        }
        dead
    }
}

/// How a source calls its history.
async fn named(client: &Client, url: &str) -> Result<Incarnation, String> {
    let request = client.get(url).timeout(Duration::from_secs(2));
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
    let version = tag.and_then(version_in_tag);
    version
        .map(|version| version.incarnation)
        .ok_or_else(|| format!("no version at {url}"))
}

/// A page replica on trial.
pub const fn page_replica(index: usize) -> Replica {
    Replica {
        arm: Arm::Page,
        index,
    }
}

async fn start_source(source: Source, links: &HashMap<Place, Link>, folder: &TempDir) -> Process {
    let database = database(folder, source).display().to_string();
    let nats_url = links[&Place::SourceToBroker(source)].url();
    let flags = ["--database", &database, "--nats-url", &nats_url];
    Process::start(source.name(), flags.map(str::to_owned).to_vec()).await
}

fn page_settings(links: &HashMap<Place, Link>, replica: usize) -> Vec<String> {
    let asks = Source::ALL.map(|source| {
        let url = links[&Place::ReplicaToSource(replica, source)].url();
        [format!("--{source}-url"), url]
    });
    let hears = links[&Place::ReplicaToBroker(replica)].url();
    let hears = ["--nats-url".to_owned(), hears];
    asks.into_iter().flatten().chain(hears).collect()
}

fn database(folder: &TempDir, source: Source) -> PathBuf {
    folder.path().join(format!("{source}.db"))
}
