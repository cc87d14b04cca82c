//! The stack under test: real processes, a real broker, and a link on every way between them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stack::sources::SourceClient;
use stack::{
    Incarnation, Link, PerSource, Process, Source, Window, database_files, database_in, eventually,
    page_flags, source_flags,
};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::config::{PageFlags, REPLICAS};
use crate::history::{Replica, Subject};
use crate::recorder::{ProcessRuns, Recorder};
use crate::schedule::Place;

/// The control: it has the first replica's links, and its faults.
pub const NAIVE: Replica = Replica {
    subject: Subject::Naive,
    index: 0,
};

/// How long a source may take to say how its history is called.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at the name of a source's history.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A copy of a database, with its log if it has one. It vanishes when this is dropped.
#[derive(Debug)]
pub struct Copy(TempDir);

impl Copy {
    fn database(&self) -> PathBuf {
        self.0.path().join("copy.db")
    }
}

/// A second process of a source. It is killed when this is dropped.
#[derive(Debug)]
pub struct Twin {
    pub(crate) process: Process,
    _link: Link,
}

/// Everything that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct StackUnderTest {
    pub(crate) broker: Mutex<Broker>,
    pub(crate) sources: PerSource<Mutex<Process>>,
    pub(crate) pages: [Mutex<Process>; REPLICAS],
    pub(crate) naive: Mutex<Process>,
    pub(crate) links: HashMap<Place, Link>,
    /// How often the stream is stored, as a flag.
    copies: [String; 2],
    /// Where the broker is, without a link in between.
    broker_url: String,
    /// Without a link in between.
    pub source_urls: PerSource<String>,
    /// Every replica and where it is.
    pub replicas: Vec<(Replica, String)>,
    /// By the index of a page replica: whether its strategy answers from the cache once all is well.
    pub hits: [bool; REPLICAS],
    /// Whether it keeps pages at all.
    pub keeps_pages: [bool; REPLICAS],
    /// Which process answers whom.
    pub runs: Arc<ProcessRuns>,
    folder: TempDir,
}

impl StackUnderTest {
    /// Starts everything. Each page replica gets the flags that stand at its place.
    ///
    /// # Panics
    /// When a process does not start: with what it said.
    pub async fn start(flags_of_pages: &[PageFlags; REPLICAS], nodes: usize) -> Self {
        let broker = Broker::start(nodes).await;
        let copies = ["--stream-replicas".to_owned(), broker.copies().to_string()];
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut links = HashMap::new();
        for source in Source::ALL {
            links.insert(
                Place::SourceToBroker(source),
                Link::start(&broker.url(source.index())).await,
            );
        }
        let start_source = |source| {
            let link = &links[&Place::SourceToBroker(source)];
            start_source(source, link.url(), &copies, database_in(folder.path(), source))
        };
        let sources = PerSource::join(start_source).await;
        let source_urls = PerSource::from_fn(|source| sources[source].url(""));
        for replica in 0..REPLICAS {
            let link = Link::start(&broker.url(replica)).await;
            links.insert(Place::ReplicaToBroker(replica), link);
            for source in Source::ALL {
                let link = Link::start(&source_urls[source]).await;
                links.insert(Place::ReplicaToSource(replica, source), link);
            }
        }
        let page = |replica: usize| {
            let settings = page_settings(&links, replica);
            let flags = [&settings[..], &copies, &flags_of_pages[replica].flags].concat();
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
            broker_url: broker.url(0),
            broker: Mutex::new(broker),
            sources: sources.map(Mutex::new),
            pages: [Mutex::new(first), Mutex::new(second)],
            naive: Mutex::new(naive),
            links,
            copies,
            source_urls,
            replicas,
            hits: flags_of_pages.each_ref().map(|page| page.hits),
            keeps_pages: flags_of_pages.each_ref().map(|page| page.keeps_pages),
            runs: Arc::default(),
            folder,
        }
    }

    /// Waits until a source names its incarnation, and writes it down.
    ///
    /// # Panics
    /// When it does not answer within twenty seconds.
    pub async fn note_birth(&self, source: Source, recorder: &Recorder) -> Incarnation {
        let sources = self.asked_briefly();
        let within = Duration::from_secs(20);
        let incarnation = eventually(within, async || incarnation_of(&sources, source).await).await;
        recorder.named(source, incarnation);
        incarnation
    }

