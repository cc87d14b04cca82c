//! How a page is composed: the requests it is made of, one to each source, and the render that joins their answers.

use std::sync::Arc;
use std::time::Instant;

use fresh_cache::{
    EventFragment, Fetched, Fragment as CachedFragment, FragmentState, Loader, Position, SourceId,
};
use opentelemetry::metrics::Histogram;
use opentelemetry::{KeyValue, global};
use reqwest::{StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;

use crate::fragment::{Fragment, FragmentError};
use crate::key::{AccountId, PageKey, Window};
use crate::render::{self, Listed, Page, ShownFragment};
use crate::source::{PerSource, Source};
use crate::upstream::{Upstream, UpstreamError, UpstreamOptions};

/// Said of a source that has not learned yet that its account is gone.
const OF_ANOTHER: &str = "still tells of an account that had this id before";

/// From what a source on the same machine takes to the longest deadline.
const FETCH_BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5,
];

/// The sources, as seen from here. Clones share connections and bounds.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    client: reqwest::Client,
    sources: Arc<PerSource<Upstream>>,
    took: Histogram<f64>,
}

/// One page of the list of accounts.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct AccountList {
    /// In the order of their ids.
    pub(crate) accounts: Vec<Listed>,
    /// Where the next page begins.
    pub(crate) next: Option<u64>,
}

/// Measures the requests to each source from now on: how long they take, how many are under way, and how many wait.
fn measure(sources: &Arc<PerSource<Upstream>>) -> Histogram<f64> {
    let meter = global::meter("page");
    let asked = Arc::clone(sources);
    meter
        .u64_observable_gauge("page.fetch.active")
        .with_description("Requests to a source under way, the auditor's included. Is one the bottleneck?")
        .with_unit("{request}")
        .with_callback(move |gauge| {
            for upstream in asked.iter() {
                let active = u64::try_from(upstream.under_way()).unwrap_or(u64::MAX);
                gauge.observe(active, &[KeyValue::new("source", upstream.source().name())]);
            }
        })
        .build();
    let queued = Arc::clone(sources);
    meter
        .u64_observable_gauge("page.fetch.waiting")
        .with_description(
            "Requests to a source that wait for their turn. Is there a crowd that it cannot serve?",
        )
        .with_unit("{request}")
        .with_callback(move |gauge| {
            for upstream in queued.iter() {
                let waiting = u64::try_from(upstream.waiting()).unwrap_or(u64::MAX);
                gauge.observe(waiting, &[KeyValue::new("source", upstream.source().name())]);
            }
        })
        .build();
    meter
        .f64_histogram("page.fetch.duration")
        .with_description("How long a source takes to give its fragment, by source and by what it gave. Whom do readers wait for?")
        .with_unit("s")
        .with_boundaries(FETCH_BOUNDS.to_vec())
        .build()
}

impl Upstreams {
    /// Knows the sources, each with its options; asks them nothing yet.
    pub(crate) fn new(options: impl Fn(Source) -> UpstreamOptions) -> Self {
        let sources = Source::ALL.map(|source| Upstream::new(source, options(source)));
        let sources = Arc::new(sources);
        Self {
            client: http_edge::client(),
            took: measure(&sources),
            sources,
        }
    }

    /// Asks accounts for the next `limit` accounts after one of them.
    pub(crate) async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<AccountList, UpstreamError> {
        let accounts = &self.sources[Source::Accounts.index()];
        let _permit = accounts.admit(false).await?;
        let request = self
            .client
            .get(accounts.address("accounts"))
            .query(&[("limit", u64::from(limit))]);
        let request = match after {
            Some(after) => request.query(&[("after", after.get())]),
            None => request,
        };
        let asked = async {
            let response = accounts.send(&self.client, request, "GET /accounts").await?;
            if response.status() != StatusCode::OK {
                return Err(UpstreamError::Unexpected {
                    status: response.status(),
                });
            }
            let body = accounts.read(response).await?;
            serde_json::from_slice(&body).map_err(|source| FragmentError::Json { source }.into())
        };
        accounts.note(Instant::now(), asked.await)
    }

