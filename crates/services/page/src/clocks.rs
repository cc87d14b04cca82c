//! Whether the clocks agree: this replica's with those of the sources, and with itself.
//!
//! No page is untrue for a clock that is wrong: what cannot be a date by the clock here is not believed, and dates are counted
//! on the monotonic clock too. But a clock that is wrong costs trust, and dates what readers are told. So it is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, global};

use crate::source::{PerSource, Source};

/// Watermarks in a row, two seconds of them, before a difference is said: one that comes late differs too.
const IN_A_ROW: u32 = 8;
/// Above the skew that was stated, what a watermark takes to come.
const ON_THE_WAY: Duration = Duration::from_secs(1);
/// Between two looks at the clock of this machine.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A clock that moved by more against the monotonic one was set.
const SET: Duration = Duration::from_millis(100);
/// No difference was found yet.
const NONE: i64 = i64::MIN;

/// Compares the clocks at every watermark.
#[derive(Debug)]
pub(crate) struct Clocks {
    allowed: Duration,
    sources: PerSource<Compared>,
}

#[derive(Debug, Default)]
struct Compared {
    /// How far the clock here was ahead of the source's at its last watermark, in microseconds.
    difference: Arc<AtomicI64>,
    /// Watermarks in a row that differed by more than is allowed.
    in_a_row: u32,
}

impl Clocks {
    pub(crate) fn new(meter: &Meter, skew: Duration) -> Self {
        let sources = Source::ALL.map(|_| Compared {
            difference: Arc::new(AtomicI64::new(NONE)),
            in_a_row: 0,
        });
        observe(
            meter,
            sources.each_ref().map(|source| Arc::clone(&source.difference)),
        );
        Self {
            allowed: skew.saturating_add(ON_THE_WAY),
            sources,
        }
    }

    /// Takes note of a source's word for the time.
    pub(crate) fn compare(&mut self, source: usize, complete_until: Timestamp) {
        let now = Timestamp::now();
        let difference = now.duration_since(complete_until);
        let compared = &mut self.sources[source];
        let micros = i64::try_from(difference.as_micros()).unwrap_or(i64::MAX);
        // Relaxed: a number for people.
        compared.difference.store(micros, Ordering::Relaxed);
        let differs = difference.unsigned_abs() > self.allowed;
        let before = compared.in_a_row;
        compared.in_a_row = if differs { before.saturating_add(1) } else { 0 };
        tell(Source::ALL[source], difference, before, compared.in_a_row);
    }
}

/// Notices within a second that the clock of this machine was set, whether or not anything is received.
pub(crate) async fn watch_own_clock() {
    let steps = global::meter("page")
        .u64_counter("page.clock.steps")
        .with_description(
            "Times the clock of this machine was set. Is the time service at work while we serve?",
        )
        .build();
    steps.add(0, &[]);
    let mut last = (Timestamp::now(), Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = (Timestamp::now(), Instant::now());
        let passed = SignedDuration::try_from(now.1.duration_since(last.1)).unwrap_or(SignedDuration::MAX);
        let step = now.0.duration_since(last.0).saturating_sub(passed);
        last = now;
        if step.unsigned_abs() > SET {
            steps.add(1, &[]);
            tracing::warn!(
                seconds = step.as_secs_f64(),
                "the clock of this machine was set; dates noted before are counted on by the monotonic clock. Look at its time \
                 service"
            );
        }
    }
}

fn tell(source: Source, difference: SignedDuration, before: u32, in_a_row: u32) {
    if in_a_row == IN_A_ROW {
        tracing::warn!(
            source = source.name(),
            seconds = difference.as_secs_f64(),
            "the clock here and the source's differ, or its watermarks come late: the source is asked at every read. \
             Compare the clocks of the two hosts"
        );
    } else if before >= IN_A_ROW && in_a_row == 0 {
        tracing::info!(
            source = source.name(),
            "the clock here and the source's agree again"
        );
    }
}

fn observe(meter: &Meter, differences: PerSource<Arc<AtomicI64>>) {
    meter
        .f64_observable_gauge("page.clock.difference")
        .with_description("How far the clock here was ahead of the source's at its last watermark, its way here included. Is a clock wrong?")
        .with_unit("s")
        .with_callback(move |gauge| {
            for (source, difference) in Source::ALL.iter().zip(&differences) {
                let micros = difference.load(Ordering::Relaxed);
                if micros != NONE {
                    let seconds = SignedDuration::from_micros(micros).as_secs_f64();
                    gauge.observe(seconds, &[KeyValue::new("source", source.name())]);
                }
            }
        })
        .build();
}
