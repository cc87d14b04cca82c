//! What the canary has seen, as metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use url::Url;

/// From a page that saw the change before the reader asked to one that waits for a TTL.
const STALENESS_BOUNDS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0,
];

/// How one look for one change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The page showed it.
    InTime,
    /// The page answered, and did not show it.
    NotInTime,
    /// The page did not answer.
    NoAnswer,
}

/// What is reported of all pages.
#[derive(Debug)]
pub(crate) struct Report {
    pages: Vec<PageReport>,
}

/// What is reported of one page. The label is its root as it was set, so that there are as many as were set.
#[derive(Clone, Debug)]
pub(crate) struct PageReport {
    page: KeyValue,
    staleness: Histogram<f64>,
    mismatches: Counter<u64>,
    checks: Counter<u64>,
    /// When a change was last seen, in seconds since 1970; 0 before the first.
    last: Arc<AtomicU64>,
}

impl Report {
    pub(crate) fn new(pages: &[Url]) -> Self {
        let meter = global::meter("canary");
        let staleness = meter
            .f64_histogram("canary.staleness")
            .with_description("From the answer to a write to the first answer of the page that shows it. How long do readers get the old page?")
            .with_unit("s")
            .with_boundaries(STALENESS_BOUNDS.to_vec())
            .build();
        let mismatches = meter
            .u64_counter("canary.lies")
            .with_description(
                "Answers that claimed to be complete beyond a change that they lacked. Are we truthful?",
            )
            .build();
        let checks = meter
            .u64_counter("canary.checks")
            .with_description("Changes that a page showed, did not show in time, or did not answer about. Do changes arrive?")
            .build();
        let page = |url: &Url| PageReport {
            page: KeyValue::new("page", url.to_string()),
            staleness: staleness.clone(),
            mismatches: mismatches.clone(),
            checks: checks.clone(),
            last: Arc::default(),
        };
        let report = Self {
            pages: pages.iter().map(page).collect(),
        };
        report.observe_last();
        report.pages.iter().for_each(PageReport::count_from_zero);
        report
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = PageReport> {
        self.pages.iter().cloned()
    }

    fn observe_last(&self) {
        let pages = self.pages.clone();
        global::meter("canary")
            .u64_observable_gauge("canary.last")
            .with_description(
                "When a change was last seen on the page, in seconds since 1970. Does anybody still look?",
            )
            .with_unit("s")
            .with_callback(move |gauge| {
                for PageReport { page, last, .. } in &pages {
                    // Relaxed, here and where it is stored: it stands for itself.
                    gauge.observe(last.load(Ordering::Relaxed), std::slice::from_ref(page));
                }
            })
            .build();
    }
}

impl PageReport {
    /// A series that first appears with its first increment shows no increase, so the first mismatch would be missed.
    fn count_from_zero(&self) {
        self.mismatches.add(0, std::slice::from_ref(&self.page));
        for seen in [Seen::InTime, Seen::NotInTime, Seen::NoAnswer] {
            self.checks.add(0, &self.check(seen));
        }
    }

    /// How a look ended, after so many seconds.
    pub(crate) fn note(&self, seen: Seen, seconds: f64) {
        self.checks.add(1, &self.check(seen));
        if seen != Seen::NoAnswer {
            self.staleness.record(seconds, std::slice::from_ref(&self.page));
        }
        if seen == Seen::InTime {
            let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
            self.last.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_mismatch(&self) {
        self.mismatches.add(1, std::slice::from_ref(&self.page));
    }

    fn check(&self, seen: Seen) -> [KeyValue; 2] {
        let result = match seen {
            Seen::InTime => "seen",
            Seen::NotInTime => "unseen",
            Seen::NoAnswer => "failed",
        };
        [self.page.clone(), KeyValue::new("result", result)]
    }
}
