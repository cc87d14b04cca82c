//! What the caches count, as metrics.

use fresh_cache::{Counter, FreshCache, Stats};
use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, global};

use crate::caches::Caches;
use crate::compose::Upstreams;

/// What a label says, and the counter it says it of.
type Labelled = (&'static str, fn(&Stats) -> &Counter);

/// One metric made of counters, told apart by a label.
#[derive(Clone, Copy)]
struct Report {
    name: &'static str,
    description: &'static str,
    label: &'static str,
    counters: &'static [Labelled],
}

const REPORTS: [Report; 6] = [
    Report {
        name: "page.reads",
        description: "Reads of the cache: hits, and why others were none. Is it worth having?",
        label: "outcome",
        counters: &[
            ("hit", |stats| &stats.hits),
            ("miss", |stats| &stats.misses),
            ("stale", |stats| &stats.stale),
            ("request", |stats| &stats.requests),
            ("bypass", |stats| &stats.bypasses),
        ],
    },
    Report {
        name: "page.doubts",
        description: "Resident pages that could not be proven, by why. What makes readers wait?",
        label: "why",
        counters: &[
            ("event or loss", |stats| &stats.rejected_by_fence),
            ("time", |stats| &stats.rejected_by_time),
            ("distrust", |stats| &stats.rejected_by_distrust),
            ("degraded", |stats| &stats.rejected_as_degraded),
        ],
    },
    Report {
        name: "page.compositions",
        description: "Pages composed, and how many of these had to be rendered. What does freshness cost here?",
        label: "result",
        counters: &[
            ("all", |stats| &stats.flights),
            ("rendered", |stats| &stats.renders),
            ("collapsed readers", |stats| &stats.collapsed),
            ("panicked", |stats| &stats.panics),
        ],
    },
    Report {
        name: "page.fetches",
        description: "Requests to sources, by what came of them. What does freshness cost there?",
        label: "result",
        counters: &[
            ("all", |stats| &stats.fetches),
            ("not modified", |stats| &stats.not_modified),
            ("failed", |stats| &stats.failures),
            ("not believed", |stats| &stats.regressions),
        ],
    },
    Report {
        name: "page.refreshes",
        description: "Pages composed anew because of an event, and those left out. Does pre-populating pay?",
        label: "result",
        counters: &[
            ("begun", |stats| &stats.refreshes),
            ("unread", |stats| &stats.refreshes_unread),
            ("too many", |stats| &stats.refreshes_degraded),
            ("wasted", |stats| &stats.refreshes_wasted),
            ("parts from events", |stats| &stats.carried),
        ],
    },
    Report {
        name: "page.degraded",
        description: "Parts that were shown stale or were missing, and answers short of a reader's token.",
        label: "how",
        counters: &[
            ("stale", |stats| &stats.stale_parts),
            ("missing", |stats| &stats.missing_parts),
            ("behind", |stats| &stats.behind),
        ],
    },
];

/// Reports, at every look at the metrics, what the caches have counted.
pub(crate) fn observe(caches: &Caches) {
    let meter = global::meter("page");
    for report in REPORTS {
        observe_counters(&meter, report, caches.clone());
    }
    observe_size(
        &meter,
        "page.cache.entries",
        "Resident pages.",
        "{page}",
        caches.clone(),
        FreshCache::entry_count,
    );
    observe_size(
        &meter,
        "page.cache.size",
        "Memory of the resident pages.",
        "By",
        caches.clone(),
        FreshCache::weighted_size,
    );
}

fn observe_counters(meter: &Meter, report: Report, caches: Caches) {
    meter
        .u64_observable_counter(report.name)
        .with_description(report.description)
        .with_callback(move |counter| {
            for (strategy, cache) in caches.all() {
                for (value, read) in report.counters {
                    let labels = [
                        KeyValue::new("strategy", strategy.as_str()),
                        KeyValue::new(report.label, *value),
                    ];
                    counter.observe(read(cache.stats()).get(), &labels);
                }
            }
        })
        .build();
}

fn observe_size(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    caches: Caches,
    read: fn(&FreshCache<Upstreams>) -> u64,
) {
    meter
        .u64_observable_gauge(name)
        .with_description(description)
        .with_unit(unit)
        .with_callback(move |gauge| {
            for (strategy, cache) in caches.all() {
                gauge.observe(read(cache), &[KeyValue::new("strategy", strategy.as_str())]);
            }
        })
        .build();
}
