//! What the feed says, applied to the cache's ledger: one call per message, in constant time, waiting for
//! nothing (rule 5).

use std::sync::Arc;
use std::time::Duration;

use event_bus::{Cause, Change, ChangeKind, Claimed, Event, Heard, Loss, Watermark};
use fresh_cache::{Announcement, Carried, Claim, Hearing, Ledger, SourceId, Version};
use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};

use crate::caches::Caches;
use crate::clocks::Clocks;
use crate::moment::{moment, seconds_since, timestamp};
use crate::source::Source;

/// From commit to applied, in seconds: tenths of a millisecond are usual, seconds are an outage.
const DELAY_BOUNDS: [f64; 16] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// What may reveal that something of one source was missed.
const CAUSES: [Cause; 7] = [
    Cause::FirstHeard,
    Cause::NewPublisher,
    Cause::NewIncarnation,
    Cause::Gap,
    Cause::Behind,
    Cause::SetBack,
    Cause::Unreadable,
];

/// A claim that no answer states.
const UNCLAIMED: Claim = Claim(u64::MAX);

/// The one who applies the feed: the only writer of the ledger.
#[derive(Debug)]
pub(crate) struct Hearer {
    hearing: Hearing,
    clocks: Clocks,
    caches: Caches,
    events: Counter<u64>,
    losses: Counter<u64>,
    foreign: Counter<u64>,
    delay: Histogram<f64>,
}

impl Hearer {
    /// Takes over the writing of `ledger`, and reports on it from now on; tells the caches of every event.
    pub(crate) fn new(hearing: Hearing, ledger: &Arc<Ledger>, skew: Duration, caches: Caches) -> Self {
        let meter = global::meter("page");
        observe(&meter, ledger);
        let hearer = Self {
            hearing,
            clocks: Clocks::new(&meter, skew),
            caches,
            events: meter
                .u64_counter("page.events")
                .with_description("Events heard, by source and by what came of them. How much changes, and how often is it told twice?")
                .build(),
            losses: meter
                .u64_counter("page.losses")
                .with_description("Times something may have been missed, by source and by what revealed it. How reliable is the feed?")
                .build(),
            foreign: meter
                .u64_counter("page.foreign.watermarks")
                .with_description("Watermarks of a publisher that another one replaced, by source; they are not believed. Are there two publishers?")
                .build(),
            delay: meter
                .f64_histogram("page.event.delay")
                .with_description("From a mutation's commit to its event applied here. How long may a page be wrong without claiming otherwise?")
                .with_unit("s")
                .with_boundaries(DELAY_BOUNDS.to_vec())
                .build(),
        };
        hearer.count_from_zero();
        hearer
    }

    /// What appears at its first increment has no increase, and the first loss would not be seen.
    fn count_from_zero(&self) {
        for source in Source::ALL.map(Source::index) {
            for result in [ChangeKind::New, ChangeKind::Repeat, ChangeKind::Foreign].map(result_label) {
                let labels = [source_label(source), KeyValue::new("result", result)];
                self.events.add(0, &labels);
            }
            self.foreign.add(0, &[source_label(source)]);
            for cause in CAUSES {
                let labels = [source_label(source), KeyValue::new("cause", cause_label(cause))];
                self.losses.add(0, &labels);
            }
        }
        for cause in [Cause::Unreadable, Cause::Stream] {
            let labels = [
                KeyValue::new("source", "all"),
                KeyValue::new("cause", cause_label(cause)),
            ];
            self.losses.add(0, &labels);
        }
    }