    async fn ask(
        &self,
        source: Source,
        key: &PageKey,
        known: Option<&CachedFragment<Arc<Fragment>>>,
    ) -> Result<Fetched<Arc<Fragment>>, UpstreamError> {
        let upstream = &self.sources[source.index()];
        let info = source.info();
        let address = format!("accounts/{}{}", key.account, info.path);
        let mut request = self.client.get(upstream.address(&address));
        if info.has_windows {
            request = request.query(&[("window", key.window.as_str())]);
        }
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, &known.body.tag.text);
        }
        let response = upstream.send(&self.client, request, info.span_name).await?;
        upstream.take(key, known, response).await
    }
}

impl Loader for Upstreams {
    type Key = PageKey;
    type Entity = AccountId;
    type Body = Arc<Fragment>;
    type Page = Page;
    type Error = UpstreamError;

    fn dependencies(&self, key: &PageKey) -> Vec<(SourceId, AccountId)> {
        Source::ALL
            .iter()
            .map(|source| (SourceId(source.index()), key.account))
            .collect()
    }

    async fn admit(
        &self,
        source: SourceId,
        known: Option<&CachedFragment<Arc<Fragment>>>,
    ) -> Result<Option<OwnedSemaphorePermit>, UpstreamError> {
        // What is remembered of before the start does not count: a whole page is worth more than the wait.
        let shows = known.is_some_and(|known| known.position > Position::ZERO);
        self.sources[source.0].admit(shows).await.map(Some)
    }

    async fn fetch(
        &self,
        key: &PageKey,
        source: SourceId,
        _account: &AccountId,
        known: Option<&CachedFragment<Arc<Fragment>>>,
    ) -> Result<Fetched<Arc<Fragment>>, UpstreamError> {
        let source = Source::ALL[source.0];
        let began = Instant::now();
        let fetched = self.ask(source, key, known).await;
        let result = match &fetched {
            Ok(Fetched::New { .. }) => "new",
            Ok(Fetched::NotModified { .. }) => "not modified",
            Err(_) => "failed",
        };
        let labels = [
            KeyValue::new("source", source.name()),
            KeyValue::new("result", result),
        ];
        self.took.record(began.elapsed().as_secs_f64(), &labels);
        self.sources[source.index()].note(began, fetched)
    }

    /// After a reset of the accounts service an id may be another account's: what was somebody else's is not
    /// shown with it (rule 24).
    fn conflicts(
        &self,
        _key: &PageKey,
        fragments: &[Option<&CachedFragment<Arc<Fragment>>>],
    ) -> Vec<(usize, &'static str)> {
        let mut lives = fragments
            .iter()
            .map(|fragment| fragment.and_then(|fragment| fragment.body.life));
        let Some(account) = lives.next().flatten() else {
            return Vec::new();
        };
        let others = (1..).zip(lives);
        let of_another = others.filter(|(_, life)| life.is_some_and(|life| life != account));
        of_another.map(|(index, _)| (index, OF_ANOTHER)).collect()
    }

    fn compose(&self, key: &PageKey, fragments: &[FragmentState<Arc<Fragment>>]) -> Page {
        let shown = Source::ALL.map(|source| {
            let state = &fragments[source.index()];
            ShownFragment {
                fragment: state.fragment().map(|fragment| &*fragment.body),
                claim: state.fragment().and_then(|fragment| fragment.claim),
                trouble: state.reason(),
            }
        });
        render::render(key, &shown)
    }

    fn weight(&self, page: &Page) -> u32 {
        u32::try_from(page.weight()).unwrap_or(u32::MAX)
    }

    fn pages_of(&self, _source: SourceId, account: &AccountId) -> Vec<PageKey> {
        let key = |window| PageKey {
            account: *account,
            window,
        };
        Window::ALL.map(key).to_vec()
    }

    fn read_event(
        &self,
        key: &PageKey,
        source: SourceId,
        _account: &AccountId,
        event: &EventFragment,
    ) -> Option<Arc<Fragment>> {
        let fragment = Fragment::from_event(Source::ALL[source.0], key, event);
        let log = |error: &FragmentError| {
            tracing::warn!(source = Source::ALL[source.0].name(), %error, "an event's fragment is of no use");
        };
        fragment.inspect_err(log).ok().flatten().map(Arc::new)
    }

    /// One tag names one body.
    fn agrees(&self, one: &Arc<Fragment>, other: &Arc<Fragment>) -> bool {
        one.tag.text != other.tag.text || one.says_the_same(other)
    }
}
