//! What the caches count, as metrics.

use fresh_cache::{Counter, FreshCache, Stats};
use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, global};

use crate::caches::Caches;
use crate::loader::Upstreams;

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

const REPORTS: [Report; 8] = [
    Report {
        name: "page.reads",
        description: "Reads of the cache: hits, and why others were none. Is it worth having?",
        label: "outcome",
        counters: &[
            ("hit", |stats| &stats.hits),
            ("stale_hit", |stats| &stats.stale_hits),
            ("miss", |stats| &stats.misses),
            ("stale", |stats| &stats.stale),
            ("request", |stats| &stats.requests),
            ("bypass", |stats| &stats.bypasses),
        ],
    },
    Report {
        name: "page.doubts",
        description: "Resident pages that were not fresh, by why. What makes readers wait?",
        label: "why",
        counters: &[
            ("event or loss", |stats| &stats.rejected_by_fence),
            ("time", |stats| &stats.rejected_as_expired),
            ("distrust", |stats| &stats.rejected_as_untrusted),
            ("degraded", |stats| &stats.rejected_as_degraded),
        ],
    },
    Report {
        name: "page.compositions",
        description: "Pages composed, of these rendered, or overtaken by an event in flight. What does freshness cost here?",
        label: "result",
        counters: &[
            ("all", |stats| &stats.loads),
            ("rendered", |stats| &stats.compositions),
            ("collapsed readers", |stats| &stats.collapsed),
            ("not waited for", |stats| &stats.timed_out),
            ("renewals", |stats| &stats.renewals),
            ("overtaken", |stats| &stats.overtaken),
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
            ("too many", |stats| &stats.refreshes_left_out),
            ("wasted", |stats| &stats.refreshes_wasted),
            ("parts from events", |stats| &stats.event_fragments),
        ],
    },
    Report {
        name: "page.announcements",
        description: "Events that pre-populating looked at, and the pages they made due. How many pages does an event cost?",
        label: "of",
        counters: &[
            ("events", |stats| &stats.announced),
            ("pages", |stats| &stats.due),
        ],
    },
    Report {
        name: "page.cache.evictions",
        description: "Pages that are gone: for want of room, or dropped on purpose. Is there room enough?",
        label: "cause",
        counters: &[
            ("size", |stats| &stats.evicted),
            ("dropped", |stats| &stats.dropped),
        ],
    },
    Report {
        name: "page.degraded",
        description: "Fragments that were shown stale or were missing, and answers short of a reader's token. What do outages cost readers?",
        label: "how",
        counters: &[
            ("stale", |stats| &stats.stale_fragments),
            ("missing", |stats| &stats.missing_fragments),
            ("behind", |stats| &stats.behind),
        ],
    },
];

/// One number of each cache, as it is now.
#[derive(Clone, Copy)]
struct Gauge {
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    read: fn(&FreshCache<Upstreams>) -> u64,
}

const GAUGES: [Gauge; 5] = [
    Gauge {
        name: "page.cache.entries",
        description: "Resident pages. How many pages do readers share?",
        unit: "{page}",
        read: FreshCache::page_count,
    },
    Gauge {
        name: "page.cache.size",
        description: "Memory of the resident pages. What does the cache cost?",
        unit: "By",
        read: FreshCache::weighted_size,
    },
    Gauge {
        name: "page.flights",
        description: "Pages being composed right now. Do readers wait for the sources?",
        unit: "{page}",
        read: |cache| count(cache.loads_in_flight()),
    },
    Gauge {
        name: "page.refresh.inbox",
        description: "Events that wait for pre-populating to look at them. Does it keep up?",
        unit: "{event}",
        read: |cache| count(cache.events_waiting()),
    },
    Gauge {
        name: "page.refresh.queue",
        description: "Pages that wait to be composed anew because of an event. Does it keep up?",
        unit: "{page}",
        read: |cache| count(cache.pages_waiting()),
    },
];

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Reports, at every look at the metrics, what the caches have counted.
pub(crate) fn observe(caches: &Caches) {
    let meter = global::meter("page");
    for report in REPORTS {
        observe_counters(&meter, report, caches.clone());
    }
    for gauge in GAUGES {
        observe_gauge(&meter, gauge, caches.clone());
    }
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

fn observe_gauge(meter: &Meter, of: Gauge, caches: Caches) {
    meter
        .u64_observable_gauge(of.name)
        .with_description(of.description)
        .with_unit(of.unit)
        .with_callback(move |gauge| {
            for (strategy, cache) in caches.all() {
                gauge.observe((of.read)(cache), &[KeyValue::new("strategy", strategy.as_str())]);
            }
        })
        .build();
}