    /// Writes down whenever a source has another incarnation, which it draws by itself when it finds that its database
    /// was set back or replaced.
    pub fn watch_births(&self, tasks: &mut JoinSet<()>, recorder: &Arc<Recorder>) {
        for source in Source::ALL {
            let (sources, recorder) = (self.asked_briefly(), Arc::clone(recorder));
            tasks.spawn(async move {
                loop {
                    if let Ok(incarnation) = incarnation_of(&sources, source).await {
                        recorder.named(source, incarnation);
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            });
        }
    }

    fn asked_briefly(&self) -> SourceClient {
        SourceClient::with_patience(self.source_urls.clone(), ANSWERS_WITHIN)
    }

    /// Deletes a source's database, which must not run.
    ///
    /// # Panics
    /// When it cannot be deleted.
    pub fn delete_database(&self, source: Source) {
        for file in database_files(&database_in(self.folder.path(), source)) {
            if file.exists() {
                std::fs::remove_file(&file).expect("the database can be deleted");
            }
        }
    }

    /// Copies a source's database, which must not run, or must stand still.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy_database(&self, source: Source, with_log: bool) -> Copy {
        let folder = tempfile::tempdir_in(&self.folder).expect("a temporary folder can be made");
        let copy = folder.path().join("copy.db");
        let [file, log, _] = database_files(&database_in(self.folder.path(), source));
        if !with_log {
            checkpoint(&file).expect("the log can be moved into the database");
        }
        std::fs::copy(file, &copy).expect("the database can be copied");
        if with_log && log.exists() {
            let [_, copied, _] = database_files(&copy);
            std::fs::copy(log, copied).expect("its log can be copied");
        }
        Copy(folder)
    }

    /// Puts a copy back where a source's database was, which must have been deleted.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn put_back(&self, source: Source, copy: &Copy) {
        let to = database_files(&database_in(self.folder.path(), source));
        for (from, to) in database_files(&copy.database()).iter().zip(to) {
            if from.exists() {
                std::fs::copy(from, to).expect("the copy can be put back");
            }
        }
    }

    /// Starts a second process of a source, on a copy of its database and by its own way to the broker.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_twin(&self, source: Source, copy: &Copy) -> Twin {
        let link = Link::start(&self.broker_url).await;
        let process = start_source(source, link.url(), &self.copies, copy.database()).await;
        Twin { process, _link: link }
    }

    /// The processes that have ended without being told to.
    pub async fn dead(&self) -> Vec<String> {
        let mut dead = Vec::new();
        let pages = self.pages.iter().zip(["page-0", "page-1"]);
        let sources = self
            .sources
            .iter()
            .map(|(source, process)| (process, source.name()));
        for (process, name) in pages.chain(sources).chain([(&self.naive, "naive-page")]) {
            let words = process.lock().await.last_words();
            dead.extend(words.map(|words| format!("{name}; its last words: {words}")));
        }
        dead
    }
}

/// Moves all of the log into the database, as an operator does who copies the file alone: a stopped source leaves its log behind.
fn checkpoint(database: &Path) -> rusqlite::Result<()> {
    let connection = rusqlite::Connection::open(database)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// How a source calls its history.
async fn incarnation_of(sources: &SourceClient, source: Source) -> Result<Incarnation, String> {
    let fragment = sources.fragment(source, 1, Window::default()).await;
    let fragment = fragment.map_err(|error| error.to_string())?;
    let version = fragment
        .version
        .ok_or_else(|| format!("no version at {source}"))?;
    Ok(version.incarnation)
}

/// A page replica under test.
pub const fn page_replica(index: usize) -> Replica {
    Replica {
        subject: Subject::Page,
        index,
    }
}

async fn start_source(source: Source, nats_url: String, copies: &[String], database: PathBuf) -> Process {
    let flags = [&source_flags(&database, &nats_url), copies].concat();
    Process::start(source.name(), flags).await
}

fn page_settings(links: &HashMap<Place, Link>, replica: usize) -> Vec<String> {
    let asks = PerSource::from_fn(|source| links[&Place::ReplicaToSource(replica, source)].url());
    page_flags(&asks, &links[&Place::ReplicaToBroker(replica)].url())
}
