//! Two sources in memory that a test stops at every step, and the loader over them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fresh_cache::{Claim, EventFragment, Fetched, Fragment, FragmentState, Loader, SourceId, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::replica::{ACCOUNTS, METRICS};

/// What an event may carry that no body can be made of.
pub(crate) const UNREADABLE: &[u8] = b"unreadable";

/// What a source shows of an entity: its state, and how long that holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) version: Version,
    pub(crate) valid_for: Option<Duration>,
    /// What the source says beside the version: two of one version agree if they are the same.
    pub(crate) text: &'static str,
}

/// One request, as the source saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) source: SourceId,
    pub(crate) known: Option<u64>,
}

/// Where a test can hold a fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Before position and time are noted.
    Admit,
    /// After they are noted, before the source looks.
    Ask,
    /// After the source looked, before the answer arrives.
    Answer,
}

/// One place where fetches can be held.
#[derive(Debug)]
pub(crate) struct Stop {
    held: AtomicBool,
    arrived: Semaphore,
    go: Semaphore,
}

/// The sources' side.
#[derive(Debug)]
pub(crate) struct HeldSources {
    sources: Mutex<[Source; 2]>,
    stops: [[Stop; 3]; 2],
    pub(crate) requests: Mutex<Vec<Request>>,
    /// The name of the span in which each request was made, where a test listens to spans.
    pub(crate) spans: Mutex<Vec<&'static str>>,
    /// Of every page.
    pub(crate) weight: AtomicU32,
    /// Called by the next render.
    on_compose: Mutex<Option<Hook>>,
}

struct Hook(Box<dyn FnOnce() + Send>);

#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Whose feed vouches for what it answers.
    pub(crate) claim: Option<Claim>,
    pub(crate) incarnation: u128,
    pub(crate) revisions: HashMap<u64, u64>,
    pub(crate) valid_for: Option<Duration>,
    pub(crate) text: &'static str,
    pub(crate) fault: Option<Fault>,
}

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Down,
    Panics,
    /// Answers this revision, whatever it has.
    Lags(u64),
    /// Answers "not modified" to whatever it is asked.
    SaysNotModified,
}

/// A source's failure.
#[derive(Debug, thiserror::Error)]
#[error("is down")]
pub(crate) struct Down;

/// The loader over a [`HeldSources`].
#[derive(Debug)]
pub(crate) struct Pages(pub(crate) Arc<HeldSources>);

impl HeldSources {
    pub(crate) fn new() -> Self {
        let source = Source {
            claim: Some(Claim::default()),
            incarnation: 1,
            revisions: HashMap::new(),
            valid_for: None,
            text: "",
            fault: None,
        };
        Self {
            sources: Mutex::new([source.clone(), source]),
            stops: std::array::from_fn(|_| std::array::from_fn(|_| Stop::new())),
            requests: Mutex::default(),
            spans: Mutex::default(),
            weight: AtomicU32::new(1),
            on_compose: Mutex::default(),
        }
    }

    pub(crate) fn stop(&self, source: SourceId, step: Step) -> &Stop {
        &self.stops[source.0][step as usize]
    }

    pub(crate) fn set(&self, source: SourceId, change: impl FnOnce(&mut Source)) {
        change(&mut self.sources.lock().unwrap()[source.0]);
    }

    /// A mutation, committed and acknowledged when this returns: the new revision.
    pub(crate) fn mutate(&self, source: SourceId, entity: u64) -> u64 {
        let mut sources = self.sources.lock().unwrap();
        let revision = sources[source.0].revisions.entry(entity).or_insert(1);
        *revision += 1;
        *revision
    }

    pub(crate) fn on_next_compose(&self, hook: impl FnOnce() + Send + 'static) {
        *self.on_compose.lock().unwrap() = Some(Hook(Box::new(hook)));
    }

    /// Calls what the next render would have called.
    pub(crate) fn unless_composed(&self) {
        let hook = self.on_compose.lock().unwrap().take();
        if let Some(Hook(hook)) = hook {
            hook();
        }
    }

    /// The requests since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// What the source has now.
    pub(crate) fn version(&self, source: SourceId, entity: u64) -> Version {
        let sources = self.sources.lock().unwrap();
        let Source {
            incarnation,
            revisions,
            ..
        } = &sources[source.0];
        Version {
            incarnation: *incarnation,
            revision: revisions.get(&entity).copied().unwrap_or(1),
            nonce: 0,
        }
    }

