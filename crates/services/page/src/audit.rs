//! The auditor: at a low and steady rate, a resident page is compared with its sources.
//!
//! What it should never find is a page older than it claims. So it also says when it last looked: an auditor
//! that has gone silent looks like perfection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fresh_cache::{Audit, ConfirmedMismatch, FreshCache};
use jiff::Timestamp;
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::Instrument as _;

use crate::key::PageKey;
use crate::loader::Upstreams;
use crate::moment::timestamp;
use crate::source::Source;

/// How many pages are drawn at once: drawing walks over all that are resident.
const SAMPLE: usize = 256;
/// What may be found.
const RESULTS: [&str; 4] = ["skipped", "agrees", "suspicious", "lie"];
/// How long the feed has to tell of what a source has already.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Compares one resident page after another, for ever.
pub(crate) struct Auditor {
    cache: FreshCache<Upstreams>,
    every: Duration,
    /// Of the pages drawn, those yet to be looked at.
    drawn: Vec<PageKey>,
    checks: Counter<u64>,
    /// When a page was last compared, in seconds since the epoch; 0 before the first.
    last: Arc<AtomicU64>,
}

impl Auditor {
    pub(crate) fn new(cache: FreshCache<Upstreams>, every: Duration) -> Self {
        let meter = global::meter("page");
        let checks = meter
            .u64_counter("page.audit.checks")
            .with_description("Pages compared with their sources, by what was found; `lie` is never to be seen. Are we truthful?")
            .build();
        // The label `lie` is a confirmed mismatch. From zero on: what appears at its first increment has no increase, and the first confirmed mismatch would not be seen.
        for result in RESULTS {
            checks.add(0, &[KeyValue::new("result", result)]);
        }
        let last = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&last);
        meter
            .u64_observable_gauge("page.audit.last")
            .with_description("When a page was last compared with its sources, in seconds since 1970. Does anybody still look?")
            .with_unit("s")
            // Relaxed, here and where it is stored: it stands for itself.
            .with_callback(move |gauge| gauge.observe(seen.load(Ordering::Relaxed), &[]))
            .build();
        Self {
            cache,
            every,
            drawn: Vec::new(),
            checks,
            last,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut tick = interval(self.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.drawn.is_empty() {
                self.drawn = self.cache.sample(SAMPLE);
            }
            if let Some(key) = self.drawn.pop() {
                let span = tracing::info_span!("audit page", window = key.window.as_str());
                self.look(&key).instrument(span).await;
            }
        }
    }

    async fn look(&self, key: &PageKey) {
        let found = self.cache.audit(key).await;
        self.count(&found);
        let Audit::Mismatch(mismatch) = found else {
            return;
        };
        sleep(SECOND_LOOK).await;
        let found = self.cache.audit_again(mismatch).await;
        self.count(&found);
        if let Audit::Confirmed(confirmed) = found {
            report(&confirmed);
        }
    }

    fn count(&self, found: &Audit<Upstreams>) {
        let result = match found {
            Audit::Skipped => "skipped",
            Audit::Agrees => "agrees",
            Audit::Mismatch(_) => "suspicious",
            Audit::Confirmed(_) => "lie",
        };
        self.checks.add(1, &[KeyValue::new("result", result)]);
        if !matches!(found, Audit::Skipped) {
            let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
            self.last.store(now, Ordering::Relaxed);
        }
    }
}

/// Both traces: this log line is of the audit's own, and names the one in which the page was composed.
fn report(confirmed: &ConfirmedMismatch<Upstreams>) {
    let mismatch = &confirmed.mismatch;
    tracing::error!(
        account = %mismatch.key.account,
        window = mismatch.key.window.as_str(),
        source = %Source::ALL[mismatch.source.0],
        shown = confirmed.shown.revision,
        found = mismatch.found.revision,
        claimed = %timestamp(confirmed.claimed),
        seen = %timestamp(mismatch.seen.moment),
        composed_in_trace = confirmed.page.content().trace_id().unwrap_or_default(),
        "a page was older than it claimed; it was dropped"
    );
}