    /// Applies one thing heard.
    pub(crate) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Change(change) => self.hear_change(&change),
            Heard::Watermark(Watermark {
                source,
                complete_until,
            }) => {
                self.hearing.watermark(SourceId(source), moment(complete_until));
                self.clocks.heard(source, complete_until);
            }
            Heard::Loss(Loss { source, cause }) => self.hear_loss(source, cause),
            Heard::Claimed(Claimed { source, claim }) => {
                // A program of before claims were made has answers that state none: nothing of it is vouched for.
                let claim = claim.map_or(UNCLAIMED, |claim| Claim(claim.0));
                self.hearing.claimed(SourceId(source), claim);
            }
            Heard::Foreign { source } => self.foreign.add(1, &[source_label(source)]),
        }
    }

    fn hear_change(&mut self, change: &Change) {
        let (source, event) = (SourceId(change.source), &change.event);
        let Ok(account) = event.entity.parse::<u64>() else {
            // It says whose it is, but not what changed: anything of that source may have (rule 7).
            self.hear_loss(Some(change.source), Cause::Unreadable);
            return;
        };
        let position = if is_deletion(change.source, event) {
            // With the account goes every part of its page, also what the other sources said of it.
            let parts = Source::ALL.map(|part| self.hearing.deleted(SourceId(part.index()), account));
            parts[change.source]
        } else {
            self.hearing.changed(source, account)
        };
        // From here on the event is applied. What follows is work saved for readers, and never waits (rule 16).
        if let Some(cache) = self.caches.prepopulated() {
            // What a repeat carries is older than its position, and what a former publisher carries is not believed (rule 17).
            let carried = (change.kind == ChangeKind::New).then(|| carried(event));
            cache.announce(Announcement {
                source,
                entity: account,
                position,
                carried,
            });
        }
        let labels = [
            source_label(change.source),
            KeyValue::new("result", result_label(change.kind)),
        ];
        self.events.add(1, &labels);
        if change.kind == ChangeKind::New {
            self.delay
                .record(seconds_since(event.time), &[source_label(change.source)]);
        }
    }

    fn hear_loss(&mut self, source: Option<usize>, cause: Cause) {
        match source {
            Some(source) if cause == Cause::NewIncarnation => self.hearing.replaced(SourceId(source)),
            Some(source) => self.hearing.lost(SourceId(source)),
            None => self.hearing.lost_all(),
        }
        let source = source.map_or_else(|| KeyValue::new("source", "all"), source_label);
        self.losses
            .add(1, &[source, KeyValue::new("cause", cause_label(cause))]);
    }
}

/// What the event may carry of its source's answer. To read it is another's work.
pub(crate) fn carried(event: &Event) -> Carried {
    Carried {
        version: Version {
            incarnation: event.incarnation.0,
            revision: event.revision,
            nonce: event.nonce.0,
        },
        claim: event.claim.map(|claim| Claim(claim.0)),
        data: event.data.clone(),
        committed: moment(event.time),
    }
}

/// Whether not even a marked stale page may show this account any more (rule 12).
///
/// Only accounts can say so: the other sources delete theirs because they heard of it.
pub(crate) fn is_deletion(source: usize, event: &Event) -> bool {
    source == Source::Accounts.index() && event.kind.ends_with("account.deleted.v1")
}

/// Reports, at every look at the metrics, what each source last vouched for.
fn observe(meter: &Meter, ledger: &Arc<Ledger>) {
    let heard = Arc::clone(ledger);
    meter
        .f64_observable_gauge("page.watermark.age")
        .with_description(
            "Time since the moment up to which the source said it is complete. How much can its pages claim?",
        )
        .with_unit("s")
        .with_callback(move |gauge| {
            for source in Source::ALL {
                let Some(complete_until) = heard.watermark(SourceId(source.index())) else {
                    continue;
                };
                let complete_until = timestamp(complete_until);
                gauge.observe(seconds_since(complete_until), &[source_label(source.index())]);
            }
        })
        .build();
    let heard = Arc::clone(ledger);
    meter
        .u64_observable_gauge("page.source.trusted")
        .with_description("Whether pages are served on the source's word, 1, or by asking it, 0. Does the cache work as it should?")
        .with_callback(move |gauge| {
            for source in Source::ALL {
                let trusted = heard.trusted(SourceId(source.index()));
                gauge.observe(trusted.into(), &[source_label(source.index())]);
            }
        })
        .build();
}

fn source_label(source: usize) -> KeyValue {
    KeyValue::new("source", Source::ALL[source].name())
}

fn result_label(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::New => "applied",
        ChangeKind::Repeat => "repeat",
        ChangeKind::Foreign => "foreign",
    }
}

fn cause_label(cause: Cause) -> &'static str {
    match cause {
        Cause::FirstHeard => "first heard",
        Cause::NewPublisher => "new publisher",
        Cause::NewIncarnation => "new incarnation",
        Cause::Gap => "gap",
        Cause::Behind => "behind",
        Cause::SetBack => "set back",
        Cause::Unreadable => "unreadable",
        Cause::Stream => "stream",
    }
}