    /// The source looks at its data.
    fn look(&self, source: SourceId, entity: u64) -> Result<Shown, Down> {
        let sources = self.sources.lock().unwrap();
        let Source {
            incarnation,
            ref revisions,
            valid_for,
            text,
            fault,
            ..
        } = sources[source.0];
        let revision = match fault {
            Some(Fault::Lags(revision)) => revision,
            Some(Fault::Down) => return Err(Down),
            _ => revisions.get(&entity).copied().unwrap_or(1),
        };
        Ok(Shown {
            version: Version {
                incarnation,
                revision,
                nonce: 0,
            },
            valid_for,
            text,
        })
    }

    fn claim(&self, source: SourceId) -> Option<Claim> {
        self.sources.lock().unwrap()[source.0].claim
    }

    fn fault(&self, source: SourceId) -> Option<Fault> {
        self.sources.lock().unwrap()[source.0].fault
    }
}

impl Loader for Pages {
    type Key = u64;
    type Entity = u64;
    type Body = Shown;
    type Page = Vec<Option<u64>>;
    type Error = Down;

    fn dependencies(&self, key: &u64) -> Vec<(SourceId, u64)> {
        vec![(ACCOUNTS, *key), (METRICS, *key)]
    }

    async fn admit(
        &self,
        source: SourceId,
        _known: Option<&Fragment<Shown>>,
    ) -> Result<Option<OwnedSemaphorePermit>, Down> {
        self.0.stop(source, Step::Admit).pass().await;
        Ok(None)
    }

    async fn fetch(
        &self,
        key: &u64,
        source: SourceId,
        _entity: &u64,
        known: Option<&Fragment<Shown>>,
    ) -> Result<Fetched<Shown>, Down> {
        let sources = &self.0;
        sources.stop(source, Step::Ask).pass().await;
        sources.requests.lock().unwrap().push(Request {
            source,
            known: known.map(|fragment| fragment.version.revision),
        });
        sources
            .spans
            .lock()
            .unwrap()
            .extend(tracing::Span::current().metadata().map(tracing::Metadata::name));
        let (claim, fault) = (sources.claim(source), sources.fault(source));
        assert_ne!(fault, Some(Fault::Panics), "the source's client");
        let shown = sources.look(source, *key)?;
        sources.stop(source, Step::Answer).pass().await;
        let Shown {
            version, valid_for, ..
        } = shown;
        if fault == Some(Fault::SaysNotModified) || known.is_some_and(|fragment| fragment.version == version)
        {
            return Ok(Fetched::NotModified { claim, valid_for });
        }
        Ok(Fetched::New {
            version,
            claim,
            body: shown,
            valid_for,
        })
    }

    fn compose(&self, _key: &u64, fragments: &[FragmentState<Shown>]) -> Vec<Option<u64>> {
        self.0.unless_composed();
        fragments
            .iter()
            .map(|fragment| fragment.fragment().map(|fragment| fragment.body.version.revision))
            .collect()
    }

    fn weight(&self, _page: &Vec<Option<u64>>) -> u32 {
        self.0.weight.load(Ordering::SeqCst)
    }

    fn pages_of(&self, _source: SourceId, entity: &u64) -> Vec<u64> {
        vec![*entity]
    }

    fn read_event(
        &self,
        _key: &u64,
        _source: SourceId,
        _entity: &u64,
        event: &EventFragment,
    ) -> Option<Shown> {
        (event.data != UNREADABLE).then_some(Shown {
            version: event.version,
            valid_for: None,
            text: "",
        })
    }

    fn agrees(&self, one: &Shown, other: &Shown) -> bool {
        one.text == other.text
    }
}

impl Stop {
    fn new() -> Self {
        Self {
            held: AtomicBool::new(false),
            arrived: Semaphore::new(0),
            go: Semaphore::new(0),
        }
    }

    /// From now on, fetches wait here.
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Waits until a fetch waits here.
    pub(crate) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets those pass that come from now on; the one that waits here goes on waiting.
    pub(crate) fn let_others_pass(&self) {
        self.held.store(false, Ordering::SeqCst);
    }

    /// Lets the one that waits here go on, and the others pass.
    pub(crate) fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.go.add_permits(1);
    }

    async fn pass(&self) {
        if self.held.load(Ordering::SeqCst) {
            self.arrived.add_permits(1);
            self.go.acquire().await.unwrap().forget();
        }
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hook")
    }
}
