//! The consumer of the feed: applies each message to what the caches read, in constant time, waiting for nothing (rule 5).

use std::time::Duration;

use event_bus::{Cause, Change, ChangeKind, Claimed, Event, FeedItem, Loss, Watermark};
use fresh_cache::{Announcement, Claim, EventFragment, FeedReader, FeedWriter, SourceId, Version};
use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};

use crate::caches::Caches;
use crate::clocks::Clocks;
use crate::key::AccountId;
use crate::moment::{moment, seconds_since, timestamp};
use crate::source::Source;

/// From commit to applied, in seconds: tenths of a millisecond are usual, seconds are an outage.
const DELAY_BOUNDS: [f64; 16] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// What may reveal that something of one source was missed.
const CAUSES: [Cause; 7] = [
    Cause::FirstMessage,
    Cause::NewPublisher,
    Cause::NewIncarnation,
    Cause::Gap,
    Cause::Behind,
    Cause::SetBack,
    Cause::Unreadable,
];

/// A claim that no answer states.
const UNCLAIMED: Claim = Claim(u64::MAX);

/// Consumes the feed: the only writer of what the caches read.
#[derive(Debug)]
pub(crate) struct FeedConsumer {
    writer: FeedWriter<AccountId>,
    clocks: Clocks,
    caches: Caches,
    events: Counter<u64>,
    losses: Counter<u64>,
    foreign: Counter<u64>,
    delay: Histogram<f64>,
}

impl FeedConsumer {
    /// Takes over the writing end of `feed`, and reports on it from now on; tells the caches of every event.
    pub(crate) fn new(
        writer: FeedWriter<AccountId>,
        feed: &FeedReader<AccountId>,
        skew: Duration,
        caches: Caches,
    ) -> Self {
        let meter = global::meter("page");
        observe(&meter, feed);
        let consumer = Self {
            writer,
            clocks: Clocks::new(&meter, skew),
            caches,
            events: meter
                .u64_counter("page.events")
                .with_description("Events received, by source and by what came of them. How much changes, and how often is it told twice?")
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
        consumer.count_from_zero();
        consumer
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

    /// Applies one message.
    pub(crate) fn apply(&mut self, message: FeedItem) {
        match message {
            FeedItem::Change(change) => self.apply_change(&change),
            FeedItem::Watermark(Watermark {
                source,
                complete_until,
            }) => {
                self.writer.watermark(SourceId(source), moment(complete_until));
                self.clocks.compare(source, complete_until);
            }
            FeedItem::Loss(Loss { source, cause }) => self.apply_loss(source, cause),
            FeedItem::Claimed(Claimed { source, claim }) => {
                // A program of before claims were made has answers that state none: nothing of it is vouched for.
                let claim = claim.map_or(UNCLAIMED, |claim| Claim(claim.0));
                self.writer.claimed(SourceId(source), claim);
            }
            FeedItem::Foreign { source } => self.foreign.add(1, &[source_label(source)]),
        }
    }

    fn apply_change(&mut self, change: &Change) {
        let (source, event) = (SourceId(change.source), &change.event);
        let Ok(account) = event.entity.parse::<u64>().map(AccountId::of) else {
            // It says whose it is, but not what changed: anything of that source may have (rule 7).
            self.apply_loss(Some(change.source), Cause::Unreadable);
            return;
        };
        let position = if is_deletion(change.source, event) {
            // With the account goes every fragment of its page, also what the other sources said of it.
            let positions = Source::ALL.map(|of| self.writer.deleted(SourceId(of.index()), &account));
            positions[change.source]
        } else {
            self.writer.changed(source, &account)
        };
        // From here on the event is applied. What follows is work saved for readers, and never waits (rule 16).
        if let Some(cache) = self.caches.prepopulated() {
            // What a repeat carries is older than its position, and what a former publisher carries is not believed (rule 17).
            let fragment = (change.kind == ChangeKind::New).then(|| event_fragment(event));
            cache.announce(Announcement {
                source,
                entity: account,
                position,
                fragment,
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

    fn apply_loss(&mut self, source: Option<usize>, cause: Cause) {
        match source {
            Some(source) if cause == Cause::NewIncarnation => self.writer.replaced(SourceId(source)),
            Some(source) => self.writer.lost(SourceId(source)),
            None => self.writer.lost_all(),
        }
        let source = source.map_or_else(|| KeyValue::new("source", "all"), source_label);
        self.losses
            .add(1, &[source, KeyValue::new("cause", cause_label(cause))]);
    }
}

/// What the event may carry of its source's answer. It is read later, by the loader.
pub(crate) fn event_fragment(event: &Event) -> EventFragment {
    EventFragment {
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
/// Only accounts can say so: the other sources delete theirs because they received its event.
pub(crate) fn is_deletion(source: usize, event: &Event) -> bool {
    source == Source::Accounts.index() && event.kind.ends_with("account.deleted.v1")
}

/// Reports, at every look at the metrics, what each source last vouched for.
fn observe(meter: &Meter, feed: &FeedReader<AccountId>) {
    let applied = feed.clone();
    meter
        .f64_observable_gauge("page.watermark.age")
        .with_description(
            "Time since the moment up to which the source said it is complete. How much can its pages claim?",
        )
        .with_unit("s")
        .with_callback(move |gauge| {
            for source in Source::ALL {
                let Some(complete_until) = applied.watermark(SourceId(source.index())) else {
                    continue;
                };
                let complete_until = timestamp(complete_until);
                gauge.observe(seconds_since(complete_until), &[source_label(source.index())]);
            }
        })
        .build();
    let applied = feed.clone();
    meter
        .u64_observable_gauge("page.source.trusted")
        .with_description("Whether pages are served on the source's word, 1, or by asking it, 0. Does the cache work as it should?")
        .with_callback(move |gauge| {
            for source in Source::ALL {
                let trusted = applied.trusted(SourceId(source.index()));
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
        Cause::FirstMessage => "first heard",
        Cause::NewPublisher => "new publisher",
        Cause::NewIncarnation => "new incarnation",
        Cause::Gap => "gap",
        Cause::Behind => "behind",
        Cause::SetBack => "set back",
        Cause::Unreadable => "unreadable",
        Cause::Stream => "stream",
    }
}
