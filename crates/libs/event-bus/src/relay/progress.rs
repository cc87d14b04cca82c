//! How far a relay is behind, as metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use opentelemetry::metrics::{Counter, Meter};
use opentelemetry::{KeyValue, global};

use super::publishing::Publishing;
use crate::outbox::Snapshot;

/// What was published, and what is still owed.
#[derive(Debug)]
pub(super) struct Progress {
    published: Counter<u64>,
    renewals: Counter<u64>,
    stream_losses: Counter<u64>,
    owed: Arc<Owed>,
}

/// What is committed and not yet acknowledged, as of the last look.
///
/// The moment rather than the age: the age must go on growing while the relay waits for a broker that does not answer.
#[derive(Debug, Default)]
struct Owed {
    rows: AtomicU64,
    /// When the oldest row was committed, in microseconds since 1970; 0 if there is none.
    since: AtomicU64,
}

impl Progress {
    pub(super) fn new(publishing: Publishing) -> Self {
        let meter = global::meter("event-bus");
        let published = meter
            .u64_counter("outbox.published")
            .with_description("Events that the broker acknowledged, and whether it had them already. Do events leave, and how often twice?")
            .build();
        // From zero on: what appears at its first increment has no increase.
        published.add(0, &result(false));
        published.add(0, &result(true));
        let renewals = meter
            .u64_counter("outbox.renewals")
            .with_description("Times the database was found to be set back or replaced, and got a new incarnation. Was something lost?")
            .build();
        renewals.add(0, &[]);
        let stream_losses = meter
            .u64_counter("outbox.stream.losses")
            .with_description("Times the stream was found to lack changes that it had acknowledged. Does the broker lose what it holds?")
            .build();
        stream_losses.add(0, &[]);
        let owed = Arc::default();
        observe(&meter, &owed);
        observe_publishing(&meter, publishing);
        Self {
            published,
            renewals,
            stream_losses,
            owed,
        }
    }

    /// Counts an acknowledgement; `repeat`, if the stream had the event already.
    pub(super) fn count(&self, repeat: bool) {
        self.published.add(1, &result(repeat));
    }

    /// Counts a database that was set back, or replaced.
    pub(super) fn count_renewal(&self) {
        self.renewals.add(1, &[]);
    }

    /// Counts a stream that lacks what it had acknowledged.
    pub(super) fn count_stream_loss(&self) {
        self.stream_losses.add(1, &[]);
    }

    /// Notes what is owed; dated by the machine's clock.
    pub(super) fn note(&self, snapshot: &Snapshot) {
        let oldest = snapshot.rows.first();
        let rows = oldest.map_or(0, |row| (snapshot.sequence + 1).saturating_sub(row.sequence));
        let time = oldest.and_then(|row| row.time.parse::<Timestamp>().ok());
        let since = time.and_then(|time| u64::try_from(time.as_microsecond()).ok());
        // Relaxed: two numbers for people, who do not mind if one is a moment older than the other.
        self.owed.rows.store(rows, Ordering::Relaxed);
        self.owed
            .since
            .store(since.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Notes that nothing is owed.
    pub(super) fn note_none(&self) {
        self.owed.rows.store(0, Ordering::Relaxed);
        self.owed.since.store(0, Ordering::Relaxed);
    }
}

fn result(repeat: bool) -> [KeyValue; 1] {
    [KeyValue::new("result", if repeat { "repeat" } else { "new" })]
}

fn observe(meter: &Meter, owed: &Arc<Owed>) {
    let rows = Arc::clone(owed);
    meter
        .u64_observable_gauge("outbox.pending")
        .with_description("Events committed and not yet published. Is the relay behind?")
        .with_unit("{event}")
        .with_callback(move |gauge| gauge.observe(rows.rows.load(Ordering::Relaxed), &[]))
        .build();
    let oldest = Arc::clone(owed);
    meter
        .f64_observable_gauge("outbox.oldest.age")
        .with_description(
            "Time since the oldest of them was committed; 0 if there is none. How far is the relay behind?",
        )
        .with_unit("s")
        .with_callback(move |gauge| gauge.observe(oldest.age(), &[]))
        .build();
}

fn observe_publishing(meter: &Meter, publishing: Publishing) {
    let live = publishing.clone();
    meter
        .u64_observable_gauge("outbox.publishing")
        .with_description("Whether this process publishes for its source, 1 or 0. Does it hold the claim?")
        .with_callback(move |gauge| gauge.observe(live.claim().is_some().into(), &[]))
        .build();
    meter
        .u64_observable_gauge("outbox.refused")
        .with_description(
            "Whether another publisher of the source is alive, so that this process refuses writes, 1 or 0. Are there two?",
        )
        .with_callback(move |gauge| gauge.observe(publishing.is_refused().into(), &[]))
        .build();
}

impl Owed {
    fn age(&self) -> f64 {
        let since = self.since.load(Ordering::Relaxed);
        let since = i64::try_from(since).ok().filter(|since| *since > 0);
        let since = since.and_then(|since| Timestamp::from_microsecond(since).ok());
        // A clock that was set back must not make a row younger than new.
        since.map_or(0.0, |since| {
            Timestamp::now().duration_since(since).as_secs_f64().max(0.0)
        })
    }
}
